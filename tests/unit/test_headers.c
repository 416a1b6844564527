/* helper/headers.c, tail/headers.c: of each packet its headers, whatever its shape and wherever it is cut. */
#include "helper/headers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "scratch.h"

#define WHOLE 262144u
#define PAYLOAD 100
#define FRAME_MOST 4096
#define UNKNOWN_BEHIND(known) (0x8000u | (known)) /* so much is known, or HEADERS_UNKNOWN bytes of the record */
#define UNKNOWN UNKNOWN_BEHIND(0)

/* Bytes in hex: what stands behind the link layer's ethertype. */
#define IP4(protocol) IP4_WITH("45", "0000", protocol)
#define IP4_WITH(first, fragment, protocol) \
	first "00 0100 1234" fragment "40" protocol "0000 0a090001 0a090002"
#define IP6(next) "60000000 0100" next "40 fd090000000000000000000000000001 fd090000000000000000000000000002"
#define TCP(offset) "1f901f91 00000001 00000002" offset "18 2000 0000 0000"
#define UDP "1f901f91 00200000"
#define ICMP "08000000 00010001"
#define SCTP "1f901f91 00000000 00000000"
#define EIGHT "0102030405060708"
#define OPTIONS(next) next "00 010400000000"
#define OPTIONS_LONG(next) next "02 010400000000" EIGHT EIGHT
#define FRAGMENT(next, offset) next "00" offset "00000001"
#define AH(next) next "04 0000 00000100 00000001 000000000000000000000000"
#define GRE(flags, type) flags type
#define ETHERNET(type) "020000000001 020000000002" type
#define TAG(type) "0007" type

struct shape {
	const char *name;
	uint16_t ethertype;
	const char *bytes;
	unsigned int known; /* bytes of headers behind the link layer */
};

