/* base: no packets, no privilege. */
/* One line of text, and what may be in somebody's text made harmless. */
#pragma once

#include <stddef.h>

struct line {
	char *text;
	size_t size; /* of text, with the NUL */
	size_t length;
};

/* What does not fit is left out; the text ends with a NUL. */
void line_append(struct line *line, const char *text, size_t length);
void line_append_text(struct line *line, const char *text);

/*
 * A value as slog's TextHandler formats it: as it is, or quoted with Go's escapes if it is empty or
 * holds a space, '=', '"' or anything not printable.
 */
void line_append_value(struct line *line, const char *value);

/* In words: as it is, without line breaks, and with Go's escapes for what is not printable. */
void line_append_words(struct line *line, const char *text);
