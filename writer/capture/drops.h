/* capture: inside the sandbox, with the packets. */
/* What the kernel counted: packets that passed the filter, and those the ring had no room for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct drops {
	int packet_fd;
	bool suspected;             /* packets say that others before them were dropped */
	bool final;                 /* what arrives now is not asked for */
	uint64_t received, dropped; /* dropped ones were received too */
	int64_t counted_ms;         /* when, clock_ms() */
};

/* Asks the kernel. A WARN tells of the first that were dropped. Returns false if there was no answer. */
bool drops_count(struct drops *drops);

/* The same, for the last time: calls after this one do nothing. */
bool drops_finish(struct drops *drops);

/* How many packets had been put into the ring when it was last asked. */
uint64_t drops_in_ring(const struct drops *drops);

/* The same, if it was not done for a while. */
void drops_count_now_and_then(struct drops *drops);
