/* base/log.c, line.c: lines as Go's log/slog TextHandler writes them. */
#include "base/log.h"

#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/line.h"
#include "scratch.h"

struct quoted {
	const char *value, *expected;
};

static size_t quote(char *out, size_t size, const char *value)
{
	struct line line = { out, size, 0 };

	out[0] = '\0';
	line_append_value(&line, value);
	return line.length;
}

static void assert_quoted(const struct quoted *cases, size_t count)
{
	char out[256];

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(quote(out, sizeof out, cases[i].value), strlen(cases[i].expected));
		assert_string_equal(out, cases[i].expected);
	}
}

static void plain_values_are_left_as_they_are(void **state)
{
	static const struct quoted CASES[] = {
		{ "lo", "lo" },
		{ "65535", "65535" },
		{ "a,b;c:d/e(f)[g]{h}<i>|j&k", "a,b;c:d/e(f)[g]{h}<i>|j&k" },
		{ "!#$%'*+-.?@^_`~", "!#$%'*+-.?@^_`~" },
		{ "back\\slash", "back\\slash" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },		/* grüß */
		{ "\xe6\xbc\xa2\xe5\xad\x97", "\xe6\xbc\xa2\xe5\xad\x97" }, /* 漢字 */
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },		/* an emoji */
		{ "\xf3\xa0\x84\x80", "\xf3\xa0\x84\x80" },		/* a variation selector */
	};

	(void)state;
	assert_quoted(CASES, COUNT_OF(CASES));
}

static void spaces_equal_signs_and_quotes_need_quotes(void **state)
{
	static const struct quoted CASES[] = {
		{ "", "\"\"" },
		{ " ", "\" \"" },
		{ "port 80", "\"port 80\"" },
		{ "a=b", "\"a=b\"" },
		{ "say \"hi\"", "\"say \\\"hi\\\"\"" },
		{ "\"", "\"\\\"\"" },
		{ "back\\ slash", "\"back\\\\ slash\"" },
		{ "gr\xc3\xbc n", "\"gr\xc3\xbc n\"" },
	};

	(void)state;
	assert_quoted(CASES, COUNT_OF(CASES));
}

static void control_characters_are_escaped_as_in_go(void **state)
{
	static const struct quoted CASES[] = {
		{ "\a\b\f\n\r\t\v", "\"\\a\\b\\f\\n\\r\\t\\v\"" },
		{ "\x01\x1b[31m\x1f", "\"\\x01\\x1b[31m\\x1f\"" },
		{ "a\nb", "\"a\\nb\"" },
		{ "x\xc2\x80y", "\"x\\u0080y\"" },
		{ "x\xc2\x9by", "\"x\\u009by\"" }, /* CSI in one character */
	};

	(void)state;
	assert_quoted(CASES, COUNT_OF(CASES));
}

/* slog leaves DEL alone, against our promise that control characters never reach the terminal. */
static void del_is_escaped(void **state)
{
	static const struct quoted CASES[] = { { "\x7f", "\"\\x7f\"" }, { "a\x7f", "\"a\\x7f\"" } };

	(void)state;
	assert_quoted(CASES, COUNT_OF(CASES));
}

static void invalid_utf8_is_escaped_byte_by_byte(void **state)
{
	static const struct quoted CASES[] = {
		{ "\xff", "\"\\xff\"" },
		{ "a\x80z", "\"a\\x80z\"" },
		{ "\xc3", "\"\\xc3\"" },			      /* cut short */
		{ "\xe6\xbc", "\"\\xe6\\xbc\"" },		      /* cut short */
		{ "\xf0\x9f\x98", "\"\\xf0\\x9f\\x98\"" },	      /* cut short */
		{ "\xc0\xaf", "\"\\xc0\\xaf\"" },		      /* overlong */
		{ "\xe0\x80\xaf", "\"\\xe0\\x80\\xaf\"" },	      /* overlong */
		{ "\xf0\x80\x80\xaf", "\"\\xf0\\x80\\x80\\xaf\"" },   /* overlong */
		{ "\xed\xa0\x80", "\"\\xed\\xa0\\x80\"" },	      /* a surrogate */
		{ "\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\"" },   /* beyond Unicode */
		{ "\xf5\x80\x80\x80", "\"\\xf5\\x80\\x80\\x80\"" },
		{ "\xc3(", "\"\\xc3(\"" },
		{ "\xc3\xbc\xff", "\"\xc3\xbc\\xff\"" },
	};

	(void)state;
	assert_quoted(CASES, COUNT_OF(CASES));
}

