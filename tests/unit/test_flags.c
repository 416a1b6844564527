/* writer/setup/flags.c: the command line. */
#include "setup/flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/ring.h"
#include "scratch.h"

#define WORDS_MOST 16

static struct options options;
static const char *messages;

/* Parses the words after argv[0]. */
static int parse_words(char **words)
{
	char *argv[WORDS_MOST + 2] = { (char[]){ "cf-pcap" } };
	int argc = 1, result;

	while (words[argc - 1] != NULL) {
		argv[argc] = words[argc - 1];
		argc++;
	}
	memset(&options, 0xee, sizeof options);
	scratch_begin_capture(STDERR_FILENO);
	result = flags_parse(&options, argc, argv);
	messages = scratch_end_capture();
	return result;
}

#define PARSE(...) parse_words((char *[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
#define ASSERT_TAKEN(...)                                     \
	do {                                                  \
		assert_int_equal(PARSE(__VA_ARGS__), 0);      \
		assert_string_equal(messages, "");            \
	} while (0)
#define ASSERT_REFUSED(named, ...)                                         \
	do {                                                               \
		assert_int_equal(PARSE(__VA_ARGS__), -1);                  \
		assert_one_error_about(named);                             \
	} while (0)

static void assert_one_error_about(const char *named)
{
	assert_non_null(strstr(messages, " level=ERROR "));
	assert_ptr_equal(strchr(messages, '\n'), messages + strlen(messages) - 1);
	if (strstr(messages, named) == NULL)
		fail_msg("no \"%s\" in %s", named, messages);
}

static void nothing_given_means_the_defaults(void **state)
{
	(void)state;
	ASSERT_TAKEN();
	assert_null(options.interface);
	assert_string_equal(options.filter, "");
	assert_int_equal(options.snaplen, SNAPLEN_MAX);
	assert_int_equal(options.block_packet, 65550);
	assert_int_equal(options.buffer_size, BUFFER_BYTES_DEFAULT);
	assert_int_equal(options.count, 0);
	assert_int_equal(options.duration, 0);
	assert_int_equal(options.max_size, 0);
	assert_int_equal(options.direction, DIRECTION_INOUT);
	assert_int_equal(options.format, FORMAT_PCAP);
	assert_int_equal(options.headers_only, WISH_UNSAID);
	assert_true(options.promiscuous && options.ssh_guard && options.progress);
	assert_false(options.verbose || options.nano || options.cooked_v1 || options.list_interfaces ||
		     options.version || options.help);
}

static void an_empty_argument_vector_is_no_crash(void **state)
{
	char *none[] = { NULL };

	(void)state;
	assert_int_equal(flags_parse(&options, 0, none), 0);
	assert_null(options.interface);
}

static void a_flag_takes_its_value_in_four_ways(void **state)
{
	(void)state;
	ASSERT_TAKEN("-interface", "eth0");
	assert_string_equal(options.interface, "eth0");
	ASSERT_TAKEN("--interface", "eth1");
	assert_string_equal(options.interface, "eth1");
	ASSERT_TAKEN("-interface=eth2");
	assert_string_equal(options.interface, "eth2");
	ASSERT_TAKEN("--interface=eth3");
	assert_string_equal(options.interface, "eth3");
}

static void the_last_of_equal_flags_counts(void **state)
{
	(void)state;
	ASSERT_TAKEN("-interface", "a", "-interface", "b", "-count=1", "-count=2");
	assert_string_equal(options.interface, "b");
	assert_int_equal(options.count, 2);
	ASSERT_REFUSED("given twice", "-filter", "udp", "-filter", "tcp");
}

static void a_value_may_begin_with_a_dash_or_hold_equal_signs(void **state)
{
	(void)state;
	ASSERT_TAKEN("-filter=ip[0] = 69 and x=y", "-interface", "-lo");
	assert_string_equal(options.filter, "ip[0] = 69 and x=y");
	assert_string_equal(options.interface, "-lo");
}

