/* collector/desk/flags.c, words.c, remote.c, targets.c: the command line, and those that are made of it. */
#include "collector/desk/flags.h"

#include <string.h>

#include "collector/desk/remote.h"
#include "collector/desk/targets.h"
#include "collector/desk/words.h"
#include "scratch.h"

static struct collect_options options;

/* Parses a command line, of words that end with a NULL. What is said is kept from the terminal. */
static int parse(const char **words)
{
	int count = 0, result;

	while (words[count] != NULL)
		count++;
	scratch_begin_capture(STDERR_FILENO);
	result = collect_flags_parse(&options, count, (char *const *)(uintptr_t)words);
	scratch_end_capture();
	return result;
}

#define PARSE(...) parse((const char *[]){ "cf-pcap-collect", __VA_ARGS__, NULL })

static void apps_are_the_words_before_the_first_flag(void **state)
{
	(void)state;
	assert_int_equal(PARSE("shop", "api", "-interface", "lo", "tcp", "port", "80"), 0);
	assert_int_equal(options.app_count, 2);
	assert_string_equal(options.apps[1], "api");
	assert_string_equal(options.filter, "tcp port 80");
	assert_true(options.window == 500000000 && options.memory == 0);
}

static void each_flag_is_stored(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-host", "a", "--host=b", "-interface", "lo", "-o", "f", "-rotate-size", "1M", "-rotate-every",
			       "5m", "-keep", "3", "-duration", "1h", "-count", "7", "-max-size", "2G", "-window", "1s",
			       "-memory", "128M", "-reconnect", "-nano", "-headers-only", "-snaplen", "96"),
			 0);
	assert_int_equal(options.host_count, 2);
	assert_string_equal(options.hosts[1], "b");
	assert_true(options.rotate_size == 1u << 20 && options.rotate_every == UINT64_C(300000000000));
	assert_true(options.keep == 3 && options.count == 7 && options.max_size == UINT64_C(2) << 30);
	assert_true(options.reconnect && options.nano && options.headers_only && !options.cooked_v1);
	assert_string_equal(options.snaplen, "96");
}

static void what_does_not_go_together_is_refused(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-host", "a"), -1);
	assert_int_equal(PARSE("-interface", "lo"), -1);
	assert_int_equal(PARSE("app", "-host", "a", "-interface", "lo"), -1);
	assert_int_equal(PARSE("-host", "a", "-interface", "lo", "-keep", "2", "-o", "f"), -1);
	assert_int_equal(PARSE("-host", "a", "-interface", ""), -1);
	assert_int_equal(PARSE("-host", "a", "-interface", "lo", "-count", "0"), -1);
	assert_int_equal(PARSE("-host", "a", "-interface"), -1);
	assert_int_equal(PARSE("-host", "a", "-interface", "lo", "-filter", "x", "y"), -1);
	assert_int_equal(PARSE("-help"), 0);
}

/* Words. */

static struct words words, remote;

static void assert_words(const char *const *expected)
{
	size_t count = 0;

	for (; expected[count] != NULL; count++)
		assert_string_equal(words.word[count], expected[count]);
	assert_int_equal(words.count, count);
	assert_null(words.word[count]);
}

static int expand(const char *template)
{
	const struct words_values values = { "app one", "3", "web", "lo", &remote };

	words.count = words.used = 0;
	return words_expand(&words, template, &values);
}

static void a_template_becomes_words_without_a_shell(void **state)
{
	(void)state;
	remote.count = remote.used = 0;
	assert_int_equal(words_add_split(&remote, "  cf-pcap -interface\tlo "), 0);
	assert_int_equal(words_add(&remote, "it's $HOME"), 0);
	assert_int_equal(expand("ssh  {} x{index}-{process}{interface} {words} {unknown} ;"), 0);
	assert_words((const char *const[]){ "ssh", "app one", "x3-weblo", "cf-pcap", "-interface", "lo", "it's $HOME",
					    "{unknown}", ";", NULL });
	assert_int_equal(expand("sh -c {command}"), 0);
	assert_words((const char *const[]){ "sh", "-c", "cf-pcap -interface lo 'it'\\''s $HOME'", NULL });
}

static void words_are_quoted_where_a_shell_would_see_more_in_them(void **state)
{
	static const char *const CASES[][2] = { { "plain-1.2/x:y@z,%+", "plain-1.2/x:y@z,%+" }, { "", "''" }, { "a b", "'a b'" },
						{ "~", "'~'" }, { "A=b", "'A=b'" }, { "'", "''\\'''" }, { "a\nb", "'a\nb'" },
						{ "#", "'#'" }, { "\xc3\xa4", "'\xc3\xa4'" } };
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		words.count = words.used = 0;
		assert_int_equal(words_add(&words, CASES[i][0]), 0);
		assert_int_equal(words_quote(&words, out, sizeof out), 0);
		assert_string_equal(out, CASES[i][1]);
	}
}

static void what_does_not_fit_is_refused(void **state)
{
	static char long_word[WORDS_BYTES + 1];
	char out[8];

	(void)state;
	memset(long_word, 'x', WORDS_BYTES);
	words.count = words.used = 0;
	assert_int_equal(words_add(&words, long_word), -1);
	for (size_t i = 0; i < WORDS_MOST; i++)
		assert_int_equal(words_add(&words, "x"), 0);
	assert_int_equal(words_add(&words, "x"), -1);
	assert_int_equal(words_quote(&words, out, sizeof out), -1);
	remote.count = remote.used = 0;
	assert_int_equal(words_add(&remote, "''''''"), 0);
	assert_int_equal(words_quote(&remote, out, sizeof out), -1);
}

