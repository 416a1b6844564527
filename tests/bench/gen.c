/*
 * Sends numbered UDP packets at a given rate and prints as JSON how it went. Two ways: frames through
 * a packet socket past the queueing discipline (-i), of TCP if wanted (-T), or datagrams to 127.0.0.1
 * (without -i).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "payload.h"

#define BATCH_MOST 128
#define SIZES_MOST 16
#define BATCH_NS 100000       /* packets that are due within this are sent together */
#define SPIN_NS 40000         /* shorter waits are not worth a sleep */
#define LATE_NS 2000000       /* stalled: go on at the rate, do not catch up in a burst */
#define SEND_BUFFER_BYTES (8 << 20)

struct plan {
	const char *interface;
	uint32_t sizes[SIZES_MOST]; /* of frames, in turn */
	unsigned int size_count;
	uint64_t count;
	double rate; /* packets per second, 0 for as fast as possible */
	double seconds;
	bool tcp;
	uint32_t payload_offset;
};

struct batch {
	uint8_t frames[BATCH_MOST][FRAME_MOST];
	struct iovec vectors[BATCH_MOST];
	struct mmsghdr messages[BATCH_MOST];
};

struct pace {
	uint64_t base; /* ns: when packet 0 was due, moved by stalls */
	uint64_t late; /* stalls */
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void parse_sizes(struct plan *plan, char *list)
{
	for (char *word = strtok(list, ","); word != NULL; word = strtok(NULL, ",")) {
		unsigned long size = strtoul(word, NULL, 10);
		if (size < FRAME_LEAST || size > FRAME_MOST || plan->size_count == SIZES_MOST) {
			fprintf(stderr, "gen: sizes are %d..%d bytes\n", FRAME_LEAST, FRAME_MOST);
			exit(2);
		}
		plan->sizes[plan->size_count++] = (uint32_t)size;
	}
}

static void parse(struct plan *plan, int argc, char **argv)
{
	int option;

	*plan = (struct plan){ .count = UINT64_MAX, .seconds = 60, .payload_offset = PAYLOAD_OFFSET };
	while ((option = getopt(argc, argv, "i:s:n:r:t:T")) != -1) {
		switch (option) {
		case 'i': plan->interface = optarg; break;
		case 's': parse_sizes(plan, optarg); break;
		case 'n': plan->count = strtoull(optarg, NULL, 10); break;
		case 'r': plan->rate = atof(optarg); break;
		case 't': plan->seconds = atof(optarg); break;
		case 'T': plan->tcp = true, plan->payload_offset = TCP_PAYLOAD_OFFSET; break;
		default:
			fputs("gen [-i INTERFACE [-T]] -s SIZE,... [-n COUNT] [-r RATE] [-t SECONDS]\n", stderr);
			exit(2);
		}
	}
	if (plan->size_count == 0)
		plan->sizes[plan->size_count++] = FRAME_LEAST;
}

static int open_packet_socket(const char *interface)
{
	const int yes = 1, bytes = SEND_BUFFER_BYTES;
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || address.sll_ifindex == 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
		fail(interface);
	return fd;
}

/* To a socket that nobody reads, so that no ICMP error answers. */
static int open_loopback_socket(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(PAYLOAD_PORT),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int sink = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_DGRAM, 0);
	const int bytes = 0;

