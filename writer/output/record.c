/* A packet as a record of the file, on its way to stdout. */
#include "record.h"

#include <string.h>

#include "output.h"

/* Not inlined: with the bound of length in sight gcc makes slow string instructions of memcpy(). */
__attribute__((noinline)) static uint8_t *put(uint8_t *at, const void *bytes, size_t length)
{
	memcpy(at, bytes, length);
	return at + length;
}

void record_append(const struct format *format, const struct packet *packet, const struct frame *frame, bool copy)
{
	const uint32_t captured = frame->head_length + frame->body_length;
	uint8_t *start = output_space(), *at = start;

	at += format_record_head(format, at, packet, captured, frame->original);
	if (frame->head_length > 0)
		at = put(at, frame->head, frame->head_length);
	if (copy || frame->body_length <= RECORD_COPY_MOST) {
		at = put(at, frame->body, frame->body_length);
	} else {
		output_commit((size_t)(at - start));
		output_reference(frame->body, frame->body_length);
		at = start = output_space();
	}
	at += format_record_tail(format, at, captured);
	output_commit((size_t)(at - start));
	output_end_record();
}
