/* merge: inside the sandbox; here is what the remote machines sent. */
/* The order of packets. */
#include "merge.h"

#include <limits.h>
#include <stdlib.h>

int merge_open(struct merge *merge, size_t count, int64_t window_ms)
{
	*merge = (struct merge){ .count = count,
				 .streams = calloc(count, sizeof *merge->streams),
				 .arrived_ms = calloc(count, sizeof *merge->arrived_ms),
				 .heap = calloc(count, sizeof *merge->heap),
				 .window_ms = window_ms,
				 .hold_is_stale = true };
	if (merge->streams == NULL || merge->arrived_ms == NULL || merge->heap == NULL) {
		merge_close(merge);
		return -1;
	}
	for (size_t i = 0; i < count; i++)
		merge->arrived_ms[i] = INT64_MAX;
	return 0;
}

void merge_close(struct merge *merge)
{
	free(merge->streams);
	free(merge->arrived_ms);
	free(merge->heap);
	*merge = (struct merge){ 0 };
}

void merge_set_lives(struct merge *merge, size_t stream, bool lives)
{
	merge->streams[stream].lives = lives;
	merge->hold_is_stale = true;
}

void merge_set_full(struct merge *merge, size_t stream, bool full)
{
	if (merge->streams[stream].full == full)
		return;
	merge->streams[stream].full = full;
	merge->full_count = full ? merge->full_count + 1 : merge->full_count - 1;
}

void merge_watermark(struct merge *merge, size_t stream, uint64_t time)
{
	if (time <= merge->streams[stream].watermark)
		return;
	merge->streams[stream].watermark = time;
	if (!merge->streams[stream].waits)
		merge->hold_is_stale = true;
}

static bool is_before(const struct merge_head *one, const struct merge_head *other)
{
	return one->time < other->time || (one->time == other->time && one->stream < other->stream);
}

static void sift_up(struct merge_head *heap, size_t at)
{
	const struct merge_head moved = heap[at];

	while (at > 0 && is_before(&moved, &heap[(at - 1) / 2])) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = moved;
}

static void sift_down(struct merge_head *heap, size_t count, struct merge_head moved)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count && is_before(&heap[child + 1], &heap[child]))
			child++;
		if (!is_before(&heap[child], &moved))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moved;
}

void merge_push(struct merge *merge, size_t stream, uint64_t time, int64_t arrived_ms)
{
	merge->streams[stream].waits = true;
	merge->arrived_ms[stream] = arrived_ms;
	merge->heap[merge->heap_count] = (struct merge_head){ time, stream };
	sift_up(merge->heap, merge->heap_count++);
	merge->hold_is_stale = true;
}

/* A stream that has a packet waiting holds nothing back: its watermark is not below that. */
static void look_what_holds(struct merge *merge)
{
	merge->hold = UINT64_MAX;
	for (size_t i = 0; i < merge->count; i++) {
		const struct merge_stream *stream = &merge->streams[i];
		if (stream->lives && !stream->waits && stream->watermark < merge->hold)
			merge->hold = stream->watermark;
	}
	merge->hold_is_stale = false;
}

/* Of the packets that wait: those behind the first of a stream came after it. */
static int64_t oldest_ms(const struct merge *merge)
{
	int64_t oldest = INT64_MAX;

	for (size_t i = 0; i < merge->count; i++)
		if (merge->arrived_ms[i] < oldest)
			oldest = merge->arrived_ms[i];
	return oldest;
}

size_t merge_first(struct merge *merge, int64_t now_ms, bool all_read)
{
	if (merge->heap_count == 0)
		return MERGE_NONE;
	if (merge->hold_is_stale)
		look_what_holds(merge);
	if (merge->heap->time <= merge->hold ||
	    (all_read && (merge->full_count > 0 || oldest_ms(merge) <= now_ms - merge->window_ms)))
		return merge->heap->stream;
	return MERGE_NONE;
}

/* The first one has been written. */
static uint64_t note_written(struct merge *merge)
{
	const uint64_t time = merge->heap->time, before = merge->written;
	struct merge_stream *stream = &merge->streams[merge->heap->stream];

	if (time > stream->watermark)
		stream->watermark = time;
	if (time >= before) {
		merge->written = time;
		return 0;
	}
	return before - time;
}

uint64_t merge_pop(struct merge *merge)
{
	const uint64_t late = note_written(merge);
	const size_t stream = merge->heap->stream;

	merge->streams[stream].waits = false;
	merge->arrived_ms[stream] = INT64_MAX;
	merge->hold_is_stale = true;
	if (--merge->heap_count > 0)
		sift_down(merge->heap, merge->heap_count, merge->heap[merge->heap_count]);
	return late;
}

uint64_t merge_replace(struct merge *merge, uint64_t time, int64_t arrived_ms)
{
	const uint64_t late = note_written(merge);
	const struct merge_head next = { time, merge->heap->stream };

	merge->arrived_ms[next.stream] = arrived_ms;
	sift_down(merge->heap, merge->heap_count, next);
	return late;
}

int merge_timeout(const struct merge *merge, int64_t now_ms)
{
	int64_t left;

	if (merge->heap_count == 0)
		return -1;
	left = oldest_ms(merge) + merge->window_ms - now_ms;
	return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}
