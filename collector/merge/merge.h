/* merge: inside the sandbox; here is what the remote machines sent. */
/*
 * The order of packets: which stream's first packet is the next to be written, and when. Numbers only: no bytes,
 * no clock of its own.
 *
 * A packet is written when (a) it is not later than the smallest watermark of the streams that live and have none
 * waiting, or (b) it, or one behind it, has waited for the window, or (c) a stream's memory is full. So nothing
 * waits longer than the window while the output is read; and what comes within the window comes out in order. A watermark
 * is the latest time of a packet or heartbeat of a stream: it never goes back.
 *
 * By (b) and (c) all goes out that stands before that packet, unless its clock is ahead of theirs by more than the window:
 * then it goes out alone, before its time, and the order of the others stays.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MERGE_NONE SIZE_MAX

/* Of a stream that has a packet waiting. */
struct merge_head {
	uint64_t time; /* nanoseconds since the epoch */
	size_t stream;
};

struct merge_stream {
	uint64_t watermark;
	bool lives;  /* its header has come, and more may */
	bool waits;  /* a packet of it is in the heap */
	bool full;
	int64_t least_lag_ns; /* INT64_MAX: none is known */
};

struct merge {
	size_t count; /* of streams */
	struct merge_stream *streams;
	int64_t *arrived_ms;     /* of the packet that waits; INT64_MAX: none does */
	struct merge_head *heap; /* by time, then by stream */
	size_t heap_count;
	size_t full_count;
	size_t chosen;           /* where the packet that is to be written is in the heap */
	int64_t window_ms;
	uint64_t hold;           /* the smallest watermark that holds packets back */
	bool hold_is_stale;
	uint64_t written;        /* the latest time that was written in order, and of which stream */
	size_t written_of;
};

/* Returns 0, or -1 if there is no memory. */
int merge_open(struct merge *merge, size_t count, int64_t window_ms);
void merge_close(struct merge *merge);

/* The stream's header has come, or it has ended: what waits of it is still written. */
void merge_set_lives(struct merge *merge, size_t stream, bool lives);

/* Its memory is full, or no more. */
void merge_set_full(struct merge *merge, size_t stream, bool full);

/* A packet of it came so long after its own time by some clock, the same for all: delay and difference of the clocks. */
void merge_lag(struct merge *merge, size_t stream, int64_t lag_ns);

/* No packet before this time follows. */
void merge_watermark(struct merge *merge, size_t stream, uint64_t time);

/* A packet waits at the head of this stream, where none did. */
void merge_push(struct merge *merge, size_t stream, uint64_t time, int64_t arrived_ms);

/*
 * The stream whose packet is to be written now, or MERGE_NONE. all_read: what those have sent that hold packets back
 * was read; before that waiting costs nothing, and only (a) counts.
 */
size_t merge_first(struct merge *merge, int64_t now_ms, bool all_read);

/* By how many nanoseconds the one that merge_first() chose is ahead of another that it was chosen before; 0: of none. */
uint64_t merge_ahead(const struct merge *merge);

/* It was written. Returns by how many nanoseconds it was too late to stand in order; 0: it was not. */
uint64_t merge_pop(struct merge *merge);

/* The same, and another packet of that stream waits now: faster than merge_push() after merge_pop(). */
uint64_t merge_replace(struct merge *merge, uint64_t time, int64_t arrived_ms);

/* Milliseconds until merge_first() may have another answer by itself; -1: never. */
int merge_timeout(const struct merge *merge, int64_t now_ms);
