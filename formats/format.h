/* formats: the bytes of files; no call of the system. */
/* The file formats: headers around packets. In host byte order. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum file_format { FORMAT_PCAP, FORMAT_PCAPNG };

/* LINKTYPE_ values, https://www.tcpdump.org/linktypes.html */
enum link_type {
	LINK_TYPE_ETHERNET = 1,
	LINK_TYPE_RAW = 101,
	LINK_TYPE_LINUX_SLL = 113,
	LINK_TYPE_LINUX_SLL2 = 276,
};

#define FORMAT_FILTER_SIZE 24576 /* bytes of a filter's text, with the NUL, at most */

struct format {
	enum file_format kind;
	bool nano; /* timestamps in nanoseconds, else microseconds */
	uint32_t snaplen;
	enum link_type link_type;
	const char *interface; /* pcapng only, as are the rest */
	const char *system;    /* name and release of the operating system */
	const char *application; /* name and version of the program that writes */
	const char *filter;    /* the final filter, "" for none */
	uint64_t started;      /* nanoseconds since the epoch */
	uint32_t number;       /* of the interface in its section */
	const char *description, *os; /* of the interface; NULL or "" for none */
};

/* What a record says of its packet. */
struct record_head {
	uint32_t seconds, nanoseconds; /* since the epoch */
	uint32_t captured, original;   /* bytes that follow, bytes that there were */
};

#define FORMAT_UNKNOWN UINT64_MAX /* a count or a time that nobody knows: it is left out */

/* What happened, for the end of a pcapng file. */
struct format_statistics {
	uint64_t received, dropped; /* packets: those the filter passed, those of them that were lost */
	uint64_t printed;           /* packets in the file */
	uint64_t ended;             /* nanoseconds since the epoch; of a heartbeat: no older packet follows */
	const char *why;            /* why the capture stopped; not in a heartbeat */
};

#define FORMAT_RECORD_HEAD_MAX 28 /* bytes: an enhanced packet block's fixed part */
#define FORMAT_RECORD_TAIL_MAX 8  /* padding to 32 bits and the block's length */
#define FORMAT_HEADER_SIZE (FORMAT_FILTER_SIZE + 1024)
#define FORMAT_TRAILER_SIZE 512
#define FORMAT_WHY_MOST 40 /* bytes of a capture's `why`: the end of a file is never longer than is kept free for it */

/* Writes the file's header to out (FORMAT_HEADER_SIZE bytes). Returns its length. */
size_t format_header(const struct format *format, uint8_t *out);

/* Writes what precedes a packet. Returns its length. */
size_t format_record_head(const struct format *format, uint8_t *out, const struct record_head *head);

/* Writes what follows a packet of `captured` bytes. Returns its length. */
size_t format_record_tail(const struct format *format, uint8_t *out, uint32_t captured);

/* Bytes of a whole record with `captured` bytes of packet. */
size_t format_record_length(const struct format *format, uint32_t captured);

/* Writes how far it has come to out (FORMAT_TRAILER_SIZE bytes). Returns its length, 0 for pcap, which has no place for it. */
size_t format_heartbeat(const struct format *format, uint8_t *out, const struct format_statistics *statistics);

/* Writes the file's end to out (FORMAT_TRAILER_SIZE bytes). Returns its length, 0 for pcap. */
size_t format_trailer(const struct format *format, uint8_t *out,
		      const struct format_statistics *statistics);

/* The length of any trailer of this file, at most. */
size_t format_trailer_length(const struct format *format);
