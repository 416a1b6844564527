/* formats: the bytes of files; no call of the system. */
/* What both readers do with bytes. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "reader.h"

static inline uint16_t reader_u16(const struct reader *reader, const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof value);
	return reader->swapped ? __builtin_bswap16(value) : value;
}

static inline uint32_t reader_u32(const struct reader *reader, const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return reader->swapped ? __builtin_bswap32(value) : value;
}

static inline uint64_t reader_u64(const struct reader *reader, const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return reader->swapped ? __builtin_bswap64(value) : value;
}

static inline enum reader_result reader_more(struct reader *reader, size_t needed)
{
	reader->needed = needed;
	return READER_MORE;
}

static inline enum reader_result reader_bad(struct reader *reader, const char *why)
{
	reader->why = why;
	return READER_BAD;
}
