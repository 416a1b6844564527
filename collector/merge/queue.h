/* merge: inside the sandbox; here is what the remote machines sent. */
/*
 * What one stream has sent and what is not written yet: bytes as they came, in one piece of memory of a fixed
 * size, which is the stream's share. The packet that is next is read in place; nothing of it is copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/reader.h"

#define QUEUE_LEAST READER_RECORD_MOST /* bytes: any record fits */
#define QUEUE_MARKS 64

/* Bytes up to here had come by then. */
struct queue_mark {
	uint64_t end; /* of the stream */
	int64_t arrived_ms;
};

struct queue {
	uint8_t *bytes;
	size_t size, begin, end; /* of bytes; what is between begin and end waits */
	uint64_t offset;         /* of begin in the stream */
	size_t needed;           /* bytes of the record that is not whole yet; 0: it is, or was not looked at */
	int64_t grain_ms;        /* what came within so long counts as come at once */
	struct queue_mark marks[QUEUE_MARKS];
	unsigned int first_mark, mark_count;
	struct reader reader;
};

/* size: at least QUEUE_LEAST. Returns 0, or -1 if there is no memory. */
int queue_open(struct queue *queue, size_t size, int64_t grain_ms);
void queue_close(struct queue *queue);

/* Forgets what it held, for a stream that begins anew. */
void queue_restart(struct queue *queue);

/*
 * There is room worth a read: a quarter of it, or whatever the record that is not whole needs. Else it is full: it is
 * not to be read into until something was taken.
 */
bool queue_wants(const struct queue *queue);

/*
 * Where bytes can be put, and how many: more than none if it wants any. May move what waits: a packet that was
 * looked at is to be looked at again.
 */
uint8_t *queue_room(struct queue *queue, size_t *room);

/* So many were put there. */
void queue_received(struct queue *queue, size_t length, int64_t now_ms);

/* How much waits. */
size_t queue_length(const struct queue *queue);

/* What is next, as reader_next(); the results are in queue->reader. It stays until it is taken. */
enum reader_result queue_look(struct queue *queue);
void queue_take(struct queue *queue);

/* When the first byte that waits had come. */
int64_t queue_arrived_ms(const struct queue *queue);
