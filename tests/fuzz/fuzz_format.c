/* The record writer: any packets, as pcap and as pcapng, read back by libpcap. */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/format.h"
#include "fuzz.h"
#include "common/protocol.h"
#include "output/frame.h"

#define PACKETS_MOST 16
#define PACKET_MOST 512
#define FILE_MOST (FORMAT_HEADER_SIZE + PACKETS_MOST * (PACKET_MOST + 128) + FORMAT_TRAILER_SIZE)

/* What was written, to compare with what is read. */
struct written {
	uint32_t seconds, nanoseconds, captured, original;
	uint8_t bytes[PACKET_MOST + FRAME_HEAD_MAX];
};

static uint8_t file[FILE_MOST];
static struct written records[PACKETS_MOST];
static size_t record_count;

static struct packet take_packet(struct bytes *bytes, struct sockaddr_ll *from, uint8_t *data)
{
	struct packet packet = { .seconds = take_word(bytes) & INT32_MAX,
				 .nanoseconds = take_word(bytes) % 1000000000,
				 .data = data,
				 .address = from };
	uint8_t flags = take_byte(bytes);

	packet.captured = (uint32_t)(flags & 1 ? take_byte(bytes) : take_word(bytes) % (PACKET_MOST + 1));
	packet.original = packet.captured + take_byte(bytes);
	packet.vlan = (flags & 2) != 0;
	packet.vlan_tci = (uint16_t)take_word(bytes);
	packet.vlan_tpid = (uint16_t)take_word(bytes);
	take(bytes, from, sizeof *from);
	take(bytes, data, packet.captured);
	return packet;
}

static size_t put_record(const struct format *format, uint8_t *at, const struct packet *packet)
{
	struct written *record = &records[record_count++];
	struct frame frame;
	size_t length;

	frame_make(&frame, format->link_type, format->snaplen, packet);
	record->seconds = packet->seconds;
	record->nanoseconds = format->nano ? packet->nanoseconds : packet->nanoseconds / 1000 * 1000;
	record->captured = frame.head_length + frame.body_length;
	record->original = frame.original;
	memcpy(record->bytes, frame.head, frame.head_length);
	memcpy(record->bytes + frame.head_length, frame.body, frame.body_length);
	length = format_record_head(format, at, &(struct record_head){ packet->seconds, packet->nanoseconds,
								      record->captured, record->original });
	PROMISE(length <= FORMAT_RECORD_HEAD_MAX);
	memcpy(at + length, record->bytes, record->captured);
	length += record->captured;
	length += format_record_tail(format, at + length, record->captured);
	PROMISE(length == format_record_length(format, record->captured));
	return length;
}

static size_t put_file(const struct format *format, struct bytes *bytes)
{
	const struct format_statistics statistics = { .received = take_word(bytes),
						      .dropped = take_word(bytes),
						      .printed = take_word(bytes),
						      .ended = take_word(bytes),
						      .why = "received signal" };
	static uint8_t data[PACKET_MOST];
	struct sockaddr_ll from;
	size_t length = format_header(format, file), trailer;

	PROMISE(length <= FORMAT_HEADER_SIZE);
	for (record_count = 0; bytes->size > 0 && record_count < PACKETS_MOST;) {
		const struct packet packet = take_packet(bytes, &from, data);
		length += put_record(format, file + length, &packet);
	}
	trailer = format_trailer(format, file + length, &statistics);
	PROMISE(trailer <= format_trailer_length(format));
	return length + trailer;
}

static void expect_record(const struct written *record, const struct pcap_pkthdr *header, const u_char *bytes)
{
	PROMISE((uint32_t)header->ts.tv_sec == record->seconds);
	PROMISE((uint32_t)header->ts.tv_usec == record->nanoseconds);
	PROMISE(header->caplen == record->captured && header->len == record->original);
	PROMISE(memcmp(bytes, record->bytes, record->captured) == 0);
}

static void read_back(const struct format *format, size_t length)
{
	char error[PCAP_ERRBUF_SIZE];
	FILE *stream = fmemopen(file, length, "rb");
	pcap_t *handle = pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, error);
	struct pcap_pkthdr *header;
	const u_char *bytes;

	PROMISE(handle != NULL);
	PROMISE(pcap_snapshot(handle) == (int)format->snaplen);
	for (size_t i = 0; i < record_count; i++) {
		PROMISE(pcap_next_ex(handle, &header, &bytes) == 1);
		expect_record(&records[i], header, bytes);
	}
	PROMISE(pcap_next_ex(handle, &header, &bytes) == PCAP_ERROR_BREAK);
	pcap_close(handle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum link_type TYPES[] = { LINK_TYPE_ETHERNET, LINK_TYPE_RAW, LINK_TYPE_LINUX_SLL,
						LINK_TYPE_LINUX_SLL2 };
	struct bytes bytes = { data, size };
	uint8_t choice = take_byte(&bytes);
	char text[64];
	const struct format format = { .kind = (choice & 1) != 0 ? FORMAT_PCAPNG : FORMAT_PCAP,
				       .nano = (choice & 2) != 0,
				       .link_type = TYPES[choice / 4 % 4],
				       .snaplen = take_word(&bytes) % SNAPLEN_MAX + 1,
				       .interface = "eth0",
				       .system = "Linux",
				       .application = "cf-pcap",
				       .filter = text,
				       .started = take_word(&bytes) };

	take(&bytes, text, choice / 16 * 4);
	text[choice / 16 * 4] = '\0';
	read_back(&format, put_file(&format, &bytes));
	return 0;
}
