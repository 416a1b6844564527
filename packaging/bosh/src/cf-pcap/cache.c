/*
 * cf-pcap-cache: makes the rep's download cache agree with diego.rep.enable_cf_pcap.
 *
 *   cf-pcap-cache on|off CACHE PACKAGE
 *
 * on:  KEY.d/cf-pcap has exactly cap_net_raw=p if it and cf-pcap-writer beside it are what the
 *      folder PACKAGE holds, byte for byte; no other file has a capability of ours.
 * off: no file has a capability of ours.
 *
 * Ours is: any capability on a file of one of these two names, and cap_net_raw alone on any other.
 *
 * The cache belongs to vcap, who may change it at any moment. So a name is resolved once, without
 * following links, and then only its descriptor counts; and no inode that vcap ever owned gets
 * a capability: a new one, root's, filled from PACKAGE, takes its place by rename.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"

#define HELPER "cf-pcap"
#define WRITER "cf-pcap-writer"
#define TEMPORARY ".cf-pcap.new." /* and a random number; one left by a crash is removed */
#define TEMPORARY_SIZE (sizeof TEMPORARY + 16)
#define CAPABILITY "security.capability"
#define DEPTH_MAX 256
#define FD_PATH_SIZE 32
#define CHUNK 65536

struct cell {
	int helper, writer; /* the package's files */
	bool enabled;
	dev_t device;
	unsigned int failures;
};

/* A folder of the cache, and the path to print for it. */
struct folder {
	int fd;
	unsigned int depth;
	char path[512]; /* relative to the cache, for messages; KEY.d/ always fits */
};

static const struct vfs_cap_data NET_RAW = {
	.magic_etc = VFS_CAP_REVISION_2, /* nothing effective: cap_net_raw=p */
	.data = { { .permitted = 1u << CAP_NET_RAW } },
};

/* The names are vcap's: nothing but printable ASCII reaches the operator's log. */
static void report(const struct folder *folder, const char *name, const char *what)
{
	char line[1024];
	int length = snprintf(line, sizeof line, "%s%s: %s", folder->path, name, what);

	for (int i = 0; i < length && line[i] != '\0'; i++)
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	printf("cf-pcap-cache: %s\n", line);
}

static void report_failure(struct cell *cell, const struct folder *folder, const char *name,
			   const char *what)
{
	char text[256];

	snprintf(text, sizeof text, "FAILED %s: %s", what, strerror(errno));
	report(folder, name, text);
	cell->failures++;
}

