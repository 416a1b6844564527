/* helper/handle.c: the user's filter and the guard become one program. */
#include "helper/handle.c"

#include <stdlib.h>

#include "scratch.h"

#define SSH_PORT 2222
#define GUARD "not tcp port 2222"
#define ETHERTYPE_OFFSET 12
#define IP_OFFSET 14
#define PACKET_LENGTH 60

/* The helper ends soon after it has compiled and frees no program. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static struct open_request request;
static struct open_reply reply;
static struct bpf_program program;
static pcap_t *handle;

static int finish(void **state)
{
	(void)state;
	pcap_freecode(&program);
	if (handle != NULL)
		pcap_close(handle);
	handle = NULL;
	return 0;
}

static int compile_on(int link_type, const char *guard, const char *filter)
{
	finish(NULL);
	memset(&request, 0, sizeof request);
	memset(&reply, 0, sizeof reply);
	request.netmask = PCAP_NETMASK_UNKNOWN;
	assert_int_equal(protocol_copy_text(request.guard, sizeof request.guard, guard), 0);
	assert_int_equal(protocol_copy_text(request.filter, sizeof request.filter, filter), 0);
	handle = pcap_open_dead(link_type, (int)SNAPLEN_MAX);
	assert_non_null(handle);
	return compile_guarded(handle, &request, &program, &reply);
}

static int compile_with_guard(const char *filter)
{
	return compile_on(DLT_EN10MB, GUARD, filter);
}

/* Does the program pass an IPv4 packet of this protocol from this port? */
static bool passes(uint8_t protocol, uint16_t port)
{
	const uint8_t packet[PACKET_LENGTH] = { [ETHERTYPE_OFFSET] = 0x08, 0x00,
						[IP_OFFSET] = 0x45, [IP_OFFSET + 9] = protocol,
						[IP_OFFSET + 20] = (uint8_t)(port >> 8), (uint8_t)port };

	return bpf_filter(program.bf_insns, packet, sizeof packet, sizeof packet) != 0;
}

static void without_a_guard_the_filter_is_all_there_is(void **state)
{
	(void)state;
	assert_int_equal(compile_on(DLT_EN10MB, "", "tcp port 2222"), 0);
	assert_int_equal(reply.guarded, 0);
	assert_true(passes(IPPROTO_TCP, SSH_PORT));
	assert_false(passes(IPPROTO_TCP, 80));
}

static void without_a_filter_the_guard_is_all_there_is(void **state)
{
	(void)state;
	assert_int_equal(compile_with_guard(""), 0);
	assert_int_equal(reply.guarded, 1);
	assert_false(passes(IPPROTO_TCP, SSH_PORT));
	assert_true(passes(IPPROTO_TCP, 80));
	assert_true(passes(IPPROTO_UDP, SSH_PORT));
}

static void filter_and_guard_both_hold(void **state)
{
	(void)state;
	assert_int_equal(compile_with_guard("tcp"), 0);
	assert_int_equal(reply.guarded, 1);
	assert_false(passes(IPPROTO_TCP, SSH_PORT));
	assert_true(passes(IPPROTO_TCP, 80));
	assert_false(passes(IPPROTO_UDP, 80));
}

static void an_alternative_in_the_filter_does_not_widen_the_guard(void **state)
{
	static const char *const FILTERS[] = { "port 80 or port 2222", "tcp or ip", "not udp or tcp",
					       "(port 80) or (port 2222)", "ip or vlan or mpls" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(FILTERS); i++) {
		assert_int_equal(compile_with_guard(FILTERS[i]), 0);
		assert_int_equal(reply.guarded, 1);
		assert_false(passes(IPPROTO_TCP, SSH_PORT));
	}
}

static void text_that_is_no_expression_by_itself_is_refused(void **state)
{
	static const char *const FILTERS[] = { "port 80) or (port 2222", ") or (", "tcp) or (tcp",
					       "port 80) or not (port 81", "and tcp", "tcp or", "(", ")",
					       "tcp port", "tcp)) or ((tcp" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(FILTERS); i++) {
		assert_int_equal(compile_with_guard(FILTERS[i]), -1);
		assert_int_equal(reply.result, OPEN_REFUSED_FILTER);
		assert_int_equal(reply.guarded, 0);
		assert_true(reply.text[0] != '\0');
	}
}

/* libpcap refuses what rejects all packets: that must not be mistaken for a guard that cannot be. */
static void a_filter_for_the_ssh_session_alone_does_not_lose_the_guard(void **state)
{
	static const char *const FILTERS[] = { "tcp port 2222", "tcp src port 2222",
					       "ip and tcp dst port 2222" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(FILTERS); i++) {
		assert_int_equal(compile_with_guard(FILTERS[i]), -1);
		assert_int_equal(reply.result, OPEN_REFUSED_FILTER);
		assert_int_equal(reply.guarded, 1);
		assert_string_equal(reply.text, "expression rejects all packets");
	}
}

static void a_link_type_that_cannot_have_the_guard_is_captured_without(void **state)
{
	(void)state;
	assert_int_equal(compile_on(DLT_EN10MB, "wlan type mgt", "tcp"), 0);
	assert_int_equal(reply.guarded, 0);
	assert_true(passes(IPPROTO_TCP, SSH_PORT));
}

static void the_longest_filter_fits_beside_the_longest_guard(void **state)
{
	static char guard[GUARD_TEXT_SIZE], filter[FILTER_TEXT_SIZE];

	(void)state;
	memset(guard, ' ', sizeof guard - 1);
	memcpy(guard, GUARD, strlen(GUARD));
	memset(filter, ' ', sizeof filter - 1);
	memcpy(filter + sizeof filter - 1 - strlen("tcp"), "tcp", strlen("tcp"));
	assert_int_equal(compile_with_guard(filter), 0);
	assert_int_equal(reply.guarded, 1);
	assert_int_equal(compile_on(DLT_EN10MB, guard, filter), 0);
	assert_int_equal(reply.guarded, 1);
	assert_false(passes(IPPROTO_TCP, SSH_PORT));
	assert_false(passes(IPPROTO_UDP, 80));
	assert_true(passes(IPPROTO_TCP, 80));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(without_a_guard_the_filter_is_all_there_is, finish),
		cmocka_unit_test_teardown(without_a_filter_the_guard_is_all_there_is, finish),
		cmocka_unit_test_teardown(filter_and_guard_both_hold, finish),
		cmocka_unit_test_teardown(an_alternative_in_the_filter_does_not_widen_the_guard, finish),
		cmocka_unit_test_teardown(text_that_is_no_expression_by_itself_is_refused, finish),
		cmocka_unit_test_teardown(a_filter_for_the_ssh_session_alone_does_not_lose_the_guard, finish),
		cmocka_unit_test_teardown(a_link_type_that_cannot_have_the_guard_is_captured_without, finish),
		cmocka_unit_test_teardown(the_longest_filter_fits_beside_the_longest_guard, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
