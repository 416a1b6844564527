/* A file of root's that comes to a folder of vcap's: whole, or not at all. */
#pragma once

#include <stdbool.h>

#include "cell.h"

/* A file without a name, on the folder's file system. Returns a descriptor to write, or -1 with errno. */
int place_new(const struct folder *folder);

/* Gives it this name, which it takes over from what has it. Returns 0, or -1 with errno. */
int place_named(const struct folder *folder, int file, const char *name);

/* Is it the temporary name of a run that was interrupted? */
bool is_temporary(const char *name);
