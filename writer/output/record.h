/* A packet as a record of the file, on its way to stdout. */
#pragma once

#include "formats/format.h"
#include "frame.h"

/* A packet up to here is copied, a larger one written from the ring: make bench, "copy or refer". */
#define RECORD_COPY_MOST 1024
/* What a record takes besides its packet, at most. */
#define RECORD_OVERHEAD (FORMAT_RECORD_HEAD_MAX + FRAME_HEAD_MAX + FORMAT_RECORD_TAIL_MAX)
/* Copied bytes of a record whose packet is not copied if it is larger than that. */
#define RECORD_COPIED_MOST (RECORD_OVERHEAD + RECORD_COPY_MOST)

/* Appends it to the output. With `copy`, nothing in the ring is referred to. */
void record_append(const struct format *format, const struct packet *packet, const struct frame *frame, bool copy);
