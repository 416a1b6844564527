/* capture: inside the sandbox, with the packets. */
/* What the kernel counted: packets that passed the filter, and those the ring had no room for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kept_socket.h"

struct drops {
	struct kept_socket *socket; /* has the counts */
	bool suspected;             /* packets say that others before them were dropped */
	bool final;                 /* what arrives now is not asked for */
	bool warned, warned_unknown;
	uint64_t received, dropped; /* dropped ones were received too */
	int64_t counted_ms;         /* when, clock_ms() */
};

/*
 * Asks the helper, who asks the kernel. A WARN tells of the first that were dropped, and of a helper that is
 * silent. Returns false if there was no answer.
 */
bool drops_count(struct drops *drops);

/* The same, for the last time: calls after this one do nothing. */
bool drops_finish(struct drops *drops);

/* How many packets had been put into the ring when it was last asked. */
uint64_t drops_in_ring(const struct drops *drops);

/* The same, if it was not done for a while. */
void drops_count_now_and_then(struct drops *drops);
