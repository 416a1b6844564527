/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The command line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/protocol.h"
#include "formats/format.h"
#include "output/packet.h"

#define BUFFER_BYTES_LEAST (256u << 10)
#define BUFFER_BYTES_DEFAULT (32u << 20)

enum wish { WISH_UNSAID, WISH_NO, WISH_YES };

struct options {
	const char *interface; /* NULL until given */
	char filter[FILTER_TEXT_SIZE];
	uint64_t snaplen;     /* bytes, 1..SNAPLEN_MAX */
	uint64_t block_packet; /* bytes of a packet for which each block of the ring has room, or more */
	uint64_t count;       /* packets; 0: no limit */
	uint64_t duration;    /* nanoseconds; 0: no limit */
	uint64_t max_size;    /* bytes; 0: no limit */
	uint64_t buffer_size; /* bytes of kernel ring */
	uint64_t heartbeat;   /* nanoseconds; 0: none */
	enum direction direction;
	enum file_format format;
	enum wish headers_only; /* that the user said no is not the same as nothing said */
	bool verbose;
	bool nano;
	bool cooked_v1;
	bool promiscuous;
	bool progress;
	bool ssh_guard;
	bool stop_at_eof;
	bool list_interfaces;
	bool version;
	bool help;
};

/*
 * Parses the command line into *options, which it fills with the defaults first. Returns 0, or
 * -1 after one ERROR line that names the flag and what was expected.
 */
int flags_parse(struct options *options, int argc, char *const *argv);

/* One DEBUG line: the settings of a capture. */
void flags_report(const struct options *options);

/* Writes the usage text to stdout. */
void flags_print_help(void);

