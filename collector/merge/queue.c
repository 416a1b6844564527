/* merge: inside the sandbox; here is what the remote machines sent. */
/* What one stream has sent and what is not written yet. */
#include "queue.h"

#include <stdlib.h>
#include <string.h>

/* So little is moved to the front as it goes: what is used stays in the processor's cache. */
#define MOVED_GLADLY (16u << 10)
#define ROOM_LEAST (64u << 10) /* for a read */

int queue_open(struct queue *queue, size_t size, int64_t grain_ms)
{
	*queue = (struct queue){ .bytes = malloc(size), .size = size, .grain_ms = grain_ms };
	return queue->bytes != NULL ? 0 : -1;
}

void queue_close(struct queue *queue)
{
	free(queue->bytes);
	*queue = (struct queue){ 0 };
}

void queue_restart(struct queue *queue)
{
	queue->begin = queue->end = queue->needed = 0;
	queue->offset = 0;
	queue->first_mark = queue->mark_count = 0;
	memset(&queue->reader, 0, sizeof queue->reader);
}

size_t queue_length(const struct queue *queue)
{
	return queue->end - queue->begin;
}

bool queue_wants(const struct queue *queue)
{
	const size_t length = queue_length(queue);

	return queue->size - length >= queue->size / 4 || queue->needed > length;
}

/* Moving is worth it, or the only way to the rest of a record. */
static bool is_to_be_moved(const struct queue *queue)
{
	const size_t length = queue_length(queue), tail = queue->size - queue->end;

	return queue->begin > 0 && (length <= MOVED_GLADLY || tail < ROOM_LEAST || queue->needed > length + tail);
}

uint8_t *queue_room(struct queue *queue, size_t *room)
{
	const size_t length = queue_length(queue);

	if (is_to_be_moved(queue)) {
		memmove(queue->bytes, queue->bytes + queue->begin, length);
		queue->begin = 0;
		queue->end = length;
	}
	*room = queue->size - queue->end;
	return queue->bytes + queue->end;
}

static struct queue_mark *mark_at(struct queue *queue, unsigned int index)
{
	return &queue->marks[(queue->first_mark + index) % QUEUE_MARKS];
}

void queue_received(struct queue *queue, size_t length, int64_t now_ms)
{
	struct queue_mark *last = mark_at(queue, queue->mark_count - (queue->mark_count > 0));

	queue->end += length;
	if (queue->mark_count == 0 ||
	    (queue->mark_count < QUEUE_MARKS && now_ms - last->arrived_ms >= queue->grain_ms)) {
		last = mark_at(queue, queue->mark_count++);
		last->arrived_ms = now_ms;
	}
	last->end = queue->offset + queue_length(queue);
}

enum reader_result queue_look(struct queue *queue)
{
	const enum reader_result result = reader_next(&queue->reader, queue->bytes + queue->begin, queue_length(queue));

	queue->needed = result == READER_MORE ? queue->reader.needed : 0;
	return result;
}

void queue_take(struct queue *queue)
{
	queue->begin += queue->reader.length;
	queue->offset += queue->reader.length;
	while (queue->mark_count > 0 && mark_at(queue, 0)->end <= queue->offset) {
		queue->first_mark = (queue->first_mark + 1) % QUEUE_MARKS;
		queue->mark_count--;
	}
}

int64_t queue_arrived_ms(const struct queue *queue)
{
	return queue->marks[queue->first_mark].arrived_ms;
}