static const struct shape SHAPES[] = {
	{ "tcp", 0x0800, IP4("06") TCP("50"), 40 },
	{ "tcp with all options", 0x0800, IP4("06") TCP("f0") EIGHT EIGHT EIGHT EIGHT EIGHT, 80 },
	{ "tcp with 12 bytes of options", 0x0800, IP4("06") TCP("80") EIGHT "01010101", 52 },
	{ "tcp that says it is shorter than it can be", 0x0800, IP4("06") TCP("40"), 40 },
	{ "tcp that says it has no header", 0x0800, IP4("06") TCP("00"), 40 },
	{ "udp", 0x0800, IP4("11") UDP, 28 },
	{ "icmp", 0x0800, IP4("01") ICMP, 28 },
	{ "sctp", 0x0800, IP4("84") SCTP, 32 },
	{ "ip options", 0x0800, IP4_WITH("47", "0000", "11") EIGHT UDP, 36 },
	{ "ip options, all", 0x0800, IP4_WITH("4f", "0000", "06") EIGHT EIGHT EIGHT EIGHT EIGHT TCP("50"), 80 },
	{ "first fragment", 0x0800, IP4_WITH("45", "2000", "11") UDP, 28 },
	{ "first fragment of tcp", 0x0800, IP4_WITH("45", "2000", "06") TCP("60") "01010101", 44 },
	{ "middle fragment", 0x0800, IP4_WITH("45", "2001", "06"), 20 },
	{ "last fragment", 0x0800, IP4_WITH("45", "1fff", "06"), 20 },
	{ "last fragment with options", 0x0800, IP4_WITH("46", "0001", "11") "01010101", 24 },
	{ "may not be fragmented", 0x0800, IP4_WITH("45", "4000", "11") UDP, 28 },
	{ "ip header shorter than it can be", 0x0800, IP4_WITH("44", "0000", "11") UDP, UNKNOWN },
	{ "ip of another version", 0x0800, IP4_WITH("55", "0000", "11") UDP, UNKNOWN },
	{ "esp", 0x0800, IP4("32") EIGHT EIGHT, UNKNOWN },
	{ "esp behind options", 0x0800, IP4_WITH("4f", "0000", "32") EIGHT EIGHT EIGHT EIGHT EIGHT,
	  UNKNOWN_BEHIND(60) },
	{ "ah", 0x0800, IP4("33") AH("06") TCP("50"), 64 },
	{ "what is no header of ip4's, hop by hop", 0x0800, IP4("00") EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT, UNKNOWN },
	{ "routing", 0x0800, IP4("2b") EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT, UNKNOWN },
	{ "fragment", 0x0800, IP4("2c") EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT, UNKNOWN },
	{ "destination options", 0x0800, IP4("3c") EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT, UNKNOWN },
	{ "arp", 0x0806, "0001080006040001", UNKNOWN },
	{ "no protocol", 0x0000, EIGHT, UNKNOWN },
	{ "length field of 802.3", 0x0030, "424203" EIGHT, UNKNOWN },

	{ "tcp6", 0x86dd, IP6("06") TCP("50"), 60 },
	{ "tcp6 with options", 0x86dd, IP6("06") TCP("a0") EIGHT EIGHT "01010101", 80 },
	{ "udp6", 0x86dd, IP6("11") UDP, 48 },
	{ "icmp6", 0x86dd, IP6("3a") ICMP, 48 },
	{ "sctp6", 0x86dd, IP6("84") SCTP, 52 },
	{ "nothing behind ip6", 0x86dd, IP6("3b"), 40 },
	{ "ip6 of another version", 0x86dd, "4" "0000000 0100 1140" EIGHT EIGHT EIGHT EIGHT UDP, UNKNOWN },
	{ "hop-by-hop", 0x86dd, IP6("00") OPTIONS("11") UDP, 56 },
	{ "hop-by-hop of 24 bytes", 0x86dd, IP6("00") OPTIONS_LONG("06") TCP("50"), 84 },
	{ "routing", 0x86dd, IP6("2b") OPTIONS_LONG("06") TCP("50"), 84 },
	{ "destination options", 0x86dd, IP6("3c") OPTIONS("3a") ICMP, 56 },
	{ "first fragment6", 0x86dd, IP6("2c") FRAGMENT("11", "0001") UDP, 56 },
	{ "later fragment6", 0x86dd, IP6("2c") FRAGMENT("11", "0008"), 48 },
	{ "last fragment6", 0x86dd, IP6("2c") FRAGMENT("06", "fff8"), 48 },
	{ "later fragment6 behind routing", 0x86dd, IP6("2b") OPTIONS_LONG("2c") FRAGMENT("3c", "0009"), 72 },
	{ "ah6", 0x86dd, IP6("33") AH("06") TCP("50"), 84 },
	{ "all extensions", 0x86dd, IP6("00") OPTIONS("3c") OPTIONS("2b") OPTIONS_LONG("2c") FRAGMENT("33", "0001")
	  AH("3c") OPTIONS("06") TCP("80") EIGHT "01010101", 40 + 8 + 8 + 24 + 8 + 24 + 8 + 32 },
	{ "one extension more than there is code for", 0x86dd, IP6("00") OPTIONS("3c") OPTIONS("3c") OPTIONS("3c")
	  OPTIONS("3c") OPTIONS("3c") OPTIONS("3c") OPTIONS("06") TCP("50"), UNKNOWN_BEHIND(40 + 6 * 8) },
	{ "esp6", 0x86dd, IP6("32") EIGHT, UNKNOWN },
	{ "esp6 behind extensions", 0x86dd, IP6("00") OPTIONS("3c") OPTIONS_LONG("32") EIGHT, UNKNOWN_BEHIND(72) },

	{ "tag", 0x8100, TAG("0800") IP4("06") TCP("50"), 44 },
	{ "tag of 802.1ad, tcp6", 0x88a8, TAG("86dd") IP6("06") TCP("50"), 64 },
	{ "old tag", 0x9100, TAG("0800") IP4("11") UDP, 32 },
	{ "two tags", 0x88a8, TAG("8100") TAG("0800") IP4("06") TCP("60") "01010101", 52 },
	{ "two tags, later fragment", 0x8100, TAG("8100") TAG("0800") IP4_WITH("45", "0004", "06"), 28 },
	{ "three tags", 0x8100, TAG("8100") TAG("8100") TAG("0800") IP4("06") TCP("50"), 52 },
	{ "four tags", 0x8100, TAG("8100") TAG("8100") TAG("8100") TAG("0800") IP4("06") TCP("50"), UNKNOWN },
	{ "tag, arp", 0x8100, TAG("0806") "0001080006040001", UNKNOWN },

	{ "ip in ip", 0x0800, IP4("04") IP4("06") TCP("80") EIGHT "01010101", 72 },
	{ "ip in ip, options in both", 0x0800, IP4_WITH("46", "0000", "04") "01010101"
	  IP4_WITH("47", "0000", "11") EIGHT UDP, 60 },
	{ "ip6 in ip", 0x0800, IP4("29") IP6("11") UDP, 68 },
	{ "ip in ip6", 0x86dd, IP6("04") IP4("06") TCP("50"), 80 },
	{ "ip6 in ip6 with three extensions", 0x86dd, IP6("3c") OPTIONS("29") IP6("00") OPTIONS("2b")
	  OPTIONS("2c") FRAGMENT("06", "0001") TCP("50"), 40 + 8 + 40 + 24 + 20 },
	{ "four extensions in a tunnel", 0x86dd, IP6("29") IP6("00") OPTIONS("3c") OPTIONS("3c") OPTIONS("3c")
	  OPTIONS("06") TCP("50"), UNKNOWN_BEHIND(40 + 40 + 24) },
	{ "later fragment in ip", 0x0800, IP4("04") IP4_WITH("45", "0009", "11"), 40 },
	{ "later fragment of a tunnel", 0x0800, IP4_WITH("45", "0009", "04"), 20 },
	{ "a tunnel in a tunnel", 0x0800, IP4("04") IP4("04") IP4("06") TCP("50"), UNKNOWN },
	{ "a tunnel in a tunnel of ip6", 0x86dd, IP6("29") IP6("29") IP6("06") TCP("50"),
	  UNKNOWN_BEHIND(80) },
	{ "not ip in ip", 0x0800, IP4("04") "55" EIGHT EIGHT EIGHT, UNKNOWN },

	{ "gre", 0x0800, IP4("2f") GRE("0000", "0800") IP4("06") TCP("50"), 64 },
	{ "gre with a key", 0x0800, IP4("2f") GRE("2000", "0800") "00000007" IP4("11") UDP, 56 },
	{ "gre with a checksum", 0x0800, IP4("2f") GRE("8000", "86dd") "00000000" IP6("11") UDP, 76 },
	{ "gre with a sequence number", 0x0800, IP4("2f") GRE("1000", "0800") "00000001" IP4("11") UDP, 56 },
	{ "gre with all three", 0x86dd, IP6("2f") GRE("b000", "0800") "000000000000000700000001" IP4("06")
	  TCP("50"), 40 + 16 + 40 },
	{ "ethernet in gre", 0x0800, IP4("2f") GRE("0000", "6558") ETHERNET("0800") IP4("06") TCP("50"), 78 },
	{ "ethernet with a tag in gre", 0x0800, IP4("2f") GRE("0000", "6558") ETHERNET("8100") TAG("86dd")
	  IP6("11") UDP, 20 + 4 + 18 + 48 },
	{ "something else in gre", 0x0800, IP4("2f") GRE("0000", "8847") IP4("06") TCP("50"), UNKNOWN },
	{ "gre with routing", 0x0800, IP4("2f") GRE("4000", "0800") IP4("06") TCP("50"), UNKNOWN },
	{ "gre of version 1", 0x0800, IP4("2f") GRE("0001", "0800") IP4("06") TCP("50"), UNKNOWN },
	{ "gre of version 2", 0x0800, IP4("2f") GRE("0002", "0800") IP4("06") TCP("50"), UNKNOWN },
	{ "gre of version 4", 0x0800, IP4("2f") GRE("0004", "0800") IP4("06") TCP("50"), UNKNOWN },
	{ "gre with other flags", 0x0800, IP4("2f") GRE("0ff8", "0800") IP4("06") TCP("50"), 64 },
	{ "gre in gre", 0x86dd, IP6("2f") GRE("0000", "86dd") IP6("2f") GRE("0000", "0800") IP4("06") TCP("50"),
	  UNKNOWN_BEHIND(84) },
};

