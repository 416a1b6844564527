/*
 * The least a capture can cost: a TPACKET_V3 loop that does nothing but write pcap. It trusts the
 * kernel and its arguments, has no privileges to drop and notices nothing but SIGINT.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK_BYTES (1u << 20)
#define RETIRE_TIMEOUT_MS 50
#define SNAPLEN 65535
#define BUFFER_BYTES (1u << 20)

static uint8_t *ring;
static unsigned int block_count;
static uint8_t buffer[BUFFER_BYTES];
static size_t buffered;
static struct iovec vectors[IOV_MAX];
static int vector_count;
static bool in_place;
static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static void require(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void set(int fd, int level, int option, const void *value, socklen_t length)
{
	require(setsockopt(fd, level, option, value, length) == 0, "setsockopt");
}

static void attach_filter(int fd, const char *expression)
{
	struct bpf_program program;
	struct sock_fprog filter;
	pcap_t *compiler = pcap_open_dead(DLT_EN10MB, SNAPLEN);

	require(pcap_compile(compiler, &program, expression, 1, PCAP_NETMASK_UNKNOWN) == 0, "filter");
	filter = (struct sock_fprog){ (unsigned short)program.bf_len, (void *)program.bf_insns };
	set(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

static int open_ring(const char *interface, const char *filter, size_t bytes)
{
	const int version = TPACKET_V3, yes = 1;
	struct tpacket_req3 request = { .tp_block_size = BLOCK_BYTES,
					.tp_block_nr = (unsigned int)(bytes / BLOCK_BYTES),
					.tp_frame_size = BLOCK_BYTES,
					.tp_frame_nr = (unsigned int)(bytes / BLOCK_BYTES),
					.tp_retire_blk_tov = RETIRE_TIMEOUT_MS };
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETH_P_ALL),
				       .sll_ifindex = (int)if_nametoindex(interface) };
	struct packet_mreq promiscuous = { .mr_ifindex = address.sll_ifindex,
					   .mr_type = PACKET_MR_PROMISC };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	require(fd >= 0, "socket");
	attach_filter(fd, filter);
	set(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version);
	set(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request);
	if (strcmp(interface, "lo") == 0)
		set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes);
	ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	require(ring != MAP_FAILED, "mmap");
	set(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous);
	require(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, interface);
	block_count = request.tp_block_nr;
	return fd;
}

static void write_buffer(void)
{
	for (size_t done = 0; done < buffered;) {
		ssize_t count = write(STDOUT_FILENO, buffer + done, buffered - done);
		require(count > 0 || errno == EINTR, "write");
		if (count > 0)
			done += (size_t)count;
	}
	buffered = 0;
}

static void write_vectors(void)
{
	for (struct iovec *first = vectors, *end = vectors + vector_count; first < end;) {
		ssize_t count = writev(STDOUT_FILENO, first, (int)(end - first));
		require(count > 0 || errno == EINTR, "writev");
		for (; count > 0 && (size_t)count >= first->iov_len; first++)
			count -= (ssize_t)first->iov_len;
		if (count > 0) {
			first->iov_base = (uint8_t *)first->iov_base + count;
			first->iov_len -= (size_t)count;
		}
	}
	vector_count = 0;
}

static void add_packet(const struct tpacket3_hdr *packet)
{
	const uint32_t head[] = { packet->tp_sec, packet->tp_nsec / 1000, packet->tp_snaplen,
				  packet->tp_len };
	uint8_t *data = (uint8_t *)(uintptr_t)packet + packet->tp_mac;

	if (in_place) {
		memcpy(data - sizeof head, head, sizeof head);
		vectors[vector_count++] =
			(struct iovec){ data - sizeof head, sizeof head + packet->tp_snaplen };
		if (vector_count == IOV_MAX)
			write_vectors();
		return;
	}
	if (buffered + sizeof head + packet->tp_snaplen > sizeof buffer)
		write_buffer();
	memcpy(buffer + buffered, head, sizeof head);
	memcpy(buffer + buffered + sizeof head, data, packet->tp_snaplen);
	buffered += sizeof head + packet->tp_snaplen;
}

/* Writes what is ready. */
static void drain(void)
{
	static unsigned int next;

	for (;;) {
		struct tpacket_block_desc *block = (void *)(ring + (size_t)next * BLOCK_BYTES);
		uint8_t *packet = (uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;

		if ((__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0)
			break;
		for (uint32_t i = 0; i < block->hdr.bh1.num_pkts; i++) {
			const struct tpacket3_hdr *header = (const void *)packet;
			packet += header->tp_next_offset;
			add_packet(header);
		}
		write_vectors();
		__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		next = (next + 1) % block_count;
	}
	write_buffer();
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = stop };
	const struct pcap_file_header header = { 0xa1b2c3d4, 2, 4, 0, 0, SNAPLEN, DLT_EN10MB };
	struct pollfd packets = { .events = POLLIN };

	if (argc != 6) {
		fputs("floor INTERFACE FILTER copy|writev PIPE_KIB RING_MIB\n", stderr);
		return 2;
	}
	in_place = strcmp(argv[3], "writev") == 0;
	sigaction(SIGINT, &action, NULL);
	if (atoi(argv[4]) > 0)
		fcntl(STDOUT_FILENO, F_SETPIPE_SZ, atoi(argv[4]) << 10);
	packets.fd = open_ring(argv[1], argv[2], (size_t)atoi(argv[5]) << 20);
	require(write(STDOUT_FILENO, &header, sizeof header) == sizeof header, "write");
	while (!stopped) {
		drain();
		poll(&packets, 1, -1);
	}
	usleep((RETIRE_TIMEOUT_MS + 12) * 1000);
	drain();
	return 0;
}
