/* writer/capture/ring.c: walking blocks that the kernel, or somebody worse, has made. */
#include "capture/ring.h"

#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "common/protocol.h"
#include "scratch.h"
#include "setup/flags.h"

#define BLOCK_SIZE 4096
#define BLOCK_COUNT 4
#define FIRST_OFFSET 48
#define STRIDE 128   /* from one packet's header to the next */
#define MAC_OFFSET 80 /* from a packet's header to its data */

static struct ring ring;

static int begin(void **state)
{
	(void)state;
	ring = (struct ring){ .block_size = BLOCK_SIZE, .block_count = BLOCK_COUNT };
	return posix_memalign((void **)&ring.blocks, BLOCK_SIZE, BLOCK_SIZE * BLOCK_COUNT);
}

static int finish(void **state)
{
	(void)state;
	free(ring.blocks);
	return 0;
}

static uint8_t *block_at(unsigned int index)
{
	return ring.blocks + index * BLOCK_SIZE;
}

static struct tpacket_hdr_v1 *block_header(unsigned int index)
{
	return &((struct tpacket_block_desc *)(void *)block_at(index))->hdr.bh1;
}

static struct tpacket3_hdr *packet_header(unsigned int number)
{
	return (void *)(block_at(0) + FIRST_OFFSET + number * STRIDE);
}

/* Block 0 with packets of 1, 2, 3... bytes, as the kernel would make it. */
static void make_block(uint32_t packets)
{
	memset(ring.blocks, 0, BLOCK_SIZE * BLOCK_COUNT);
	*block_header(0) = (struct tpacket_hdr_v1){ .block_status = TP_STATUS_USER,
						    .num_pkts = packets,
						    .offset_to_first_pkt = FIRST_OFFSET,
						    .blk_len = FIRST_OFFSET + packets * STRIDE };
	for (uint32_t i = 0; i < packets; i++)
		*packet_header(i) = (struct tpacket3_hdr){ .tp_next_offset = STRIDE,
							   .tp_sec = 1700000000 + i,
							   .tp_nsec = 999999999 - i,
							   .tp_snaplen = i + 1,
							   .tp_len = 1000 + i,
							   .tp_status = TP_STATUS_USER,
							   .tp_mac = MAC_OFFSET };
}

/* The packets that a walk of block 0 finds; -1 if it ends in an error. */
static int walk(void)
{
	struct ring_cursor cursor;
	struct packet packet;
	int found = 0, more;

	if (ring_open_block(&ring, block_at(0), &cursor) != 0)
		return -1;
	while ((more = ring_next_packet(&cursor, &packet)) > 0)
		found++;
	return more < 0 ? -1 : found;
}

static struct packet first_packet(void)
{
	struct ring_cursor cursor;
	struct packet packet;

	assert_int_equal(ring_open_block(&ring, block_at(0), &cursor), 0);
	assert_int_equal(ring_next_packet(&cursor, &packet), 1);
	return packet;
}

static void every_packet_of_a_block_is_found(void **state)
{
	struct ring_cursor cursor;
	struct packet packet;

	(void)state;
	make_block(5);
	assert_int_equal(ring_open_block(&ring, block_at(0), &cursor), 0);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(ring_next_packet(&cursor, &packet), 1);
		assert_int_equal(packet.seconds, 1700000000 + i);
		assert_int_equal(packet.nanoseconds, 999999999 - i);
		assert_int_equal(packet.captured, i + 1);
		assert_int_equal(packet.original, 1000 + i);
		assert_ptr_equal(packet.data, (uint8_t *)packet_header(i) + MAC_OFFSET);
		assert_ptr_equal(packet.address, (uint8_t *)packet_header(i) + sizeof(struct tpacket3_hdr));
	}
	assert_int_equal(ring_next_packet(&cursor, &packet), 0);
	assert_int_equal(ring_next_packet(&cursor, &packet), 0);
}

static void a_block_retired_empty_has_no_packets(void **state)
{
	(void)state;
	make_block(0);
	assert_int_equal(walk(), 0);
	block_header(0)->offset_to_first_pkt = 0;
	assert_int_equal(walk(), 0);
}

static void a_packet_may_have_no_bytes(void **state)
{
	(void)state;
	make_block(1);
	packet_header(0)->tp_snaplen = 0;
	assert_int_equal(first_packet().captured, 0);
}

static void the_last_packets_next_offset_does_not_matter(void **state)
{
	(void)state;
	make_block(2);
	packet_header(1)->tp_next_offset = 0;
	assert_int_equal(walk(), 2);
}

