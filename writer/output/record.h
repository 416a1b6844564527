/* output: inside the sandbox, on the way to stdout; it never waits. */
/* A packet as a record of the file, on its way to stdout. */
#pragma once

#include "formats/format.h"
#include "frame.h"
#include "output.h"

/* A packet up to here is copied, a larger one written from the ring: make bench, "copy or refer". */
#define RECORD_COPY_MOST 1024
/* What a record takes besides its packet, at most. */
#define RECORD_OVERHEAD (FORMAT_RECORD_HEAD_MAX + FRAME_HEAD_MAX + FORMAT_RECORD_TAIL_MAX)

/* What packets of so many bytes in all need at most. With `copy`, as below. */
struct output_space record_space(size_t packets, size_t bytes, bool copy);

/* Appends it to the output. With `copy`, nothing in the ring is referred to. */
void record_append(struct output *output, const struct format *format, const struct packet *packet,
		   const struct frame *frame, bool copy);
