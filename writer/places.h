/*
 * The bound of kernel memory. Rings are charged to nobody, so there are places for some captures in
 * a network namespace, and together they may take up so much.
 */
#pragma once

#include <stdint.h>

#include "protocol.h"

#define PLACES 8
#define PLACES_BYTES ((uint64_t)PLACES * RING_BYTES_MOST)

/* Takes a place, until this process ends. Returns 0, or -1, logged. */
int places_take(void);

/*
 * To be asked when the ring is made: a place is free again when its holder is gone, but the memory of a
 * process that was killed, and so its ring, lives on while somebody reads from it, /proc/PID/cmdline
 * for example. Returns 0, or -1, logged, if all rings but root's are too much.
 */
int places_check_memory(void);
