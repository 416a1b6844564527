/* output: inside the sandbox, on the way to stdout; it never waits. */
/* A packet as its link type has it in a file: tags put back, cooked headers made. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "formats/format.h"
#include "packet.h"

#define FRAME_HEAD_MAX 20 /* bytes: sll2_header, or sll_header with a VLAN tag */

/* head, then body: what goes into the file. */
struct frame {
	uint8_t head[FRAME_HEAD_MAX];
	uint32_t head_length;
	const uint8_t *body; /* in the packet's block */
	uint32_t body_length;
	uint32_t original; /* bytes on the wire, with the tag and the cooked header */
};

/* The file's link type for libpcap's DLT_ value; 0 if it is not one that cf-pcap writes. */
enum link_type frame_link_type(int dlt);

/* Makes the frame of a packet, captured length at most snaplen. */
void frame_make(struct frame *frame, enum link_type link_type, uint32_t snaplen,
		const struct packet *packet);

