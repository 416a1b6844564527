/* formats: the bytes of files; no call of the system. */
/* pcapng files as they come, draft-ietf-opsawg-pcapng. */
#include "pcapng_reader.h"

#include "base/clock.h"
#include "pcapng_codes.h"
#include "reader_bytes.h"

#define BLOCK_HEAD_LENGTH 8   /* type and length */
#define BLOCK_LEAST 12        /* and the length again */
#define SECTION_HEAD_LENGTH 12 /* and the byte order magic */
#define SECTION_LEAST 28
#define INTERFACE_LEAST 20
#define STATISTICS_LEAST 24
#define PACKET_LEAST 32
#define PACKET_DATA 28 /* where it begins */
#define RESOLUTION_DEFAULT 6
#define RESOLUTION_IS_BINARY 0x80
#define DECIMALS_MOST 19 /* 10^19 fits into 64 bits */

/* An option's value, in the block. */
struct option {
	uint16_t code;
	const uint8_t *value;
	size_t length;
};

bool pcapng_reader_is(const uint8_t *bytes)
{
	uint32_t type;

	memcpy(&type, bytes, sizeof type);
	return type == BLOCK_SECTION_HEADER; /* the same in both orders */
}

/*
 * Reads the option at *at and moves past it. Returns false at their end, whether that is said or not;
 * one that does not fit counts as their end.
 */
static bool take_option(const struct reader *reader, const uint8_t **at, const uint8_t *end, struct option *option)
{
	size_t padded;

	if (end - *at < 4)
		return false;
	option->code = reader_u16(reader, *at);
	option->length = reader_u16(reader, *at + 2);
	option->value = *at + 4;
	padded = (option->length + 3) & ~(size_t)3;
	if (option->code == OPTION_END || padded > (size_t)(end - option->value))
		return false;
	*at = option->value + padded;
	return true;
}

static struct reader_text text_of(const struct option *option)
{
	return (struct reader_text){ (const char *)option->value, option->length };
}

static uint64_t ten_to(unsigned int power)
{
	uint64_t value = 1;

	while (power-- > 0)
		value *= 10;
	return value;
}

/* In nanoseconds; what does not fit is the latest time there is. */
static uint64_t scaled(uint64_t units, uint8_t resolution)
{
	const unsigned int exponent = resolution & ~(unsigned int)RESOLUTION_IS_BINARY;
	uint64_t time;

	if ((resolution & RESOLUTION_IS_BINARY) != 0) {
		const unsigned __int128 wide = (unsigned __int128)units * NANOSECONDS >> exponent;
		return wide > UINT64_MAX ? UINT64_MAX : (uint64_t)wide;
	}
	if (exponent > 9)
		return exponent - 9 > DECIMALS_MOST ? 0 : units / ten_to(exponent - 9);
	return __builtin_mul_overflow(units, ten_to(9 - exponent), &time) ? UINT64_MAX : time;
}

static uint64_t time_of(const struct reader_scale *scale, uint32_t high, uint32_t low)
{
	const uint64_t units = (uint64_t)high << 32 | low;
	const uint64_t time = scale->resolution == 9 ? units : scaled(units, scale->resolution);
	__int128 moved;

	if (scale->offset == 0)
		return time;
	moved = (__int128)scale->offset * NANOSECONDS + time;
	return moved < 0 ? 0 : moved > UINT64_MAX ? UINT64_MAX : (uint64_t)moved;
}

static void keep_system(struct reader *reader, const struct option *option)
{
	reader->system_length = option->length < sizeof reader->system ? option->length : sizeof reader->system;
	memcpy(reader->system, option->value, reader->system_length);
}

/* What came before is of no use to it. */
static enum reader_result begin_section(struct reader *reader, const uint8_t *block, size_t length)
{
	const uint8_t *at = block + SECTION_LEAST - 4, *end = block + length - 4;
	struct option option;

	if (reader_u16(reader, block + SECTION_HEAD_LENGTH) != 1)
		return reader_bad(reader, "a version of pcapng that is not known");
	reader->kind = READER_PCAPNG;
	reader->interface_count = 0;
	reader->system_length = 0;
	while (take_option(reader, &at, end, &option))
		if (option.code == SHB_OS)
			keep_system(reader, &option);
	return READER_NOTHING;
}

static void take_interface_option(struct reader *reader, const struct option *option)
{
	struct reader_scale *scale = &reader->scales[reader->interface_count];
	struct reader_interface *interface = &reader->interface;

	if (option->code == IDB_NAME)
		interface->name = text_of(option);
	else if (option->code == IDB_DESCRIPTION)
		interface->description = text_of(option);
	else if (option->code == IDB_OS)
		interface->os = text_of(option);
	else if (option->code == IDB_FILTER && option->length > 0 && *option->value == FILTER_IS_TEXT)
		interface->filter = (struct reader_text){ (const char *)option->value + 1, option->length - 1 };
	else if (option->code == IDB_TIMESTAMP_RESOLUTION && option->length == 1)
		scale->resolution = *option->value;
	else if (option->code == IDB_TIMESTAMP_OFFSET && option->length == sizeof scale->offset)
		scale->offset = (int64_t)reader_u64(reader, option->value);
}

static enum reader_result take_interface(struct reader *reader, const uint8_t *block, size_t length)
{
	const uint8_t *at = block + INTERFACE_LEAST - 4, *end = block + length - 4;
	struct reader_scale *scale;
	struct option option;