static void a_vlan_tag_is_reported_with_its_protocol(void **state)
{
	struct packet packet;

	(void)state;
	make_block(1);
	assert_false(first_packet().vlan);
	packet_header(0)->tp_status |= TP_STATUS_VLAN_VALID;
	packet = first_packet();
	assert_true(packet.vlan);
	assert_int_equal(packet.vlan_tci, 0);
	assert_int_equal(packet.vlan_tpid, ETH_P_8021Q);
	packet_header(0)->hv1.tp_vlan_tci = 0x6fff;
	packet_header(0)->hv1.tp_vlan_tpid = ETH_P_8021AD;
	assert_int_equal(first_packet().vlan_tci, 0x6fff);
	assert_int_equal(first_packet().vlan_tpid, ETH_P_8021Q);
	packet_header(0)->tp_status |= TP_STATUS_VLAN_TPID_VALID;
	assert_int_equal(first_packet().vlan_tpid, ETH_P_8021AD);
}

static void a_block_says_that_packets_were_dropped(void **state)
{
	(void)state;
	block_header(0)->block_status = TP_STATUS_USER;
	assert_false(ring_block_losing((uint8_t *)block_header(0) - offsetof(struct tpacket_block_desc, hdr)));
	block_header(0)->block_status = TP_STATUS_USER | TP_STATUS_LOSING;
	assert_true(ring_block_losing((uint8_t *)block_header(0) - offsetof(struct tpacket_block_desc, hdr)));
}

static void a_first_offset_inside_the_block_header_is_corrupt(void **state)
{
	(void)state;
	make_block(1);
	for (uint32_t offset = 0; offset < FIRST_OFFSET - 8; offset += 8) {
		block_header(0)->offset_to_first_pkt = offset;
		assert_int_equal(walk(), -1);
	}
}

/* Moves packet `number` by some bytes, so that nothing is wrong with it but where it is. */
static void move_packet(unsigned int number, uint32_t distance)
{
	uint8_t *from = (uint8_t *)packet_header(number);

	memmove(from + distance, from, sizeof(struct tpacket3_hdr));
}

static void a_misaligned_offset_is_corrupt(void **state)
{
	(void)state;
	for (uint32_t distance = 1; distance < 8; distance++) {
		make_block(1);
		move_packet(0, distance);
		block_header(0)->offset_to_first_pkt += distance;
		assert_int_equal(walk(), -1);
		make_block(2);
		move_packet(1, distance);
		packet_header(0)->tp_next_offset += distance;
		assert_int_equal(walk(), -1);
	}
}

static void an_aligned_packet_may_be_anywhere(void **state)
{
	(void)state;
	make_block(2);
	move_packet(1, 8);
	packet_header(0)->tp_next_offset += 8;
	assert_int_equal(walk(), 2);
}

static void an_offset_beyond_the_block_is_corrupt(void **state)
{
	static const uint32_t OFFSETS[] = { BLOCK_SIZE - 40, BLOCK_SIZE - 8, BLOCK_SIZE, BLOCK_SIZE + 8,
					    UINT32_C(1) << 31, UINT32_MAX - 7, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(OFFSETS); i++) {
		make_block(1);
		block_header(0)->offset_to_first_pkt = OFFSETS[i];
		assert_int_equal(walk(), -1);
		make_block(2);
		packet_header(0)->tp_next_offset = OFFSETS[i];
		assert_int_equal(walk(), -1);
	}
}

static void a_next_offset_that_wraps_around_is_corrupt(void **state)
{
	(void)state;
	make_block(3);
	packet_header(1)->tp_next_offset = (uint32_t)-STRIDE; /* back to the first packet */
	assert_int_equal(walk(), -1);
}

static void a_next_offset_that_stands_still_is_corrupt(void **state)
{
	(void)state;
	for (uint32_t offset = 0; offset < sizeof(struct tpacket3_hdr); offset += 8) {
		make_block(2);
		packet_header(0)->tp_next_offset = offset;
		assert_int_equal(walk(), -1);
	}
}

static void packets_whose_headers_overlap_are_corrupt(void **state)
{
	(void)state;
	make_block(2);
	memmove((uint8_t *)packet_header(0) + 40, packet_header(1), sizeof(struct tpacket3_hdr));
	packet_header(0)->tp_next_offset = 40;
	assert_int_equal(walk(), -1);
}