struct link {
	int type;
	const char *name;
	unsigned int length, kernel_length, ethertype_at;
	bool any_ethertype;
};

static const struct link LINKS[] = {
	{ DLT_EN10MB, "ethernet", 14, 14, 12, true },
	{ DLT_RAW, "raw", 0, 0, 0, false },
	{ DLT_LINUX_SLL, "sll", 16, 0, 14, true },
	{ DLT_LINUX_SLL2, "sll2", 20, 0, 0, true },
};

struct frame {
	uint8_t bytes[FRAME_MOST];
	unsigned int length;
};

static void append_hex(struct frame *frame, const char *text)
{
	char digits[3] = "";

	for (; *text != '\0'; text += 2) {
		text += strspn(text, " ");
		memcpy(digits, text, 2);
		assert_true(frame->length < FRAME_MOST);
		frame->bytes[frame->length++] = (uint8_t)strtoul(digits, NULL, 16);
	}
}

static void make_frame(struct frame *frame, const struct link *link, const struct shape *shape)
{
	memset(frame, 0, sizeof *frame);
	frame->length = link->length;
	if (link->any_ethertype) {
		frame->bytes[link->ethertype_at] = (uint8_t)(shape->ethertype >> 8);
		frame->bytes[link->ethertype_at + 1] = (uint8_t)shape->ethertype;
	}
	append_hex(frame, shape->bytes);
	memset(frame->bytes + frame->length, 'p', PAYLOAD);
	frame->length += PAYLOAD;
}

