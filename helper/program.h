/* helper: what runs with the capability. */
/*
 * A BPF program, put together from its end to its start. BPF jumps forward only, so where a jump leads to
 * is always there already.
 */
#pragma once

#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>

struct program {
	struct bpf_insn code[BPF_MAXINSNS]; /* used from `first` on */
	unsigned int first;
	bool too_long; /* something found no room: of no use */
};

void program_begin(struct program *program);

/* Puts instructions in front of all others. Returns where the first of them stands. */
unsigned int program_put(struct program *program, const struct bpf_insn *run, size_t count);

/* Puts a filter. Where it accepts a packet it goes on at `accepted`, unless that is 0. */
void program_put_filter(struct program *program, const struct bpf_program *filter, unsigned int accepted);
