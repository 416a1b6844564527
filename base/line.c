/* base: no packets, no privilege. */
/* One line of text. */
#include "line.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define UTF8_INVALID 0
#define REPLACEMENT 0xfffd /* slog quotes it, as it does what could not be decoded */

void line_append(struct line *line, const char *text, size_t length)
{
	size_t room = line->size - 1 - line->length;

	if (length > room)
		length = room;
	memcpy(line->text + line->length, text, length);
	line->length += length;
	line->text[line->length] = '\0';
}

void line_append_text(struct line *line, const char *text)
{
	line_append(line, text, strlen(text));
}

/* Decodes one UTF-8 sequence, RFC 3629. Returns its length, or UTF8_INVALID. */
static size_t utf8_decode(const unsigned char *text, uint32_t *rune)
{
	static const uint32_t LEAST[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;

	if (text[0] < 0xc2 || text[0] > 0xf4)
		return UTF8_INVALID;
	*rune = text[0] & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return UTF8_INVALID;
		*rune = *rune << 6 | (text[i] & 0x3f);
	}
	if (*rune < LEAST[length] || *rune > 0x10ffff || (*rune >= 0xd800 && *rune <= 0xdfff))
		return UTF8_INVALID;
	return length;
}

/* Close to Go's unicode.IsPrint: spaces, controls, format and bidi characters are not. */
static bool rune_is_printable(uint32_t rune)
{
	static const uint32_t UNPRINTABLE[][2] = {
		{ 0x80, 0xa0 },	    { 0xad, 0xad },	{ 0x61c, 0x61c },   { 0x1680, 0x1680 },
		{ 0x180e, 0x180e }, { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
		{ 0x3000, 0x3000 }, { 0xe000, 0xf8ff }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb },
		{ 0xfffe, 0xffff }, { 0x323b0, 0xe00ff }, { 0xe01f0, 0x10ffff },
	};

	for (size_t i = 0; i < sizeof UNPRINTABLE / sizeof *UNPRINTABLE; i++)
		if (rune >= UNPRINTABLE[i][0] && rune <= UNPRINTABLE[i][1])
			return false;
	return true;
}

static bool needs_quotes(const unsigned char *text)
{
	uint32_t rune;
	size_t length;

	if (*text == '\0')
		return true;
	for (; *text != '\0'; text += length) {
		length = 1;
		if (*text <= ' ' || *text == 0x7f || *text == '"' || *text == '=')
			return true;
		if (*text < 0x80)
			continue;
		length = utf8_decode(text, &rune);
		if (length == UTF8_INVALID || rune == REPLACEMENT || !rune_is_printable(rune))
			return true;
	}
	return false;
}

static void append_escaped_byte(struct line *line, unsigned char byte)
{
	static const char NAMED[] = "\a\b\f\n\r\t\v\"\\";
	static const char LETTER[] = "abfnrtv\"\\";
	const char *named = memchr(NAMED, byte, sizeof NAMED - 1);
	char escaped[8];

	if (named != NULL)
		snprintf(escaped, sizeof escaped, "\\%c", LETTER[named - NAMED]);
	else
		snprintf(escaped, sizeof escaped, "\\x%02x", byte);
	line_append_text(line, escaped);
}

/* One character of a quoted value, as strconv.Quote writes it. Returns the bytes consumed. */
static size_t append_quoted_character(struct line *line, const unsigned char *text)
{
	char escaped[16];
	uint32_t rune;
	size_t length;

	if (*text < 0x80) {
		if (*text < ' ' || *text == 0x7f || *text == '"' || *text == '\\')
			append_escaped_byte(line, *text);
		else
			line_append(line, (const char *)text, 1);
		return 1;
	}
	length = utf8_decode(text, &rune);
	if (length == UTF8_INVALID) {
		append_escaped_byte(line, *text);
		return 1;
	}
	if (rune_is_printable(rune)) {
		line_append(line, (const char *)text, length);
	} else {
		snprintf(escaped, sizeof escaped, rune > 0xffff ? "\\U%08x" : "\\u%04x", rune);
		line_append_text(line, escaped);
	}
	return length;
}

void line_append_value(struct line *line, const char *value)
{
	const unsigned char *text = (const unsigned char *)value;

	if (!needs_quotes(text)) {
		line_append_text(line, value);
		return;
	}
	line_append(line, "\"", 1);
	while (*text != '\0')
		text += append_quoted_character(line, text);
	line_append(line, "\"", 1);
}

void line_append_words(struct line *line, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (at[strspn((const char *)at, " \t\r\n")] != '\0') {
		if (*at >= ' ' && *at != '"' && *at != '\\') {
			at += append_quoted_character(line, at);
			continue;
		}
		line_append(line, *at < ' ' ? " " : (const char *)at, 1);
		at++;
	}
}