/* Names the inode of an O_PATH descriptor to calls that take a path. */
static const char *fd_path(char path[FD_PATH_SIZE], int fd)
{
	snprintf(path, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
	return path;
}

static bool same_content(int one, int other)
{
	static char left[CHUNK], right[CHUNK];
	ssize_t count;
	off_t at = 0;

	do {
		count = pread(one, left, sizeof left, at);
		if (count < 0 || pread(other, right, sizeof right, at) != count ||
		    memcmp(left, right, (size_t)count) != 0)
			return false;
		at += count;
	} while (count > 0);
	return true;
}

/* Is the file behind this O_PATH descriptor what the package holds? */
static bool is_genuine(int file, int reference)
{
	char path[FD_PATH_SIZE];
	struct stat status, wanted;
	CLEANUP(cleanup_fd) int readable = -1;

	if (fstat(file, &status) != 0 || fstat(reference, &wanted) != 0 ||
	    !S_ISREG(status.st_mode) || status.st_size != wanted.st_size)
		return false;
	/* O_NONBLOCK: a lease of vcap's does not make us wait. */
	readable = open(fd_path(path, file), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return readable >= 0 && same_content(readable, reference);
}

static bool writer_is_genuine(const struct cell *cell, const struct folder *folder)
{
	CLEANUP(cleanup_fd) int file = openat(folder->fd, WRITER, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return file >= 0 && is_genuine(file, cell->writer);
}

/* Fills an inode that has no name yet, and gives it the capability last: chown clears it. */
static int fill(int file, int reference)
{
	off_t at = 0;
	ssize_t count;

	do
		count = sendfile(file, reference, &at, CHUNK);
	while (count > 0);
	if (count < 0 || fchown(file, 0, 0) != 0 || fchmod(file, 0755) != 0 ||
	    fsetxattr(file, CAPABILITY, &NET_RAW, sizeof NET_RAW, 0) != 0)
		return -1;
	return fsync(file);
}

/*
 * O_TMPFILE in the very folder: the rep's folders are a mount of their own, so a rename from a
 * folder of root's would not be one. What vcap could put under the temporary name meanwhile is a
 * file of his, without a capability.
 */
static int replace_helper(const struct folder *folder, int reference)
{
	char path[FD_PATH_SIZE], temporary[TEMPORARY_SIZE];
	uint64_t random;
	CLEANUP(cleanup_fd) int file =
		openat(folder->fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (file < 0 || fill(file, reference) != 0 ||
	    getrandom(&random, sizeof random, 0) != sizeof random)
		return -1;
	snprintf(temporary, sizeof temporary, "%s%016llx", TEMPORARY, (unsigned long long)random);
	if (linkat(AT_FDCWD, fd_path(path, file), folder->fd, temporary, AT_SYMLINK_FOLLOW) != 0)
		return -1;
	if (renameat(folder->fd, temporary, folder->fd, HELPER) != 0) {
		int error = errno;
		unlinkat(folder->fd, temporary, 0);
		errno = error;
		return -1;
	}
	return 0;
}

/* The capability attribute, all zero if there is none. Returns its length, 0, or -1. */
static ssize_t read_capability(int file, struct vfs_ns_cap_data *capability)
{
	char path[FD_PATH_SIZE];
	ssize_t length;

	memset(capability, 0, sizeof *capability);
	length = getxattr(fd_path(path, file), CAPABILITY, capability, sizeof *capability);
	return length < 0 && (errno == ENODATA || errno == EOPNOTSUPP) ? 0 : length;
}

/* Root's, so that its content stays what it is, with exactly our capability. */
static bool is_as_wanted(int file, const struct stat *status)
{
	struct vfs_ns_cap_data capability;

	return status->st_uid == 0 && status->st_gid == 0 && (status->st_mode & 07777) == 0755 &&
	       read_capability(file, &capability) == sizeof NET_RAW &&
	       memcmp(&capability, &NET_RAW, sizeof NET_RAW) == 0;
}

static bool is_ours(const char *name, const struct vfs_ns_cap_data *capability)
{
	uint32_t low = capability->data[0].permitted | capability->data[0].inheritable;
	uint32_t high = capability->data[1].permitted | capability->data[1].inheritable;

	return strcmp(name, HELPER) == 0 || strcmp(name, WRITER) == 0 ||
	       (low == 1u << CAP_NET_RAW && high == 0);
}

/*
 * An inode with another name may lie outside the cache too: then the cached name goes and the
 * inode stays as it is.
 */
static void remove_capability(struct cell *cell, const struct folder *folder, const char *name,
			      int file, const struct stat *status)
{
	char path[FD_PATH_SIZE];
	struct vfs_ns_cap_data capability;
	ssize_t length = read_capability(file, &capability);

	if (length == 0 || (length > 0 && !is_ours(name, &capability)))
		return;
	if (length < 0)
		report_failure(cell, folder, name, "reading the capability");
	else if (status->st_nlink > 1 && unlinkat(folder->fd, name, 0) == 0)
		report(folder, name, "removed, a hard link to a file with a capability");
	else if (status->st_nlink == 1 && removexattr(fd_path(path, file), CAPABILITY) == 0)
		report(folder, name, "capability removed");
	else
		report_failure(cell, folder, name, "removing the capability");
}

/* True for KEY.d, where the rep unpacks the archive KEY. */
static bool holds_archive(const struct folder *folder)
{
	size_t length = strlen(folder->path);

	return folder->depth == 1 && length > 3 && strcmp(folder->path + length - 3, ".d/") == 0;
}

/* True if the helper has the capability now, or should have it and could not get it. */
static bool enable_helper(struct cell *cell, const struct folder *folder, int file,
			  const struct stat *status)
{
	if (!cell->enabled || !holds_archive(folder))
		return false;
	if (!is_genuine(file, cell->helper) || !writer_is_genuine(cell, folder)) {
		report(folder, HELPER, "not the installed version, left without a capability");
		return false;
	}
	if (is_as_wanted(file, status))
		return true;
	if (replace_helper(folder, cell->helper) == 0)
		report(folder, HELPER, "replaced by the installed version, with cap_net_raw=p");
	else
		report_failure(cell, folder, HELPER, "giving it cap_net_raw=p");
	return true;
}

static void visit_file(struct cell *cell, const struct folder *folder, const char *name, int file,
		       const struct stat *status)
{
	if (strncmp(name, TEMPORARY, strlen(TEMPORARY)) == 0) {
		if (unlinkat(folder->fd, name, 0) == 0)
			report(folder, name, "removed, left by an interrupted run");
		return;
	}
	if (strcmp(name, HELPER) != 0 || !enable_helper(cell, folder, file, status))
		remove_capability(cell, folder, name, file, status);
}

static void visit_folder(struct cell *cell, const struct folder *folder);

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX folders deep */
static void visit(struct cell *cell, const struct folder *folder, const char *name)
{
	CLEANUP(cleanup_fd) int file = openat(folder->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct folder below = { .depth = folder->depth + 1 };
	struct stat status;

	if (file < 0 && errno == ENOENT)
		return;
	if (file < 0 || fstat(file, &status) != 0) {
		report_failure(cell, folder, name, "opening it");
	} else if (status.st_dev != cell->device) {
		return; /* a mount: not in the cache */
	} else if (S_ISREG(status.st_mode)) {
		visit_file(cell, folder, name, file, &status);
	} else if (S_ISDIR(status.st_mode)) {
		below.fd = file;
		if (snprintf(below.path, sizeof below.path, "%s%s/", folder->path, name) >=
		    (int)sizeof below.path)
			strcpy(below.path, ".../");
		visit_folder(cell, &below);
	}
}

static void cleanup_listing(DIR **listing)
{
	if (*listing != NULL)
		closedir(*listing);
}

static DIR *list_folder(const struct folder *folder)
{
	int fd;

	if (folder->depth > DEPTH_MAX) {
		errno = ELOOP;
		return NULL;
	}
	fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? NULL : fdopendir(fd);
}

/* NOLINTNEXTLINE(misc-no-recursion): as above */
static void visit_folder(struct cell *cell, const struct folder *folder)
{
	CLEANUP(cleanup_listing) DIR *listing = list_folder(folder);
	const struct dirent *entry;

	if (listing == NULL) {
		report_failure(cell, folder, "", "listing it");
		return;
	}
	while ((entry = readdir(listing)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			visit(cell, folder, entry->d_name);
}

/* Follows no link in any part of an absolute path: some of its folders are vcap's. */
static int open_cache(const char *path)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char copy[4096], *rest = copy, *name;

	if (path[0] != '/' || snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) {
		errno = EINVAL;
		return -1;
	}
	while (fd >= 0 && (name = strsep(&rest, "/")) != NULL) {
		int next;
		if (*name == '\0')
			continue;
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	return fd;
}

/* A file of the package. It must be root's alone to change. */
static int open_reference(const char *package, const char *name)
{
	char path[4096];
	struct stat status;
	int fd;

	snprintf(path, sizeof path, "%s/%s", package, name);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != 0 ||
	    (status.st_mode & 022) != 0) {
		fprintf(stderr, "cf-pcap-cache: %s: not a file that only root can change\n", path);
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct cell cell = { 0 };
	struct folder cache = { 0 };
	struct stat status;

	if (argc != 4 || (strcmp(argv[1], "on") != 0 && strcmp(argv[1], "off") != 0)) {
		fprintf(stderr, "usage: cf-pcap-cache on|off CACHE PACKAGE\n");
		return 2;
	}
	cell.enabled = strcmp(argv[1], "on") == 0;
	cell.helper = open_reference(argv[3], HELPER);
	cell.writer = open_reference(argv[3], WRITER);
	cache.fd = open_cache(argv[2]);
	if (cache.fd < 0 && errno == ENOENT) {
		printf("cf-pcap-cache: %s: there is no cache yet\n", argv[2]);
		return 0;
	}
	if (cache.fd < 0 || fstat(cache.fd, &status) != 0) {
		fprintf(stderr, "cf-pcap-cache: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	cell.device = status.st_dev;
	visit_folder(&cell, &cache);
	printf("cf-pcap-cache: %s agrees with %s%s\n", argv[2], argv[1],
	       cell.failures == 0 ? "" : ", except for what FAILED above");
	return cell.failures == 0 ? 0 : 1;
}
