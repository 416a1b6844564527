/* capture: inside the sandbox, with the packets. */
/*
 * What had arrived when a stop was requested, by the kernel's count and no clock.
 *
 * tpacket_rcv() in net/packet/af_packet.c gives a packet its place in the ring and counts it under one lock, which
 * PACKET_STATISTICS takes too. So at any moment the packets counted, less those that were dropped, are exactly
 * the first so many of the ring, whichever processors they came in on. A place is shown to us when its block
 * retires: full, or by a timer, which may be late by as much as the machine is overloaded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drops.h"

/* A block that does not come for this long, though the kernel has counted what is in it, will not come. */
#define TAIL_PATIENCE_MS 10000

struct tail {
	bool begun;       /* a stop was requested: later packets are not taken */
	bool counted;     /* `end` is known; else what shows within the retire timeout is taken */
	uint64_t end;     /* packets from the ring's beginning */
	uint64_t seen;    /* of them, when one was last seen, and when that was, clock_ms(); */
	int64_t moved_ms; /* if it is not counted, the begin */
};

/* To be told once, of the stop. Counts for the last time. */
void tail_begin(struct tail *tail, struct drops *drops);

/* How many packets may still be taken, once so many have been seen. */
uint64_t tail_left(const struct tail *tail, uint64_t seen);

/* Nothing is missing. Never true if it is not counted. */
bool tail_is_seen(const struct tail *tail, uint64_t seen);

/* To be asked before each look into the ring: is it the last one, whatever comes? */
bool tail_is_overdue(struct tail *tail, uint64_t seen);

/* A WARN if there is something that did not come. */
void tail_report_missing(const struct tail *tail, uint64_t seen);
