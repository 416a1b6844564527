/* capture: inside the sandbox, with the packets. */
/* The kernel's TPACKET_V3 receive ring, Documentation/networking/packet_mmap.rst. */
#include "ring.h"

#include <linux/if_ether.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "common/protocol.h"

/* Where the kernel puts a packet's sockaddr_ll: behind its header, aligned. */
#define ADDRESS_OFFSET \
	((sizeof(struct tpacket3_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * TPACKET_ALIGNMENT)
/* Of packet headers in a block: V3_ALIGNMENT in net/packet/af_packet.c, bytes. */
#define PACKET_ALIGNMENT 8
/* Room for the headers in front of a packet in its block: tpacket3_hdr, sockaddr_ll, link layer. */
#define PACKET_OVERHEAD 512
/*
 * Large enough that a full block costs little to hand over, small enough that there are many:
 * each retire timeout uses up one, however little is in it.
 */
#define BLOCK_BYTES (256u << 10)
#define BLOCK_BYTES_LEAST (64u << 10)
#define BLOCK_COUNT_WANTED 8
#define BLOCK_COUNT_LEAST 2
/*
 * Small packets come from another processor's cache faster than they are copied, if asked for in
 * time: make bench, 64 bytes. Behind the block's end this asks for nothing of use, and does no harm.
 */
#define CACHE_LINE 64
#define PREFETCH_AHEAD 1024

struct tpacket_req3 ring_layout(size_t bytes, uint32_t packet_bytes)
{
	size_t needed = BLOCK_BYTES_LEAST, size = BLOCK_BYTES, count;

	while (needed < packet_bytes + PACKET_OVERHEAD)
		needed *= 2;
	while (size > needed && bytes / size < BLOCK_COUNT_WANTED)
		size /= 2;
	if (size < needed)
		size = needed;
	count = bytes / size < BLOCK_COUNT_LEAST ? BLOCK_COUNT_LEAST : bytes / size;
	/* Frames of TPACKET_V3 have any size: what is asked for only has to divide. */
	return (struct tpacket_req3){ .tp_block_size = (unsigned int)size,
				      .tp_block_nr = (unsigned int)count,
				      .tp_frame_size = (unsigned int)size,
				      .tp_frame_nr = (unsigned int)count,
				      .tp_retire_blk_tov = RING_RETIRE_TIMEOUT_MS };
}

int ring_retire_most_ms(void)
{
	/* Up to a tick to start, the timeout in whole ticks, and somewhat for the interrupt. */
	return RING_RETIRE_TIMEOUT_MS + 2 * clock_tick_ms() + 4;
}

int ring_map(struct ring *ring, int packet_fd, const struct tpacket_req3 *layout)
{
	void *blocks = mmap(NULL, protocol_ring_bytes(layout), PROT_READ | PROT_WRITE, MAP_SHARED, packet_fd, 0);

	if (blocks == MAP_FAILED)
		return -1;
	*ring = (struct ring){ blocks, layout->tp_block_size, layout->tp_block_nr, 0 };
	return 0;
}

static uint8_t *block_at(const struct ring *ring, unsigned int index)
{
	return ring->blocks + (size_t)(index % ring->block_count) * ring->block_size;
}

static uint32_t *block_status(uint8_t *block)
{
	return &((struct tpacket_block_desc *)block)->hdr.bh1.block_status;
}

uint8_t *ring_ready_block(const struct ring *ring, unsigned int ahead)
{
	uint8_t *block = block_at(ring, ring->next + ahead);

	if (ahead >= ring->block_count)
		return NULL;
	/* Acquire: the packets were written before the kernel set this. */
	if ((__atomic_load_n(block_status(block), __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0)
		return NULL;
	return block;
}

bool ring_block_losing(const uint8_t *block)
{
	const struct tpacket_block_desc *header = (const void *)block;

	return (header->hdr.bh1.block_status & TP_STATUS_LOSING) != 0;
}

bool ring_fills_sparsely(const struct ring *ring, unsigned int ahead)
{
	/* They are ready in order: when the last of a quarter is not, less than a quarter is. */
	unsigned int ready = ring->block_count < 4 ? 0 : ring->block_count / 4 - 1;
	const struct tpacket_block_desc *newest = NULL;
	const uint8_t *block;

	for (; (block = ring_ready_block(ring, ahead + ready)) != NULL; ready++)
		newest = (const void *)block;
	return newest != NULL && newest->hdr.bh1.blk_len < ring->block_size / 2;
}

void ring_release(struct ring *ring, unsigned int count)
{
	for (; count > 0; count--) {
		/* Release: we have read the packets before the kernel may overwrite them. */
		__atomic_store_n(block_status(block_at(ring, ring->next)), TP_STATUS_KERNEL,
				 __ATOMIC_RELEASE);
		ring->next = (ring->next + 1) % ring->block_count;
	}
}

int ring_open_block(const struct ring *ring, const uint8_t *block, struct ring_cursor *cursor)
{
	const struct tpacket_hdr_v1 *header = &((const struct tpacket_block_desc *)block)->hdr.bh1;

	*cursor = (struct ring_cursor){ block, ring->block_size, header->num_pkts, header->blk_len,
					header->offset_to_first_pkt };
	return (cursor->remaining > 0 && cursor->offset < sizeof *header) || cursor->bytes > ring->block_size ||
	       cursor->remaining > ring->block_size / sizeof(struct tpacket3_hdr) ? -1 : 0;
}

/* Everything a packet's header says about where things are stays inside the block. */
static bool packet_fits(const struct ring_cursor *cursor, const struct tpacket3_hdr *header)
{
	size_t room = cursor->block_size - cursor->offset;

	return header->tp_mac >= ADDRESS_OFFSET + sizeof(struct sockaddr_ll) &&
	       header->tp_mac <= room && header->tp_snaplen <= room - header->tp_mac;
}

int ring_next_packet(struct ring_cursor *cursor, struct packet *packet)
{
	const struct tpacket3_hdr *header = (const void *)(cursor->block + cursor->offset);
	const uint8_t *start = (const uint8_t *)header;

	if (cursor->remaining == 0)
		return 0;
	if (cursor->offset % PACKET_ALIGNMENT != 0 || cursor->offset > cursor->block_size ||
	    cursor->block_size - cursor->offset < sizeof *header || !packet_fits(cursor, header) ||
	    header->tp_snaplen > cursor->bytes)
		return -1;
	__builtin_prefetch(start + PREFETCH_AHEAD);
	__builtin_prefetch(start + PREFETCH_AHEAD + CACHE_LINE);
	packet->seconds = header->tp_sec;
	packet->nanoseconds = header->tp_nsec;
	packet->captured = header->tp_snaplen;
	packet->original = header->tp_len;
	packet->data = start + header->tp_mac;
	packet->address = (const void *)(start + ADDRESS_OFFSET);
	packet->vlan = (header->tp_status & TP_STATUS_VLAN_VALID) != 0 || header->hv1.tp_vlan_tci != 0;
	packet->vlan_tci = (uint16_t)header->hv1.tp_vlan_tci;
	packet->vlan_tpid = (header->tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ?
				    header->hv1.tp_vlan_tpid : ETH_P_8021Q;
	cursor->bytes -= packet->captured;
	cursor->remaining--;
	if (cursor->remaining > 0 && header->tp_next_offset < sizeof *header)
		return -1; /* would stand still */
	if (__builtin_add_overflow(cursor->offset, header->tp_next_offset, &cursor->offset))
		return -1;
	return 1;
}

uint64_t packet_time(const struct packet *packet)
{
	return (uint64_t)packet->seconds * NANOSECONDS + packet->nanoseconds;
}
