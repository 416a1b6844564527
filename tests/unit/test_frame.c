/* writer/output/frame.c: packets as they stand in a file. */
#include "output/frame.h"

#include <arpa/inet.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <string.h>

#include "scratch.h"

#define SNAPLEN 65535
#define DLT_RAW 12

static const uint8_t WIRE[] = { 0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0, 20 };

static const struct sockaddr_ll FROM = { .sll_family = AF_PACKET,
					 .sll_protocol = 0x0008, /* ETH_P_IP on the wire */
					 .sll_ifindex = 0x01020304,
					 .sll_hatype = ARPHRD_ETHER,
					 .sll_pkttype = PACKET_OUTGOING,
					 .sll_halen = 6,
					 .sll_addr = { 1, 2, 3, 4, 5, 6, 0, 0 } };

static struct packet packet(void)
{
	return (struct packet){ .captured = sizeof WIRE,
				.original = 1000,
				.data = WIRE,
				.address = &FROM };
}

static struct packet tagged_packet(void)
{
	struct packet tagged = packet();

	tagged.vlan = true;
	tagged.vlan_tci = 0x6064; /* priority 3, VLAN 100 */
	tagged.vlan_tpid = ETH_P_8021Q;
	return tagged;
}

static uint8_t content[256];

/* The frame as one piece, in `content`. Returns its length. */
static size_t make(struct frame *frame, enum link_type link_type, uint32_t snaplen,
		   const struct packet *source)
{
	frame_make(frame, link_type, snaplen, source);
	assert_true(frame->head_length <= FRAME_HEAD_MAX);
	assert_true(frame->head_length + frame->body_length <= snaplen);
	memcpy(content, frame->head, frame->head_length);
	memcpy(content + frame->head_length, frame->body, frame->body_length);
	return frame->head_length + frame->body_length;
}

static void assert_frame(enum link_type link_type, uint32_t snaplen, const struct packet *source,
			 const uint8_t *expected, size_t length, uint32_t original)
{
	struct frame frame;

	assert_int_equal(make(&frame, link_type, snaplen, source), length);
	assert_memory_equal(content, expected, length);
	assert_int_equal(frame.original, original);
}

static void an_untagged_ethernet_frame_is_left_as_it_is(void **state)
{
	const struct packet plain = packet();

	(void)state;
	assert_frame(LINK_TYPE_ETHERNET, SNAPLEN, &plain, WIRE, sizeof WIRE, 1000);
}

static void a_raw_packet_is_left_as_it_is(void **state)
{
	const struct packet tagged = tagged_packet();

	(void)state;
	assert_frame(LINK_TYPE_RAW, SNAPLEN, &tagged, WIRE, sizeof WIRE, 1000);
}

static void a_vlan_tag_is_put_back_behind_the_addresses(void **state)
{
	static const uint8_t EXPECTED[] = { 0x02, 0,    0,    0,    0,    1,    0x02, 0, 0, 0, 0, 2,
					    0x81, 0x00, 0x60, 0x64, 0x08, 0x00, 0x45, 0, 0, 20 };
	const struct packet tagged = tagged_packet();

	(void)state;
	assert_frame(LINK_TYPE_ETHERNET, SNAPLEN, &tagged, EXPECTED, sizeof EXPECTED, 1004);
}

static void a_service_tag_keeps_its_protocol(void **state)
{
	struct packet tagged = tagged_packet();
	struct frame frame;

	(void)state;
	tagged.vlan_tpid = ETH_P_8021AD;
	make(&frame, LINK_TYPE_ETHERNET, SNAPLEN, &tagged);
	assert_int_equal(content[12], 0x88);
	assert_int_equal(content[13], 0xa8);
}

static void a_tagged_frame_is_cut_to_the_snaplen_with_its_tag(void **state)
{
	static const uint8_t EXPECTED[] = { 0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2,
					    0x81, 0x00, 0x60, 0x64, 0x08, 0x00, 0x45 };
	const struct packet tagged = tagged_packet();

	(void)state;
	for (uint32_t snaplen = 1; snaplen <= sizeof EXPECTED; snaplen++)
		assert_frame(LINK_TYPE_ETHERNET, snaplen, &tagged, EXPECTED, snaplen, 1004);
}

static void a_frame_too_short_for_addresses_gets_no_tag(void **state)
{
	struct packet tagged = tagged_packet();

	(void)state;
	for (tagged.captured = 0; tagged.captured < 12; tagged.captured++)
		assert_frame(LINK_TYPE_ETHERNET, SNAPLEN, &tagged, WIRE, tagged.captured, 1000);
	assert_frame(LINK_TYPE_ETHERNET, 4, &tagged, WIRE, 4, 1004);
}

static void a_frame_of_just_the_addresses_gets_its_tag(void **state)
{
	static const uint8_t EXPECTED[] = { 0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x81, 0x00, 0x60, 0x64 };
	struct packet tagged = tagged_packet();

	(void)state;
	tagged.captured = 12;
	assert_frame(LINK_TYPE_ETHERNET, SNAPLEN, &tagged, EXPECTED, sizeof EXPECTED, 1004);
}

