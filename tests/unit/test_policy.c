/* writer/setup/policy.c: the operator's policy, word by word. */
#include "writer/setup/policy.h"

#include <stdlib.h>
#include <string.h>

#include "scratch.h"

#define MINUTE UINT64_C(60000000000)

static struct policy policy;
static struct policy_fault fault;

static int parse_bytes(const char *text, size_t length)
{
	memset(&policy, 0xee, sizeof policy);
	assert_true(length <= POLICY_BYTES);
	memcpy(policy.text, text, length);
	return policy_parse(&policy, length, &fault);
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void assert_refused(const char *text, unsigned int line, const char *reason)
{
	assert_int_equal(parse(text), -1);
	assert_int_equal(fault.line, line);
	if (strstr(fault.reason, reason) == NULL)
		fail_msg("\"%s\": no \"%s\" in \"%s\"", text, reason, fault.reason);
	assert_non_null(fault.text);
}

static void each_word_is_taken(void **state)
{
	(void)state;
	assert_int_equal(parse("# of this cell\n"
			       "headers-only\n"
			       "max-snaplen 128\n"
			       "\n"
			       "  max-duration\t10m \n"
			       "max-size 100M\n"
			       "max-captures 2\n"
			       "\t# and where\n"
			       "interfaces lo  eth0\tany\n"
			       "filter not port 5432 and not port 3306\n"), 0);
	assert_string_equal(policy.value[POLICY_HEADERS_ONLY], "");
	assert_int_equal(policy.number[POLICY_MAX_SNAPLEN], 128);
	assert_int_equal(policy.number[POLICY_MAX_DURATION], 10 * MINUTE);
	assert_string_equal(policy.value[POLICY_MAX_DURATION], "10m");
	assert_int_equal(policy.number[POLICY_MAX_SIZE], 100 << 20);
	assert_int_equal(policy_captures(&policy), 2);
	assert_string_equal(policy_filter(&policy), "not port 5432 and not port 3306");
}

static void what_is_not_there_does_not_limit(void **state)
{
	(void)state;
	assert_int_equal(parse("max-snaplen 1"), 0); /* without a newline at the end */
	for (int word = 0; word < POLICY_WORDS; word++)
		if (word != POLICY_MAX_SNAPLEN)
			assert_true(policy.value[word] == NULL && policy.number[word] == 0);
	assert_int_equal(policy_captures(&policy), 8);
	assert_string_equal(policy_filter(&policy), "");
	assert_true(policy_allows_interface(&policy, "any"));
}

static void only_the_interfaces_of_the_list_are_allowed(void **state)
{
	static const char *const OTHERS[] = { "any", "l", "lo0", "eth", "eth1", "lo eth0", " lo", "", "o" };

	(void)state;
	assert_int_equal(parse("interfaces lo\t eth0 "), 0);
	assert_true(policy_allows_interface(&policy, "lo"));
	assert_true(policy_allows_interface(&policy, "eth0"));
	for (size_t i = 0; i < COUNT_OF(OTHERS); i++)
		assert_false(policy_allows_interface(&policy, OTHERS[i]));
	assert_int_equal(parse("interfaces any"), 0);
	assert_true(policy_allows_interface(&policy, "any"));
	assert_false(policy_allows_interface(&policy, "lo"));
}

static void the_bounds_are_those_of_the_flags(void **state)
{
	static const char *const GOOD[] = { "max-snaplen 262144", "max-duration 1ns", "max-size 1k", "max-size 1024",
					    "max-size 18446744073709551615", "max-captures 1", "max-captures 8",
					    "max-duration 9223372036854775807ns", "interfaces fifteen-letters" };
	static const char *const BAD[] = {
		"max-snaplen 0", "max-snaplen 262145", "max-snaplen -1", "max-snaplen 128 bytes", "max-snaplen 1k",
		"max-snaplen", "max-snaplen 0x80", "max-duration 0s", "max-duration 10", "max-duration -1s",
		"max-duration 10m # ten", "max-duration 9223372036854775808ns", "max-size 1023", "max-size 100MB",
		"max-size 18446744073709551616", "max-size", "max-captures 0", "max-captures 9", "max-captures all",
		"interfaces", "interfaces lo, eth0/x", "interfaces sixteen-letters!", "interfaces lo eth0:1",
		"interfaces ..", "filter", "headers-only true", "headers-only false",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(GOOD); i++)
		assert_int_equal(parse(GOOD[i]), 0);
	for (size_t i = 0; i < COUNT_OF(BAD); i++)
		assert_refused(BAD[i], 1, "expected ");
}

static void another_word_is_refused_and_its_line_told(void **state)
{
	static const char *const WORDS[] = { "max-snapln 128", "Headers-Only", "headers-only:", "-headers-only",
					     "\xef\xbb\xbfheaders-only", "max-snaplen=128", "count 5", "headers_only" };
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
		snprintf(text, sizeof text, "headers-only\n\n%s\n", WORDS[i]);
		assert_refused(text, 3, "unknown word");
		assert_memory_equal(fault.text, WORDS[i], strlen(fault.text));
	}
}

