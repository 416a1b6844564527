#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "capability.h"
#include "cleanup.h"
#include "place.h"

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

int replace_helper(const struct folder *folder, int reference)
{
	CLEANUP(cleanup_fd) int file = place_new(folder);

	return file < 0 || fill(file, reference) != 0 ? -1 : place_named(folder, file, HELPER);
}