static void a_packet_may_reach_to_the_end_of_its_block_and_no_further(void **state)
{
	const uint32_t most = BLOCK_SIZE - FIRST_OFFSET - MAC_OFFSET;

	(void)state;
	make_block(1);
	block_header(0)->blk_len = BLOCK_SIZE;
	packet_header(0)->tp_snaplen = most;
	assert_int_equal(walk(), 1);
	packet_header(0)->tp_snaplen = most + 1;
	assert_int_equal(walk(), -1);
	packet_header(0)->tp_snaplen = UINT32_MAX;
	assert_int_equal(walk(), -1);
	packet_header(0)->tp_snaplen = UINT32_MAX - MAC_OFFSET + 1;
	assert_int_equal(walk(), -1);
}

static void packet_data_begins_behind_its_address_and_inside_the_block(void **state)
{
	const uint16_t least = sizeof(struct tpacket3_hdr) + sizeof(struct sockaddr_ll);

	(void)state;
	make_block(1);
	packet_header(0)->tp_mac = least;
	assert_int_equal(walk(), 1);
	packet_header(0)->tp_mac = (uint16_t)(least - 1);
	assert_int_equal(walk(), -1);
	packet_header(0)->tp_mac = 0;
	assert_int_equal(walk(), -1);
	packet_header(0)->tp_mac = BLOCK_SIZE - FIRST_OFFSET;
	packet_header(0)->tp_snaplen = 0;
	assert_int_equal(walk(), 1);
	packet_header(0)->tp_mac = BLOCK_SIZE - FIRST_OFFSET + 1;
	assert_int_equal(walk(), -1);
	packet_header(0)->tp_mac = UINT16_MAX;
	assert_int_equal(walk(), -1);
}

/* What is queued has room for so much, and not for more. */
static void more_bytes_than_the_block_holds_are_corrupt(void **state)
{
	struct ring_cursor cursor;

	(void)state;
	make_block(3); /* of 1, 2 and 3 bytes */
	block_header(0)->blk_len = 6;
	assert_int_equal(walk(), 3);
	block_header(0)->blk_len = 5;
	assert_int_equal(walk(), -1);
	block_header(0)->blk_len = BLOCK_SIZE;
	assert_int_equal(ring_open_block(&ring, block_at(0), &cursor), 0);
	assert_int_equal(cursor.bytes, BLOCK_SIZE);
	block_header(0)->blk_len = BLOCK_SIZE + 1;
	assert_int_equal(ring_open_block(&ring, block_at(0), &cursor), -1);
}

static void more_packets_than_fit_are_corrupt(void **state)
{
	const uint32_t most = (BLOCK_SIZE - FIRST_OFFSET) / STRIDE;

	(void)state;
	make_block(most);
	assert_int_equal(walk(), most);
	block_header(0)->num_pkts = most + 1;
	assert_int_equal(walk(), -1);
	block_header(0)->num_pkts = UINT32_MAX;
	assert_int_equal(walk(), -1);
}

static void a_block_the_kernel_still_has_is_not_ready(void **state)
{
	(void)state;
	make_block(1);
	assert_ptr_equal(ring_ready_block(&ring, 0), block_at(0));
	block_header(0)->block_status = TP_STATUS_KERNEL;
	assert_null(ring_ready_block(&ring, 0));
	block_header(0)->block_status = TP_STATUS_USER | TP_STATUS_BLK_TMO;
	assert_ptr_equal(ring_ready_block(&ring, 0), block_at(0));
	block_header(0)->block_status = ~(uint32_t)TP_STATUS_USER;
	assert_null(ring_ready_block(&ring, 0));
}

static void looking_ahead_ends_at_the_whole_ring(void **state)
{
	(void)state;
	make_block(1);
	for (unsigned int i = 0; i < BLOCK_COUNT; i++)
		block_header(i)->block_status = TP_STATUS_USER;
	for (unsigned int i = 0; i < BLOCK_COUNT; i++)
		assert_ptr_equal(ring_ready_block(&ring, i), block_at(i));
	assert_null(ring_ready_block(&ring, BLOCK_COUNT));
	assert_null(ring_ready_block(&ring, UINT32_MAX));
}

