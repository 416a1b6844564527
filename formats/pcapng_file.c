/* formats: the bytes of files; no call of the system. */
/* The pcapng file format, draft-ietf-opsawg-pcapng: one section, any number of interfaces. */
#include "pcapng_file.h"

#include <string.h>

#include "base/clock.h"
#include "pcapng_codes.h"

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

/* Left out if there is none. */
static uint8_t *put_any_text(uint8_t *at, enum option_code code, const char *text)
{
	return text != NULL && *text != '\0' ? put_text_option(at, code, text) : at;
}

static uint8_t *put_count_option(uint8_t *at, enum option_code code, uint64_t count)
{
	return count == FORMAT_UNKNOWN ? at : put_option(at, code, &count, sizeof count);
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

size_t pcapng_section(const struct format *format, uint8_t *out)
{
	const uint64_t length = SECTION_LENGTH_UNKNOWN;
	uint8_t *at = begin_block(out, BLOCK_SECTION_HEADER);

	at = put_u16(put_u16(put_u32(at, BYTE_ORDER_MAGIC), 1), 0);
	at = put(at, &length, sizeof length);
	at = put_text_option(at, SHB_OS, format->system);
	at = put_text_option(at, SHB_USER_APPLICATION, format->application);
	return (size_t)(end_block(out, at) - out);
}

static uint8_t *put_filter(uint8_t *at, const char *text)
{
	uint8_t filter[1 + FORMAT_FILTER_SIZE] = { FILTER_IS_TEXT };
	const size_t length = strnlen(text, sizeof filter - 1);

	memcpy(filter + 1, text, length);
	return length > 0 ? put_option(at, IDB_FILTER, filter, 1 + length) : at;
}

size_t pcapng_interface(const struct format *format, uint8_t *out)
{
	const uint8_t resolution = format->nano ? 9 : 6; /* 10^-n seconds */
	uint8_t *at = begin_block(out, BLOCK_INTERFACE_DESCRIPTION);

	at = put_u32(put_u16(put_u16(at, (uint16_t)format->link_type), 0), format->snaplen);
	at = put_text_option(at, IDB_NAME, format->interface);
	at = put_any_text(at, IDB_DESCRIPTION, format->description);
	at = put_option(at, IDB_TIMESTAMP_RESOLUTION, &resolution, sizeof resolution);
	at = put_any_text(put_filter(at, format->filter), IDB_OS, format->os);
	return (size_t)(end_block(out, at) - out);
}

size_t pcapng_header(const struct format *format, uint8_t *out)
{
	const size_t length = pcapng_section(format, out);

	return length + pcapng_interface(format, out + length);
}

size_t pcapng_name(uint8_t *out, const uint8_t *address, size_t length, const char *name)
{
	const uint16_t kind = length == IPV4_LENGTH ? NAME_OF_IPV4 : NAME_OF_IPV6;
	const size_t name_length = strlen(name) + 1;
	uint8_t *at = begin_block(out, BLOCK_NAME_RESOLUTION);

	at = put_u16(put_u16(at, kind), (uint16_t)(length + name_length));
	at = put(put(at, address, length), name, name_length);
	return (size_t)(end_block(out, put_padding(at, length + name_length)) - out);
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
	return pcapng_packet_head(format, out, (uint64_t)head->seconds * NANOSECONDS + head->nanoseconds,
				  head->captured, head->original);
}

size_t pcapng_packet_head(const struct format *format, uint8_t *out, uint64_t nanoseconds, uint32_t captured,
			  uint32_t original)
{
	const uint64_t time = time_units(format, nanoseconds);
	const uint32_t fields[] = { BLOCK_ENHANCED_PACKET,
				    (uint32_t)pcapng_record_length(captured),
				    format->number,
				    (uint32_t)(time >> 32),
				    (uint32_t)time,
				    captured,
				    original };

	_Static_assert(sizeof fields == FORMAT_RECORD_HEAD_MAX, "enhanced packet block");
	put(out, fields, sizeof fields);
	return sizeof fields;
}

size_t pcapng_record_tail(uint8_t *out, uint32_t captured)
{
	uint8_t *at = put_padding(out, captured);

	return (size_t)(put_u32(at, (uint32_t)pcapng_record_length(captured)) - out);
}

static uint8_t *begin_statistics(const struct format *format, uint8_t *block, uint64_t time)
{
	uint8_t *at = begin_block(block, BLOCK_INTERFACE_STATISTICS);

	at = put_u32(at, format->number);
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

static uint8_t *put_time_known(uint8_t *at, enum option_code code, const struct format *format, uint64_t time)
{
	return time == FORMAT_UNKNOWN ? at : put_time_option(at, code, time_units(format, time));
}

size_t pcapng_heartbeat(const struct format *format, uint8_t *out, const struct format_statistics *statistics)
{
	uint8_t *at = begin_statistics(format, out, time_units(format, statistics->ended));

	at = put_any_text(at, OPTION_COMMENT, statistics->why);
	at = put_time_known(at, ISB_START_TIME, format, format->started);
	return (size_t)(end_block(out, put_counts(at, statistics)) - out);
}

size_t pcapng_trailer(const struct format *format, uint8_t *out,
		      const struct format_statistics *statistics)
{
	const uint64_t end = time_units(format, statistics->ended);
	uint8_t *at = begin_statistics(format, out, end);

	at = put_any_text(at, OPTION_COMMENT, statistics->why);
	at = put_time_known(at, ISB_START_TIME, format, format->started);
	at = put_time_option(at, ISB_END_TIME, end);
	return (size_t)(end_block(out, put_counts(at, statistics)) - out);
}
