/*
 * Reads a pcapng of gen.c's packets from stdin and prints as JSON how many they were and how late: "delay note FILE" how long
 * after they were sent each was read, and it notes when; "delay since FILE" how long after it had been noted there.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "payload.h"

#define BUFFER_BYTES (1u << 20)
#define BLOCK_LEAST 12
#define ENHANCED_PACKET 6
#define PACKET_HEAD 28 /* from the block's start to the frame */
#define DELAY_MOST 60000 /* ms */
#define NOTED_MOST (1u << 22)

static uint64_t packets, delays[DELAY_MOST + 1]; /* how many had one of so many whole milliseconds */
static uint64_t *noted; /* ns: when the packet of this sequence number was read */
static bool is_noting;

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static void take_block(const uint8_t *block, uint32_t length, uint64_t read_ns)
{
	struct payload payload;
	uint64_t ms, since;

	if (get32(block) != ENHANCED_PACKET || length < PACKET_HEAD + PAYLOAD_OFFSET + sizeof payload)
		return;
	memcpy(&payload, block + PACKET_HEAD + PAYLOAD_OFFSET, sizeof payload);
	if (payload.magic != PAYLOAD_MAGIC || payload.sequence >= NOTED_MOST)
		return;
	if (is_noting)
		noted[payload.sequence] = read_ns;
	/* The other one may read it before it is noted: that is no delay. */
	since = is_noting ? payload.sent_ns : noted[payload.sequence];
	ms = since == 0 || since > read_ns ? 0 : (read_ns - since) / 1000000;
	packets++;
	delays[ms < DELAY_MOST ? ms : DELAY_MOST]++;
}

/* Returns how many bytes whole blocks had. */
static size_t take_blocks(const uint8_t *bytes, size_t length, uint64_t read_ns)
{
	size_t at = 0;

	while (length - at >= BLOCK_LEAST) {
		const uint32_t block = get32(bytes + at + 4);
		if (block < BLOCK_LEAST || block > BUFFER_BYTES) {
			fputs("delay: this is no pcapng\n", stderr);
			exit(1);
		}
		if (length - at < block)
			break;
		take_block(bytes + at, block, read_ns);
		at += block;
	}
	return at;
}

/* Milliseconds that so many of a hundred do not exceed. */
static unsigned int percentile(unsigned int percent)
{
	uint64_t seen = 0;
	unsigned int ms = 0;

	while (ms < DELAY_MOST && (seen += delays[ms]) < (packets * percent + 99) / 100)
		ms++;
	return ms + 1;
}

static void map_notes(const char *path)
{
	const int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, NOTED_MOST * sizeof *noted) != 0)
		exit(2);
	noted = mmap(NULL, NOTED_MOST * sizeof *noted, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (noted == MAP_FAILED)
		exit(2);
}

int main(int argc, char **argv)
{
	static uint8_t buffer[BUFFER_BYTES];
	size_t held = 0, done;
	ssize_t count;

	if (argc != 3) {
		fputs("delay note|since FILE\n", stderr);
		return 2;
	}
	is_noting = strcmp(argv[1], "note") == 0;
	map_notes(argv[2]);
	while ((count = read(STDIN_FILENO, buffer + held, sizeof buffer - held)) > 0) {
		held += (size_t)count;
		done = take_blocks(buffer, held, monotonic_ns());
		held -= done;
		memmove(buffer, buffer + done, held);
	}
	printf("{\"packets\": %" PRIu64 ", \"p50_ms\": %u, \"p99_ms\": %u, \"max_ms\": %u}\n", packets, percentile(50),
	       percentile(99), percentile(100));
	return 0;
}
