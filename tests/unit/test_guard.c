/* writer/setup/guard.c: the guard from environments, honest and hostile. */
#include "setup/guard.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/protocol.h"
#include "scratch.h"

#define ENVOY \
	"[{\"external\":61012,\"internal\":8080,\"external_tls_proxy\":61014,\"internal_tls_proxy\":61001}," \
	"{\"external\":61013,\"internal\":2222,\"external_tls_proxy\":61015,\"internal_tls_proxy\":61002}]"
#define UNPROXIED "[{\"external\":61001,\"internal\":8080},{\"external\":61002,\"internal\":2222}]"
#define ONLY_SSH "not tcp port 2222"
#define WITH_PROXY(port) "not tcp port 2222 and not tcp port " port

static char text[GUARD_TEXT_SIZE];
static struct guard_warnings warnings;
static const char *messages;

static void make(const char *interface, const char *ports, const char *ssh)
{
	memset(text, 'x', sizeof text);
	scratch_begin_capture(STDERR_FILENO);
	guard_make(text, sizeof text, interface, ports, ssh, &warnings);
	guard_warnings_report(&warnings);
	messages = scratch_end_capture();
	assert_non_null(memchr(text, '\0', sizeof text));
}

static void assert_guard(const char *interface, const char *ports, const char *ssh, const char *expected)
{
	make(interface, ports, ssh);
	assert_string_equal(text, expected);
	assert_string_equal(messages, "");
}

static void assert_guard_with_warning(const char *interface, const char *ports, const char *ssh,
				      const char *expected)
{
	make(interface, ports, ssh);
	assert_string_equal(text, expected);
	assert_non_null(strstr(messages, "level=WARN"));
}

static void loopback_leaves_out_port_2222_whatever_is_known(void **state)
{
	(void)state;
	assert_guard("lo", NULL, NULL, ONLY_SSH);
	assert_guard("lo", ENVOY, NULL, ONLY_SSH);
	assert_guard("lo", "garbage", NULL, ONLY_SSH);
}

static void a_container_interface_leaves_out_the_proxy_port_too(void **state)
{
	(void)state;
	assert_guard("eth0", ENVOY, NULL, WITH_PROXY("61002"));
	assert_guard("any", ENVOY, NULL, WITH_PROXY("61002"));
}

static void without_a_proxy_ssh_arrives_unproxied(void **state)
{
	(void)state;
	assert_guard("eth0", UNPROXIED, NULL, ONLY_SSH);
	assert_guard("eth0", "[]", NULL, ONLY_SSH);
}

static void outside_a_container_nothing_is_known_of_other_interfaces(void **state)
{
	(void)state;
	assert_guard("eth0", NULL, NULL, "");
	assert_guard("any", NULL, NULL, ONLY_SSH);
}

static void a_missing_key_means_none(void **state)
{
	(void)state;
	assert_guard("eth0", "[{\"internal\":2222}]", NULL, ONLY_SSH);
	assert_guard("eth0", "[{\"internal_tls_proxy\":61002}]", NULL, ONLY_SSH);
	assert_guard("eth0", "[{}]", NULL, ONLY_SSH);
}

static void every_proxy_of_ssh_is_left_out_once(void **state)
{
	(void)state;
	assert_guard("eth0",
		     "[{\"internal\":2222,\"internal_tls_proxy\":1},{\"internal\":2222,\"internal_tls_proxy\":65535},"
		     "{\"internal\":2222,\"internal_tls_proxy\":1},{\"internal\":2223,\"internal_tls_proxy\":7}]",
		     NULL, "not tcp port 2222 and not tcp port 1 and not tcp port 65535");
}

static void the_last_of_equal_keys_counts(void **state)
{
	(void)state;
	assert_guard("eth0", "[{\"internal\":1,\"internal\":2222,\"internal_tls_proxy\":5,\"internal_tls_proxy\":6}]",
		     NULL, WITH_PROXY("6"));
}

static void a_port_that_is_none_is_ignored_with_a_warning(void **state)
{
	static const char *const PORTS[] = { "0",      "-1",	"65536", "\"61002\"", "61002.0", "6.1e4", "null",
					     "true",   "[1]",	"{}",	 "\"1 or tcp\"", "9223372036854775807",
					     "-9223372036854775808", "4294967296" };
	char json[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(PORTS); i++) {
		snprintf(json, sizeof json, "[{\"internal\":2222,\"internal_tls_proxy\":%s}]", PORTS[i]);
		assert_guard_with_warning("eth0", json, NULL, ONLY_SSH);
		snprintf(json, sizeof json,
			 "[{\"internal\":%s,\"internal_tls_proxy\":1},{\"internal\":2222,\"internal_tls_proxy\":2}]",
			 PORTS[i]);
		assert_guard_with_warning("eth0", json, NULL, WITH_PROXY("2"));
	}
}

