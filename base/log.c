/* base: no packets, no privilege. */
/* Messages on stderr in the text form of Go's log/slog. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "line.h"

#define LINE_SIZE 81920 /* the longest filter, each byte escaped as \xNN, and some more */
#define SECONDS_A_DAY 86400
#define PATIENCE_MS 1000
#define NOTICE_SIZE 200
#define NUMBER_SIZE 24

/* Of the one descriptor that messages go to. */
static struct {
	bool debug_enabled;
	bool only_errors;
	char told[NOTICE_SIZE]; /* if only errors: of the last one, what it said */
	bool progress_shown;
	bool never_blocks;  /* O_NONBLOCK is set, on a file description of our own */
	bool is_terminal;
	bool torn;          /* the last line lacks its end */
	int patience_ms;    /* how long stderr is still waited for */
	uint64_t left_out;  /* lines, since one was written */
} messages = { .patience_ms = PATIENCE_MS };

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
void log_time(char *text, const struct timespec *time)
{
	unsigned int year = 1970, month = 1, days, second;

	days = (unsigned int)(time->tv_sec / SECONDS_A_DAY);
	second = (unsigned int)(time->tv_sec % SECONDS_A_DAY);
	for (; days >= 365u + is_leap(year); year++)
		days -= 365u + is_leap(year);
	for (; days >= days_of_month(year, month); month++)
		days -= days_of_month(year, month);
	snprintf(text, LOG_TIME_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, days + 1,
		 second / 3600, second / 60 % 60, second % 60, (unsigned int)(time->tv_nsec / 1000000));
}

static const char *text_of(const struct log_field *field, char number[NUMBER_SIZE])
{
	if (field->text != NULL)
		return field->text;
	snprintf(number, NUMBER_SIZE, "%llu", (unsigned long long)field->number);
	return number;
}

static void append_field(struct line *line, const struct log_field *field)
{
	char number[NUMBER_SIZE];

	line_append(line, " ", 1);
	line_append_text(line, field->key);
	line_append(line, "=", 1);
	line_append_value(line, text_of(field, number));
}

void log_enable_debug(void)
{
	messages.debug_enabled = true;
}

void log_only_errors(void)
{
	messages.only_errors = true;
}

/*
 * stderr's file description is shared with others, so O_NONBLOCK is not ours to set; but a pipe or a
 * terminal can be opened once more, if it belongs to this user.
 */
void log_open(void)
{
	const int flags = fcntl(STDERR_FILENO, F_GETFL);
	struct stat given, own;
	int fd;

	messages.is_terminal = isatty(STDERR_FILENO) == 1;
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(STDERR_FILENO, &given) != 0 ||
	    !(messages.is_terminal || S_ISFIFO(given.st_mode)))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	messages.never_blocks = fstat(fd, &own) == 0 && own.st_dev == given.st_dev &&
				own.st_ino == given.st_ino && dup2(fd, STDERR_FILENO) == STDERR_FILENO;
	close(fd);
}

void log_set_patience(int milliseconds)
{
	messages.patience_ms = milliseconds;
}

/*
 * Writes what stderr takes now. If the file description is not ours that is asked first: what says that
 * there is room has it for PIPE_BUF bytes, but a terminal for one only. Returns -1 if it fails.
 */
static ssize_t write_now(const char *text, size_t length)
{
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	const size_t most = messages.never_blocks ? length : messages.is_terminal ? 1 : PIPE_BUF;
	ssize_t written;

	if (!messages.never_blocks && poll(&room, 1, 0) != 1)
		return 0;
	written = write(STDERR_FILENO, text, length < most ? length : most);
	return written >= 0 || (errno != EAGAIN && errno != EINTR) ? written : 0;
}

/* Waits, if there is patience, until stderr may take something. */
static bool wait_for_room(void)
{
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	const int64_t begun = clock_ms();

	if (messages.patience_ms <= 0)
		return false;
	poll(&room, 1, messages.patience_ms);
	messages.patience_ms -= (int)(clock_ms() - begun) + 1;
	return true;
}

