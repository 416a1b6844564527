/* tail: runs at build time, makes the program that ends each packet at its headers. */
/* Prints the programs for all link types as C, for helper/headers.h. */
#include <stdio.h>
#include <stdlib.h>

#include "headers.h"
#include "helper/headers.h"

/* The helper puts its snaplen there. */
static bool ends_as_promised(const struct bpf_insn *end)
{
	return end[-HEADERS_RETURN].code == (BPF_RET | BPF_K) && end[-HEADERS_COMPARE].code == (BPF_JMP | BPF_JGE | BPF_K);
}

static void print_instructions(const struct program *program, int link_type)
{
	printf("static const struct bpf_insn OF_%d[] = {\n", link_type);
	for (const struct bpf_insn *one = program->code + program->first; one < program->code + BPF_MAXINSNS; one++)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", one->code, one->jt, one->jf, one->k);
	printf("};\n\n");
}

int main(void)
{
	static struct program program;
	int link_type[HEADERS_TAILS + 1];
	unsigned int number = 0;

	printf("/* Made by tail/export.c. */\n#include \"helper/headers.h\"\n\n");
	for (program_begin(&program); number <= HEADERS_TAILS && tail_put(&program, number, &link_type[number]);
	     program_begin(&program), number++) {
		if (program.too_long || !ends_as_promised(program.code + BPF_MAXINSNS))
			return EXIT_FAILURE;
		print_instructions(&program, link_type[number]);
	}
	if (number != HEADERS_TAILS)
		return EXIT_FAILURE;
	printf("const struct headers_tail headers_tails[HEADERS_TAILS] = {\n");
	for (number = 0; number < HEADERS_TAILS; number++)
		printf("\t{ %d, sizeof OF_%d / sizeof *OF_%d, OF_%d },\n", link_type[number], link_type[number],
		       link_type[number], link_type[number]);
	printf("};\n");
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
