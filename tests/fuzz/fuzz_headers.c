/*
 * -headers-only: whatever the filter and the packet, the kernel's program keeps what a plain parser in C
 * keeps, of those packets that the filter lets through.
 */
#include <pcap/pcap.h>

#include "helper/handle.c"

#include <netinet/in.h>

#include "common/channel.h"
#include "fuzz.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define PACKET_MOST 600
#define EXTENSIONS_OUTER 6
#define EXTENSIONS_INNER 3

/* The resolver: no name stands for anything. */
int channel_send(int channel, const void *message, size_t size)
{
	return (void)channel, (void)message, (void)size, 0;
}

ssize_t channel_receive(int channel, void *message, size_t size)
{
	struct lookup_answer *answer = message;

	(void)channel;
	memset(answer, 0, size);
	answer->header = (struct message_header){ PROTOCOL_VERSION, MESSAGE_LOOKUP_ANSWER };
	answer->error = -1;
	return (ssize_t)size;
}

static const struct {
	int type;
	size_t length;   /* of the link layer in the record */
	size_t unseen;   /* of that, what the kernel's packet has not */
	size_t ethertype_at;
} LINKS[] = {
	{ DLT_EN10MB, 14, 0, 12 }, { DLT_RAW, 0, 0, 0 }, { DLT_LINUX_SLL, 16, 16, 14 }, { DLT_LINUX_SLL2, 20, 20, 0 },
};

/* A record, and how far it is read: all that follows is about the header there. */
struct reader {
	const uint8_t *bytes;
	size_t length, at;
	bool tunnelled;
};

static bool has(const struct reader *reader, size_t count)
{
	return reader->at <= reader->length && reader->length - reader->at >= count;
}

static unsigned int byte_at(const struct reader *reader, size_t offset)
{
	return reader->bytes[reader->at + offset];
}

static unsigned int half_at(const struct reader *reader, size_t offset)
{
	return byte_at(reader, offset) << 8 | byte_at(reader, offset + 1);
}

static size_t nothing_known(const struct reader *reader)
{
	return reader->at > HEADERS_UNKNOWN ? reader->at : HEADERS_UNKNOWN;
}

static size_t read_ethertype(struct reader *reader, unsigned int type);
static size_t read_ip(struct reader *reader, unsigned int version);

static size_t read_gre(struct reader *reader)
{
	unsigned int flags, type;

	if (!has(reader, 4))
		return reader->length;
	flags = half_at(reader, 0);
	type = half_at(reader, 2);
	if ((flags & 0x4007) != 0)
		return nothing_known(reader);
	reader->at += 4;
	for (unsigned int bit = 0x8000; bit >= 0x1000; bit >>= 1)
		reader->at += (flags & bit) != 0 ? 4 : 0;
	reader->tunnelled = true;
	if (type != 0x6558)
		return read_ethertype(reader, type);
	if (!has(reader, 14))
		return reader->length;
	type = half_at(reader, 12);
	reader->at += 14;
	return read_ethertype(reader, type);
}

static size_t read_transport(struct reader *reader, unsigned int protocol)
{
	unsigned int words;

	switch (protocol) {
	case IPPROTO_TCP:
		if (!has(reader, 13))
			return reader->length;
		words = byte_at(reader, 12) >> 4;
		return reader->at + (words < 5 ? 20 : words * 4);
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return reader->at + 8;
	case IPPROTO_SCTP:
		return reader->at + 12;
	case IPPROTO_NONE:
		return reader->at;
	default:
		return nothing_known(reader);
	}
}

static bool is_extension(unsigned int protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH;
}

static size_t read_upper(struct reader *reader, unsigned int version, unsigned int protocol)
{
	const int most = version == 4 && protocol != IPPROTO_AH ? 0 :
			 reader->tunnelled			    ? EXTENSIONS_INNER : EXTENSIONS_OUTER;
	unsigned int next;

	for (int i = 0; i < most && is_extension(protocol); i++) {
		if (!has(reader, 8))
			return reader->length;
		next = byte_at(reader, 0);
		if (protocol == IPPROTO_FRAGMENT && half_at(reader, 2) >> 3 != 0)
			return reader->at + 8;
		reader->at += protocol == IPPROTO_FRAGMENT ? 8 :
			      protocol == IPPROTO_AH	   ? (byte_at(reader, 1) + 2) * 4 :
							     (byte_at(reader, 1) + 1) * 8;
		protocol = next;
	}
	if (reader->tunnelled)
		return read_transport(reader, protocol);
	if (protocol == IPPROTO_GRE)
		return read_gre(reader);
	reader->tunnelled = true;
	return protocol == IPPROTO_IPIP ? read_ip(reader, 4) :
	       protocol == IPPROTO_IPV6 ? read_ip(reader, 6) : read_transport(reader, protocol);
}

