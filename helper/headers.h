/* helper: what runs with the capability. */
/* The length of a packet's headers. */
#pragma once

#include <stdint.h>

#include "program.h"

/*
 * Puts a program that returns the length of a packet's headers, at most snaplen; for a header that it does not
 * know, HEADERS_UNKNOWN bytes. Returns where that starts; 0 for a link type that it does not know.
 */
unsigned int headers_put(struct program *program, int link_type, uint32_t snaplen);

/* Made by tail/, one for each link type. */
#define HEADERS_TAILS 4

struct headers_tail {
	int link_type;
	unsigned int length; /* instructions */
	const struct bpf_insn *code;
};

extern const struct headers_tail headers_tails[HEADERS_TAILS];

/* Counted from the end: the instruction that returns the snaplen, and the one that compares with it. */
#define HEADERS_RETURN 1
#define HEADERS_COMPARE 3

#define HEADERS_UNKNOWN 64u /* bytes of the file's record, a VLAN tag that the kernel took out of it apart */