	if (sink < 0 || fd < 0 || setsockopt(sink, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) != 0 ||
	    bind(sink, (struct sockaddr *)&address, sizeof address) != 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		fail("lo");
	return fd;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t ip_checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)header[i] << 8 | header[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static void put_udp(uint8_t *udp, uint32_t size)
{
	put16(udp, 12345);
	put16(udp + 2, PAYLOAD_PORT);
	put16(udp + 4, size);
}

/* As a connection's segments have it: with a timestamp for an option. */
static void put_tcp(uint8_t *tcp)
{
	static const uint8_t timestamp[] = { 1, 1, 8, 10 };

	put16(tcp, 12345);
	put16(tcp + 2, PAYLOAD_PORT);
	tcp[12] = 8 << 4;
	tcp[13] = 0x10; /* ACK */
	memcpy(tcp + 20, timestamp, sizeof timestamp);
}

/* To an address that is nobody's: the network stack drops it behind the packet sockets. */
static void make_frame(uint8_t *frame, uint32_t size, const struct plan *plan)
{
	static const uint8_t ethernet[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0 };
	uint8_t *ip = frame + sizeof ethernet;

	memset(frame, 0, plan->payload_offset);
	memcpy(frame, ethernet, sizeof ethernet);
	ip[0] = 0x45;
	put16(ip + 2, size - (uint32_t)sizeof ethernet);
	ip[8] = 64;
	ip[9] = plan->tcp ? IPPROTO_TCP : IPPROTO_UDP;
	memcpy(ip + 12, (const uint8_t[]){ 198, 18, 0, 1, 198, 18, 0, 2 }, 8); /* RFC 2544 */
	put16(ip + 10, ip_checksum(ip));
	if (plan->tcp)
		put_tcp(ip + 20);
	else
		put_udp(ip + 20, size - 34);
	for (uint32_t i = plan->payload_offset; i < size; i++)
		frame[i] = payload_fill(i);
}

static void prepare(struct batch *batch, const struct plan *plan)
{
	for (int i = 0; i < BATCH_MOST; i++) {
		make_frame(batch->frames[i], FRAME_MOST, plan);
		batch->messages[i].msg_hdr = (struct msghdr){ .msg_iov = &batch->vectors[i],
							      .msg_iovlen = 1 };
		if (plan->size_count == 1)
			make_frame(batch->frames[i], plan->sizes[0], plan);
	}
}

static void number_packet(struct batch *batch, unsigned int slot, const struct plan *plan, uint64_t sequence,
			  uint64_t now)
{
	const struct payload payload = { PAYLOAD_MAGIC, sequence, now };
	const uint16_t tail = payload_tail(sequence);
	uint32_t size = plan->sizes[sequence % plan->size_count];
	uint8_t *frame = batch->frames[slot];
	uint32_t skipped = plan->interface != NULL ? 0 : PAYLOAD_OFFSET;

	if (plan->size_count > 1)
		make_frame(frame, size, plan);
	memcpy(frame + plan->payload_offset, &payload, sizeof payload);
	memcpy(frame + size - sizeof tail, &tail, sizeof tail);
	batch->vectors[slot] = (struct iovec){ frame + skipped, size - skipped };
}

static void send_batch(int fd, struct mmsghdr *messages, unsigned int count)
{
	while (count > 0) {
		int sent = sendmmsg(fd, messages, count, 0);
		if (sent < 0 && errno != EINTR && errno != ENOBUFS && errno != EAGAIN)
			fail("sendmmsg");
		if (sent > 0) {
			messages += sent;
			count -= (unsigned int)sent;
		}
	}
}

static void wait_until(uint64_t due)
{
	const uint64_t wake = due - SPIN_NS / 8;
	const struct timespec time = { (time_t)(wake / 1000000000), (long)(wake % 1000000000) };

	if (due > monotonic_ns() + SPIN_NS)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
	while (monotonic_ns() < due)
		continue;
}

static unsigned int batch_size(const struct plan *plan)
{
	double size = plan->rate > 0 ? plan->rate * BATCH_NS / 1e9 : BATCH_MOST / 2;

	return size < 1 ? 1 : size > BATCH_MOST ? BATCH_MOST : (unsigned int)size;
}

/* When packet number `sequence` is to be sent is when this returns. */
static void keep_pace(struct pace *pace, const struct plan *plan, uint64_t sequence)
{
	uint64_t due = pace->base + (uint64_t)((double)sequence * 1e9 / plan->rate);
	uint64_t now = monotonic_ns();

	if (now > due + LATE_NS) {
		pace->base += now - due;
		pace->late++;
	} else {
		wait_until(due);
	}
}

/* Returns how many packets were sent. */
static uint64_t send_all(int fd, const struct plan *plan, struct pace *pace)
{
	static struct batch batch;
	const uint64_t end = pace->base + (uint64_t)(plan->seconds * 1e9);
	const unsigned int most = batch_size(plan);
	uint64_t sequence = 0, now;

	prepare(&batch, plan);
	while (sequence < plan->count && !stopped) {
		uint64_t left = plan->count - sequence;
		unsigned int count = left < most ? (unsigned int)left : most;

		if (plan->rate > 0)
			keep_pace(pace, plan, sequence);
		now = monotonic_ns();
		if (now > end)
			break;
		for (unsigned int i = 0; i < count; i++)
			number_packet(&batch, i, plan, sequence + i, now);
		send_batch(fd, batch.messages, count);
		sequence += count;
	}
	return sequence;
}

int main(int argc, char **argv)
{
	struct plan plan;
	struct pace pace = { 0 };
	uint64_t begun, sent;
	int fd;

	parse(&plan, argc, argv);
	signal(SIGTERM, stop);
	prctl(PR_SET_TIMERSLACK, 1);
	fd = plan.interface != NULL ? open_packet_socket(plan.interface) : open_loopback_socket();
	begun = pace.base = monotonic_ns();
	sent = send_all(fd, &plan, &pace);
	printf("{\"sent\": %llu, \"seconds\": %.6f, \"late\": %llu}\n", (unsigned long long)sent,
	       (double)(monotonic_ns() - begun) / 1e9, (unsigned long long)pace.late);
	return 0;
}
