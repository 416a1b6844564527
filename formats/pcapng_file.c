/* formats: the bytes of files; no call of the system. */
/* The pcapng file format, draft-ietf-opsawg-pcapng: one section, one interface. */
#include "pcapng_file.h"

#include <string.h>

#include "base/clock.h"

enum block_type {
	BLOCK_INTERFACE_DESCRIPTION = 1,
	BLOCK_INTERFACE_STATISTICS = 5,
	BLOCK_ENHANCED_PACKET = 6,
	BLOCK_SECTION_HEADER = 0x0a0d0d0a,
};

enum option_code {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	SHB_OS = 3,
	SHB_USER_APPLICATION = 4,
	IDB_NAME = 2,
	IDB_TIMESTAMP_RESOLUTION = 9,
	IDB_FILTER = 11,
	ISB_START_TIME = 2,
	ISB_END_TIME = 3,
	ISB_RECEIVED = 4,
	ISB_DROPPED = 5,
	ISB_FILTER_ACCEPTED = 6,
	ISB_SYSTEM_DROPPED = 7,
	ISB_DELIVERED = 8,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define SECTION_LENGTH_UNKNOWN UINT64_MAX
#define FILTER_IS_TEXT 0 /* if_filter's first octet: a libpcap expression */
#define RECORD_FIXED_LENGTH 32 /* bytes of an enhanced packet block besides the padded packet */

static uint8_t *put(uint8_t *at, const void *bytes, size_t length)
{
	memcpy(at, bytes, length);
	return at + length;
}

static uint8_t *put_u16(uint8_t *at, uint16_t value)
{
	return put(at, &value, sizeof value);
}

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
	return put(at, &value, sizeof value);
}

static size_t padding(size_t length)
{
	return -length & 3;
}

static uint8_t *put_padding(uint8_t *at, size_t length)
{
	return put(at, "\0\0\0", padding(length));
}

static uint8_t *put_option(uint8_t *at, enum option_code code, const void *value, size_t length)
{
	at = put_u16(put_u16(at, (uint16_t)code), (uint16_t)length);
	return put_padding(put(at, value, length), length);
}

static uint8_t *put_text_option(uint8_t *at, enum option_code code, const char *text)
{
	return put_option(at, code, text, strlen(text));
}

static uint8_t *put_count_option(uint8_t *at, enum option_code code, uint64_t count)
{
	return put_option(at, code, &count, sizeof count);
}

/* A time has its high half first, each half in the section's byte order. */
static uint8_t *put_time_option(uint8_t *at, enum option_code code, uint64_t units)
{
	const uint32_t halves[] = { (uint32_t)(units >> 32), (uint32_t)units };

	return put_option(at, code, halves, sizeof halves);
}

static uint8_t *begin_block(uint8_t *at, enum block_type type)
{
	return put_u32(put_u32(at, (uint32_t)type), 0);
}

/* Ends the options and fills in the block's length at both its ends. */
static uint8_t *end_block(uint8_t *block, uint8_t *at)
{
	uint32_t length;

	at = put_option(at, OPTION_END, "", 0);
	length = (uint32_t)(at - block) + (uint32_t)sizeof length;
	put_u32(block + sizeof(uint32_t), length);
	return put_u32(at, length);
}

static uint8_t *put_section_header(uint8_t *block, const struct format *format)
{
	const uint64_t length = SECTION_LENGTH_UNKNOWN;
	uint8_t *at = begin_block(block, BLOCK_SECTION_HEADER);

	at = put_u16(put_u16(put_u32(at, BYTE_ORDER_MAGIC), 1), 0);
	at = put(at, &length, sizeof length);
	at = put_text_option(at, SHB_OS, format->system);
	at = put_text_option(at, SHB_USER_APPLICATION, format->application);
	return end_block(block, at);
}