static size_t read_ip(struct reader *reader, unsigned int version)
{
	size_t size = version == 4 ? 20 : 40;
	unsigned int protocol;
	bool later;

	if (!has(reader, size))
		return reader->length;
	if (byte_at(reader, 0) >> 4 != version || (version == 4 && (byte_at(reader, 0) & 0xf) < 5))
		return nothing_known(reader);
	protocol = byte_at(reader, version == 4 ? 9 : 6);
	later = version == 4 && (half_at(reader, 6) & 0x1fff) != 0;
	reader->at += version == 4 ? (byte_at(reader, 0) & 0xf) * 4 : size;
	return later ? reader->at : read_upper(reader, version, protocol);
}

static size_t read_ethertype(struct reader *reader, unsigned int type)
{
	for (int i = 0; i < 3 && (type == 0x8100 || type == 0x88a8 || type == 0x9100); i++) {
		if (!has(reader, 4))
			return reader->length;
		type = half_at(reader, 2);
		reader->at += 4;
	}
	return type == 0x0800 ? read_ip(reader, 4) : type == 0x86dd ? read_ip(reader, 6) : nothing_known(reader);
}

/* Bytes of the record that are headers, or more than there are. */
static size_t read_record(size_t link, const uint8_t *record, size_t length)
{
	struct reader reader = { record, length, 0, false };
	unsigned int type;

	if (LINKS[link].type == DLT_RAW) {
		if (!has(&reader, 1))
			return length;
		type = byte_at(&reader, 0) >> 4;
		return type == 4 || type == 6 ? read_ip(&reader, type) : nothing_known(&reader);
	}
	if (!has(&reader, LINKS[link].length))
		return length;
	type = half_at(&reader, LINKS[link].ethertype_at);
	reader.at = LINKS[link].length;
	return read_ethertype(&reader, type);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void check_packet(size_t link, const struct bpf_program *filter, const struct bpf_program *whole,
			 uint32_t snaplen, const uint8_t *record, size_t length)
{
	const size_t unseen = LINKS[link].unseen;
	const unsigned int seen = (unsigned int)(length - unseen);
	const bool passes = bpf_filter(filter->bf_insns, record, seen, (unsigned int)length) != 0;
	const size_t kept = bpf_filter(whole->bf_insns, record, seen, (unsigned int)length);
	const size_t headers = least(read_record(link, record, length), length);

	PROMISE((kept != 0) == passes);
	if (passes)
		PROMISE(least(kept, seen) == least(headers - unseen, snaplen));
}

/* Text up to a NUL, and if libpcap takes it for no filter, none. */
static void compile_some_filter(pcap_t *handle, struct bytes *bytes, struct bpf_program *filter)
{
	char text[256];
	size_t length = strnlen((const char *)bytes->data, least(bytes->size, sizeof text - 1));

	memset(text, 0, sizeof text);
	take(bytes, text, length);
	take_byte(bytes);
	if (pcap_compile(handle, filter, text, 0, PCAP_NETMASK_UNKNOWN) != 0)
		PROMISE(pcap_compile(handle, filter, "", 0, PCAP_NETMASK_UNKNOWN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t SNAPLENS[] = { SNAPLEN_MAX, SNAPLEN_MAX, 40, 1 };
	static struct open_request request = { .flags = OPEN_HEADERS_ONLY };
	uint8_t record[PACKET_MOST + 20];
	struct bytes bytes = { data, size };
	struct bpf_program filter, whole;
	const uint8_t choice = take_byte(&bytes);
	const size_t link = choice % COUNT_OF(LINKS);
	size_t length;
	pcap_t *handle;

	request.snaplen = SNAPLENS[choice / COUNT_OF(LINKS) % COUNT_OF(SNAPLENS)];
	handle = pcap_open_dead(LINKS[link].type, (int)request.snaplen);
	PROMISE(handle != NULL);
	compile_some_filter(handle, &bytes, &filter);
	whole = filter;
	PROMISE(complete(&whole, &request, LINKS[link].type));
	length = least(bytes.size, sizeof record);
	take(&bytes, record, length);
	/* Also cut off at places of their own. */
	for (size_t cut = length; cut > LINKS[link].unseen; cut = cut * 7 / 8)
		check_packet(link, &filter, &whole, request.snaplen, record, cut);
	pcap_freecode(&filter);
	pcap_close(handle);
	return 0;
}
