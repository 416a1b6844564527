/* The file formats: headers around packets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "setup/flags.h"
#include "output/frame.h"

struct format {
	enum file_format kind;
	bool nano; /* timestamps in nanoseconds, else microseconds */
	uint32_t snaplen;
	enum link_type link_type;
	const char *interface; /* pcapng only, as are the next three */
	const char *system;    /* name and release of the operating system */
	const char *filter;    /* the final filter, "" for none */
	uint64_t started;      /* nanoseconds since the epoch */
};

/* What happened, for the end of a pcapng file. */
struct format_statistics {
	uint64_t received, dropped; /* packets: those the filter passed, those of them that were lost */
	uint64_t printed;           /* packets in the file */
	uint64_t ended;             /* nanoseconds since the epoch */
	const char *why;            /* why the capture stopped */
};

#define FORMAT_RECORD_HEAD_MAX 28 /* bytes: an enhanced packet block's fixed part */
#define FORMAT_RECORD_TAIL_MAX 8  /* padding to 32 bits and the block's length */
#define FORMAT_HEADER_SIZE (JOINED_FILTER_SIZE + 1024)
#define FORMAT_TRAILER_SIZE 512

/* Writes the file's header to out (FORMAT_HEADER_SIZE bytes). Returns its length. */
size_t format_header(const struct format *format, uint8_t *out);

/* Writes what precedes a packet of `captured` bytes. Returns its length. */
size_t format_record_head(const struct format *format, uint8_t *out, const struct packet *packet,
			  uint32_t captured, uint32_t original);

/* Writes what follows a packet of `captured` bytes. Returns its length. */
size_t format_record_tail(const struct format *format, uint8_t *out, uint32_t captured);

/* Bytes of a whole record with `captured` bytes of packet. */
size_t format_record_length(const struct format *format, uint32_t captured);

/* Writes the file's end to out (FORMAT_TRAILER_SIZE bytes). Returns its length, 0 for pcap. */
size_t format_trailer(const struct format *format, uint8_t *out,
		      const struct format_statistics *statistics);

/* The length of any trailer of this file, at most. */
size_t format_trailer_length(const struct format *format);