static bool is_possible(const struct link *link, const struct shape *shape)
{
	const unsigned int nibble = shape->bytes[0] == '4' ? 0x0800 : shape->bytes[0] == '6' ? 0x86dd : 0;

	return link->any_ethertype || nibble == shape->ethertype;
}

/* Of the record as the file has it. */
static unsigned int expected(const struct link *link, const struct shape *shape)
{
	const unsigned int known = link->length + (shape->known & ~UNKNOWN);

	return (shape->known & UNKNOWN) != 0 && known < HEADERS_UNKNOWN ? HEADERS_UNKNOWN : known;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static struct program program;

static void make_program(const struct link *link, uint32_t snaplen)
{
	unsigned int start;

	program_begin(&program);
	start = headers_put(&program, link->type, snaplen);
	assert_int_equal(start, program.first);
	assert_false(program.too_long);
}

/* What is kept of the record: the kernel sees no cooked header, and none is cut. */
static unsigned int kept(const struct link *link, const struct frame *frame, unsigned int length)
{
	const unsigned int unseen = link->length - link->kernel_length;
	const unsigned int result = bpf_filter(program.code + program.first, frame->bytes, length - unseen, length);

	assert_int_not_equal(result, 0); /* or a load past its end would drop it */
	return least(result, length - unseen) + unseen;
}

static void check_lengths(const struct link *link, const struct shape *shape)
{
	static struct frame frame;
	unsigned int wanted;

	make_frame(&frame, link, shape);
	for (unsigned int length = link->length - link->kernel_length; length <= frame.length; length++) {
		wanted = least(length, expected(link, shape));
		if (kept(link, &frame, length) != wanted)
			fail_msg("%s on %s, %u bytes: kept %u, not %u", shape->name, link->name, length,
				 kept(link, &frame, length), wanted);
	}
}

static void each_shape_keeps_its_headers_at_every_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(LINKS); i++) {
		make_program(&LINKS[i], WHOLE);
		for (size_t j = 0; j < COUNT_OF(SHAPES); j++)
			if (is_possible(&LINKS[i], &SHAPES[j]))
				check_lengths(&LINKS[i], &SHAPES[j]);
	}
}