static void every_flag_reaches_its_option(void **state)
{
	(void)state;
	ASSERT_TAKEN("-interface=lo", "-snaplen=96", "-v", "-count=7", "-duration=1m30s", "-max-size=2M",
		     "-direction=in", "-format=pcapng", "-nano", "-sll1", "-buffer-size=1M", "-no-promisc",
		     "-no-ssh-guard", "-no-progress", "-list-interfaces", "-version", "-help");
	assert_int_equal(options.snaplen, 96);
	assert_int_equal(options.count, 7);
	assert_int_equal(options.duration, UINT64_C(90000000000));
	assert_int_equal(options.max_size, 2 << 20);
	assert_int_equal(options.direction, DIRECTION_IN);
	assert_int_equal(options.format, FORMAT_PCAPNG);
	assert_int_equal(options.buffer_size, 1 << 20);
	assert_false(options.promiscuous || options.ssh_guard || options.progress);
	assert_true(options.verbose && options.nano && options.cooked_v1 && options.list_interfaces &&
		    options.version && options.help);
}

static void a_boolean_takes_the_words_of_go(void **state)
{
	static char *const TRUE_WORDS[] = { "-v=1", "-v=t", "-v=T", "-v=TRUE", "-v=true", "-v=True" };
	static char *const FALSE_WORDS[] = { "-v=0", "-v=f", "-v=F", "-v=FALSE", "-v=false", "-v=False" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TRUE_WORDS); i++) {
		ASSERT_TAKEN(TRUE_WORDS[i]);
		assert_true(options.verbose);
		ASSERT_TAKEN("-v", FALSE_WORDS[i]);
		assert_false(options.verbose);
	}
	ASSERT_TAKEN("-no-promisc=false", "-no-ssh-guard=0", "-no-progress=f");
	assert_true(options.promiscuous && options.ssh_guard && options.progress);
	ASSERT_REFUSED("flag=-v", "-v=yes");
	ASSERT_REFUSED("flag=-nano", "-nano=");
	ASSERT_REFUSED("flag=-no-promisc", "-no-promisc=2");
}

static void headers_only_tells_a_no_from_nothing_said(void **state)
{
	(void)state;
	ASSERT_TAKEN("-headers-only");
	assert_int_equal(options.headers_only, WISH_YES);
	ASSERT_TAKEN("-headers-only=false");
	assert_int_equal(options.headers_only, WISH_NO);
	ASSERT_TAKEN("-headers-only=false", "--headers-only=1", "tcp");
	assert_int_equal(options.headers_only, WISH_YES);
	assert_string_equal(options.filter, "tcp");
	ASSERT_REFUSED("flag=-headers-only", "-headers-only=maybe");
}

static void a_boolean_takes_no_word_behind_it(void **state)
{
	(void)state;
	ASSERT_TAKEN("-v", "false");
	assert_true(options.verbose);
	assert_string_equal(options.filter, "false");
}

static void snaplen_0_means_the_most(void **state)
{
	(void)state;
	ASSERT_TAKEN("-snaplen", "0");
	assert_int_equal(options.snaplen, SNAPLEN_MAX);
	assert_int_equal(options.block_packet, SNAPLEN_MAX);
	ASSERT_TAKEN("-snaplen", "1");
	assert_int_equal(options.snaplen, 1);
	ASSERT_TAKEN("-snaplen", "65535");
	assert_int_equal(options.snaplen, 65535);
	assert_int_equal(options.block_packet, 65535);
	ASSERT_TAKEN("-snaplen", "262144");
	assert_int_equal(options.snaplen, 262144);
}

static void numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED("flag=-snaplen", "-snaplen", "262145");
	ASSERT_REFUSED("flag=-snaplen", "-snaplen", "-1");
	ASSERT_REFUSED("flag=-snaplen", "-snaplen", "18446744073709551616");
	ASSERT_REFUSED("flag=-count", "-count", "0");
	ASSERT_REFUSED("flag=-duration", "-duration", "0s");
	ASSERT_REFUSED("flag=-duration", "-duration", "2562048h");
	ASSERT_REFUSED("expected a duration of at least 10ms, such as 500ms or 10s\" flag=-heartbeat", "-heartbeat", "9ms",
		       "-format", "pcapng");
	ASSERT_REFUSED("flag=-max-size", "-max-size", "1023");
	ASSERT_REFUSED("flag=-buffer-size", "-buffer-size", "262143");
	ASSERT_REFUSED("flag=-buffer-size", "-buffer-size", "67108865");
	ASSERT_REFUSED("flag=-buffer-size", "-buffer-size", "0");
}

