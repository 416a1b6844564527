/* writer/setup/guard_answer.c: of an answer only a guard is believed, and nothing that resembles one. */
#include "setup/guard_answer.h"

#include <stdio.h>
#include <string.h>

#include "scratch.h"
#include "setup/guard.h"

#define PORT "not tcp port "
#define CONNECTION                                                                                     \
	"not ((src host 10.9.0.2 and tcp src port 51234 and dst host 10.9.0.1 and tcp dst port 22)"    \
	" or (src host 10.9.0.1 and tcp src port 22 and dst host 10.9.0.2 and tcp dst port 51234))"
#define CONNECTION6                                                                                    \
	"not ((src host fd09::2 and tcp src port 1 and dst host fe80::1 and tcp dst port 65535)"       \
	" or (src host fe80::1 and tcp src port 65535 and dst host fd09::2 and tcp dst port 1))"
/* As above, with other words for some of it. */
#define LIKE_CONNECTION(client, client_port, server, server_port)                                      \
	"not ((src host " client " and tcp src port " client_port " and dst host " server              \
	" and tcp dst port " server_port ") or (src host " server " and tcp src port " server_port     \
	" and dst host " client " and tcp dst port " client_port "))"

static struct guard_answer answer;

static bool believes(const char *text)
{
	memset(&answer, 0, sizeof answer);
	assert_true(strlen(text) < sizeof answer.text);
	memcpy(answer.text, text, strlen(text));
	return guard_answer_valid(&answer);
}

