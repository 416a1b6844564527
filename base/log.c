/* base: no packets, no privilege. */
/* Messages on stderr in the text form of Go's log/slog. */
#include "log.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 81920 /* the longest filter, each byte escaped as \xNN, and some more */
#define UTF8_INVALID 0
#define SECONDS_A_DAY 86400
#define REPLACEMENT 0xfffd /* slog quotes it, as it does what could not be decoded */

/* Of the one descriptor that messages go to. */
static struct {
	bool debug_enabled;
	bool progress_shown;
} messages;

struct line {
	char *text;
	size_t size; /* of text, with the NUL */
	size_t length;
};

static void append(struct line *line, const char *text, size_t length)
{
	size_t room = line->size - 1 - line->length;

	if (length > room)
		length = room;
	memcpy(line->text + line->length, text, length);
	line->length += length;
	line->text[line->length] = '\0';
}

static void append_text(struct line *line, const char *text)
{
	append(line, text, strlen(text));
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
	append_text(line, escaped);
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
			append(line, (const char *)text, 1);
		return 1;
	}
	length = utf8_decode(text, &rune);
	if (length == UTF8_INVALID) {
		append_escaped_byte(line, *text);
		return 1;
	}
	if (rune_is_printable(rune)) {
		append(line, (const char *)text, length);
	} else {
		snprintf(escaped, sizeof escaped, rune > 0xffff ? "\\U%08x" : "\\u%04x", rune);
		append_text(line, escaped);
	}
	return length;
}

static void append_value(struct line *line, const char *value)
{
	const unsigned char *text = (const unsigned char *)value;

	if (!needs_quotes(text)) {
		append_text(line, value);
		return;
	}
	append(line, "\"", 1);
	while (*text != '\0')
		text += append_quoted_character(line, text);
	append(line, "\"", 1);
}

size_t log_quote(char *out, size_t size, const char *value)
{
	struct line line = { out, size, 0 };

	out[0] = '\0';
	append_value(&line, value);
	return line.length;
}

static bool is_leap(unsigned int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned int days_of_month(unsigned int year, unsigned int month)
{
	static const uint8_t DAYS[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return DAYS[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

/*
 * RFC 3339 with milliseconds, in UTC as in every container, and not by libc: even gmtime() reads the
 * container's zone files, which are the user's, while the channel the packet socket comes by is open.
 */
static void append_time(struct line *line)
{
	unsigned int year = 1970, month = 1, days, second;
	struct timespec now;
	char stamp[40];

	clock_gettime(CLOCK_REALTIME, &now);
	days = (unsigned int)(now.tv_sec / SECONDS_A_DAY);
	second = (unsigned int)(now.tv_sec % SECONDS_A_DAY);
	for (; days >= 365u + is_leap(year); year++)
		days -= 365u + is_leap(year);
	for (; days >= days_of_month(year, month); month++)
		days -= days_of_month(year, month);
	snprintf(stamp, sizeof stamp, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, days + 1,
		 second / 3600, second / 60 % 60, second % 60, (unsigned int)(now.tv_nsec / 1000000));
	append_text(line, stamp);
}

static void append_field(struct line *line, const struct log_field *field)
{
	char number[24];

	append(line, " ", 1);
	append_text(line, field->key);
	append(line, "=", 1);
	if (field->text != NULL) {
		append_value(line, field->text);
	} else {
		snprintf(number, sizeof number, "%llu", (unsigned long long)field->number);
		append_text(line, number);
	}
}

void log_enable_debug(void)
{
	messages.debug_enabled = true;
}

void log_record(enum log_level level, const char *message, const struct log_field *fields)
{
	static const char *const LEVEL[] = { "DEBUG", "INFO", "WARN", "ERROR" };
	static char text[LINE_SIZE];
	struct line line = { text, sizeof text - 1, 0 };

	if (level == LOG_DEBUG && !messages.debug_enabled)
		return;
	log_progress("");
	append_text(&line, "time=");
	append_time(&line);
	append_text(&line, " level=");
	append_text(&line, LEVEL[level]);
	append_text(&line, " msg=");
	append_value(&line, message);
	for (; fields != NULL && fields->key != NULL; fields++)
		append_field(&line, fields);
	text[line.length++] = '\n';
	/* Nowhere to report a failure to, and no reason to end a capture: best effort. */
	if (write(STDERR_FILENO, text, line.length) < 0)
		return;
}

void log_progress(const char *text)
{
	static const char ERASE[] = "\r\033[K";
	struct pollfd terminal = { .fd = STDERR_FILENO, .events = POLLOUT };
	char shown[160];

	if (*text == '\0' && !messages.progress_shown)
		return;
	if (poll(&terminal, 1, 0) != 1) /* stopped with ^S: no reason to stop capturing */
		return;
	messages.progress_shown = *text != '\0';
	snprintf(shown, sizeof shown, "%s%s", ERASE, text);
	if (write(STDERR_FILENO, shown, strlen(shown)) < 0)
		return;
}