	if (reader->interface_count == READER_INTERFACES_MOST)
		return reader_bad(reader, "too many interfaces");
	scale = &reader->scales[reader->interface_count];
	*scale = (struct reader_scale){ RESOLUTION_DEFAULT, 0 };
	reader->interface = (struct reader_interface){ .number = reader->interface_count,
						       .link_type = reader_u16(reader, block + BLOCK_HEAD_LENGTH),
						       .os = { reader->system, reader->system_length } };
	while (take_option(reader, &at, end, &option))
		take_interface_option(reader, &option);
	reader->interface.nano = scale->resolution > RESOLUTION_DEFAULT;
	reader->interface_count++;
	return READER_INTERFACE;
}

static void take_statistics_option(struct reader *reader, const struct option *option)
{
	struct reader_statistics *statistics = &reader->statistics;
	const struct reader_scale *scale = &reader->scales[statistics->interface];
	uint64_t value, time;

	if (option->code == OPTION_COMMENT)
		statistics->why = text_of(option);
	if (option->length != sizeof value)
		return;
	value = reader_u64(reader, option->value);
	time = time_of(scale, reader_u32(reader, option->value), reader_u32(reader, option->value + 4));
	if (option->code == ISB_START_TIME)
		statistics->started = time;
	else if (option->code == ISB_END_TIME)
		statistics->final = true;
	else if (option->code == ISB_RECEIVED)
		statistics->received = value;
	else if (option->code == ISB_DROPPED)
		statistics->dropped = value;
	else if (option->code == ISB_DELIVERED)
		statistics->delivered = value;
}

static enum reader_result take_statistics(struct reader *reader, const uint8_t *block, size_t length)
{
	const uint8_t *at = block + STATISTICS_LEAST - 4, *end = block + length - 4;
	struct reader_statistics *statistics = &reader->statistics;
	struct option option;

	*statistics = (struct reader_statistics){ .interface = reader_u32(reader, block + BLOCK_HEAD_LENGTH),
						  .started = UINT64_MAX,
						  .received = UINT64_MAX,
						  .dropped = UINT64_MAX,
						  .delivered = UINT64_MAX };
	if (statistics->interface >= reader->interface_count)
		return reader_bad(reader, "statistics of an interface that was not described");
	statistics->time = time_of(&reader->scales[statistics->interface], reader_u32(reader, block + 12),
				   reader_u32(reader, block + 16));
	while (take_option(reader, &at, end, &option))
		take_statistics_option(reader, &option);
	return READER_STATISTICS;
}

static enum reader_result take_packet(struct reader *reader, const uint8_t *block, size_t length)
{
	struct reader_packet *packet = &reader->packet;

	packet->interface = reader_u32(reader, block + 8);
	packet->captured = reader_u32(reader, block + 20);
	packet->original = reader_u32(reader, block + 24);
	packet->data = block + PACKET_DATA;
	if (packet->interface >= reader->interface_count)
		return reader_bad(reader, "a packet of an interface that was not described");
	if (packet->captured > READER_PACKET_MOST || packet->captured > length - PACKET_LEAST)
		return reader_bad(reader, "a packet that is longer than its block");
	packet->time = time_of(&reader->scales[packet->interface], reader_u32(reader, block + 12),
			       reader_u32(reader, block + 16));
	if (packet->original < packet->captured)
		packet->original = packet->captured;
	return READER_PACKET;
}

static size_t least_length(uint32_t type)
{
	switch (type) {
	case BLOCK_SECTION_HEADER:
		return SECTION_LEAST;
	case BLOCK_INTERFACE_DESCRIPTION:
		return INTERFACE_LEAST;
	case BLOCK_INTERFACE_STATISTICS:
		return STATISTICS_LEAST;
	case BLOCK_ENHANCED_PACKET:
		return PACKET_LEAST;
	default:
		return BLOCK_LEAST;
	}
}

static enum reader_result take_block(struct reader *reader, uint32_t type, const uint8_t *block, size_t length)
{
	switch (type) {
	case BLOCK_ENHANCED_PACKET:
		return take_packet(reader, block, length);
	case BLOCK_SECTION_HEADER:
		return begin_section(reader, block, length);
	case BLOCK_INTERFACE_DESCRIPTION:
		return take_interface(reader, block, length);
	case BLOCK_INTERFACE_STATISTICS:
		return take_statistics(reader, block, length);
	case BLOCK_PACKET:
	case BLOCK_SIMPLE_PACKET:
		return reader_bad(reader, "a packet block of an old kind, or one without a time");
	default:
		return READER_NOTHING;
	}
}

/* A section says which byte order it and its own length have. Returns false if it does not. */
static bool take_byte_order(struct reader *reader, const uint8_t *block)
{
	for (int order = 0; order < 2; order++) {
		reader->swapped = order == 1;
		if (reader_u32(reader, block + BLOCK_HEAD_LENGTH) == BYTE_ORDER_MAGIC)
			return true;
	}
	return false;
}

enum reader_result pcapng_reader_next(struct reader *reader, const uint8_t *bytes, size_t length)
{
	uint32_t type, block_length;

	if (length < SECTION_HEAD_LENGTH) /* no block is shorter */
		return reader_more(reader, SECTION_HEAD_LENGTH);
	if (pcapng_reader_is(bytes) && !take_byte_order(reader, bytes))
		return reader_bad(reader, "a section without a byte order");
	type = reader_u32(reader, bytes);
	block_length = reader_u32(reader, bytes + 4);
	if (block_length < least_length(type) || block_length % 4 != 0)
		return reader_bad(reader, "a block of a length that cannot be");
	if (block_length > READER_RECORD_MOST)
		return reader_bad(reader, "a block that is too long");
	if (length < block_length)
		return reader_more(reader, block_length);
	if (reader_u32(reader, bytes + block_length - 4) != block_length)
		return reader_bad(reader, "a block with two lengths");
	reader->length = block_length;
	return take_block(reader, type, bytes, block_length);
}
