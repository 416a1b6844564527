#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TEMPORARY ".cf-pcap.new." /* and a random number; one left by a crash is removed */
#define TEMPORARY_SIZE (sizeof TEMPORARY + 16)

/*
 * O_TMPFILE in the very folder: the rep's folders are a mount of their own, so a rename from a
 * folder of root's would not be one.
 */
int place_new(const struct folder *folder)
{
	return openat(folder->fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
}

/* What vcap could put under the temporary name meanwhile is a file of his, without a capability. */
int place_named(const struct folder *folder, int file, const char *name)
{
	char path[FD_PATH_SIZE], temporary[TEMPORARY_SIZE];
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return -1;
	snprintf(temporary, sizeof temporary, "%s%016llx", TEMPORARY, (unsigned long long)random);
	if (linkat(AT_FDCWD, fd_path(path, file), folder->fd, temporary, AT_SYMLINK_FOLLOW) != 0)
		return -1;
	if (renameat(folder->fd, temporary, folder->fd, name) != 0) {
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
