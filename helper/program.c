/* helper: what runs with the capability. */
/* A BPF program, put together from its end to its start. */
#include "program.h"

#include <string.h>

void program_begin(struct program *program)
{
	program->first = BPF_MAXINSNS;
	program->too_long = false;
}

unsigned int program_put(struct program *program, const struct bpf_insn *run, size_t count)
{
	if (count > program->first) {
		program->too_long = true;
		return program->first;
	}
	program->first -= (unsigned int)count;
	memcpy(program->code + program->first, run, count * sizeof *run);
	return program->first;
}

void program_put_filter(struct program *program, const struct bpf_program *filter, unsigned int accepted)
{
	unsigned int at = program_put(program, filter->bf_insns, filter->bf_len);

	if (program->too_long || accepted == 0)
		return;
	for (unsigned int i = 0; i < filter->bf_len; i++, at++) {
		struct bpf_insn *one = &program->code[at];
		if (BPF_CLASS(one->code) == BPF_RET && (one->code != (BPF_RET | BPF_K) || one->k != 0))
			*one = (struct bpf_insn)BPF_STMT(BPF_JMP | BPF_JA, accepted - at - 1);
	}
}
