/* What gen.c puts into each packet and check.c expects: offsets are from the frame's start. */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdint.h>
#include <time.h>

#define PAYLOAD_OFFSET 42 /* behind Ethernet, IPv4 and UDP */
#define TCP_PAYLOAD_OFFSET 66 /* behind a timestamp option: check.c does not look there */
#define PAYLOAD_MAGIC 0x63667063u
#define PAYLOAD_PORT 9999
#define FRAME_LEAST 64 /* of TCP, 88 */
#define FRAME_MOST 1514

struct payload {
	uint32_t magic;
	uint64_t sequence; /* from 0, without gaps */
	uint64_t sent_ns;  /* CLOCK_MONOTONIC */
} __attribute__((packed));

/* Then up to the last two bytes: */
static inline uint8_t payload_fill(uint32_t offset)
{
	return (uint8_t)(offset * 7);
}

/* The last two: the end of one packet does not fit the start of another. */
static inline uint16_t payload_tail(uint64_t sequence)
{
	return (uint16_t)(sequence * 0x9e3779b97f4a7c15u >> 40);
}

static inline uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