static uint8_t *put_interface_description(uint8_t *block, const struct format *format)
{
	const uint8_t resolution = format->nano ? 9 : 6; /* 10^-n seconds */
	uint8_t filter[1 + FORMAT_FILTER_SIZE] = { FILTER_IS_TEXT };
	size_t filter_length = strnlen(format->filter, sizeof filter - 1);
	uint8_t *at = begin_block(block, BLOCK_INTERFACE_DESCRIPTION);

	at = put_u32(put_u16(put_u16(at, (uint16_t)format->link_type), 0), format->snaplen);
	at = put_text_option(at, IDB_NAME, format->interface);
	at = put_option(at, IDB_TIMESTAMP_RESOLUTION, &resolution, sizeof resolution);
	memcpy(filter + 1, format->filter, filter_length);
	if (filter_length > 0)
		at = put_option(at, IDB_FILTER, filter, 1 + filter_length);
	return end_block(block, at);
}

size_t pcapng_header(const struct format *format, uint8_t *out)
{
	return (size_t)(put_interface_description(put_section_header(out, format), format) - out);
}

static uint64_t time_units(const struct format *format, uint64_t nanoseconds)
{
	return format->nano ? nanoseconds : nanoseconds / 1000;
}

size_t pcapng_record_length(uint32_t captured)
{
	return RECORD_FIXED_LENGTH + captured + padding(captured);
}

size_t pcapng_record_head(const struct format *format, uint8_t *out, const struct record_head *head)
{
	const uint64_t time = time_units(format, (uint64_t)head->seconds * NANOSECONDS + head->nanoseconds);
	const uint32_t fields[] = { BLOCK_ENHANCED_PACKET,
				    (uint32_t)pcapng_record_length(head->captured),
				    0, /* the only interface */
				    (uint32_t)(time >> 32),
				    (uint32_t)time,
				    head->captured,
				    head->original };

	_Static_assert(sizeof fields == FORMAT_RECORD_HEAD_MAX, "enhanced packet block");
	put(out, fields, sizeof fields);
	return sizeof fields;
}

size_t pcapng_record_tail(uint8_t *out, uint32_t captured)
{
	uint8_t *at = put_padding(out, captured);

	return (size_t)(put_u32(at, (uint32_t)pcapng_record_length(captured)) - out);
}

static uint8_t *begin_statistics(uint8_t *block, uint64_t time)
{
	uint8_t *at = begin_block(block, BLOCK_INTERFACE_STATISTICS);

	at = put_u32(at, 0); /* the only interface */
	return put_u32(put_u32(at, (uint32_t)(time >> 32)), (uint32_t)time);
}

/* What a packet socket can know is the last three. Readers look at the first two, as dumpcap's. */
static uint8_t *put_counts(uint8_t *at, const struct format_statistics *statistics)
{
	at = put_count_option(at, ISB_RECEIVED, statistics->received);
	at = put_count_option(at, ISB_DROPPED, statistics->dropped);
	at = put_count_option(at, ISB_FILTER_ACCEPTED, statistics->received);
	at = put_count_option(at, ISB_SYSTEM_DROPPED, statistics->dropped);
	return put_count_option(at, ISB_DELIVERED, statistics->printed);
}

size_t pcapng_heartbeat(const struct format *format, uint8_t *out, const struct format_statistics *statistics)
{
	uint8_t *at = begin_statistics(out, time_units(format, statistics->ended));

	at = put_time_option(at, ISB_START_TIME, time_units(format, format->started));
	return (size_t)(end_block(out, put_counts(at, statistics)) - out);
}

size_t pcapng_trailer(const struct format *format, uint8_t *out,
		      const struct format_statistics *statistics)
{
	const uint64_t end = time_units(format, statistics->ended);
	uint8_t *at = begin_statistics(out, end);

	at = put_text_option(at, OPTION_COMMENT, statistics->why);
	at = put_time_option(at, ISB_START_TIME, time_units(format, format->started));
	at = put_time_option(at, ISB_END_TIME, end);
	return (size_t)(end_block(out, put_counts(at, statistics)) - out);
}
