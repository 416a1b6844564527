/* helper: what runs with the capability. */
/* A BPF program, put together from its end to its start. */
#include "program.h"

#include <string.h>

#define JUMP_FAR 250 /* jt and jf have 8 bits, and two jumps may come in between */

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

unsigned int program_jump(struct program *program, unsigned int target)
{
	if (target == program->first)
		return target;
	return PROGRAM_PUT(program, BPF_STMT(BPF_JMP | BPF_JA, target - program->first));
}

/* The target, or a jump there that is not far away. */
static unsigned int reach(struct program *program, unsigned int target)
{
	return target - program->first > JUMP_FAR ? program_jump(program, target) : target;
}

unsigned int program_test(struct program *program, unsigned short code, bpf_u_int32 k, unsigned int yes,
			  unsigned int no)
{
	yes = reach(program, yes);
	no = reach(program, no);
	return PROGRAM_PUT(program, BPF_JUMP(BPF_JMP | code, k, (unsigned char)(yes - program->first),
					     (unsigned char)(no - program->first)));
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