static void numbers_at_the_edge_of_their_range_are_taken(void **state)
{
	(void)state;
	ASSERT_TAKEN("-count", "18446744073709551615", "-max-size", "1024", "-buffer-size", "256k",
		     "-duration", "1ns");
	ASSERT_TAKEN("-heartbeat", "10ms", "-format", "pcapng", "-stop-at-eof");
	assert_int_equal(options.heartbeat, 10000000);
	assert_true(options.stop_at_eof);
	ASSERT_REFUSED("pcap has no place for a heartbeat", "-heartbeat", "1s");
	ASSERT_TAKEN("-count", "1", "-max-size", "18446744073709551615", "-buffer-size", "64M", "-duration",
		     "2562047h");
}

static void rubbish_in_a_value_is_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED("flag=-snaplen", "-snaplen", "64k");
	ASSERT_REFUSED("flag=-snaplen", "-snaplen", "12 ");
	ASSERT_REFUSED("flag=-snaplen", "-snaplen", "");
	ASSERT_REFUSED("flag=-count", "-count=1e3");
	ASSERT_REFUSED("flag=-duration", "-duration", "30");
	ASSERT_REFUSED("flag=-max-size", "-max-size", "1T");
	ASSERT_REFUSED("expected one of pcap|pcapng", "-format", "pcap|pcapng");
	ASSERT_REFUSED("expected one of pcap|pcapng", "-format", "");
	ASSERT_REFUSED("expected one of pcap|pcapng", "-format", "pca");
	ASSERT_REFUSED("expected one of inout|in|out", "-direction", "INOUT");
	ASSERT_REFUSED("expected one of inout|in|out", "-direction", "|in");
}

static void every_choice_is_taken(void **state)
{
	(void)state;
	ASSERT_TAKEN("-direction", "in", "-format", "pcap");
	assert_int_equal(options.direction, DIRECTION_IN);
	assert_int_equal(options.format, FORMAT_PCAP);
	ASSERT_TAKEN("-direction", "out", "-format", "pcapng");
	assert_int_equal(options.direction, DIRECTION_OUT);
	assert_int_equal(options.format, FORMAT_PCAPNG);
	ASSERT_TAKEN("-direction", "inout");
	assert_int_equal(options.direction, DIRECTION_INOUT);
}

static void unknown_flags_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED("flag=-bogus", "-bogus");
	ASSERT_REFUSED("flag=\"-bogus=1\"", "-bogus=1");
	ASSERT_REFUSED("flag=---v", "---v");
	ASSERT_REFUSED("flag=-interfac", "-interfac", "lo");
	ASSERT_REFUSED("flag=-interfaces", "-interfaces", "lo");
	ASSERT_REFUSED("flag=\"-=\"", "-=");
	ASSERT_REFUSED("flag=-i", "-i", "lo");
}

static void a_flag_without_its_value_is_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED("flag=-interface", "-interface");
	ASSERT_REFUSED("flag=-snaplen", "-v", "-snaplen");
}

static void h_is_help(void **state)
{
	(void)state;
	ASSERT_TAKEN("-h");
	assert_true(options.help);
	ASSERT_TAKEN("--help");
	assert_true(options.help);
}

static void interface_names_have_1_to_15_characters(void **state)
{
	(void)state;
	ASSERT_TAKEN("-interface", "fifteen-letters");
	ASSERT_REFUSED("flag=-interface", "-interface", "sixteen-letters!");
	ASSERT_REFUSED("flag=-interface", "-interface", "");
	ASSERT_REFUSED("flag=-interface", "-interface=");
}

static void left_over_words_are_the_filter(void **state)
{
	(void)state;
	ASSERT_TAKEN("-interface", "lo", "tcp", "port", "80");
	assert_string_equal(options.filter, "tcp port 80");
	ASSERT_TAKEN("ip[2:2]", "-20", ">", "---v");
	assert_string_equal(options.filter, "ip[2:2] -20 > ---v");
	ASSERT_TAKEN("--", "tcp", "-v");
	assert_string_equal(options.filter, "tcp -v");
	assert_false(options.verbose);
	ASSERT_TAKEN("-");
	assert_string_equal(options.filter, "-");
	ASSERT_TAKEN("--");
	assert_string_equal(options.filter, "");
}