static void every_link_type_is_cut_to_the_snaplen(void **state)
{
	static const enum link_type TYPES[] = { LINK_TYPE_ETHERNET, LINK_TYPE_RAW, LINK_TYPE_LINUX_SLL,
						LINK_TYPE_LINUX_SLL2 };
	const struct packet tagged = tagged_packet();
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(TYPES); i++) {
		size_t whole = make(&frame, TYPES[i], SNAPLEN, &tagged);
		for (uint32_t snaplen = 1; snaplen < whole; snaplen++)
			assert_int_equal(make(&frame, TYPES[i], snaplen, &tagged), snaplen);
		assert_int_equal(make(&frame, TYPES[i], (uint32_t)whole, &tagged), whole);
	}
}

static void a_cooked_packet_gets_an_sll_header(void **state)
{
	static const uint8_t EXPECTED[] = { 0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x08, 0x00,
					    0x02, 0, 0 };
	struct packet plain = packet();

	(void)state;
	plain.captured = 3;
	assert_frame(LINK_TYPE_LINUX_SLL, SNAPLEN, &plain, EXPECTED, sizeof EXPECTED, 1016);
}

/* As libpcap has it: the protocol comes behind the tag. */
static void an_sll_header_holds_the_tag_before_the_protocol(void **state)
{
	static const uint8_t EXPECTED[] = { 0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0,
					    0x81, 0x00, 0x60, 0x64, 0x08, 0x00 };
	const struct packet tagged = tagged_packet();

	(void)state;
	assert_frame(LINK_TYPE_LINUX_SLL, sizeof EXPECTED, &tagged, EXPECTED, sizeof EXPECTED, 1020);
}

static void a_short_cooked_packet_gets_no_tag(void **state)
{
	static const uint8_t EXPECTED[] = { 0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x08, 0x00 };
	struct packet tagged = tagged_packet();

	(void)state;
	tagged.captured = 13;
	assert_frame(LINK_TYPE_LINUX_SLL, sizeof EXPECTED, &tagged, EXPECTED, sizeof EXPECTED, 1016);
}

static void a_packet_of_any_gets_an_sll2_header(void **state)
{
	static const uint8_t EXPECTED[] = { 0x08, 0x00, 0, 0, 1, 2, 3, 4, 0, 1, 4, 6,
					    1, 2, 3, 4, 5, 6, 0, 0, 0x02 };
	struct packet plain = packet();

	(void)state;
	plain.captured = 1;
	assert_frame(LINK_TYPE_LINUX_SLL2, SNAPLEN, &plain, EXPECTED, sizeof EXPECTED, 1020);
}

static void a_packet_without_bytes_is_still_a_frame(void **state)
{
	struct packet empty = packet();
	struct frame frame;

	(void)state;
	empty.captured = 0;
	assert_int_equal(make(&frame, LINK_TYPE_ETHERNET, SNAPLEN, &empty), 0);
	assert_int_equal(make(&frame, LINK_TYPE_LINUX_SLL, SNAPLEN, &empty), 16);
	assert_int_equal(make(&frame, LINK_TYPE_LINUX_SLL2, SNAPLEN, &empty), 20);
}

static void link_types_that_are_not_written_are_refused(void **state)
{
	(void)state;
	assert_int_equal(frame_link_type(1), LINK_TYPE_ETHERNET);
	assert_int_equal(frame_link_type(DLT_RAW), LINK_TYPE_RAW);
	assert_int_equal(frame_link_type(113), LINK_TYPE_LINUX_SLL);
	assert_int_equal(frame_link_type(276), LINK_TYPE_LINUX_SLL2);
	for (int dlt = -1; dlt < 400; dlt++)
		if (dlt != 1 && dlt != DLT_RAW && dlt != 113 && dlt != 276)
			assert_int_equal(frame_link_type(dlt), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_untagged_ethernet_frame_is_left_as_it_is),
		cmocka_unit_test(a_raw_packet_is_left_as_it_is),
		cmocka_unit_test(a_vlan_tag_is_put_back_behind_the_addresses),
		cmocka_unit_test(a_service_tag_keeps_its_protocol),
		cmocka_unit_test(a_tagged_frame_is_cut_to_the_snaplen_with_its_tag),
		cmocka_unit_test(a_frame_too_short_for_addresses_gets_no_tag),
		cmocka_unit_test(a_frame_of_just_the_addresses_gets_its_tag),
		cmocka_unit_test(every_link_type_is_cut_to_the_snaplen),
		cmocka_unit_test(a_cooked_packet_gets_an_sll_header),
		cmocka_unit_test(an_sll_header_holds_the_tag_before_the_protocol),
		cmocka_unit_test(a_short_cooked_packet_gets_no_tag),
		cmocka_unit_test(a_packet_of_any_gets_an_sll2_header),
		cmocka_unit_test(a_packet_without_bytes_is_still_a_frame),
		cmocka_unit_test(link_types_that_are_not_written_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
