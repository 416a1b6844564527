/*
 * The helper's side of the protocol: a request's checks, then the user's filter alone and with the
 * guard, as in the helper. Whatever the filter: what the guard leaves out stays out.
 */
#include <pcap/pcap.h>

static int tracked_compile(pcap_t *handle, struct bpf_program *program, const char *text, int optimize,
			   bpf_u_int32 netmask);

#define pcap_compile tracked_compile
#include "helper/handle.c"
#undef pcap_compile

#include "common/channel.h"
#include "fuzz.h"
#include "helper/libpcap_calls.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define SSH_PORT 2222
#define PACKET_LENGTH 128
#define PROGRAMS_MOST 8

/* The helper ends soon after it has compiled and frees no program; this process goes on. */
static struct bpf_program programs[PROGRAMS_MOST];
static size_t program_count;

static int tracked_compile(pcap_t *handle, struct bpf_program *program, const char *text, int optimize,
			   bpf_u_int32 netmask)
{
	int result = pcap_compile(handle, program, text, optimize, netmask);

	PROMISE(program_count < PROGRAMS_MOST);
	if (result == 0)
		programs[program_count++] = *program;
	return result;
}

static void free_programs(void)
{
	while (program_count > 0)
		pcap_freecode(&programs[--program_count]);
}

/* The resolver: what a name means is in the name. */
static struct lookup_request asked;

int channel_send(int channel, const void *message, size_t size)
{
	(void)channel;
	PROMISE(lookup_request_valid(message, size));
	memcpy(&asked, message, sizeof asked);
	return 0;
}

ssize_t channel_receive(int channel, void *message, size_t size)
{
	struct lookup_answer *answer = message;
	size_t length = strlen(asked.name);

	(void)channel;
	PROMISE(size == sizeof *answer);
	memset(answer, 0, sizeof *answer);
	answer->header = (struct message_header){ PROTOCOL_VERSION, MESSAGE_LOOKUP_ANSWER };
	answer->error = asked.name[0] >= 'p' ? -1 : 0;
	answer->number = (uint32_t)length;
	answer->count = (uint32_t)(length * length) % (LOOKUP_ADDRESS_MAX + 1);
	for (uint32_t i = 0; i < answer->count; i++) {
		struct lookup_entry *entry = &answer->entry[i];
		entry->family = ((size_t)asked.name[i % length] & 1) != 0 ? AF_INET : AF_INET6;
		memset(&entry->address, asked.name[i % length], sizeof entry->address);
		entry->address.any.sa_family = (sa_family_t)entry->family;
	}
	PROMISE(lookup_answer_valid(answer, sizeof *answer));
	return sizeof *answer;
}

static const struct {
	int link_type;
	size_t header_length, protocol_offset;
} LINKS[] = {
	{ DLT_EN10MB, 14, 12 },
	{ DLT_LINUX_SLL, 16, 14 },
	{ DLT_LINUX_SLL2, 20, 0 },
	{ DLT_RAW, 0, 0 },
};

/* A TCP packet with fuzzed contents otherwise.*/
static void make_ssh_packet(uint8_t *packet, size_t link, bool ipv6, uint16_t source, uint16_t destination)
{
	uint8_t *ip = packet + LINKS[link].header_length, *tcp = ip + (ipv6 ? 40 : 20);

	if (LINKS[link].header_length > 0) {
		packet[LINKS[link].protocol_offset] = ipv6 ? 0x86 : 0x08;
		packet[LINKS[link].protocol_offset + 1] = ipv6 ? 0xdd : 0x00;
	}
	ip[0] = ipv6 ? 0x60 : 0x45;
	ip[ipv6 ? 6 : 9] = IPPROTO_TCP;
	if (!ipv6)
		ip[6] = ip[7] = 0; /* later fragments have no ports */
	tcp[0] = (uint8_t)(source >> 8);
	tcp[1] = (uint8_t)source;
	tcp[2] = (uint8_t)(destination >> 8);
	tcp[3] = (uint8_t)destination;
}

static bool passes(const struct bpf_program *program, const uint8_t *packet)
{
	return bpf_filter(program->bf_insns, packet, PACKET_LENGTH, PACKET_LENGTH) != 0;
}

static void expect_guarded(const struct bpf_program *program, size_t link, struct bytes *bytes)
{
	uint8_t packet[PACKET_LENGTH];
	uint16_t other;

	take(bytes, packet, sizeof packet);
	memcpy(&other, packet + PACKET_LENGTH - sizeof other, sizeof other);
	for (int ipv6 = 0; ipv6 <= 1; ipv6++) {
		make_ssh_packet(packet, link, ipv6 == 1, SSH_PORT, other);
		PROMISE(!passes(program, packet));
		make_ssh_packet(packet, link, ipv6 == 1, other, SSH_PORT);
		PROMISE(!passes(program, packet));
		make_ssh_packet(packet, link, ipv6 == 1, SSH_PORT, SSH_PORT);
		PROMISE(!passes(program, packet));
	}
}

static void check_any_request(const uint8_t *data, size_t size)
{
	static struct open_request request;

	memcpy(&request, data, size < sizeof request ? size : sizeof request);
	if (!open_request_valid(&request, size))
		return;
	PROMISE(size == sizeof request && request.snaplen >= 1 && request.snaplen <= SNAPLEN_MAX);
	PROMISE((double)request.ring.tp_block_size * request.ring.tp_block_nr <= RING_BYTES_MOST);
	PROMISE(strlen(request.interface) < sizeof request.interface && strchr(request.interface, '/') == NULL);
	PROMISE(strlen(request.policy) < sizeof request.policy);
	PROMISE(strlen(request.guard) < sizeof request.guard);
	PROMISE(strlen(request.filter) < sizeof request.filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct open_request request;
	struct bytes bytes = { data, size };
	static char joined[JOINED_FILTER_SIZE];
	struct bpf_program program = { 0, NULL };
	struct open_reply reply = { .header = { PROTOCOL_VERSION, MESSAGE_OPEN_REPLY } };
	uint8_t choice = take_byte(&bytes);
	size_t link = choice % COUNT_OF(LINKS);
	pcap_t *handle;

	check_any_request(data, size);
	memset(&request, 0, sizeof request);
	request.netmask = (choice & 0x80) != 0 ? PCAP_NETMASK_UNKNOWN : 0xffffff00;
	strcpy((choice & 0x40) != 0 ? request.policy : request.guard, "not tcp port 2222");
	take_text(&bytes, request.filter, sizeof request.filter);
	handle = pcap_open_dead(LINKS[link].link_type, (int)SNAPLEN_MAX);
	PROMISE(handle != NULL);
	joined_filter(joined, request.policy, request.guard, request.filter);
	if (compile_joined(handle, &request, joined, &program, &reply) == 0) {
		PROMISE(reply.guarded == (request.guard[0] != '\0'));
		bytes = (struct bytes){ data, size };
		expect_guarded(&program, link, &bytes);
	} else {
		PROMISE((reply.result == OPEN_REFUSED_FILTER || reply.result == OPEN_REFUSED_JOINED ||
			 reply.result == OPEN_REFUSED_POLICY) && reply.text[0] != '\0');
	}
	PROMISE(open_reply_valid(&reply, sizeof reply));
	free_programs();
	pcap_close(handle);
	return 0;
}
