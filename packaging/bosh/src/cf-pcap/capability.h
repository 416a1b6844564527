/* The capability of a file, and taking it away. */
#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "cell.h"

#define CAPABILITY "security.capability"

/* What cf-pcap has: cap_net_raw=p, nothing effective. */
extern const struct vfs_cap_data NET_RAW;

/* Is it exactly that, on a file of root's, so that its content stays what it is? O_PATH will do. */
bool is_as_wanted(int file, const struct stat *status);

/*
 * Takes a capability of ours from the regular file behind this O_PATH descriptor. Ours is: any
 * capability on a file named cf-pcap, and cap_net_raw alone on any other.
 */
void remove_capability(struct cell *cell, const struct folder *folder, const char *name, int file,
		       const struct stat *status);
