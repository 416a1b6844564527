/* capture: inside the sandbox, with the packets. */
/* The kernel's TPACKET_V3 receive ring, Documentation/networking/packet_mmap.rst. */
#pragma once

#include <linux/if_packet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output/packet.h"

/* A block that holds packets is handed over this long after it was opened, full or not. */
#define RING_RETIRE_TIMEOUT_MS 8

struct ring {
	uint8_t *blocks; /* block_count blocks of block_size bytes, shared with the kernel */
	size_t block_size;
	unsigned int block_count;
	unsigned int next; /* the block that is ready next */
};

/* A position in a block's chain of packets. */
struct ring_cursor {
	const uint8_t *block;
	size_t block_size;
	uint32_t remaining; /* packets */
	uint32_t bytes;     /* of the block that they take up, headers and all */
	uint32_t offset;    /* bytes from block to the next packet's header */
};

/*
 * What to ask the kernel for: about `bytes` bytes, in blocks that hold a packet of packet_bytes; more
 * than that where two such blocks take more. The kernel cuts a packet at its block's end: one of
 * 256 KiB, as in all rings of 2 MiB and more, holds 261 kB.
 */
struct tpacket_req3 ring_layout(size_t bytes, uint32_t packet_bytes);

/* How long a packet can be in a block before that is handed over, ms: the kernel's timer may be late. */
int ring_retire_most_ms(void);

/* Maps the ring of that layout which packet_fd has. Returns 0, or -1 with errno. */
int ring_map(struct ring *ring, int packet_fd, const struct tpacket_req3 *layout);

/*
 * The `ahead`th block from the next one, if the kernel has handed it over; else NULL. Its
 * packets are read with a cursor.
 */
uint8_t *ring_ready_block(const struct ring *ring, unsigned int ahead);

/* The kernel has dropped packets that PACKET_STATISTICS has not been asked about yet. */
bool ring_block_losing(const uint8_t *block);

/* A quarter of it or more is ready, from the `ahead`th block on, and the newest has more room than packets. */
bool ring_fills_sparsely(const struct ring *ring, unsigned int ahead);

/* Gives the next `count` blocks back to the kernel. */
void ring_release(struct ring *ring, unsigned int count);

/*
 * Starts at a block's first packet. Returns 0, or -1 if the block's header is inconsistent. Whatever
 * comes after that, the packets are at most cursor->remaining, and their bytes cursor->bytes.
 */
int ring_open_block(const struct ring *ring, const uint8_t *block, struct ring_cursor *cursor);

/*
 * The next packet. Returns 1, 0 when there is none left, or -1 if it would lie outside its
 * block: the kernel never does that, so nothing in the ring can be trusted any more.
 */
int ring_next_packet(struct ring_cursor *cursor, struct packet *packet);

/* When a packet was seen, ns since the epoch. */
uint64_t packet_time(const struct packet *packet);
