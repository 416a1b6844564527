/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/*
 * The bound of kernel memory. Rings are charged to nobody, so there are places for some captures in
 * a network namespace, and together they may take up so much.
 */
#pragma once

#include <stdint.h>

#include "common/protocol.h"

#define SLOTS 8
#define SLOTS_BYTES ((uint64_t)SLOTS * RING_BYTES_MOST)

/* One ERROR line: all are taken, so many as there may be. */
void slots_report_full(unsigned int limit);

/*
 * Takes one of so many places, SLOTS or less where the operator says so, until this process and the helper
 * are gone. Returns 0, or -1, logged.
 */
int slots_take(unsigned int limit);

/*
 * Fails if all rings but root's, and `more` bytes, are too much: a place is free again when its holders
 * are gone, but the memory of a process that was killed, and so its ring, lives on while somebody
 * reads from it, /proc/PID/cmdline for example. To be asked before a ring is made, so that nothing is
 * made in vain, and after, when it is counted itself, for those that were made at the same time.
 * Returns 0, or -1, logged.
 */
int slots_check_memory(uint64_t more);
