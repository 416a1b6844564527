/* formats: the bytes of files; no call of the system. */
/*
 * Capture files as they come, pcap or pcapng, of either byte order: record by record, in place. What is read was
 * made by somebody else: each length is checked before it is believed, and nothing here points beyond the bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READER_PACKET_MOST 262144u       /* bytes, as Wireshark's and tcpdump's limit */
#define READER_RECORD_MOST (320u << 10)  /* bytes: the longest packet, and 64 KiB for what is said of it */
#define READER_INTERFACES_MOST 64        /* in a section */
#define READER_SYSTEM_MOST 128           /* bytes of a section's operating system that are kept */

enum reader_result {
	READER_MORE,       /* there are not enough bytes: reader->needed from the first on */
	READER_PACKET,     /* reader->packet */
	READER_INTERFACE,  /* reader->interface: what the packets with that number are of */
	READER_STATISTICS, /* reader->statistics */
	READER_NOTHING,    /* something that is of no use here */
	READER_BAD,        /* reader->why: nothing that follows can be believed */
};

/* As it stands in the bytes: it has no NUL at its end, and may have one, or anything, in it. */
struct reader_text {
	const char *at; /* NULL: none */
	size_t length;
};

struct reader_packet {
	uint64_t time; /* nanoseconds since the epoch */
	uint32_t interface, captured, original;
	const uint8_t *data;
};

struct reader_interface {
	uint32_t number;
	uint16_t link_type;
	bool nano; /* its times are finer than microseconds */
	struct reader_text name, description, filter, os;
};

struct reader_statistics {
	uint32_t interface;
	bool final;                     /* it has an end time: the capture ended as it should */
	uint64_t time;                  /* as started: nanoseconds since the epoch */
	uint64_t started;               /* as received and dropped: UINT64_MAX if it is not told */
	uint64_t received, dropped, delivered;
	struct reader_text why;
};

/* How an interface's times are counted. */
struct reader_scale {
	uint8_t resolution; /* if_tsresol */
	int64_t offset;     /* seconds, if_tsoffset */
};

enum reader_kind { READER_UNKNOWN, READER_PCAP, READER_PCAPNG };

/* All zeros to begin with. */
struct reader {
	enum reader_kind kind;
	bool swapped; /* the bytes have the other order */
	uint32_t interface_count;
	struct reader_scale scales[READER_INTERFACES_MOST];
	char system[READER_SYSTEM_MOST]; /* of the section */
	size_t system_length;

	/* of the last result */
	size_t needed; /* READER_MORE: bytes, at most READER_RECORD_MOST */
	size_t length; /* of what was read: there the next begins. Neither READER_MORE nor READER_BAD */
	const char *why;
	struct reader_packet packet;
	struct reader_interface interface;
	struct reader_statistics statistics;
};

/* Reads what begins at bytes. The results point into these. */
enum reader_result reader_next(struct reader *reader, const uint8_t *bytes, size_t length);
