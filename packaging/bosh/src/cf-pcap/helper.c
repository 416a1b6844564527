#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "capability.h"
#include "cleanup.h"

#define TEMPORARY ".cf-pcap.new." /* and a random number; one left by a crash is removed */
#define TEMPORARY_SIZE (sizeof TEMPORARY + 16)
#define CHUNK 65536

int open_reference(const char *package)
{
	char path[4096];
	struct stat status;
	int fd;

	snprintf(path, sizeof path, "%s/" HELPER, package);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != 0 ||
	    (status.st_mode & 022) != 0) {
		fprintf(stderr, "cf-pcap-cache: %s: not a file that only root can change\n", path);
		exit(1);
	}
	return fd;
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

bool is_genuine(int file, int reference)
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
int replace_helper(const struct folder *folder, int reference)
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

bool is_temporary(const char *name)
{
	return strncmp(name, TEMPORARY, strlen(TEMPORARY)) == 0;
}
