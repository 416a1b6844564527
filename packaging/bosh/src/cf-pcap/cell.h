/* What the parts of cf-pcap-cache share: the cell, one folder of it, and how they are told of. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define HELPER "cf-pcap"
#define FD_PATH_SIZE 32
#define POLICY_BYTES 4096 /* as cf-pcap reads at most */

struct policy {
	size_t length; /* 0: none */
	char text[POLICY_BYTES + 1];
};

struct cell {
	bool enabled;
	int helper;		/* the package's file */
	struct policy policy;	/* the package's */
	int cache;		/* O_PATH, or -1 if there is none: so its inode is not used again */
	dev_t cache_device;
	ino_t cache_inode;
	unsigned int pass;	/* from 1; what follows counts for this pass */
	int watch;		/* tells of arrivals in the folders visited, or -1 */
	bool cache_seen;
	unsigned int changes, misses, failures;
};

/* A folder, and the path to print for it. */
struct folder {
	int fd;
	dev_t device;
	unsigned int depth;
	bool is_cache;	    /* the rep's download cache */
	bool holds_archive; /* KEY.d in it, where the rep unpacks the archive KEY */
	char path[512];	    /* relative to where the walk began, for messages; the cache's always fit */
};

/* A line on standard output. The names are vcap's: nothing but printable ASCII reaches it. */
void report(const struct folder *folder, const char *name, const char *what);

/* The same for what this pass changed. */
void report_change(struct cell *cell, const struct folder *folder, const char *name,
		   const char *what);

/* The same for what failed, with errno; a name that is gone by now is a miss, not a failure. */
void report_failure(struct cell *cell, const struct folder *folder, const char *name,
		    const char *what);

/* Names the inode of an O_PATH descriptor to calls that take a path. Returns path. */
const char *fd_path(char path[FD_PATH_SIZE], int fd);
