/*
 * The writer's packet path without a kernel: drains a ring image again and again, to stdout.
 * ring_image SIZE ROUNDS [pcapng]. What one round costs is the difference between two runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "writer/capture/capture.c"

#define RING_BYTES (4u << 20)
#define BLOCK_BYTES (256u << 10)
#define DATA_OFFSET 82 /* of a packet's bytes from its header, as the kernel chooses it for Ethernet */

static size_t align(size_t length)
{
	return (length + 7) / 8 * 8;
}

/* As net/packet/af_packet.c fills a block. Returns the packets in it. */
static uint32_t fill_block(uint8_t *block, uint32_t size)
{
	struct tpacket_hdr_v1 *header = &((struct tpacket_block_desc *)block)->hdr.bh1;
	size_t at = align(sizeof(struct tpacket_block_desc)), step = align(DATA_OFFSET + size);

	header->offset_to_first_pkt = (uint32_t)at;
	for (; at + step <= BLOCK_BYTES; at += step) {
		struct tpacket3_hdr *packet = (void *)(block + at);
		*packet = (struct tpacket3_hdr){ .tp_next_offset = (uint32_t)step,
						 .tp_sec = 1700000000 + header->num_pkts,
						 .tp_nsec = 123456789,
						 .tp_snaplen = size,
						 .tp_len = size,
						 .tp_status = TP_STATUS_USER,
						 .tp_mac = DATA_OFFSET };
		memset(block + at + DATA_OFFSET, (int)header->num_pkts, size);
		header->num_pkts++;
	}
	header->blk_len = (uint32_t)at;
	return header->num_pkts;
}

static void hand_over(struct ring *ring)
{
	for (unsigned int i = 0; i < ring->block_count; i++) {
		uint8_t *block = ring->blocks + i * ring->block_size;
		((struct tpacket_block_desc *)block)->hdr.bh1.block_status = TP_STATUS_USER;
	}
}

int main(int argc, char **argv)
{
	static struct output output;
	struct capture capture = { .output = &output,
				   .format = { .kind = argc > 3 ? FORMAT_PCAPNG : FORMAT_PCAP,
					       .snaplen = 65535,
					       .link_type = LINK_TYPE_ETHERNET } };
	struct run run = { .capture = &capture,
			   .output = &output,
			   .socket = { .gone = true },
			   .drops = { .socket = &run.socket },
			   .intake = { .capture = &capture, .presence = &run.presence },
			   .ring = { .block_size = BLOCK_BYTES, .block_count = RING_BYTES / BLOCK_BYTES } };
	uint32_t size = argc > 2 ? (uint32_t)atoi(argv[1]) : 0, packets = 0;
	const uint64_t rounds = argc > 2 ? (uint64_t)atoi(argv[2]) : 0;

	run.ring.blocks = calloc(RING_BYTES, 1);
	if (run.ring.blocks == NULL || size == 0 || output_open(&output, OUTPUT_QUEUE_BYTES, PIPE_ROOM_WANTED) != NULL)
		return 2;
	for (unsigned int i = 0; i < run.ring.block_count; i++)
		packets += fill_block(run.ring.blocks + i * BLOCK_BYTES, size);
	for (uint64_t round = 1; round <= rounds; round++) {
		hand_over(&run.ring);
		drain(&run);
		if (run.ending != RUNNING || run.intake.packets != round * packets)
			return 1;
	}
	fprintf(stderr, "%u packets a round\n", packets);
	return 0;
}