static void what_is_no_list_of_objects_is_ignored_with_a_warning(void **state)
{
	static const char *const TEXTS[] = {
		"",	  " ",	   "{}",      "null",	"2222",	 "\"[]\"", "[",	   "[]]",   "[{]",   "[}",
		"[1]",	  "[[]]",  "[null]",  "[{},]",	"[{}",	 "{\"internal\":2222}",	   "not json",
		"[{\"internal\":2222,\"internal_tls_proxy\":99999999999999999999}]", "[{\"internal\":02222}]",
		"[{internal:2222}]", "\xff\xfe", "[\"\\ud800\"]", "[\"\x80\"]", "[] or tcp",
		"[{\"internal\":2222,\"internal_tls_proxy\":1}] ) or tcp (",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
		assert_guard_with_warning("eth0", TEXTS[i], NULL, ONLY_SSH);
}

static void an_entry_that_is_no_object_does_not_spoil_the_others(void **state)
{
	(void)state;
	assert_guard_with_warning("eth0", "[17,{\"internal\":2222,\"internal_tls_proxy\":61002},null]", NULL,
				  WITH_PROXY("61002"));
}

static void deep_nesting_is_ignored_with_a_warning(void **state)
{
	static char json[60001];

	(void)state;
	memset(json, '[', sizeof json - 1);
	assert_guard_with_warning("eth0", json, NULL, ONLY_SSH);
	for (size_t i = 0; i + 5 < sizeof json; i += 5)
		memcpy(json + i, "{\"a\":", 5);
	assert_guard_with_warning("eth0", json, NULL, ONLY_SSH);
}

static void up_to_64_kibibytes_are_read_and_no_more(void **state)
{
	static char json[65538];
	static const char HEAD[] = "[{\"internal\":2222,\"internal_tls_proxy\":61002}";

	(void)state;
	memset(json, ' ', sizeof json - 1);
	memcpy(json, HEAD, sizeof HEAD - 1);
	json[65535] = ']';
	json[65536] = '\0';
	assert_guard("eth0", json, NULL, WITH_PROXY("61002"));
	json[65535] = ' ';
	json[65536] = ']';
	assert_guard_with_warning("eth0", json, NULL, ONLY_SSH);
}

static void eight_proxies_are_left_out_and_no_more(void **state)
{
	static char json[60000];
	size_t used = 0;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		used += (size_t)snprintf(json + used, sizeof json - used,
					 "%s{\"internal\":2222,\"internal_tls_proxy\":%u}", i == 0 ? "[" : ",",
					 60000 + i);
	snprintf(json + used, sizeof json - used, "]");
	assert_guard_with_warning("eth0", json, NULL,
				  WITH_PROXY("60000") " and not tcp port 60001 and not tcp port 60002"
				  " and not tcp port 60003 and not tcp port 60004 and not tcp port 60005"
				  " and not tcp port 60006 and not tcp port 60007");
}

static void a_plain_ssh_server_gets_exactly_its_connection_left_out(void **state)
{
	(void)state;
	assert_guard("eth0", NULL, "10.9.0.2 51234 10.9.0.1 22",
		     "not ((src host 10.9.0.2 and tcp src port 51234 and dst host 10.9.0.1 and tcp dst port 22)"
		     " or (src host 10.9.0.1 and tcp src port 22 and dst host 10.9.0.2 and tcp dst port 51234))");
	assert_guard("eth0", NULL, "fd09::2 51234 fd09:0:0:0::1 22",
		     "not ((src host fd09::2 and tcp src port 51234 and dst host fd09::1 and tcp dst port 22)"
		     " or (src host fd09::1 and tcp src port 22 and dst host fd09::2 and tcp dst port 51234))");
}

static void a_zone_is_not_on_the_wire(void **state)
{
	(void)state;
	assert_guard("eth0", NULL, "fe80::2%eth0 1 fe80::1%eth0 65535",
		     "not ((src host fe80::2 and tcp src port 1 and dst host fe80::1 and tcp dst port 65535)"
		     " or (src host fe80::1 and tcp src port 65535 and dst host fe80::2 and tcp dst port 1))");
}

static void a_mapped_address_is_ipv4_on_the_wire(void **state)
{
	(void)state;
	assert_guard("eth0", NULL, "::ffff:10.9.0.2 1 ::ffff:10.9.0.1 2",
		     "not ((src host 10.9.0.2 and tcp src port 1 and dst host 10.9.0.1 and tcp dst port 2)"
		     " or (src host 10.9.0.1 and tcp src port 2 and dst host 10.9.0.2 and tcp dst port 1))");
}

static void both_kinds_of_session_are_left_out_together(void **state)
{
	(void)state;
	make("eth0", ENVOY, "10.9.0.2 51234 10.9.0.1 22");
	assert_memory_equal(text, WITH_PROXY("61002") " and not ((src host 10.9.0.2 ",
			    strlen(WITH_PROXY("61002") " and not ((src host 10.9.0.2 "));
}

static void what_sshd_never_sets_is_ignored_with_a_warning(void **state)
{
	static const char *const TEXTS[] = {
		"", " ", "10.9.0.2", "10.9.0.2 1", "10.9.0.2 1 10.9.0.1", "10.9.0.2 1 10.9.0.1 2 3",
		"10.9.0.2 1 10.9.0.1 2 ", " 10.9.0.2 1 10.9.0.1 2", "10.9.0.2  1 10.9.0.1 2",
		"10.9.0.2 0 10.9.0.1 2", "10.9.0.2 1 10.9.0.1 0", "10.9.0.2 65536 10.9.0.1 2",
		"10.9.0.2 -1 10.9.0.1 2", "10.9.0.2 1x 10.9.0.1 2", "10.9.0.2 0x1 10.9.0.1 2",
		"10.9.0.256 1 10.9.0.1 2", "10.9.0 1 10.9.0.1 2", "localhost 1 10.9.0.1 2",
		"fd09::g 1 fd09::1 2", "fd09:: 1 fd09:::1 2", "% 1 % 2", ": 1 : 2",
		"10.9.0.2\t1\t10.9.0.1\t2", "10.9.0.2 1 10.9.0.1 2\n", "10.9.0.2 18446744073709551617 10.9.0.1 2",
		"0)or(tcp 1 10.9.0.1 2", "10.9.0.2)or(tcp 1 10.9.0.1 2", "10.9.0.2 1)or(tcp 10.9.0.1 2",
		"10.9.0.2 1 10.9.0.1 2)or(tcp", "UNKNOWN 65535 UNKNOWN 65535",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
		assert_guard_with_warning("lo", NULL, TEXTS[i], ONLY_SSH);
}

static void an_overlong_ssh_connection_is_ignored_with_a_warning(void **state)
{
	static char connection[100000];

	(void)state;
	memset(connection, '1', sizeof connection - 1);
	assert_guard_with_warning("lo", NULL, connection, ONLY_SSH);
	memset(connection, ' ', sizeof connection - 1);
	assert_guard_with_warning("lo", NULL, connection, ONLY_SSH);
}

static void text_in_a_zone_never_reaches_the_filter(void **state)
{
	(void)state;
	make("lo", NULL, "fe80::2%)or(tcp 1 fe80::1%) 2");
	assert_null(strstr(text, "or(tcp"));
	assert_null(strchr(text, '%'));
}

static void hostile_text_reaches_the_terminal_quoted_only(void **state)
{
	(void)state;
	make("eth0", "\033[2J\n[", "\033[2J\n");
	assert_null(strchr(messages, '\033'));
}

static void each_variable_is_warned_of_once(void **state)
{
	const char *first;

	(void)state;
	make("eth0", "[0,0,0,{\"internal\":-1},0]", "garbage");
	first = strstr(messages, "CF_INSTANCE_PORTS");
	assert_non_null(first);
	assert_null(strstr(first + 1, "CF_INSTANCE_PORTS"));
	assert_non_null(strstr(messages, "SSH_CONNECTION"));
}

static void a_term_is_whole_or_not_there(void **state)
{
	char small[sizeof ONLY_SSH + 10];

	(void)state;
	guard_make(small, sizeof small, "eth0", ENVOY, NULL, &warnings);
	assert_string_equal(small, ONLY_SSH);
	guard_make(small, sizeof ONLY_SSH, "lo", NULL, NULL, &warnings);
	assert_string_equal(small, ONLY_SSH);
	guard_make(small, sizeof ONLY_SSH - 1, "lo", NULL, NULL, &warnings);
	assert_string_equal(small, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loopback_leaves_out_port_2222_whatever_is_known),
		cmocka_unit_test(a_container_interface_leaves_out_the_proxy_port_too),
		cmocka_unit_test(without_a_proxy_ssh_arrives_unproxied),
		cmocka_unit_test(outside_a_container_nothing_is_known_of_other_interfaces),
		cmocka_unit_test(a_missing_key_means_none),
		cmocka_unit_test(every_proxy_of_ssh_is_left_out_once),
		cmocka_unit_test(the_last_of_equal_keys_counts),
		cmocka_unit_test(a_port_that_is_none_is_ignored_with_a_warning),
		cmocka_unit_test(what_is_no_list_of_objects_is_ignored_with_a_warning),
		cmocka_unit_test(an_entry_that_is_no_object_does_not_spoil_the_others),
		cmocka_unit_test(deep_nesting_is_ignored_with_a_warning),
		cmocka_unit_test(up_to_64_kibibytes_are_read_and_no_more),
		cmocka_unit_test(eight_proxies_are_left_out_and_no_more),
		cmocka_unit_test(a_plain_ssh_server_gets_exactly_its_connection_left_out),
		cmocka_unit_test(a_zone_is_not_on_the_wire),
		cmocka_unit_test(a_mapped_address_is_ipv4_on_the_wire),
		cmocka_unit_test(both_kinds_of_session_are_left_out_together),
		cmocka_unit_test(what_sshd_never_sets_is_ignored_with_a_warning),
		cmocka_unit_test(an_overlong_ssh_connection_is_ignored_with_a_warning),
		cmocka_unit_test(text_in_a_zone_never_reaches_the_filter),
		cmocka_unit_test(hostile_text_reaches_the_terminal_quoted_only),
		cmocka_unit_test(each_variable_is_warned_of_once),
		cmocka_unit_test(a_term_is_whole_or_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