static void runes_that_do_not_print_are_escaped(void **state)
{
	static const struct quoted CASES[] = {
		{ "\xc2\xa0", "\"\\u00a0\"" },		  /* no-break space */
		{ "\xc2\xad", "\"\\u00ad\"" },		  /* soft hyphen */
		{ "\xe2\x80\xae", "\"\\u202e\"" },	  /* right-to-left override */
		{ "\xe2\x80\x8b", "\"\\u200b\"" },	  /* zero-width space */
		{ "\xe2\x80\xa8", "\"\\u2028\"" },	  /* line separator */
		{ "\xe3\x80\x80", "\"\\u3000\"" },	  /* ideographic space */
		{ "\xef\xbb\xbf", "\"\\ufeff\"" },	  /* byte order mark */
		{ "\xee\x80\x80", "\"\\ue000\"" },	  /* private use */
		{ "\xef\xbf\xbe", "\"\\ufffe\"" },
		{ "\xf1\x90\x80\x80", "\"\\U00050000\"" }, /* in a plane that nobody uses */
		{ "\xf3\xa0\x80\xa1", "\"\\U000e0021\"" }, /* a tag character */
		{ "\xf4\x8f\xbf\xbf", "\"\\U0010ffff\"" },
	};

	(void)state;
	assert_quoted(CASES, COUNT_OF(CASES));
}

/* It stands for what could not be decoded: quoted, but it prints. */
static void the_replacement_character_is_quoted_and_kept(void **state)
{
	static const struct quoted CASES[] = { { "\xef\xbf\xbd", "\"\xef\xbf\xbd\"" } };

	(void)state;
	assert_quoted(CASES, COUNT_OF(CASES));
}

static void what_does_not_fit_is_cut_and_terminated(void **state)
{
	char out[8];

	(void)state;
	memset(out, 'x', sizeof out);
	assert_int_equal(quote(out, sizeof out, "123456789"), 7);
	assert_string_equal(out, "1234567");
	assert_int_equal(quote(out, sizeof out, "12 456789"), 7);
	assert_string_equal(out, "\"12 456");
	assert_int_equal(quote(out, 1, "1"), 0);
	assert_string_equal(out, "");
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t expression;

	assert_int_equal(regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&expression, text, 0, NULL, 0) != 0)
		fail_msg("\"%s\" does not match %s", text, pattern);
	regfree(&expression);
}

#define TIME "^time=[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}"

static const char *record(const char *zone, enum log_level level)
{
	setenv("TZ", zone, 1);
	scratch_begin_capture(STDERR_FILENO);
	log_record(level, "two words",
		   LOG_FIELDS(LOG_TEXT("interface", "lo"), LOG_NUMBER("snaplen", UINT64_MAX),
			      LOG_TEXT("filter", "port 80"), LOG_TEXT("empty", "")));
	return scratch_end_capture();
}

#define FIELDS " msg=\"two words\" interface=lo snaplen=18446744073709551615 filter=\"port 80\" empty=\"\"\n$"

static void a_record_is_one_line_of_time_level_message_and_fields(void **state)
{
	(void)state;
	assert_matches(record("UTC", LOG_INFO), TIME "Z level=INFO" FIELDS);
	assert_matches(record("UTC", LOG_WARN), TIME "Z level=WARN" FIELDS);
	assert_matches(record("UTC", LOG_ERROR), TIME "Z level=ERROR" FIELDS);
}

static void times_are_utc_whatever_the_zone_says(void **state)
{
	time_t before = time(NULL);
	const char *line;
	struct tm told = { 0 };

	(void)state;
	setenv("TZ", "XYZ-5:30", 1);
	line = record("XYZ-5:30", LOG_INFO);
	assert_matches(line, TIME "Z level=INFO");
	assert_non_null(strptime(line + strlen("time="), "%Y-%m-%dT%H:%M:%S", &told));
	assert_in_range(timegm(&told), before, time(NULL));
	setenv("TZ", "UTC", 1);
}

