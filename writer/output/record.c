/* output: inside the sandbox, on the way to stdout; it never waits. */
/* A packet as a record of the file, on its way to stdout. */
#include "record.h"

#include <string.h>

struct output_space record_space(size_t packets, size_t bytes, bool copy)
{
	size_t large = copy ? 0 : bytes / RECORD_COPY_MOST;

	if (large > packets)
		large = packets;
	return (struct output_space){ packets, bytes + packets * RECORD_OVERHEAD, 2 * large + 1 };
}

/* Not inlined: with the bound of length in sight gcc makes slow string instructions of memcpy(). */
__attribute__((noinline)) static uint8_t *put(uint8_t *at, const void *bytes, size_t length)
{
	memcpy(at, bytes, length);
	return at + length;
}

void record_append(struct output *output, const struct format *format, const struct packet *packet,
		   const struct frame *frame, bool copy)
{
	const uint32_t captured = frame->head_length + frame->body_length;
	const struct record_head head = { packet->seconds, packet->nanoseconds, captured, frame->original };
	uint8_t *start = output_at(output), *at = start;

	at += format_record_head(format, at, &head);
	if (frame->head_length > 0)
		at = put(at, frame->head, frame->head_length);
	if (copy || frame->body_length <= RECORD_COPY_MOST) {
		at = put(at, frame->body, frame->body_length);
	} else {
		output_commit(output, (size_t)(at - start));
		output_reference(output, frame->body, frame->body_length);
		at = start = output_at(output);
	}
	at += format_record_tail(format, at, captured);
	output_commit(output, (size_t)(at - start));
	output_end_record(output);
}
