/* stdout: whole records, gathered and written together, and no torn one at the end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum output_result {
	OUTPUT_OK,
	OUTPUT_READER_GONE, /* EPIPE, ECONNRESET, or what poll(2) says of stdout */
	OUTPUT_ABANDONED,   /* a stop was requested and the reader takes nothing more */
	OUTPUT_FAILED,      /* errno says why */
};

/*
 * Makes stdout ready: the pipe is enlarged where the kernel lets us. Returns NULL, or in words why
 * it cannot be written to.
 */
const char *output_prepare(void);

/* True when stdout is a terminal. */
bool output_is_terminal(void);

/*
 * To be called now and then while a flush waits for the reader of a pipe. Elsewhere it is the write
 * that blocks.
 */
void output_while_stalled(void (*call)(void *context), void *context);

/*
 * Where the next bytes of the record that is being built are to be put, and that `length` of
 * them have been. There is room for a record begun when output_has_space() was true.
 */
uint8_t *output_space(void);
void output_commit(size_t length);

/* Adds bytes to the record that stay where and as they are until the flush. */
void output_reference(const void *bytes, size_t length);

/* Ends the record that is being built. */
void output_end_record(void);

/* Room for one more record with up to `length` committed bytes before it is time to flush. */
bool output_has_room(size_t length);

/* The same before there is no room at all: a reader that stalls is queued for. */
bool output_has_space(size_t length);

/* What was referred to is copied and may change from now on. Returns false if there is no space for it. */
bool output_detach(void);

/* Bytes gathered and not yet written. */
size_t output_pending(void);

/*
 * Writes what was gathered. On anything but OUTPUT_OK the rest is forgotten, and what has been
 * written ends with a whole record, unless output_torn().
 */
enum output_result output_flush(void);

/* Records of the last flush that were not written whole. */
size_t output_lost_records(void);

/* Bytes written so far, and whether the last record among them had to be left incomplete. */
uint64_t output_written(void);
bool output_torn(void);

