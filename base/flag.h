/* base: no packets, no privilege. */
/* Flags as Go's package reads them: one dash or two, -flag value or -flag=value; behind them the words of a filter. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag_kind {
	FLAG_TEXT,
	FLAG_NAMES, /* any number of times */
	FLAG_NUMBER,
	FLAG_SIZE,
	FLAG_DURATION,
	FLAG_ON,
	FLAG_OFF,
	FLAG_WISH, /* as FLAG_ON, but that it was said is kept too */
	FLAG_CHOICE,
};

struct flag {
	const char *name;
	enum flag_kind kind;
	size_t offset; /* in the options of whoever has the flag */
	uint64_t least, most;
	const char *value; /* as the help shows it; for FLAG_CHOICE the choices; NULL: it needs none */
	const char *help;
};

/* The last one is -help, and -h. */
struct flag_table {
	const struct flag *flags;
	size_t count;
};

/* A flag as it was written. */
struct flag_word {
	const char *argument;
	const char *name; /* without dashes, length bytes */
	size_t length;
	const char *value; /* "true" if it needs none and has none */
	const struct flag *flag; /* NULL: there is none of this name */
};

/* Writes a line for each to stdout. */
void flag_print_table(const struct flag_table *table);

/* One ERROR line: what is wrong with the value of a flag. Returns -1. */
int flag_reject(const char *message, const char *flag, const char *value);

/* The same for a value that was not understood or is out of range: what is expected. */
int flag_reject_value(const struct flag *flag, const char *value);

/* Reads the flag at argv[*next], which moves past it and its value. Returns 0, or -1, logged: it lacks its value. */
int flag_read(const struct flag_table *table, char *const *argv, int *next, struct flag_word *word);

/* A number, size or duration. Returns 0, or -1: it is none, or out of the flag's range. */
int flag_parse_quantity(const struct flag *flag, const char *text, uint64_t *value);

/* No filter has such a word: "tcp -count 5" is a mistake. Logged. */
bool flag_stands_among(const struct flag_table *table, char *const *words);

/* The words, joined by spaces as tcpdump does it, into a filter of `size` bytes that was "". Returns 0, or -1, logged. */
int flag_join_words(char *filter, size_t size, char *const *words);