static void debug_records_are_written_on_request_only(void **state)
{
	(void)state;
	assert_string_equal(record("UTC", LOG_DEBUG), "");
	log_enable_debug();
	assert_matches(record("UTC", LOG_DEBUG), TIME "Z level=DEBUG" FIELDS);
}

static void a_record_without_fields_ends_after_its_message(void **state)
{
	(void)state;
	scratch_begin_capture(STDERR_FILENO);
	log_record(LOG_INFO, "plain", LOG_NO_FIELDS);
	assert_matches(scratch_end_capture(), TIME "[^ ]* level=INFO msg=plain\n$");
}

static void an_overlong_record_is_cut_to_one_line(void **state)
{
	static char text[200000];
	const char *line;

	(void)state;
	memset(text, '\n', sizeof text - 1);
	scratch_begin_capture(STDERR_FILENO);
	log_record(LOG_INFO, "long", LOG_FIELDS(LOG_TEXT("filter", text)));
	line = scratch_end_capture();
	assert_true(strlen(line) < sizeof text);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void a_message_erases_the_progress_line_first(void **state)
{
	const char *output;

	(void)state;
	scratch_begin_capture(STDERR_FILENO);
	log_progress("");
	log_progress("1 packets");
	log_progress("2 packets");
	log_record(LOG_INFO, "done", LOG_NO_FIELDS);
	log_progress("");
	output = scratch_end_capture();
	assert_ptr_equal(strstr(output, "\r\033[K1 packets\r\033[K2 packets\r\033[Ktime="), output);
	assert_matches(strstr(output, "time="), "msg=done\n$");
}

/* What is written of these two, in a process of its own: it cannot be undone. */
static const char *errors_only(void)
{
	scratch_begin_capture(STDERR_FILENO);
	if (fork() == 0) {
		log_only_errors();
		log_record(LOG_WARN, "late", LOG_NO_FIELDS);
		log_record(LOG_ERROR, "a command failed",
			   LOG_FIELDS(LOG_TEXT("command", "cf"), LOG_TEXT("empty", ""), LOG_NUMBER("status", 1),
				      LOG_TEXT("reason", "FAILED\nNot \"logged\" in.\033[31m\r\n")));
		log_record(LOG_ERROR, "plain", LOG_NO_FIELDS);
		log_record(LOG_ERROR, "cannot capture", LOG_FIELDS(LOG_TEXT("stream", "a"), LOG_TEXT("reason", "off")));
		log_record(LOG_ERROR, "cannot capture", LOG_FIELDS(LOG_TEXT("stream", "b"), LOG_TEXT("reason", "off")));
		log_record(LOG_ERROR, "cannot capture", LOG_FIELDS(LOG_TEXT("stream", "c"), LOG_TEXT("reason", "gone")));
		_exit(0);
	}
	assert_true(wait(NULL) > 0);
	return scratch_end_capture();
}

static void errors_for_a_window_are_words_and_each_is_told_once(void **state)
{
	(void)state;
	assert_string_equal(errors_only(), "a command failed: cf, 1, FAILED Not \"logged\" in. [31m\nplain\n"
					   "cannot capture: a, off\ncannot capture: c, gone\n");
}

#define PIPE_SIZE 65536
#define MESSAGES 2000 /* more than it takes */

/* A pipe of PIPE_SIZE instead of stderr: 16 pages of 4 KiB, or 4 of 16. Returns its reading end. */
static int begin_small_pipe(int *before)
{
	int ends[2];

	*before = dup(STDERR_FILENO);
	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) == PIPE_SIZE);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	alarm(20);
	return ends[0];
}

static void end_small_pipe(int reader, int before)
{
	alarm(0);
	dup2(before, STDERR_FILENO);
	close(before);
	close(reader);
}

static void read_all(int reader, char *text, size_t size)
{
	ssize_t length = read(reader, text, size - 1);

	assert_true(length >= 0);
	text[length] = '\0';
}

