/* base: no packets, no privilege. */
/* Numbers, sizes and durations as people write them. */
#include "quantity.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Reads digits at *text and moves past them. Returns how many there were, or -1 on overflow. */
static int read_digits(const char **text, uint64_t *number)
{
	int count = 0;

	*number = 0;
	for (; **text >= '0' && **text <= '9'; (*text)++, count++)
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(**text - '0'), number))
			return -1;
	return count;
}

int quantity_parse_number(const char *text, uint64_t *number)
{
	return read_digits(&text, number) > 0 && *text == '\0' ? 0 : -1;
}

int quantity_parse_size(const char *text, uint64_t *bytes)
{
	static const char UNITS[] = "kmg";
	const char *unit;
	uint64_t factor = 1;

	if (read_digits(&text, bytes) <= 0)
		return -1;
	if (*text != '\0') {
		unit = strchr(UNITS, *text | 0x20);
		if (unit == NULL || text[1] != '\0')
			return -1;
		factor <<= 10 * (unit - UNITS + 1);
	}
	return __builtin_mul_overflow(*bytes, factor, bytes) ? -1 : 0;
}

static const struct {
	const char *name;
	uint64_t nanoseconds;
} DURATION_UNITS[] = {
	{ "h", 3600000000000 }, { "ms", 1000000 }, { "m", 60000000000 },
	{ "s", 1000000000 },	{ "us", 1000 },	   { "ns", 1 },
};

static uint64_t read_duration_unit(const char **text)
{
	for (size_t i = 0; i < sizeof DURATION_UNITS / sizeof *DURATION_UNITS; i++) {
		size_t length = strlen(DURATION_UNITS[i].name);
		if (strncmp(*text, DURATION_UNITS[i].name, length) == 0) {
			*text += length;
			return DURATION_UNITS[i].nanoseconds;
		}
	}
	return 0;
}

/* One number with its unit; *text moves past it. */
static int read_duration_part(const char **text, uint64_t *nanoseconds)
{
	uint64_t whole, fraction = 0, scale = 1, unit;
	int digits = read_digits(text, &whole), places = 0;

	if (digits >= 0 && **text == '.') {
		(*text)++;
		places = read_digits(text, &fraction);
	}
	unit = read_duration_unit(text);
	/* 9 places are nanoseconds of a second, which is what the most precise of users means. */
	if (digits < 0 || places < 0 || digits + places == 0 || places > 9 || unit == 0)
		return -1;
	for (int i = 0; i < places; i++)
		scale *= 10;
	fraction = (uint64_t)((unsigned __int128)fraction * unit / scale); /* below unit */
	return __builtin_mul_overflow(whole, unit, &whole) ||
			       __builtin_add_overflow(whole, fraction, nanoseconds) ? -1 : 0;
}

int quantity_parse_duration(const char *text, uint64_t *nanoseconds)
{
	uint64_t part;

	*nanoseconds = 0;
	if (*text == '\0')
		return -1;
	while (*text != '\0')
		if (read_duration_part(&text, &part) != 0 ||
		    __builtin_add_overflow(*nanoseconds, part, nanoseconds))
			return -1;
	return 0;
}
