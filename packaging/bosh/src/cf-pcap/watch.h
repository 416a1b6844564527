/*
 * Seeing what comes to a folder that was visited already. A name that is moved from a folder not
 * yet visited to one that was is missed by the walk, but not by this: the kernel tells of an
 * arrival while it holds the locks of both folders, so before the first can be listed without it.
 */
#pragma once

#include <stdbool.h>

/* Returns a descriptor for one pass, or -1 with errno. */
int watch_begin(void);

/* Watches the folder behind this descriptor (O_PATH will do), before it is listed. Or -1, errno. */
int watch_folder(int watch, int folder);

/* Did anything come by rename, link or creation to a folder watched? When in doubt: yes. */
bool watch_saw_arrival(int watch);