/* The words of each program. */

static const char *made(enum dialect dialect)
{
	static char out[WORDS_BYTES];

	assert_null(remote_make(&words, dialect, &options, "lo"));
	assert_int_equal(words_quote(&words, out, sizeof out), 0);
	return out;
}

static void each_program_is_asked_in_its_own_words(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-via", "{words}", "-host", "a", "-interface", "lo", "-snaplen", "96", "-window", "1500ms", "-remote",
			       "x/cf-pcap", "udp"), 0);
	assert_string_equal(made(DIALECT_CURRENT),
			    "x/cf-pcap -interface lo -format pcapng -heartbeat 500ms -stop-at-eof -snaplen 96 -filter udp");
	assert_string_equal(made(DIALECT_FIRST), "x/cf-pcap -interface lo -format pcapng -snaplen 96 -filter udp");
	assert_string_equal(made(DIALECT_PLATFORM), "x/cf-pcap -interface lo -snaplen 96 -filter udp");
	options.remote = "sudo -n tcpdump";
	assert_string_equal(made(DIALECT_TCPDUMP), "sudo -n tcpdump -U -n --immediate-mode -w - -i lo -s 96 -- udp");
	options.remote = "dumpcap";
	assert_string_equal(made(DIALECT_DUMPCAP), "dumpcap -q -w - -i lo -s 96 -f udp");
}

static void by_ssh_a_shell_ends_what_only_knows_signals(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-via", "/usr/bin/ssh -- {} {command}", "-host", "a", "-interface", "lo"), 0);
	assert_true(remote_stops_at_eof(DIALECT_CURRENT, &options) && remote_stops_at_eof(DIALECT_TCPDUMP, &options));
	assert_null(strstr(made(DIALECT_CURRENT), "sh -c"));
	assert_int_equal(strncmp(made(DIALECT_TCPDUMP), "sh -c 'exec 3<&0;", strlen("sh -c 'exec 3<&0;")), 0);
	assert_int_equal(PARSE("-via", "sshpass {command}", "-host", "a", "-interface", "lo"), 0);
	assert_false(remote_stops_at_eof(DIALECT_TCPDUMP, &options));
	assert_null(strstr(made(DIALECT_TCPDUMP), "sh -c"));
}

static void what_a_program_cannot_do_is_not_left_out(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-host", "a", "-interface", "lo", "-headers-only"), 0);
	assert_null(remote_make(&words, DIALECT_CURRENT, &options, "lo"));
	for (int dialect = DIALECT_FIRST; dialect <= DIALECT_DUMPCAP; dialect++)
		assert_string_equal(remote_make(&words, (enum dialect)dialect, &options, "lo"), "-headers-only");
	assert_int_equal(PARSE("-host", "a", "-interface", "lo", "-direction", "in"), 0);
	assert_string_equal(remote_make(&words, DIALECT_PLATFORM, &options, "lo"), "-direction");
	assert_string_equal(remote_make(&words, DIALECT_DUMPCAP, &options, "lo"), "-direction");
}

static void a_program_is_known_by_its_name(void **state)
{
	enum dialect dialect = DIALECT_CURRENT;

	(void)state;
	assert_int_equal(remote_first_dialect("/usr/bin/tcpdump"), DIALECT_TCPDUMP);
	assert_int_equal(remote_first_dialect("sudo -n tcpdump "), DIALECT_TCPDUMP);
	assert_int_equal(remote_first_dialect("dumpcap"), DIALECT_DUMPCAP);
	assert_int_equal(remote_first_dialect("/tcpdump/cf-pcap"), DIALECT_CURRENT);
	assert_true(remote_step_down(&dialect) && dialect == DIALECT_FIRST);
	assert_true(remote_step_down(&dialect) && dialect == DIALECT_PLATFORM);
	assert_false(remote_step_down(&dialect));
	dialect = DIALECT_TCPDUMP;
	assert_false(remote_step_down(&dialect));
}

static void lists_of_instances_are_read(void **state)
{
	static const char *const BAD[] = { "", "1,", ",1", "1-", "-1", "3-2", "1 2", "x", "99999999", "1--2" };

	(void)state;
	assert_int_equal(targets_list_holds(NULL, 7), 1);
	assert_int_equal(targets_list_holds("0,2-4", 0), 1);
	assert_int_equal(targets_list_holds("0,2-4", 1), 0);
	assert_int_equal(targets_list_holds("0,2-4", 3), 1);
	assert_int_equal(targets_list_holds("0,2-4", 5), 0);
	for (size_t i = 0; i < COUNT_OF(BAD); i++)
		assert_int_equal(targets_list_holds(BAD[i], 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apps_are_the_words_before_the_first_flag),
		cmocka_unit_test(each_flag_is_stored),
		cmocka_unit_test(what_does_not_go_together_is_refused),
		cmocka_unit_test(a_template_becomes_words_without_a_shell),
		cmocka_unit_test(words_are_quoted_where_a_shell_would_see_more_in_them),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(each_program_is_asked_in_its_own_words),
		cmocka_unit_test(by_ssh_a_shell_ends_what_only_knows_signals),
		cmocka_unit_test(what_a_program_cannot_do_is_not_left_out),
		cmocka_unit_test(a_program_is_known_by_its_name),
		cmocka_unit_test(lists_of_instances_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
