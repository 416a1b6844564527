/* One pass through all that vcap can rename a file within. */
#pragma once

#include "cell.h"

/*
 * Visits every file in the folder data, which is on one file system but for the cache. Afterwards
 * the cell counts changes, misses (names gone, or come where the walk had been) and failures.
 */
void walk(struct cell *cell, int data);
