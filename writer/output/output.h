/* output: inside the sandbox, on the way to stdout; it never waits. */
/*
 * stdout: whole records, gathered and written together, and no torn one at the end. Nothing in here
 * waits: a step writes what can be written now, or says what to wait for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "pipe_room.h"

#define OUTPUT_QUEUE_BYTES (16u << 20) /* of records, while the reader stalls: memory is used as it is needed */
/* No block of the ring needs more than that: with so much a batch always has room for another. */
#define OUTPUT_QUEUE_LEAST (2u << 20)

enum output_result {
	OUTPUT_OK,
	OUTPUT_WOULD_BLOCK, /* nothing could be written now: output->wait says what may change that */
	OUTPUT_READER_GONE, /* EPIPE, ECONNRESET, or what poll(2) says of stdout */
	OUTPUT_ABANDONED,   /* the caller's: a reader that takes nothing more was given up */
	OUTPUT_FAILED,      /* output->error is its errno */
};

/* What records need, and what there is of it. */
struct output_space {
	size_t records;
	size_t bytes;   /* copied */
	size_t vectors; /* two for bytes that are referred to, one for all that follow each other in copies */
};

struct output {
	/* the records that are gathered */
	uint8_t *copies; /* bytes that are copied, one record's after the other's */
	size_t copied;
	size_t described;        /* of the copied bytes, those that a vector tells of */
	struct iovec *vectors;   /* what to write, in order */
	size_t vector_count;
	size_t *record_ends;     /* bytes from the start of the first */
	size_t record_count;
	size_t pending;          /* bytes of all of them */
	struct output_space most;

	/* how far they are written */
	size_t done;      /* bytes */
	size_t vector;    /* the first one that is not written whole: its rest is in it */
	size_t unread;    /* bytes in the pipe when last looked at */
	bool waited_for_room; /* since the last write: whatever room there is now is used */
	long retry_ns;    /* until the next look, if the next record does not fit */

	struct pipe_room pipe; /* its capacity is 0 if stdout is no pipe */
	uint64_t written;      /* bytes, before these records */
	uint64_t moved;        /* bytes that were written, and that were seen to be read */
	bool may_block;        /* a write waits for the reader: neither a pipe nor a file */
	bool may_keep;         /* what is written is to be copied before: a socket may hold on to its pages */
	bool torn;             /* the last record had to be left incomplete */
	int error;
	struct {
		short events; /* of stdout, poll(2); 0: none but its reader going away */
		long most_ns;
	} wait;
};

/*
 * Makes stdout ready: the pipe is enlarged where the kernel lets us. Returns NULL, or in words why
 * it cannot be written to. queue_bytes: OUTPUT_QUEUE_LEAST at least; pipe_bytes: PIPE_ROOM_WANTED at most.
 */
const char *output_open(struct output *output, size_t queue_bytes, size_t pipe_bytes);

/*
 * Where the next bytes of the record that is being built are to be put, and that `length` of
 * them have been. There is room for records for which output_fits() was true.
 */
uint8_t *output_at(const struct output *output);
void output_commit(struct output *output, size_t length);

/* Adds bytes to the record that stay where and as they are until they are written. */
void output_reference(struct output *output, const void *bytes, size_t length);

/* Ends the record that is being built. */
void output_end_record(struct output *output);

/* There is room for records that need so much. */
bool output_fits(const struct output *output, const struct output_space *need);

/* It is time to write: more at once would cost more. */
bool output_is_batch(const struct output *output);

/* What was referred to is copied and may change from now on. Returns false if there is no room for it. */
bool output_detach(struct output *output);

/* Bytes gathered and not yet written, and bytes written so far. */
size_t output_pending(const struct output *output);
uint64_t output_written(const struct output *output);

/* Writes once, what can be written now. OUTPUT_OK: something, or nothing was pending. Elsewhere than in a pipe a write may block. */
enum output_result output_step(struct output *output);

/*
 * Forgets the records that no byte is written of. What is still pending then is the rest of one: the
 * next steps write it, with room made for it where the kernel lets us. Returns how many were forgotten.
 */
size_t output_abandon(struct output *output);

/*
 * Forgets all that is pending. A record that is partly written is taken back if stdout is a file, else
 * the output is torn. Returns how many records are not whole in it.
 */
size_t output_forget(struct output *output);
