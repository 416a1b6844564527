/* base: no packets, no privilege. */
/* Messages on stderr in the text form of Go's log/slog. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* key=text, or key=number when text is NULL. A list ends with a NULL key. */
struct log_field {
	const char *key;
	const char *text;
	uint64_t number;
};

#define LOG_TEXT(key, text) { (key), (text), 0 }
#define LOG_NUMBER(key, number) { (key), NULL, (number) }
#define LOG_FIELDS(...) (const struct log_field[]){ __VA_ARGS__, { NULL, NULL, 0 } }
#define LOG_NO_FIELDS NULL

/* DEBUG messages are written from now on. */
void log_enable_debug(void);

/*
 * From now on only errors are written, as "message: value, value" without time and keys, and one that says the same
 * as the last one is left out: for a window that shows what came on stderr.
 */
void log_only_errors(void);

/*
 * Gets stderr ready, where it is a pipe or a terminal and the system lets us, for writes that never block.
 * To be called once, before anything is logged.
 */
void log_open(void);

/* From now on all messages together wait so long at most for stderr to take them: 1 s to begin with. */
void log_set_patience(int milliseconds);

/*
 * Writes one line: time, level, msg and the fields. Never fails; what does not fit is cut. What stderr does
 * not take, now or while there is patience, is left out; once it takes something again, it is told how
 * many lines that were.
 */
void log_record(enum log_level level, const char *message, const struct log_field *fields);

/*
 * Replaces the progress line, which is redrawn in place on a terminal and erased before the
 * next message; "" erases it. Never blocks: a terminal that takes nothing now keeps what it shows.
 */
void log_progress(const char *text);

#define LOG_TIME_SIZE 40

/* RFC 3339 with milliseconds, in UTC, as in every message: LOG_TIME_SIZE bytes. */
void log_time(char *text, const struct timespec *time);
