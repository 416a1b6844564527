/* helper/handle.c: the user's filter and the guard become one program. */
#include "helper/handle.c"

#include <stdlib.h>

#include "scratch.h"

#define SSH_PORT 2222
#define DATABASE_PORT 5432
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

static char joined[JOINED_FILTER_SIZE];

static int compile_all(int link_type, const char *policy, const char *guard, const char *filter)
{
	finish(NULL);
	memset(&request, 0, sizeof request);
	memset(&reply, 0, sizeof reply);
	request.netmask = PCAP_NETMASK_UNKNOWN;
	assert_int_equal(protocol_copy_text(request.policy, sizeof request.policy, policy), 0);
	assert_int_equal(protocol_copy_text(request.guard, sizeof request.guard, guard), 0);
	assert_int_equal(protocol_copy_text(request.filter, sizeof request.filter, filter), 0);
	handle = pcap_open_dead(link_type, (int)SNAPLEN_MAX);
	assert_non_null(handle);
	joined_filter(joined, policy, guard, filter);
	return compile_joined(handle, &request, joined, &program, &reply);
}

static int compile_on(int link_type, const char *guard, const char *filter)
{
	return compile_all(link_type, "", guard, filter);
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
		assert_int_equal(reply.result, OPEN_REFUSED_JOINED);
		assert_int_equal(reply.guarded, 1);
		assert_string_equal(reply.text, "expression rejects all packets");
	}
}

/* Whatever the reason: it is never captured without. */
static void a_guard_that_cannot_be_compiled_is_a_refusal(void **state)
{
	(void)state;
	assert_int_equal(compile_on(DLT_EN10MB, "wlan type mgt", "tcp"), -1);
	assert_int_equal(reply.result, OPEN_REFUSED_FILTER);
	assert_int_equal(reply.guarded, 0);
	assert_true(reply.text[0] != '\0');
}

static void the_operators_filter_holds_with_and_without_the_others(void **state)
{
	(void)state;
	assert_int_equal(compile_all(DLT_EN10MB, "not port 5432", "", ""), 0);
	assert_int_equal(reply.guarded, 0);
	assert_string_equal(joined, "not port 5432");
	assert_false(passes(IPPROTO_TCP, DATABASE_PORT));
	assert_true(passes(IPPROTO_TCP, SSH_PORT));
	assert_int_equal(compile_all(DLT_EN10MB, "not port 5432", GUARD, "tcp or udp"), 0);
	assert_int_equal(reply.guarded, 1);
	assert_string_equal(joined, "(not port 5432) and (not tcp port 2222) and (tcp or udp)");
	assert_false(passes(IPPROTO_TCP, DATABASE_PORT));
	assert_false(passes(IPPROTO_TCP, SSH_PORT));
	assert_true(passes(IPPROTO_TCP, 80));
}

/* "vlan" moves the place where all that follows it looks for a port. */
static void nothing_in_the_users_filter_changes_what_the_operators_means(void **state)
{
	static const char *const FILTERS[] = { "not vlan or tcp", "not mpls or tcp", "not pppoes or tcp", "tcp or vlan or mpls",
					       "not (vlan and vlan) or tcp", "not geneve or tcp" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(FILTERS); i++) {
		assert_int_equal(compile_all(DLT_EN10MB, "not port 5432", "", FILTERS[i]), 0);
		assert_false(passes(IPPROTO_TCP, DATABASE_PORT));
		assert_true(passes(IPPROTO_TCP, 80));
	}
}

/* Whatever the reason: it is never captured without. */
static void an_operators_filter_that_cannot_be_compiled_is_a_refusal(void **state)
{
	static const char *const POLICIES[] = { "port", "tcp) or (tcp", ") or (", "not", "wlan type mgt", "tcp and udp" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(POLICIES); i++) {
		assert_int_equal(compile_all(DLT_EN10MB, POLICIES[i], GUARD, "tcp"), -1);
		assert_int_equal(reply.result, OPEN_REFUSED_POLICY);
		assert_true(reply.text[0] != '\0');
	}
	assert_int_equal(compile_all(DLT_EN10MB, "not port 5432", "", "port 5432) or (tcp"), -1);
	assert_int_equal(reply.result, OPEN_REFUSED_FILTER);
	assert_int_equal(compile_all(DLT_EN10MB, "not port 5432", "", "port 5432"), -1);
	assert_int_equal(reply.result, OPEN_REFUSED_JOINED);
}

/* libpcap 1.10.3's optimizer lets packets through that this excludes. */
static void what_the_optimizer_gets_wrong_is_right(void **state)
{
	static const uint8_t ONE[] = { 192, 168, 1, 1 };
	uint8_t packet[PACKET_LENGTH] = { [ETHERTYPE_OFFSET] = 0x08, 0x00, [IP_OFFSET] = 0x45,
					  [IP_OFFSET + 9] = IPPROTO_UDP };

	(void)state;
	assert_int_equal(compile_on(DLT_EN10MB, "", "host 192.168.1.1 and not ((host 1.2.3.4 or host 5.6.7.8) and icmp)"
				    " and not (host 5.6.7.8 or host 192.168.1.1)"), 0);
	for (int offset = 12; offset <= 16; offset += 4) {
		memset(packet + IP_OFFSET + 12, 9, 8);
		memcpy(packet + IP_OFFSET + offset, ONE, sizeof ONE);
		assert_int_equal(bpf_filter(program.bf_insns, packet, sizeof packet, sizeof packet), 0);
	}
}

