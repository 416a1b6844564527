/* What the fuzz targets share. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise: libFuzzer keeps the input. */
#define PROMISE(condition)          \
	do                          \
		if (!(condition))   \
			__builtin_trap(); \
	while (0)

/* Fuzzed bytes, taken from the front; zeros when they are used up. */
struct bytes {
	const uint8_t *data;
	size_t size;
};

static inline void take(struct bytes *bytes, void *out, size_t length)
{
	size_t there = length < bytes->size ? length : bytes->size;

	memset(out, 0, length);
	if (there > 0)
		memcpy(out, bytes->data, there);
	bytes->data += there;
	bytes->size -= there;
}

static inline uint8_t take_byte(struct bytes *bytes)
{
	uint8_t byte;

	take(bytes, &byte, sizeof byte);
	return byte;
}

static inline uint32_t take_word(struct bytes *bytes)
{
	uint32_t word;

	take(bytes, &word, sizeof word);
	return word;
}

/* All that is left, as text in a buffer of the given size. */
static inline void take_text(struct bytes *bytes, char *out, size_t size)
{
	size_t length = bytes->size < size - 1 ? bytes->size : size - 1;

	take(bytes, out, length);
	out[length] = '\0';
}
