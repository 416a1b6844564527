/* formats: the bytes of files; no call of the system. */
/*
 * The pcapng file format, draft-ietf-opsawg-pcapng: one section, enhanced packet blocks, and an interface
 * statistics block at the end, the only one with an end time; heartbeats are others before it. In host
 * byte order. The writer has one interface, the collector many: format->number says which.
 */
#pragma once

#include "format.h"

/* As their counterparts in format.h. */
size_t pcapng_header(const struct format *format, uint8_t *out);
size_t pcapng_record_head(const struct format *format, uint8_t *out, const struct record_head *head);
size_t pcapng_record_tail(uint8_t *out, uint32_t captured);
size_t pcapng_record_length(uint32_t captured);
size_t pcapng_heartbeat(const struct format *format, uint8_t *out, const struct format_statistics *statistics);
size_t pcapng_trailer(const struct format *format, uint8_t *out,
		      const struct format_statistics *statistics);

/* Of a trailer with a `why` of FORMAT_WHY_MOST bytes: fixed part, comment, two times, five counts, the options' and the block's end. */
#define PCAPNG_TRAILER_MOST (20 + 4 + FORMAT_WHY_MOST + 7 * 12 + 8)

/* The header's two blocks, by themselves; an interface's may come late. FORMAT_HEADER_SIZE bytes have room for both. */
#define PCAPNG_TEXT_MOST 200 /* bytes of an interface's name, description and system, each */
size_t pcapng_section(const struct format *format, uint8_t *out);
size_t pcapng_interface(const struct format *format, uint8_t *out);

/* pcapng_record_head() with a time in nanoseconds since the epoch. */
size_t pcapng_packet_head(const struct format *format, uint8_t *out, uint64_t nanoseconds, uint32_t captured,
			  uint32_t original);

/* The name of an address of 4 or 16 bytes: PCAPNG_NAME_SIZE bytes for one of up to PCAPNG_TEXT_MOST. */
#define PCAPNG_NAME_SIZE 256
size_t pcapng_name(uint8_t *out, const uint8_t *address, size_t length, const char *name);
