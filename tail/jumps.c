/* tail: runs at build time, makes the program that ends each packet at its headers. */
/* Jumps, however far. */
#include "jumps.h"

#define JUMP_FAR 250 /* jt and jf have 8 bits, and two jumps may come in between */

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
