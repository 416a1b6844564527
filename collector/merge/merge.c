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
		merge->arrived_ms[i] = merge->streams[i].least_lag_ns = INT64_MAX;
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

void merge_lag(struct merge *merge, size_t stream, int64_t lag_ns)
{
	if (lag_ns < merge->streams[stream].least_lag_ns)
		merge->streams[stream].least_lag_ns = lag_ns;
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

static void sift_up(struct merge_head *heap, size_t at, struct merge_head moved)
{
	while (at > 0 && is_before(&moved, &heap[(at - 1) / 2])) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = moved;
}

static void sift_down(struct merge_head *heap, size_t count, size_t at, struct merge_head moved)
{
	size_t child;

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
	sift_up(merge->heap, merge->heap_count++, (struct merge_head){ time, stream });
	merge->chosen = 0;
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

/* The stream whose packet has waited longest: those behind it came after it. */
static size_t oldest(const struct merge *merge)
{
	size_t found = 0;

	for (size_t i = 1; i < merge->count; i++)
		if (merge->arrived_ms[i] < merge->arrived_ms[found])
			found = i;
	return found;
}

/* One that is full, or whose packet is due; MERGE_NONE: none is. */
static size_t most_urgent(const struct merge *merge, int64_t now_ms)
{
	const size_t found = oldest(merge);

	for (size_t i = 0; merge->full_count > 0 && i < merge->count; i++)
		if (merge->streams[i].full && merge->streams[i].waits)
			return i;
	return merge->full_count > 0 || merge->arrived_ms[found] <= now_ms - merge->window_ms ? found : MERGE_NONE;
}

static size_t place_of(const struct merge *merge, size_t stream)
{
	size_t place = 0;

	while (merge->heap[place].stream != stream)
		place++;
	return place;
}

/* The clock of one is ahead of that of another by more than the window, as far as what came with the least delay shows. */
static bool has_clock_ahead(const struct merge *merge, size_t one, size_t other)
{
	const int64_t lag = merge->streams[one].least_lag_ns, others = merge->streams[other].least_lag_ns;

	return others > lag && ((uint64_t)others - (uint64_t)lag) / 1000000 > (uint64_t)merge->window_ms;
}

/*
 * And so are these packets. One that is late already gains nothing by waiting, unless it is late only by the word of
 * that clock.
 */
static bool is_far_ahead(const struct merge *merge, const struct merge_head *one, const struct merge_head *first)
{
	const int64_t ahead_ms = (int64_t)((one->time - first->time) / 1000000);
	const int64_t longer_ms = merge->arrived_ms[first->stream] - merge->arrived_ms[one->stream];

	if (first->time < merge->written && merge->written_of != one->stream)
		return false;
	return ahead_ms + longer_ms > merge->window_ms && has_clock_ahead(merge, one->stream, first->stream);
}

/* It is to be written: it, or what stands before it. */
static size_t place_to_write(const struct merge *merge, size_t stream)
{
	const size_t place = place_of(merge, stream);

	return is_far_ahead(merge, &merge->heap[place], merge->heap) ? place : 0;
}

size_t merge_first(struct merge *merge, int64_t now_ms, bool all_read)
{
	size_t urgent;

	if (merge->heap_count == 0)
		return MERGE_NONE;
	if (merge->hold_is_stale)
		look_what_holds(merge);
	merge->chosen = 0;
	if (merge->heap->time > merge->hold) {
		urgent = all_read ? most_urgent(merge, now_ms) : MERGE_NONE;
		if (urgent == MERGE_NONE)
			return MERGE_NONE;
		merge->chosen = place_to_write(merge, urgent);
	}
	return merge->heap[merge->chosen].stream;
}

uint64_t merge_ahead(const struct merge *merge)
{
	return merge->heap[merge->chosen].time - merge->heap->time;
}

/* It has been written. What a clock that is far ahead says does not make others late. */
static uint64_t note_written(struct merge *merge)
{
	const struct merge_head *head = &merge->heap[merge->chosen];
	const uint64_t before = merge->written;
	struct merge_stream *stream = &merge->streams[head->stream];

	if (head->time > stream->watermark)
		stream->watermark = head->time;
	if (merge->chosen > 0 && merge->written_of != head->stream)
		return 0;
	if (merge->chosen > 0 || head->time >= before) {
		merge->written = merge->heap->time;
		merge->written_of = merge->heap->stream;
		return 0;
	}
	return before - head->time;
}

/* It stands where another was. */
static void settle(struct merge *merge, size_t at, struct merge_head moved)
{
	if (at > 0 && is_before(&moved, &merge->heap[(at - 1) / 2]))
		sift_up(merge->heap, at, moved);
	else
		sift_down(merge->heap, merge->heap_count, at, moved);
	merge->chosen = 0;
}

uint64_t merge_pop(struct merge *merge)
{
	const uint64_t late = note_written(merge);
	const size_t stream = merge->heap[merge->chosen].stream;

	merge->streams[stream].waits = false;
	merge->arrived_ms[stream] = INT64_MAX;
	merge->hold_is_stale = true;
	if (--merge->heap_count > merge->chosen)
		settle(merge, merge->chosen, merge->heap[merge->heap_count]);
	merge->chosen = 0;
	return late;
}

uint64_t merge_replace(struct merge *merge, uint64_t time, int64_t arrived_ms)
{
	const uint64_t late = note_written(merge);
	const struct merge_head next = { time, merge->heap[merge->chosen].stream };

	merge->arrived_ms[next.stream] = arrived_ms;
	settle(merge, merge->chosen, next);
	return late;
}

int merge_timeout(const struct merge *merge, int64_t now_ms)
{
	int64_t left;

	if (merge->heap_count == 0)
		return -1;
	left = merge->arrived_ms[oldest(merge)] + merge->window_ms - now_ms;
	return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}
