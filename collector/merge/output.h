/* merge: inside the sandbox; here is what the remote machines sent. */
/* The files that are written: when one begins and ends, what it takes, and what happens where nothing can be written. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "merger.h"

/* Each file is whole by itself: it begins with what is known of all streams. */
void output_begin_file(struct merger *merger);

/* The next file, which was asked for; -1: there is none, nothing goes out any more. */
void output_take_file(struct merger *merger, int fd);

/* Whoever opens files is gone: what came goes into this one, and if it was ended already nothing goes out any more. */
void output_keep_file(struct merger *merger);

/* Writes what can be written now. When a file is written whose end is due, asks for the next one. */
void output_write(struct merger *merger);

/* Blocks can be put now: whatever is full is written first. */
bool output_has_room(struct merger *merger);

/* Returns false if a packet of this length is not to be written to this file. May close the output. */
bool output_takes(struct merger *merger, size_t length);

/* No packet is written any more: the count or size over all is reached. */
void output_close(struct merger *merger);

/* A pipe's reader that went away. */
void output_reader_is_gone(struct merger *merger);

/* The end of a file that is old enough is due. */
void output_look_at_time(struct merger *merger, int64_t now_ms);

/* Milliseconds until then, or less; -1: never. */
int output_timeout(const struct merger *merger, int64_t now_ms);

/* At the end of all: what the reader of the output does not take is left out. */
void output_end(struct merger *merger);
