/* The installed cf-pcap, and its copies in the cache. */
#pragma once

#include <stdbool.h>

#include "cell.h"

/* Opens cf-pcap of the folder package. It must be root's alone to change, or the program ends. */
int open_reference(const char *package);

/* Is the file behind this O_PATH descriptor what the package holds, byte for byte? */
bool is_genuine(int file, int reference);

/*
 * Puts a new inode, root's, filled from the package and with the capability, in the place of the
 * folder's cf-pcap, by rename. Returns 0, or -1 with errno.
 */
int replace_helper(const struct folder *folder, int reference);
