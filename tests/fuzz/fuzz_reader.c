/* The readers of capture files: nothing points beyond the bytes, and in pieces the same is read as at once. */
#include <stdlib.h>

#include "formats/reader.h"
#include "fuzz.h"

static void expect_text(struct reader_text text, const uint8_t *bytes, size_t length)
{
	const uint8_t *at = (const uint8_t *)text.at;

	PROMISE(text.length == 0 || (at >= bytes && text.length <= (size_t)(bytes + length - at)));
}

static void expect_inside(const struct reader *reader, enum reader_result result, const uint8_t *bytes, size_t length)
{
	if (result == READER_PACKET) {
		PROMISE(reader->packet.data >= bytes && reader->packet.captured <= READER_PACKET_MOST);
		PROMISE(reader->packet.captured <= (size_t)(bytes + length - reader->packet.data));
		PROMISE(reader->packet.interface < reader->interface_count);
		PROMISE(reader->packet.captured <= reader->packet.original);
	} else if (result == READER_INTERFACE) {
		PROMISE(reader->interface.number + 1 == reader->interface_count);
		expect_text(reader->interface.name, bytes, length);
		expect_text(reader->interface.description, bytes, length);
		expect_text(reader->interface.filter, bytes, length);
	} else if (result == READER_STATISTICS) {
		PROMISE(reader->statistics.interface < reader->interface_count);
		expect_text(reader->statistics.why, bytes, length);
	}
}

/* Some number that everything that was read goes into. */
static uint64_t told(const struct reader *reader, enum reader_result result)
{
	switch (result) {
	case READER_PACKET:
		return reader->packet.time ^ reader->packet.captured ^ (uint64_t)reader->packet.original << 32;
	case READER_INTERFACE:
		return reader->interface.link_type + 65536 * reader->interface.number;
	case READER_STATISTICS:
		return reader->statistics.time ^ reader->statistics.received;
	default:
		return (uint64_t)result;
	}
}

/* Reads the whole, given `step` bytes more whenever it asks for more. Each time they lie in memory of their own. */
static uint64_t read_in_steps(const uint8_t *data, size_t size, size_t step)
{
	static struct reader reader;
	size_t at = 0, there = 0;
	uint64_t sum = 0;

	memset(&reader, 0, sizeof reader);
	for (;;) {
		uint8_t *copy = malloc(there - at + 1);
		PROMISE(copy != NULL);
		memcpy(copy, data + at, there - at);
		const enum reader_result result = reader_next(&reader, copy, there - at);
		expect_inside(&reader, result, copy, there - at);
		free(copy);
		if (result == READER_BAD)
			return sum * 31 + 1;
		if (result == READER_MORE) {
			PROMISE(reader.needed > there - at && reader.needed <= READER_RECORD_MOST);
			if (there == size)
				return sum;
			there = size - there < step ? size : there + step;
			continue;
		}
		PROMISE(reader.length > 0 && reader.length <= there - at);
		at += reader.length;
		sum = sum * 31 + told(&reader, result);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint64_t at_once = read_in_steps(data, size, size + 1);

	PROMISE(read_in_steps(data, size, size / 7 + 1) == at_once);
	return 0;
}
