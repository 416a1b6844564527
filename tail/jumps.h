/* tail: runs at build time, makes the program that ends each packet at its headers. */
/* Jumps, however far. */
#pragma once

#include "helper/program.h"

#define PROGRAM_PUT(program, ...)                                          \
	program_put(program, (const struct bpf_insn[]){ __VA_ARGS__ },     \
		    sizeof(const struct bpf_insn[]){ __VA_ARGS__ } / sizeof(struct bpf_insn))

/* As program_put(): a jump there, if that is not where the program goes on. */
unsigned int program_jump(struct program *program, unsigned int target);

/* A jump of this code and k to one of two places. */
unsigned int program_test(struct program *program, unsigned short code, bpf_u_int32 k, unsigned int yes,
			  unsigned int no);