static void what_a_full_pipe_does_not_take_is_left_out_and_counted(void **state)
{
	static char text[PIPE_SIZE + 1];
	int before, reader = begin_small_pipe(&before);

	(void)state;
	log_set_patience(0);
	for (int i = 0; i < MESSAGES; i++)
		log_record(LOG_INFO, "one of many", LOG_NO_FIELDS);
	read_all(reader, text, sizeof text);
	assert_matches(text, "msg=\"one of many\"\n$");
	log_record(LOG_INFO, "next", LOG_NO_FIELDS);
	log_record(LOG_INFO, "last", LOG_NO_FIELDS);
	read_all(reader, text, sizeof text);
	assert_matches(text, "^time=[^\n]* level=WARN msg=\"messages were left out, stderr took nothing\" count=[1-9][0-9][0-9]+\n"
			     "time=[^\n]* msg=next\ntime=[^\n]* msg=last\n$");
	end_small_pipe(reader, before);
}

static void a_line_that_was_cut_is_ended_before_the_next(void **state)
{
	static char filter[PIPE_SIZE + 4096], text[PIPE_SIZE + 1];
	int before, reader = begin_small_pipe(&before);

	(void)state;
	log_set_patience(0);
	memset(filter, 'x', sizeof filter - 1);
	log_record(LOG_INFO, "long", LOG_FIELDS(LOG_TEXT("filter", filter)));
	read_all(reader, text, sizeof text);
	assert_in_range(strlen(text), PIPE_SIZE - sysconf(_SC_PAGESIZE) + 1, PIPE_SIZE);
	log_record(LOG_INFO, "next", LOG_NO_FIELDS);
	read_all(reader, text, sizeof text);
	assert_matches(text, "^\ntime=[^\n]* count=1\ntime=[^\n]* msg=next\n$");
	end_small_pipe(reader, before);
}

static void patience_is_for_all_messages_together(void **state)
{
	int before, reader = begin_small_pipe(&before);
	struct timespec from, to;

	(void)state;
	log_set_patience(200);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < MESSAGES; i++)
		log_record(LOG_INFO, "one of many", LOG_NO_FIELDS);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec < 10); /* 200 ms each time would be minutes */
	assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 >= 150);
	end_small_pipe(reader, before);
}

static void nobody_who_reads_is_no_reason_to_count(void **state)
{
	int before, reader = begin_small_pipe(&before);
	const char *output;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	close(reader);
	log_record(LOG_INFO, "lost", LOG_NO_FIELDS);
	end_small_pipe(-1, before);
	scratch_begin_capture(STDERR_FILENO);
	log_record(LOG_INFO, "plain", LOG_NO_FIELDS);
	output = scratch_end_capture();
	assert_true(strstr(output, "plain") != NULL && strstr(output, "left out") == NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_values_are_left_as_they_are),
		cmocka_unit_test(spaces_equal_signs_and_quotes_need_quotes),
		cmocka_unit_test(control_characters_are_escaped_as_in_go),
		cmocka_unit_test(del_is_escaped),
		cmocka_unit_test(invalid_utf8_is_escaped_byte_by_byte),
		cmocka_unit_test(runes_that_do_not_print_are_escaped),
		cmocka_unit_test(the_replacement_character_is_quoted_and_kept),
		cmocka_unit_test(what_does_not_fit_is_cut_and_terminated),
		cmocka_unit_test(a_record_is_one_line_of_time_level_message_and_fields),
		cmocka_unit_test(times_are_utc_whatever_the_zone_says),
		cmocka_unit_test(debug_records_are_written_on_request_only),
		cmocka_unit_test(a_record_without_fields_ends_after_its_message),
		cmocka_unit_test(an_overlong_record_is_cut_to_one_line),
		cmocka_unit_test(a_message_erases_the_progress_line_first),
		cmocka_unit_test(errors_for_a_window_are_words_and_each_is_told_once),
		cmocka_unit_test(what_a_full_pipe_does_not_take_is_left_out_and_counted),
		cmocka_unit_test(a_line_that_was_cut_is_ended_before_the_next),
		cmocka_unit_test(patience_is_for_all_messages_together),
		cmocka_unit_test(nobody_who_reads_is_no_reason_to_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