static void the_true_reason_is_the_same_with_and_without_a_guard(void **state)
{
	static const char NEVER[] = "ip6 and tcp[tcpflags] & (tcp-syn) != 0";

	(void)state;
	assert_int_equal(compile_on(DLT_EN10MB, "", NEVER), -1);
	assert_string_equal(reply.text, "expression rejects all packets");
	assert_int_equal(compile_with_guard(NEVER), -1);
	assert_string_equal(reply.text, "expression rejects all packets");
	assert_int_equal(reply.guarded, 0);
}

static bool all_exact(int link_type)
{
	bool exact = true;

	for (unsigned int i = 0; i < program.bf_len; i++) {
		const struct bpf_insn *one = &program.bf_insns[i];
		if (BPF_CLASS(one->code) == BPF_LD || BPF_CLASS(one->code) == BPF_LDX)
			exact &= is_exact(one, link_type);
	}
	return exact;
}

/* What libpcap makes of a load from the cooked header is its whole field. */
static void loads_from_a_cooked_header_are_whole_fields(void **state)
{
	static const struct {
		int link_type;
		const char *filter;
		bool exact;
	} LOADS[] = {
		{ DLT_LINUX_SLL2, "link[0:2] = 0x0800", true },  { DLT_LINUX_SLL2, "link[4:4] = 1", true },
		{ DLT_LINUX_SLL2, "link[8:2] = 1", true },	 { DLT_LINUX_SLL2, "link[10] = 0", true },
		{ DLT_LINUX_SLL2, "udp and not link[0] = 8", false }, { DLT_LINUX_SLL2, "link[0:4] = 0", false },
		{ DLT_LINUX_SLL2, "link[4:2] = 0", false },	 { DLT_LINUX_SLL2, "link[10:2] = 0", false },
		{ DLT_LINUX_SLL2, "link[11] = 6", false },	 { DLT_LINUX_SLL2, "link[18:2] = 6", false },
		{ DLT_LINUX_SLL2, "link[link[10]] = 6", false }, { DLT_LINUX_SLL2, "link[20] = 0x45", true },
		{ DLT_LINUX_SLL, "link[0:2] = 0", true },	 { DLT_LINUX_SLL, "link[14:2] = 0x0800", true },
		{ DLT_LINUX_SLL, "link[0] = 0", false },	 { DLT_LINUX_SLL, "link[14] = 8", false },
		{ DLT_LINUX_SLL, "link[2:2] = 1", false },	 { DLT_LINUX_SLL, "link[16] = 0x45", true },
		{ DLT_LINUX_SLL2, "tcp port 80", true },	 { DLT_LINUX_SLL, "ip6 host ::1 and inbound", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(LOADS); i++) {
		if (compile_on(LOADS[i].link_type, "", LOADS[i].filter) != 0)
			fail_msg("%s: %s", LOADS[i].filter, reply.text);
		/* As it is written, a load is of a register and an offset. The kernel gets the other then. */
		if (!all_exact(LOADS[i].link_type))
			assert_int_equal(pcap_compile(handle, &program, LOADS[i].filter, 1, PCAP_NETMASK_UNKNOWN), 0);
		if (all_exact(LOADS[i].link_type) != LOADS[i].exact)
			fail_msg("%s", LOADS[i].filter);
	}
}

static void outgoing_packets_are_left_out_first_of_all(void **state)
{
	struct bpf_program longer;

	(void)state;
	assert_int_equal(compile_on(DLT_EN10MB, "", "tcp"), 0);
	request.flags = OPEN_IGNORE_OUTGOING;
	longer = program;
	assert_true(complete(&longer, &request, DLT_EN10MB));
	assert_int_equal(longer.bf_len, program.bf_len + 3);
	assert_int_equal(longer.bf_insns[0].k, (bpf_u_int32)(SKF_AD_OFF + SKF_AD_PKTTYPE));
	assert_int_equal(longer.bf_insns[1].k, PACKET_OUTGOING);
	assert_memory_equal(longer.bf_insns + 3, program.bf_insns, program.bf_len * sizeof *program.bf_insns);
}

static struct bpf_insn many[BPF_MAXINSNS + 1];

/* Of so many instructions, with this flag. The last two return. */
static bool completes(unsigned int length, uint32_t flags)
{
	struct bpf_program filter = { length, many };

	for (unsigned int i = 0; i < COUNT_OF(many); i++)
		many[i] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_K, i == length - 2 ? SNAPLEN_MAX : 0);
	request.flags = flags;
	request.snaplen = SNAPLEN_MAX;
	return complete(&filter, &request, DLT_EN10MB) && filter.bf_len <= BPF_MAXINSNS;
}

