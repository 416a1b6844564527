#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "place.h"

/* O_NONBLOCK: neither a fifo nor a lease of vcap's makes us wait. */
#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

static bool is_roots(int file)
{
	struct stat status;

	return fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == 0 &&
	       (status.st_mode & 022) == 0;
}

void read_policy(struct policy *policy, const char *package)
{
	char path[4096];
	CLEANUP(cleanup_fd) int file = -1;
	ssize_t length;

	snprintf(path, sizeof path, "%s/" POLICY, package);
	file = open(path, OPEN_FLAGS);
	policy->length = 0;
	if (file < 0 && errno == ENOENT)
		return;
	length = file >= 0 && is_roots(file) ? pread(file, policy->text, sizeof policy->text, 0) : -1;
	if (length <= 0 || length > POLICY_BYTES) {
		fprintf(stderr, "cf-pcap-cache: %s: not a policy that only root can change\n", path);
		exit(1);
	}
	policy->length = (size_t)length;
}

/* Root's own file: not one of vcap's that says the same, for now. */
static bool is_as_wanted(const struct folder *folder, const struct policy *policy)
{
	CLEANUP(cleanup_fd) int file = openat(folder->fd, POLICY, OPEN_FLAGS);
	char text[POLICY_BYTES + 1];
	struct stat status;

	return file >= 0 && is_roots(file) && fstat(file, &status) == 0 && (status.st_mode & 0777) == 0644 &&
	       pread(file, text, sizeof text, 0) == (ssize_t)policy->length &&
	       memcmp(text, policy->text, policy->length) == 0;
}

static int put(const struct folder *folder, const struct policy *policy)
{
	CLEANUP(cleanup_fd) int file = place_new(folder);

	if (file < 0)
		return -1;
	errno = ENOSPC; /* what a short write means */
	if (write(file, policy->text, policy->length) != (ssize_t)policy->length || fchown(file, 0, 0) != 0 ||
	    fchmod(file, 0644) != 0 || fsync(file) != 0)
		return -1;
	return place_named(folder, file, POLICY);
}

bool settle_policy(struct cell *cell, const struct folder *folder)
{
	if (cell->policy.length == 0) {
		drop_policy(cell, folder);
		return true;
	}
	if (is_as_wanted(folder, &cell->policy))
		return true;
	if (put(folder, &cell->policy) == 0) {
		report_change(cell, folder, POLICY, "written, from diego.rep.cf_pcap_policy");
		return true;
	}
	report_failure(cell, folder, POLICY, "writing it");
	return false;
}

void drop_policy(struct cell *cell, const struct folder *folder)
{
	if (unlinkat(folder->fd, POLICY, 0) == 0)
		report_change(cell, folder, POLICY, "removed");
	else if (errno != ENOENT)
		report_failure(cell, folder, POLICY, "removing it");
}