/* Returns how many bytes stderr took; all of them, too, if nobody is there to take any, which is no reason to end. */
static size_t write_patiently(const char *text, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t written = write_now(text + done, length - done);
		if (written < 0)
			return length;
		if (written == 0 && !wait_for_room())
			break;
		done += (size_t)written;
	}
	return done;
}

/* Without any patience. Returns how many bytes stderr took. */
static size_t write_at_once(const char *text, size_t length)
{
	const int patience_ms = messages.patience_ms;
	size_t done;

	messages.patience_ms = 0;
	done = write_patiently(text, length);
	messages.patience_ms = patience_ms;
	return done;
}

/* One line, or none of it if that can be helped. Returns false if it is not whole. */
static bool write_line(const struct line *line)
{
	size_t done = 0;

	if (messages.torn && write_patiently("\n", 1) == 1)
		messages.torn = false;
	if (!messages.torn)
		done = write_patiently(line->text, line->length);
	messages.torn |= done > 0 && done < line->length;
	return done == line->length;
}

static void append_plain(struct line *line, const char *message, const struct log_field *fields)
{
	const char *before = ": ";
	char number[NUMBER_SIZE];

	line_append_words(line, message);
	for (; fields != NULL && fields->key != NULL; fields++) {
		const char *text = text_of(fields, number);
		if (*text == '\0')
			continue;
		line_append_text(line, before);
		line_append_words(line, text);
		before = ", ";
	}
}

/* The same message with the same last value, of another stream. */
static bool says_the_same(const char *message, const struct log_field *fields)
{
	char says[sizeof messages.told];
	const char *last = "";
	bool is_same;

	for (; fields != NULL && fields->key != NULL; fields++)
		last = fields->text != NULL ? fields->text : "";
	snprintf(says, sizeof says, "%s: %s", message, last);
	is_same = strcmp(says, messages.told) == 0;
	memcpy(messages.told, says, sizeof says);
	return is_same;
}

static void append_record(struct line *line, enum log_level level, const char *message, const struct log_field *fields)
{
	static const char *const LEVEL[] = { "DEBUG", "INFO", "WARN", "ERROR" };
	char stamp[LOG_TIME_SIZE];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	log_time(stamp, &now);
	line_append_text(line, "time=");
	line_append_text(line, stamp);
	line_append_text(line, " level=");
	line_append_text(line, LEVEL[level]);
	line_append_text(line, " msg=");
	line_append_value(line, message);
	for (; fields != NULL && fields->key != NULL; fields++)
		append_field(line, fields);
}

static void make_line(struct line *line, enum log_level level, const char *message, const struct log_field *fields)
{
	line->size--; /* for the end of the line */
	if (messages.only_errors)
		append_plain(line, message, fields);
	else
		append_record(line, level, message, fields);
	line->text[line->length++] = '\n';
}

/* Returns false if some were left out and that could not be said either. */
static bool tell_of_left_out(void)
{
	char text[NOTICE_SIZE];
	struct line line = { text, sizeof text, 0 };

	if (messages.left_out == 0)
		return true;
	make_line(&line, LOG_WARN, "messages were left out, stderr took nothing",
		  LOG_FIELDS(LOG_NUMBER("count", messages.left_out)));
	if (!write_line(&line))
		return false;
	messages.left_out = 0;
	return true;
}

void log_record(enum log_level level, const char *message, const struct log_field *fields)
{
	static char text[LINE_SIZE];
	struct line line = { text, sizeof text, 0 };

	if (messages.only_errors ? level < LOG_ERROR || says_the_same(message, fields) :
				   level == LOG_DEBUG && !messages.debug_enabled)
		return;
	log_progress("");
	make_line(&line, level, message, fields);
	if (!tell_of_left_out() || !write_line(&line))
		messages.left_out++;
}

void log_progress(const char *text)
{
	static const char ERASE[] = "\r\033[K";
	char shown[160];

	if (*text == '\0' && !messages.progress_shown)
		return;
	snprintf(shown, sizeof shown, "%s%s", ERASE, text);
	/* Stopped with ^S, or it takes a part: no reason to stop capturing. */
	if (write_at_once(shown, strlen(shown)) > 0)
		messages.progress_shown = *text != '\0';
}
