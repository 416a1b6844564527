/* helper: what runs with the capability. */
/* The length of a packet's headers: programs that tail/ makes at build time. */
#include "headers.h"

unsigned int headers_put(struct program *program, int link_type, uint32_t snaplen)
{
	for (const struct headers_tail *tail = headers_tails; tail < headers_tails + HEADERS_TAILS; tail++) {
		unsigned int start, end;
		if (tail->link_type != link_type)
			continue;
		start = program_put(program, tail->code, tail->length);
		end = start + tail->length;
		if (program->too_long)
			return start;
		program->code[end - HEADERS_RETURN].k = snaplen;
		program->code[end - HEADERS_COMPARE].k = snaplen;
		return start;
	}
	return 0;
}