static void the_ring_wraps_around(void **state)
{
	(void)state;
	make_block(1);
	ring.next = BLOCK_COUNT - 1;
	block_header(BLOCK_COUNT - 1)->block_status = TP_STATUS_USER;
	assert_ptr_equal(ring_ready_block(&ring, 0), block_at(BLOCK_COUNT - 1));
	assert_ptr_equal(ring_ready_block(&ring, 1), block_at(0));
	assert_null(ring_ready_block(&ring, 2));
	ring_release(&ring, 1);
	assert_int_equal(ring.next, 0);
	assert_ptr_equal(ring_ready_block(&ring, 0), block_at(0));
}

static void blocks_are_released_in_order_and_no_others(void **state)
{
	(void)state;
	make_block(1);
	for (unsigned int i = 0; i < BLOCK_COUNT; i++)
		block_header(i)->block_status = TP_STATUS_USER;
	ring.next = 3;
	ring_release(&ring, 2);
	assert_int_equal(block_header(3)->block_status, TP_STATUS_KERNEL);
	assert_int_equal(block_header(0)->block_status, TP_STATUS_KERNEL);
	assert_int_equal(block_header(1)->block_status, TP_STATUS_USER);
	assert_int_equal(block_header(2)->block_status, TP_STATUS_USER);
	assert_int_equal(ring.next, 1);
	ring_release(&ring, 0);
	assert_int_equal(block_header(1)->block_status, TP_STATUS_USER);
	assert_int_equal(ring.next, 1);
}

static void a_ring_needs_a_packet_socket(void **state)
{
	const struct tpacket_req3 layout = ring_layout(BUFFER_BYTES_DEFAULT, 65535);
	struct ring none;

	(void)state;
	assert_int_equal(ring_map(&none, -1, &layout), -1);
}

static void a_ring_has_the_size_asked_for_in_blocks_that_hold_a_packet(void **state)
{
	static const size_t SIZES[] = { BUFFER_BYTES_LEAST, BUFFER_BYTES_LEAST + 1, 1u << 20, BUFFER_BYTES_DEFAULT,
					RING_BYTES_MOST };
	static const uint32_t SNAPLENS[] = { 1, 96, 65535, SNAPLEN_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(SIZES) * COUNT_OF(SNAPLENS); i++) {
		size_t bytes = SIZES[i / COUNT_OF(SNAPLENS)];
		uint32_t snaplen = SNAPLENS[i % COUNT_OF(SNAPLENS)];
		struct tpacket_req3 layout = ring_layout(bytes, snaplen);
		size_t total = (size_t)layout.tp_block_size * layout.tp_block_nr;

		assert_true(layout.tp_block_size > snaplen);
		assert_int_equal(layout.tp_block_size % 4096, 0);
		assert_true(layout.tp_block_nr >= 2);
		assert_true(total <= bytes || layout.tp_block_nr == 2);
		assert_true(total <= RING_BYTES_MOST && total > bytes / 2);
		assert_int_equal(layout.tp_frame_size, layout.tp_block_size);
		assert_int_equal(layout.tp_frame_nr, layout.tp_block_nr);
	}
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(every_packet_of_a_block_is_found),
		RING_TEST(a_block_retired_empty_has_no_packets),
		RING_TEST(a_packet_may_have_no_bytes),
		RING_TEST(the_last_packets_next_offset_does_not_matter),
		RING_TEST(a_vlan_tag_is_reported_with_its_protocol),
		RING_TEST(a_block_says_that_packets_were_dropped),
		RING_TEST(a_first_offset_inside_the_block_header_is_corrupt),
		RING_TEST(a_misaligned_offset_is_corrupt),
		RING_TEST(an_aligned_packet_may_be_anywhere),
		RING_TEST(an_offset_beyond_the_block_is_corrupt),
		RING_TEST(a_next_offset_that_wraps_around_is_corrupt),
		RING_TEST(a_next_offset_that_stands_still_is_corrupt),
		RING_TEST(packets_whose_headers_overlap_are_corrupt),
		RING_TEST(a_packet_may_reach_to_the_end_of_its_block_and_no_further),
		RING_TEST(packet_data_begins_behind_its_address_and_inside_the_block),
		RING_TEST(more_bytes_than_the_block_holds_are_corrupt),
		RING_TEST(more_packets_than_fit_are_corrupt),
		RING_TEST(a_block_the_kernel_still_has_is_not_ready),
		RING_TEST(looking_ahead_ends_at_the_whole_ring),
		RING_TEST(the_ring_wraps_around),
		RING_TEST(blocks_are_released_in_order_and_no_others),
		RING_TEST(a_ring_needs_a_packet_socket),
		RING_TEST(a_ring_has_the_size_asked_for_in_blocks_that_hold_a_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
