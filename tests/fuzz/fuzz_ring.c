/* The ring walker: any block. It reads nothing outside it, and it comes to an end. */
#include <stdlib.h>

#include "capture/ring.h"
#include "fuzz.h"
#include "output/frame.h"

#define BLOCK_MOST 8192
#define FIRST_OFFSET 48

static volatile uint8_t sink;

static void read_all(const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		sink ^= ((const uint8_t *)bytes)[i];
}

static void expect_sound(const struct packet *packet, const struct ring *ring, uint32_t snaplen)
{
	static const enum link_type TYPES[] = { LINK_TYPE_ETHERNET, LINK_TYPE_RAW, LINK_TYPE_LINUX_SLL,
						LINK_TYPE_LINUX_SLL2 };
	struct frame frame;

	PROMISE(packet->data >= ring->blocks && packet->data + packet->captured <= ring->blocks + ring->block_size);
	read_all(packet->data, packet->captured);
	read_all(packet->address, sizeof *packet->address);
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
		frame_make(&frame, TYPES[i], snaplen, packet);
		PROMISE(frame.head_length <= FRAME_HEAD_MAX);
		PROMISE(frame.head_length + frame.body_length <= snaplen);
		read_all(frame.head, frame.head_length);
		read_all(frame.body, frame.body_length);
	}
}

/* On the heap and of the exact size, so that the sanitizer sees every step outside it. */
static struct ring make_ring(const uint8_t *data, size_t size)
{
	struct ring ring = { .block_count = 1 };

	ring.block_size = size < FIRST_OFFSET ? FIRST_OFFSET : (size + 7) / 8 * 8;
	ring.blocks = calloc(1, ring.block_size);
	PROMISE(ring.blocks != NULL);
	if (size > 0)
		memcpy(ring.blocks, data, size);
	return ring;
}

static void walk(const struct ring *ring, uint8_t *block, uint32_t snaplen)
{
	struct ring_cursor cursor;
	struct packet packet;
	size_t packets = 0;

	if (ring_open_block(ring, block, &cursor) != 0)
		return;
	while (ring_next_packet(&cursor, &packet) > 0) {
		expect_sound(&packet, ring, snaplen);
		PROMISE(++packets <= ring->block_size / sizeof(struct tpacket3_hdr));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size < BLOCK_MOST ? size : BLOCK_MOST };
	uint32_t snaplen = take_word(&bytes) % (BLOCK_MOST + 1) + 1;
	struct ring ring = make_ring(bytes.data, bytes.size);
	uint8_t *block = ring_ready_block(&ring, 0);

	PROMISE(block == NULL || block == ring.blocks);
	PROMISE(ring_ready_block(&ring, 1) == NULL);
	walk(&ring, ring.blocks, snaplen);
	ring_release(&ring, 1);
	PROMISE(ring_ready_block(&ring, 0) == NULL);
	free(ring.blocks);
	return 0;
}