static void the_snaplen_bounds_what_is_kept(void **state)
{
	static const uint32_t SNAPLENS[] = { 1, 13, 14, 15, 53, 54, 55, 64, 65, 262144 };
	static struct frame frame;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(SNAPLENS); i++) {
		make_program(&LINKS[0], SNAPLENS[i]);
		for (size_t j = 0; j < COUNT_OF(SHAPES); j++) {
			make_frame(&frame, &LINKS[0], &SHAPES[j]);
			assert_int_equal(kept(&LINKS[0], &frame, frame.length),
					 least(SNAPLENS[i], expected(&LINKS[0], &SHAPES[j])));
			assert_int_equal(kept(&LINKS[0], &frame, 9), least(SNAPLENS[i], 9));
		}
	}
}

/* What a datagram is cut to by the filter of the socket that it comes to. */
static unsigned int kept_by_kernel(const int *pair, const uint8_t *bytes, unsigned int length)
{
	static uint8_t received[FRAME_MOST];
	ssize_t result;

	assert_int_equal(send(pair[0], bytes, length, 0), length);
	result = recv(pair[1], received, sizeof received, MSG_DONTWAIT);
	assert_true(result > 0); /* or a load past its end has dropped it */
	assert_memory_equal(received, bytes, (size_t)result);
	return (unsigned int)result;
}

/* As libpcap moves it for a cooked socket; and a datagram of these sockets has no protocol. */
static void attach(int fd, const struct link *link, const struct shape *shape)
{
	static struct program moved;
	struct sock_fprog attached;

	moved = program;
	for (unsigned int i = moved.first; i < BPF_MAXINSNS && link->kernel_length < link->length; i++) {
		struct bpf_insn *one = &moved.code[i];
		if (BPF_CLASS(one->code) == BPF_LD && BPF_MODE(one->code) == BPF_IND)
			one->k -= link->length;
		else if (BPF_CLASS(one->code) == BPF_LD && BPF_MODE(one->code) == BPF_ABS)
			*one = (struct bpf_insn)BPF_STMT(BPF_LD | BPF_IMM, shape->ethertype);
	}
	attached.len = (unsigned short)(BPF_MAXINSNS - moved.first);
	attached.filter = (struct sock_filter *)(void *)(moved.code + moved.first);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached), 0);
}

static void check_in_kernel(const struct link *link, const struct shape *shape, const int *pair)
{
	const unsigned int unseen = link->length - link->kernel_length;
	static struct frame frame;

	make_frame(&frame, link, shape);
	attach(pair[1], link, shape);
	for (unsigned int length = unseen + 1; length <= frame.length; length++)
		if (unseen + kept_by_kernel(pair, frame.bytes + unseen, length - unseen) !=
		    least(length, expected(link, shape)))
			fail_msg("%s on %s, %u bytes", shape->name, link->name, length);
}

static void the_kernel_keeps_the_same(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	for (size_t i = 0; i < COUNT_OF(LINKS); i++) {
		make_program(&LINKS[i], WHOLE);
		for (size_t j = 0; j < COUNT_OF(SHAPES); j++)
			if (is_possible(&LINKS[i], &SHAPES[j]))
				check_in_kernel(&LINKS[i], &SHAPES[j], pair);
	}
	close(pair[0]);
	close(pair[1]);
}

static void a_link_type_that_it_does_not_know_gets_nothing(void **state)
{
	static const int TYPES[] = { DLT_NULL, DLT_IEEE802_11, DLT_PPP, DLT_CAN_SOCKETCAN, -1 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TYPES); i++) {
		program_begin(&program);
		assert_int_equal(headers_put(&program, TYPES[i], WHOLE), 0);
		assert_int_equal(program.first, BPF_MAXINSNS);
	}
}

/* net.core.optmem_max is 20480 bytes before Linux 6.8: a filter must fit beside it. */
static void it_leaves_room_for_a_filter(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(LINKS); i++) {
		make_program(&LINKS[i], WHOLE);
		assert_in_range(BPF_MAXINSNS - program.first, 1, 600);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_shape_keeps_its_headers_at_every_length),
		cmocka_unit_test(the_snaplen_bounds_what_is_kept),
		cmocka_unit_test(the_kernel_keeps_the_same),
		cmocka_unit_test(a_link_type_that_it_does_not_know_gets_nothing),
		cmocka_unit_test(it_leaves_room_for_a_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