static void a_word_stands_there_once(void **state)
{
	(void)state;
	assert_refused("max-size 1M\nheaders-only\nmax-size 2M\n", 3, "this word was there before");
	assert_refused("headers-only\nheaders-only", 2, "this word was there before");
	assert_refused("filter tcp\nfilter udp", 2, "this word was there before");
}

static void a_policy_that_limits_nothing_is_none(void **state)
{
	(void)state;
	assert_refused("", 0, "it limits nothing");
	assert_refused("\n\n", 0, "it limits nothing");
	assert_refused("# headers-only\n", 0, "it limits nothing");
}

static void control_characters_are_refused(void **state)
{
	char text[] = "headers-only\nfilter tcp?\n# a comment? too\n";
	char *const places[] = { strchr(text, '?'), strrchr(text, '?') };

	(void)state;
	assert_refused("headers-only\r\n", 1, "CRLF");
	assert_refused("headers-only\rmax-size 1k", 1, "control character");
	for (size_t i = 0; i < COUNT_OF(places); i++)
		for (int byte = 1; byte < 256; byte++) {
			const bool bad = (byte < ' ' && byte != '\t' && byte != '\n') || byte == 0x7f;
			*places[i] = (char)byte;
			if (bad)
				assert_refused(text, (unsigned int)i + 2, "control character");
			else if (byte != '\n')
				assert_int_equal(parse(text), 0);
			*places[i] = '?';
		}
}

/* What follows it would be lost. */
static void a_nul_byte_is_refused_wherever_it_is(void **state)
{
	static const char TEXT[] = "headers-only\nmax-size 1k\n";
	char copy[sizeof TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof TEXT - 1; i++) {
		memcpy(copy, TEXT, sizeof TEXT);
		copy[i] = '\0';
		assert_int_equal(parse_bytes(copy, sizeof TEXT - 1), -1);
		assert_string_equal(fault.reason, "there is a NUL byte in it");
	}
}

static void a_file_of_4096_bytes_fits(void **state)
{
	static char text[POLICY_BYTES];

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "filter ", 7);
	assert_int_equal(parse_bytes(text, sizeof text), 0);
	assert_int_equal(strlen(policy_filter(&policy)), POLICY_BYTES - 7);
	memset(text, '\n', sizeof text);
	memcpy(text + sizeof text - strlen("headers-only"), "headers-only", strlen("headers-only"));
	assert_int_equal(parse_bytes(text, sizeof text), 0);
}

static void the_report_shows_what_is_wrong_and_no_more_than_that(void **state)
{
	static char text[POLICY_BYTES];
	const char *messages;

	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(parse_bytes(text, sizeof text), -1);
	scratch_begin_capture(STDERR_FILENO);
	assert_int_equal(policy_report(&fault), -1);
	messages = scratch_end_capture();
	assert_non_null(strstr(messages, "level=ERROR msg=\"the operator's policy cannot be used, so nothing is captured\" "
					 "policy=cf-pcap.policy line=1 reason=\"unknown word\" text=xxx"));
	assert_true(strlen(messages) < 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_word_is_taken),
		cmocka_unit_test(what_is_not_there_does_not_limit),
		cmocka_unit_test(only_the_interfaces_of_the_list_are_allowed),
		cmocka_unit_test(the_bounds_are_those_of_the_flags),
		cmocka_unit_test(another_word_is_refused_and_its_line_told),
		cmocka_unit_test(a_word_stands_there_once),
		cmocka_unit_test(a_policy_that_limits_nothing_is_none),
		cmocka_unit_test(control_characters_are_refused),
		cmocka_unit_test(a_nul_byte_is_refused_wherever_it_is),
		cmocka_unit_test(a_file_of_4096_bytes_fits),
		cmocka_unit_test(the_report_shows_what_is_wrong_and_no_more_than_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
