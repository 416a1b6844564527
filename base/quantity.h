/* base: no packets, no privilege. */
/* Numbers, sizes and durations as people write them. */
#pragma once

#include <stdint.h>

/* Each parses the whole text. Returns 0, or -1 if it is malformed or does not fit. */

/* Decimal digits only: "65535". */
int quantity_parse_number(const char *text, uint64_t *number);

/* A whole number of bytes, or of 1024, 1024^2, 1024^3 with k, M, G (either case): "100M". */
int quantity_parse_size(const char *text, uint64_t *bytes);

/*
 * As Go's time.ParseDuration, without sign: numbers, whole or with a fraction, each with its unit
 * h, m, s, ms, us or ns: "1h30m", "1.5s".
 */
int quantity_parse_duration(const char *text, uint64_t *nanoseconds);

