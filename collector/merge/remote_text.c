/* merge: inside the sandbox; here is what the remote machines sent. */
/* What a remote command says on its stderr. */
#include "remote_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define READ_LEAST 1024 /* bytes */
#define LEVEL_ERROR " level=ERROR msg=" /* in a message of a cf-pcap */

/* How programs say that they do not know a flag: cf-pcap, and Go's flag package. */
static const char *const REFUSALS[] = { "unknown flag, see -help", "flag provided but not defined" };

void remote_text_begin(struct remote_text *text)
{
	text->length = text->judged = 0;
	text->is_held = true;
	text->refused = false;
	text->packets = text->dropped = UINT64_MAX;
	text->last[0] = text->error[0] = '\0';
}

/* A number behind these words. */
static void take_number(uint64_t *number, const char *line, const char *before)
{
	const char *found = strstr(line, before);

	if (found != NULL)
		*number = strtoull(found + strlen(before), NULL, 10);
}

/* As cf-pcap and the platform's tool end, and as tcpdump does: "1 packet captured". */
static void take_counts(struct remote_text *text, const char *line)
{
	if (strstr(line, "stopped capture") != NULL) {
		take_number(&text->packets, line, " packets=");
		take_number(&text->dropped, line, " dropped=");
	} else if (strstr(line, " packets captured") != NULL || strstr(line, " packet captured") != NULL) {
		text->packets = strtoull(line, NULL, 10);
	} else if (strstr(line, " packets dropped by kernel") != NULL || strstr(line, " packet dropped by kernel") != NULL) {
		text->dropped = strtoull(line, NULL, 10);
	}
}

static void take_error(struct remote_text *text, const char *line)
{
	const char *found = strstr(line, LEVEL_ERROR);

	if (found != NULL)
		snprintf(text->error, sizeof text->error, "%.*s", (int)sizeof text->error - 1, found + sizeof LEVEL_ERROR - 1);
}

/* As the last lines of tcpdump's errors do. */
static bool continues(const char *line)
{
	return *line == ' ' || *line == '\t' || *line == '(';
}

static void judge(struct remote_text *text, const char *line)
{
	for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++)
		text->refused |= strstr(line, REFUSALS[i]) != NULL;
	take_counts(text, line);
	take_error(text, line);
	if (*line != '\0' && (text->last[0] == '\0' || !continues(line)))
		snprintf(text->last, sizeof text->last, "%.*s", (int)sizeof text->last - 1, line);
}

/* A message of a cf-pcap keeps its level, but for errors: those here are of the whole. */
static enum log_level level_of(const char *line)
{
	return strstr(line, LEVEL_ERROR) != NULL || strstr(line, " level=WARN msg=") != NULL ? LOG_WARN : LOG_INFO;
}

static void relay(struct remote_text *text, const char *line, const char *stream, int64_t now_ms)
{
	if (*line == '\0')
		return;
	if (now_ms / 1000 != text->second) {
		text->second = now_ms / 1000;
		text->lines = 0;
	}
	if (text->lines++ < REMOTE_TEXT_LINES_A_SECOND)
		log_record(level_of(line), "remote message", LOG_FIELDS(LOG_TEXT("stream", stream), LOG_TEXT("text", line)));
	else
		text->left_out++;
}

/* The first `length` bytes as a line: without what ends it. */
static void copy_line(char *line, const char *bytes, size_t length)
{
	while (length > 0 && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r'))
		length--;
	memcpy(line, bytes, length);
	for (size_t i = 0; i < length; i++)
		if (line[i] == '\0')
			line[i] = '?';
	line[length] = '\0';
}

/* The length of the next line from `at` on, with its end; 0: it is not whole. */
static size_t line_length(const struct remote_text *text, size_t at)
{
	const char *end = memchr(text->bytes + at, '\n', text->length - at);

	return end != NULL ? (size_t)(end - (text->bytes + at)) + 1 : 0;
}

static void judge_lines(struct remote_text *text)
{
	char line[REMOTE_TEXT_SIZE + 1];
	size_t length;

	while ((length = line_length(text, text->judged)) > 0) {
		copy_line(line, text->bytes + text->judged, length);
		judge(text, line);
		text->judged += length;
	}
}

/* What is judged is relayed. */
static void relay_lines(struct remote_text *text, const char *stream, int64_t now_ms)
{
	char line[REMOTE_TEXT_SIZE + 1];
	size_t at = 0, length;

	while (at < text->judged && (length = line_length(text, at)) > 0) {
		copy_line(line, text->bytes + at, length);
		relay(text, line, stream, now_ms);
		at += length;
	}
	memmove(text->bytes, text->bytes + at, text->length - at);
	text->length -= at;
	text->judged = 0;
}

char *remote_text_room(struct remote_text *text, size_t *room)
{
	*room = REMOTE_TEXT_SIZE - text->length;
	return text->bytes + text->length;
}

/* A line without an end, or more than is held: there is room again. */
static void make_room(struct remote_text *text, const char *stream, int64_t now_ms)
{
	if (REMOTE_TEXT_SIZE - text->length >= READ_LEAST)
		return;
	if (text->judged == 0)
		text->bytes[text->length - 1] = '\n';
	judge_lines(text);
	relay_lines(text, stream, now_ms);
}

void remote_text_received(struct remote_text *text, size_t length, const char *stream, int64_t now_ms)
{
	text->length += length;
	judge_lines(text);
	if (!text->is_held)
		relay_lines(text, stream, now_ms);
	make_room(text, stream, now_ms);
}

void remote_text_release(struct remote_text *text, const char *stream, int64_t now_ms)
{
	text->is_held = false;
	relay_lines(text, stream, now_ms);
}

void remote_text_forget(struct remote_text *text)
{
	text->length = text->judged = 0;
	text->is_held = false;
}

void remote_text_end(struct remote_text *text, const char *stream, int64_t now_ms)
{
	if (text->length > 0 && text->bytes[text->length - 1] != '\n' && text->length < REMOTE_TEXT_SIZE)
		text->bytes[text->length++] = '\n';
	judge_lines(text);
	if (!text->is_held)
		relay_lines(text, stream, now_ms);
}