static void a_filter_given_in_both_ways_is_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED("filter given twice", "-filter", "tcp", "udp");
}

static void flags_after_the_filter_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED("flags come before", "tcp", "-count", "2");
	ASSERT_REFUSED("flags come before", "tcp", "--count=2");
}

static char *long_text(size_t length)
{
	char *text = malloc(length + 1);

	assert_non_null(text);
	memset(text, 'x', length);
	text[length] = '\0';
	return text;
}

static void a_filter_may_be_16383_characters_long(void **state)
{
	char *longest = long_text(FILTER_TEXT_SIZE - 1), *longer = long_text(FILTER_TEXT_SIZE);

	(void)state;
	ASSERT_TAKEN("-filter", longest);
	assert_string_equal(options.filter, longest);
	ASSERT_REFUSED("flag=-filter", "-filter", longer);
	ASSERT_REFUSED("filter is too long", longer);
	ASSERT_REFUSED("filter is too long", longest, "x");
	free(longest);
	free(longer);
}

static void words_that_fill_the_filter_exactly_are_taken(void **state)
{
	char *half = long_text(FILTER_TEXT_SIZE / 2 - 1), *rest = long_text(FILTER_TEXT_SIZE / 2 - 1);

	(void)state;
	ASSERT_TAKEN(half, rest);
	assert_int_equal(strlen(options.filter), FILTER_TEXT_SIZE - 1);
	ASSERT_REFUSED("filter is too long", half, rest, "");
	free(half);
	free(rest);
}

static void hostile_words_reach_the_terminal_quoted_only(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-\033[2J\nlevel=INFO"), -1);
	assert_null(strchr(messages, '\033'));
	assert_one_error_about("\\x1b[2J\\n");
}

static void help_names_every_flag(void **state)
{
	static const char *const NAMES[] = { "interface", "snaplen", "filter", "v", "count", "duration",
					     "max-size", "direction", "format", "nano", "buffer-size", "stop-at-eof", "heartbeat",
					     "no-promisc", "no-ssh-guard", "no-progress", "list-interfaces", "version",
					     "help" };
	char line[40];
	const char *help;

	(void)state;
	fflush(stdout);
	scratch_begin_capture(STDOUT_FILENO);
	flags_print_help();
	fflush(stdout);
	help = scratch_end_capture();
	for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
		snprintf(line, sizeof line, "\n  -%s ", NAMES[i]);
		assert_non_null(strstr(help, line));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given_means_the_defaults),
		cmocka_unit_test(an_empty_argument_vector_is_no_crash),
		cmocka_unit_test(a_flag_takes_its_value_in_four_ways),
		cmocka_unit_test(the_last_of_equal_flags_counts),
		cmocka_unit_test(a_value_may_begin_with_a_dash_or_hold_equal_signs),
		cmocka_unit_test(every_flag_reaches_its_option),
		cmocka_unit_test(a_boolean_takes_the_words_of_go),
		cmocka_unit_test(headers_only_tells_a_no_from_nothing_said),
		cmocka_unit_test(a_boolean_takes_no_word_behind_it),
		cmocka_unit_test(snaplen_0_means_the_most),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(numbers_at_the_edge_of_their_range_are_taken),
		cmocka_unit_test(rubbish_in_a_value_is_refused),
		cmocka_unit_test(every_choice_is_taken),
		cmocka_unit_test(unknown_flags_are_refused),
		cmocka_unit_test(a_flag_without_its_value_is_refused),
		cmocka_unit_test(h_is_help),
		cmocka_unit_test(interface_names_have_1_to_15_characters),
		cmocka_unit_test(left_over_words_are_the_filter),
		cmocka_unit_test(a_filter_given_in_both_ways_is_refused),
		cmocka_unit_test(flags_after_the_filter_are_refused),
		cmocka_unit_test(a_filter_may_be_16383_characters_long),
		cmocka_unit_test(words_that_fill_the_filter_exactly_are_taken),
		cmocka_unit_test(hostile_words_reach_the_terminal_quoted_only),
		cmocka_unit_test(help_names_every_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