static void a_filter_that_is_too_long_for_the_kernel_is_refused(void **state)
{
	static struct program tail;
	unsigned int room;

	(void)state;
	program_begin(&tail);
	room = headers_put(&tail, DLT_EN10MB, SNAPLEN_MAX);
	assert_true(completes(BPF_MAXINSNS, 0));
	assert_false(completes(BPF_MAXINSNS + 1, 0));
	assert_true(completes(BPF_MAXINSNS, OPEN_IGNORE_OUTGOING)); /* then the writer does that */
	assert_true(completes(room, OPEN_HEADERS_ONLY));
	assert_false(completes(room + 1, OPEN_HEADERS_ONLY));
	assert_true(completes(room, OPEN_HEADERS_ONLY | OPEN_IGNORE_OUTGOING));
	assert_false(completes(BPF_MAXINSNS, OPEN_HEADERS_ONLY));
}

/* Whichever way a filter accepts a packet. */
static void nothing_but_headers_is_accepted(void **state)
{
	static const char *const FILTERS[] = { "", "tcp", "port 80 or port 81", "len > 1 or ip6", "not udp",
					       "tcp[0:2] = 80 or tcp[2:2] = 80", "ip[0] & 0xf = 5 and not port 9" };
	const uint8_t packet[200] = { [ETHERTYPE_OFFSET] = 0x08, 0x00, [IP_OFFSET] = 0x45,
				      [IP_OFFSET + 9] = IPPROTO_TCP, [IP_OFFSET + 21] = 80, [IP_OFFSET + 32] = 0x80 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(FILTERS); i++) {
		struct bpf_program whole;
		assert_int_equal(compile_with_guard(FILTERS[i]), 0);
		whole = program;
		request.flags = OPEN_HEADERS_ONLY;
		request.snaplen = SNAPLEN_MAX;
		assert_true(complete(&whole, &request, DLT_EN10MB));
		assert_int_equal(bpf_filter(whole.bf_insns, packet, sizeof packet, sizeof packet), 14 + 20 + 32);
		for (unsigned int j = 0; j < program.bf_len; j++)
			assert_true(BPF_CLASS(whole.bf_insns[j].code) != BPF_RET || whole.bf_insns[j].k == 0);
	}
}

static void without_a_way_to_tell_the_headers_there_is_no_filter(void **state)
{
	struct bpf_program whole;

	(void)state;
	assert_int_equal(compile_on(DLT_IEEE802_11, "", ""), 0);
	whole = program;
	request.flags = OPEN_HEADERS_ONLY;
	assert_false(complete(&whole, &request, DLT_IEEE802_11));
}

static void the_longest_filters_fit_together(void **state)
{
	static char policy[POLICY_TEXT_SIZE], guard[GUARD_TEXT_SIZE], filter[FILTER_TEXT_SIZE];

	(void)state;
	memset(guard, ' ', sizeof guard - 1);
	memcpy(guard, GUARD, strlen(GUARD));
	memset(policy, ' ', sizeof policy - 1);
	memcpy(policy, "not tcp port 5432", strlen("not tcp port 5432"));
	memset(filter, ' ', sizeof filter - 1);
	memcpy(filter + sizeof filter - 1 - strlen("tcp"), "tcp", strlen("tcp"));
	assert_int_equal(compile_with_guard(filter), 0);
	assert_int_equal(reply.guarded, 1);
	assert_int_equal(compile_all(DLT_EN10MB, policy, guard, filter), 0);
	assert_int_equal(strlen(joined), JOINED_FILTER_SIZE - 4); /* each has room for a NUL of its own */
	assert_int_equal(reply.guarded, 1);
	assert_false(passes(IPPROTO_TCP, DATABASE_PORT));
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
		cmocka_unit_test_teardown(a_guard_that_cannot_be_compiled_is_a_refusal, finish),
		cmocka_unit_test_teardown(the_operators_filter_holds_with_and_without_the_others, finish),
		cmocka_unit_test_teardown(nothing_in_the_users_filter_changes_what_the_operators_means, finish),
		cmocka_unit_test_teardown(an_operators_filter_that_cannot_be_compiled_is_a_refusal, finish),
		cmocka_unit_test_teardown(what_the_optimizer_gets_wrong_is_right, finish),
		cmocka_unit_test_teardown(the_true_reason_is_the_same_with_and_without_a_guard, finish),
		cmocka_unit_test_teardown(loads_from_a_cooked_header_are_whole_fields, finish),
		cmocka_unit_test_teardown(outgoing_packets_are_left_out_first_of_all, finish),
		cmocka_unit_test_teardown(a_filter_that_is_too_long_for_the_kernel_is_refused, finish),
		cmocka_unit_test_teardown(nothing_but_headers_is_accepted, finish),
		cmocka_unit_test_teardown(without_a_way_to_tell_the_headers_there_is_no_filter, finish),
		cmocka_unit_test_teardown(the_longest_filters_fit_together, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
