/* writer/setup/limits.c: no option exceeds what the operator allows. */
#include "writer/setup/limits.h"

#include <string.h>

#include "scratch.h"

#define SECOND UINT64_C(1000000000)

static struct policy policy;
static struct options options;
static const char *messages;

static void allow(const char *text)
{
	struct policy_fault fault;

	memcpy(policy.text, text, strlen(text));
	assert_int_equal(policy_parse(&policy, strlen(text), &fault), 0);
}

static int apply(char **argv)
{
	int argc = 0, result;

	while (argv[argc] != NULL)
		argc++;
	assert_int_equal(flags_parse(&options, argc, argv), 0);
	scratch_begin_capture(STDERR_FILENO);
	result = limits_apply(&options, &policy);
	messages = scratch_end_capture();
	return result;
}

#define APPLY(...) apply((char *[]){ (char[]){ "cf-pcap" }, (char[]){ "-interface=eth0" }, __VA_ARGS__ __VA_OPT__(, ) NULL })
#define WORD(text) ((char[]){ text })

static void without_a_policy_everything_is_as_asked_and_nothing_is_said(void **state)
{
	(void)state;
	memset(&policy, 0, sizeof policy);
	assert_int_equal(APPLY(WORD("-snaplen=9000")), 0);
	assert_string_equal(messages, "");
	assert_int_equal(options.snaplen, 9000);
	assert_int_equal(options.headers_only, WISH_UNSAID);
	assert_true(options.duration == 0 && options.max_size == 0);
}

static void a_filter_of_the_users_may_be_refused(void **state)
{
	(void)state;
	allow("no-user-filter\nfilter tcp port 80");
	assert_int_equal(APPLY(), 0);
	assert_non_null(strstr(messages, "no-user-filter=true"));
	assert_int_equal(APPLY(WORD("-filter=")), 0);
	assert_int_equal(APPLY(WORD("-filter=udp[128] & 1 != 0")), -1);
	assert_non_null(strstr(messages, "allows no filter of the user's"));
	assert_int_equal(APPLY(WORD("udp")), -1);
}

static void what_the_user_does_not_limit_is_limited(void **state)
{
	(void)state;
	allow("headers-only\nmax-snaplen 128\nmax-duration 10s\nmax-size 1M");
	assert_int_equal(APPLY(), 0);
	assert_int_equal(options.headers_only, WISH_YES);
	assert_int_equal(options.snaplen, 128);
	assert_int_equal(options.block_packet, 128);
	assert_int_equal(options.duration, 10 * SECOND);
	assert_int_equal(options.max_size, 1 << 20);
}

static void what_the_user_asks_for_beyond_it_is_lowered(void **state)
{
	(void)state;
	allow("max-snaplen 128\nmax-duration 10s\nmax-size 1M");
	assert_int_equal(APPLY(WORD("-snaplen=0"), WORD("-duration=11s"), WORD("-max-size=2M")), 0);
	assert_int_equal(options.snaplen, 128);
	assert_int_equal(options.duration, 10 * SECOND);
	assert_int_equal(options.max_size, 1 << 20);
}

static void what_the_user_limits_further_stays_as_it_is(void **state)
{
	(void)state;
	allow("max-snaplen 128\nmax-duration 10s\nmax-size 1M");
	assert_int_equal(APPLY(WORD("-snaplen=64"), WORD("-duration=9s"), WORD("-max-size=2k"), WORD("-headers-only")), 0);
	assert_int_equal(options.snaplen, 64);
	assert_int_equal(options.block_packet, 64);
	assert_int_equal(options.duration, 9 * SECOND);
	assert_int_equal(options.max_size, 2048);
	assert_int_equal(options.headers_only, WISH_YES);
}

static void payload_that_the_user_asks_for_is_an_error_that_names_the_operator(void **state)
{
	(void)state;
	allow("headers-only");
	assert_int_equal(APPLY(WORD("-headers-only=false")), -1);
	assert_non_null(strstr(messages, "level=ERROR msg=\"the operator's policy allows headers only\" flag=-headers-only"));
	assert_int_equal(APPLY(WORD("-headers-only=true")), 0);
	allow("max-size 1M");
	assert_int_equal(APPLY(WORD("-headers-only=false")), 0);
}

static void an_interface_that_is_not_allowed_is_an_error_that_names_those_that_are(void **state)
{
	(void)state;
	allow("interfaces lo any");
	assert_int_equal(APPLY(), -1);
	assert_non_null(strstr(messages, "msg=\"the operator's policy does not allow this interface\" interface=eth0 allowed=\"lo any\""));
	allow("interfaces lo eth0");
	assert_int_equal(APPLY(), 0);
}

static void the_whole_policy_is_told_on_one_line(void **state)
{
	(void)state;
	allow("filter not port 5432\nheaders-only\nmax-snaplen 128\nmax-duration 10m\nmax-size 1M\n"
	      "max-captures 2\ninterfaces eth0\n");
	assert_int_equal(APPLY(), 0);
	assert_non_null(strstr(messages, "level=INFO msg=\"limited by the operator's policy\" headers-only=true max-snaplen=128 "
					 "max-duration=10m max-size=1M max-captures=2 interfaces=eth0 "
					 "filter=\"not port 5432\"\n"));
	assert_ptr_equal(strchr(messages, '\n'), messages + strlen(messages) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_policy_everything_is_as_asked_and_nothing_is_said),
		cmocka_unit_test(a_filter_of_the_users_may_be_refused),
		cmocka_unit_test(what_the_user_does_not_limit_is_limited),
		cmocka_unit_test(what_the_user_asks_for_beyond_it_is_lowered),
		cmocka_unit_test(what_the_user_limits_further_stays_as_it_is),
		cmocka_unit_test(payload_that_the_user_asks_for_is_an_error_that_names_the_operator),
		cmocka_unit_test(an_interface_that_is_not_allowed_is_an_error_that_names_those_that_are),
		cmocka_unit_test(the_whole_policy_is_told_on_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
