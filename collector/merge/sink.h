/* merge: inside the sandbox; here is what the remote machines sent. */
/*
 * The output: blocks are gathered and written together. A pipe does not block: what it does not take now waits, and
 * then no more is gathered. A file on a full disk ends with its last whole block.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_BATCH_BYTES (128u << 10) /* more at once costs no less */
#define SINK_BYTES (512u << 10)       /* a batch, and the longest block */

enum sink_result {
	SINK_OK,          /* everything is written */
	SINK_WOULD_BLOCK, /* the reader takes nothing now */
	SINK_READER_GONE,
	SINK_FAILED, /* sink->error */
};

struct sink {
	int fd; /* -1: there is no file now */
	bool discards; /* there will be none: what is put is forgotten */
	uint8_t *bytes;
	size_t length, done; /* gathered, and written of it */
	uint64_t file_bytes, total_bytes; /* gathered for this file, and in all */
	uint64_t files;
	int error;
};

/* Returns 0, or -1 if there is no memory. */
int sink_open(struct sink *sink, int fd);

/* Blocks can be put: one of any length, and small ones until this is false. */
bool sink_has_room(const struct sink *sink);

/* Where the next block is to be put, and that it was. */
uint8_t *sink_at(const struct sink *sink);
void sink_commit(struct sink *sink, size_t length);

/* There is a batch, worth a write. */
bool sink_is_batch(const struct sink *sink);

/* Nothing waits to be written. */
bool sink_is_written(const struct sink *sink);

/* Writes what can be written now. */
enum sink_result sink_write(struct sink *sink);

/* The bytes that wait are given up. Returns false if the output ends in the middle of a block for it. */
bool sink_give_up(struct sink *sink);

/* From now on what is put is forgotten. */
void sink_discard(struct sink *sink);

/* Ends the file, which was written whole. Returns SINK_OK or SINK_FAILED. */
enum sink_result sink_end_file(struct sink *sink);

/* The next one. */
void sink_begin_file(struct sink *sink, int fd);
