/* capture: inside the sandbox, with the packets. */
/*
 * While nothing is written: up to what time a reader has got everything.
 *
 * The clock is read, then the kernel is asked how many packets it has put into the ring. Once they have all been
 * seen, one that comes later was counted later, and so has a later time stamp, unless it got that stamp before:
 * the kernel may stamp a packet as it arrives and count it somewhat later, on a busy processor. That is what
 * the margin is for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drops.h"

#define HEARTBEAT_MARGIN_MS 100

struct heartbeat {
	int64_t every_ms; /* 0: none */
	int64_t quiet_ms; /* since when nothing was written, clock_ms() */
	uint64_t written; /* bytes, as it was then */
	bool counted;     /* it is due once the ring has shown `end` packets */
	uint64_t end;
	uint64_t time;    /* ns since the epoch: what it says */
};

/* The file's header was written just now. */
void heartbeat_start(struct heartbeat *heartbeat, uint64_t every_ns);

/* How long to wait for packets before it has to be asked again, ms; -1: for ever. */
int heartbeat_timeout(const struct heartbeat *heartbeat);

/*
 * To be asked after each look into the ring, which has shown `seen` packets so far, with `written` bytes on stdout
 * and none waiting. True if heartbeat->time is to be written now.
 */
bool heartbeat_is_due(struct heartbeat *heartbeat, struct drops *drops, uint64_t seen, uint64_t written);
