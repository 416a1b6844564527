/*
 * cf-pcap-cache: makes the rep's download cache agree with diego.rep.enable_cf_pcap.
 *
 *   cf-pcap-cache on|off DATA CACHE PACKAGE
 *
 * on:  KEY.d/cf-pcap in the folder CACHE has exactly cap_net_raw=p if it is what the folder
 *      PACKAGE holds, byte for byte, and beside it the policy that PACKAGE holds, or none; no other
 *      file in DATA, the folder of the rep's that CACHE lies in, has a capability of ours.
 * off: no file in DATA has a capability of ours, and no KEY.d a policy.
 *
 * All of it belongs to vcap, who may change it at any moment. So a name is resolved once, without
 * following links, and then only its descriptor counts; no inode that vcap ever owned gets a
 * capability; and it is walked through again until a pass changed nothing and missed nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell.h"
#include "helper.h"
#include "policy.h"
#include "walk.h"

#define PASSES_MAX 20 /* one or two are usual, more only while vcap is at work */

/* Follows no link in any part of an absolute path: some of its folders are vcap's. */
static int open_folder(const char *path)
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

/* A cache that is not there yet is fine: -1, as DATA may be. */
static int open_cache(struct cell *cell, const char *path)
{
	struct stat status;

	cell->cache = open_folder(path);
	if (cell->cache < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(cell->cache, &status) != 0)
		return -1;
	cell->cache_device = status.st_dev;
	cell->cache_inode = status.st_ino;
	return 0;
}

/* True when a pass changed nothing and missed nothing: what it saw is all there is. */
static bool settle(struct cell *cell, int data)
{
	for (cell->pass = 1; cell->pass <= PASSES_MAX; cell->pass++) {
		walk(cell, data);
		if (cell->changes == 0 && cell->misses == 0)
			return true;
	}
	return false;
}

static int complain(const char *path)
{
	fprintf(stderr, "cf-pcap-cache: %s: %s\n", path, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	static struct cell cell = { .watch = -1 };
	int data;

	if (argc != 5 || (strcmp(argv[1], "on") != 0 && strcmp(argv[1], "off") != 0)) {
		fprintf(stderr, "usage: cf-pcap-cache on|off DATA CACHE PACKAGE\n");
		return 2;
	}
	if (access("/proc/self/fd", F_OK) != 0) /* descriptors are named by it */
		return complain("/proc/self/fd");
	cell.enabled = strcmp(argv[1], "on") == 0;
	cell.helper = open_reference(argv[4]);
	read_policy(&cell.policy, argv[4]);
	data = open_folder(argv[2]);
	if (data < 0 && errno == ENOENT) {
		printf("cf-pcap-cache: %s: there is no cache yet\n", argv[3]);
		return 0;
	}
	if (data < 0)
		return complain(argv[2]);
	if (open_cache(&cell, argv[3]) != 0)
		return complain(argv[3]);
	if (!settle(&cell, data)) {
		printf("cf-pcap-cache: FAILED %s changed during each of %d passes: end what vcap runs there\n",
		       argv[2], PASSES_MAX);
		return 1;
	}
	printf("cf-pcap-cache: %s agrees with %s%s\n", argv[2], argv[1],
	       cell.failures == 0 ? "" : ", except for what FAILED above");
	return cell.failures == 0 ? 0 : 1;
}