static void a_guard_is_believed(void **state)
{
	static const char *const GUARDS[] = {
		"",
		PORT "2222",
		PORT "1",
		PORT "65535",
		PORT "2222 and " PORT "61002",
		PORT "1 and " PORT "2 and " PORT "3 and " PORT "4 and " PORT "5 and " PORT "6 and " PORT
		     "7 and " PORT "8 and " PORT "9",
		CONNECTION,
		CONNECTION6,
		PORT "2222 and " CONNECTION,
		PORT "2222 and " PORT "61002 and " CONNECTION6,
		LIKE_CONNECTION("::", "1", "::1.2.3.4", "2"),
		LIKE_CONNECTION("2001:db8:1111:2222:3333:4444:5555:6666", "65535", "255.255.255.255", "65534"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(GUARDS); i++)
		if (!believes(GUARDS[i]))
			fail_msg("%s", GUARDS[i]);
}

static void whatever_guard_make_writes_is_believed(void **state)
{
	static const char *const INTERFACES[] = { "lo", "eth0", "any" };
	static const char *const PORTS[] = {
		NULL, "[]", "garbage", "[{\"internal\":2222,\"internal_tls_proxy\":65535}]",
		"[{\"internal\":2222,\"internal_tls_proxy\":1},{\"internal\":2222,\"internal_tls_proxy\":61002}]"
	};
	static const char *const CONNECTIONS[] = { NULL, "x", "10.9.0.2 51234 10.9.0.1 22", "fd09::2 1 fe80::1%e 65535",
						   "::ffff:10.9.0.2 1 0:0::1 007", "::10.9.0.2 1 10.9.0.1 2" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(INTERFACES) * COUNT_OF(PORTS) * COUNT_OF(CONNECTIONS); i++) {
		memset(&answer, 'x', sizeof answer);
		answer.ssh_known = guard_make(answer.text, sizeof answer.text, INTERFACES[i % COUNT_OF(INTERFACES)],
					      PORTS[i / COUNT_OF(INTERFACES) % COUNT_OF(PORTS)],
					      CONNECTIONS[i / COUNT_OF(INTERFACES) / COUNT_OF(PORTS)],
					      &answer.warnings);
		assert_true(guard_answer_valid(&answer));
	}
}

static void another_filter_is_not_believed(void **state)
{
	static const char *const TEXTS[] = {
		"tcp", "not tcp", "not tcp port", PORT, "tcp port 2222", "not udp port 2222", "not port 2222",
		"not tcp portrange 1-2", "host localhost", "(", ")", "()", "not (tcp port 2222)", "greater 0",
		PORT "2222)", PORT "2222) or (tcp", PORT "2222 or tcp", PORT "2222 or " PORT "1",
		PORT "2222 and tcp port 1", PORT "2222 and not udp port 1", PORT "2222 and", PORT "2222 and ",
		PORT "2222 and not", PORT "2222 " PORT "1", PORT "2222  and " PORT "1", " " PORT "2222",
		PORT "2222 ", PORT " 2222", PORT "2222\n", PORT "2222;", "Not tcp port 2222", "\x80", PORT "2222\x80",
		PORT "http", PORT "2222 and host evil.example",
		" and " PORT "1", "\t" PORT "2222", "not\ttcp port 2222", PORT "2222 && " PORT "1",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
		if (believes(TEXTS[i]))
			fail_msg("%s", TEXTS[i]);
}

static void another_port_is_not_believed(void **state)
{
	static const char *const PORTS[] = { "0", "65536", "99999", "100000", "4294967297", "18446744073709551617",
					     "-1", "+1", "01", "00", "0x1", "1.0", "1e3", "1-2", "", "a", "2222a" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(PORTS); i++) {
		snprintf(text, sizeof text, PORT "%s", PORTS[i]);
		assert_false(believes(text));
		snprintf(text, sizeof text, PORT "2222 and " PORT "%s", PORTS[i]);
		assert_false(believes(text));
		snprintf(text, sizeof text, PORT "%s and " PORT "2222", PORTS[i]);
		assert_false(believes(text));
		snprintf(text, sizeof text, LIKE_CONNECTION("10.9.0.2", "%1$s", "10.9.0.1", "22"), PORTS[i]);
		assert_false(believes(text));
		snprintf(text, sizeof text, LIKE_CONNECTION("10.9.0.2", "22", "10.9.0.1", "%1$s"), PORTS[i]);
		assert_false(believes(text));
	}
}

static void another_address_is_not_believed(void **state)
{
	static const char *const ADDRESSES[] = {
		"", ".", ":", ":::", "a", "10.9.0", "10.9.0.256", "10.9.0.02", "010.9.0.2", "10.9.0.2.3", "10.9.0.2 ",
		"localhost", "evil.example", "FD09::1", "fd09:0:0:0:0:0:0:1", "fd09::0", "fd09::g", "fe80::1%lo",
		"fd09::1/64", "10.9.0.0/8", "10.9.0.2)or(tcp", "0x7f.1", "1", "::10.9.0", "cafe",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999", "::ffff:0010.0.0.1",
		"1111111111111111111111111111111111111111111111111111111111111111111111111111",
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ADDRESSES); i++) {
		snprintf(text, sizeof text, LIKE_CONNECTION("%1$s", "1", "10.9.0.1", "22"), ADDRESSES[i]);
		if (believes(text))
			fail_msg("%s", text);
		snprintf(text, sizeof text, LIKE_CONNECTION("10.9.0.1", "1", "%1$s", "22"), ADDRESSES[i]);
		if (believes(text))
			fail_msg("%s", text);
	}
}

static void half_of_a_connection_or_two_different_ones_are_not_believed(void **state)
{
	static const char *const TEXTS[] = {
		"not ((src host 10.9.0.2 and tcp src port 1 and dst host 10.9.0.1 and tcp dst port 22))",
		"not ((src host 10.9.0.2 and tcp src port 1 and dst host 10.9.0.1 and tcp dst port 22)"
		" or (src host 10.9.0.1 and tcp src port 22 and dst host 10.9.0.2 and tcp dst port 2))",
		"not ((src host 10.9.0.2 and tcp src port 1 and dst host 10.9.0.1 and tcp dst port 22)"
		" or (src host 10.9.0.3 and tcp src port 22 and dst host 10.9.0.2 and tcp dst port 1))",
		"not ((src host 10.9.0.2 and tcp src port 1 and dst host 10.9.0.1 and tcp dst port 22)"
		" or (src host 10.9.0.2 and tcp src port 1 and dst host 10.9.0.1 and tcp dst port 22))",
		CONNECTION " and " CONNECTION,
		CONNECTION " and " PORT "2222",
		CONNECTION " or tcp",
		CONNECTION ")",
		"not (" CONNECTION ")",
		"not (",
		"not ()",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
		if (believes(TEXTS[i]))
			fail_msg("%s", TEXTS[i]);
}

/* Cut anywhere, or with any one byte replaced: then it is another guard, or none. */
static void a_damaged_guard_is_a_guard_only_by_its_digits(void **state)
{
	static const char WHOLE[] = PORT "2222 and " PORT "61002 and " CONNECTION;
	char text[sizeof WHOLE];

	(void)state;
	for (size_t cut = 1; cut < sizeof WHOLE - 1; cut++) {
		memcpy(text, WHOLE, sizeof WHOLE);
		text[cut] = '\0';
		assert_true(!believes(text) || (text[cut - 1] >= '0' && text[cut - 1] <= '9'));
	}
	for (size_t at = 0; at < sizeof WHOLE - 1; at++)
		for (int byte = 1; byte < 256; byte++) {
			memcpy(text, WHOLE, sizeof WHOLE);
			text[at] = (char)byte;
			assert_true(!believes(text) || text[at] == WHOLE[at] ||
				    (byte >= '0' && byte <= '9' && WHOLE[at] >= '0' && WHOLE[at] <= '9'));
		}
}

static void ten_ports_are_not_believed(void **state)
{
	(void)state;
	assert_false(believes(PORT "1 and " PORT "2 and " PORT "3 and " PORT "4 and " PORT "5 and " PORT "6 and " PORT
				   "7 and " PORT "8 and " PORT "9 and " PORT "10"));
}

static void text_that_does_not_end_is_not_believed(void **state)
{
	(void)state;
	memset(&answer, 0, sizeof answer);
	memset(answer.text, '1', sizeof answer.text);
	memcpy(answer.text, PORT, strlen(PORT));
	assert_false(guard_answer_valid(&answer));
	assert_true(believes(""));
	memset(answer.warnings.instance_ports, 'x', sizeof answer.warnings.instance_ports);
	assert_false(guard_answer_valid(&answer));
	answer.warnings.instance_ports[sizeof answer.warnings.instance_ports - 1] = '\0';
	assert_true(guard_answer_valid(&answer));
}

static void numbers_are_yes_or_no(void **state)
{
	(void)state;
	assert_true(believes(""));
	answer.ssh_known = 1;
	answer.warnings.ssh_connection = 1;
	assert_true(guard_answer_valid(&answer));
	answer.ssh_known = 2;
	assert_false(guard_answer_valid(&answer));
	answer.ssh_known = 0;
	answer.warnings.ssh_connection = 0x100;
	assert_false(guard_answer_valid(&answer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guard_is_believed),
		cmocka_unit_test(whatever_guard_make_writes_is_believed),
		cmocka_unit_test(another_filter_is_not_believed),
		cmocka_unit_test(another_port_is_not_believed),
		cmocka_unit_test(another_address_is_not_believed),
		cmocka_unit_test(half_of_a_connection_or_two_different_ones_are_not_believed),
		cmocka_unit_test(a_damaged_guard_is_a_guard_only_by_its_digits),
		cmocka_unit_test(ten_ports_are_not_believed),
		cmocka_unit_test(text_that_does_not_end_is_not_believed),
		cmocka_unit_test(numbers_are_yes_or_no),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
