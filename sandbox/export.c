/* sandbox: runs at build time, makes the programs that close the sandboxes. */
/*
 * export code NAME [sanitized]   the program of a process as C, for each architecture
 * export list NAME               its rules, a line each
 *
 * The programs depend on the rules and libseccomp alone, not on the machine or kernel that this runs on.
 */
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/sandbox_rules.h"
#include "common/sandbox_rule.h"
#include "helper/sandbox_rules.h"
#include "setup/guard_rules.h"
#include "writer/sandbox_rules.h"

#define API_LEVEL 3 /* kills processes, not threads: Linux 4.14 */

static const struct {
	const char *name, *header;
	const struct sandbox_rules *rules;
} PROCESSES[] = {
	{ "helper", "helper/sandbox_rules.h", &HELPER_RULES },
	{ "writer", "writer/sandbox_rules.h", &WRITER_RULES },
	{ "guard", "writer/setup/guard_rules.h", &GUARD_RULES },
	{ "merger", "collector/sandbox_rules.h", &MERGER_RULES },
};

static const struct {
	const char *condition; /* of the preprocessor */
	uint32_t token;
} ARCHITECTURES[] = {
	{ "defined(__x86_64__) && !defined(__ILP32__)", SCMP_ARCH_X86_64 },
	{ "defined(__aarch64__) && !defined(__ILP32__)", SCMP_ARCH_AARCH64 },
};

/* What the sanitizers' runtimes call by themselves. Never in a build that is installed. */
static const struct sandbox_rule SANITIZER_RULES[] = {
	SANDBOX_ALLOW(sigaltstack), SANDBOX_ALLOW(getpid),	 SANDBOX_ALLOW(gettid),
	SANDBOX_ALLOW(madvise),	    SANDBOX_ALLOW(futex),	 SANDBOX_ALLOW(mprotect),
	SANDBOX_ALLOW(tgkill),	    SANDBOX_ALLOW(sched_yield),	 SANDBOX_ALLOW(getrlimit),
	SANDBOX_ALLOW(prlimit64),   SANDBOX_ALLOW(rt_sigaction), SANDBOX_ALLOW(rt_sigprocmask),
	SANDBOX_ALLOW(clock_gettime), /* without the vDSO, where the program's name is empty */
};
static const int SANITIZER_ABSENT[] = { SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(readlink) };
static const struct sandbox_rules SANITIZER = {
	SANITIZER_RULES, sizeof SANITIZER_RULES / sizeof *SANITIZER_RULES,
	SANITIZER_ABSENT, sizeof SANITIZER_ABSENT / sizeof *SANITIZER_ABSENT,
};

/* What was to be done returned a negative errno: there is no program, and so no build. */
static void must(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "sandbox: %s: %s\n", what, strerror(-result));
	exit(1);
}

/* A call that an architecture has not is left out there. */
static void add_rules(scmp_filter_ctx filter, const struct sandbox_rules *rules)
{
	for (size_t i = 0; i < rules->allowed_count; i++)
		must(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules->allowed[i].syscall,
					    rules->allowed[i].condition_count, rules->allowed[i].condition),
		     "allowing a call");
	for (size_t i = 0; i < rules->absent_count; i++)
		must(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), rules->absent[i], 0), "refusing a call");
}

static scmp_filter_ctx filter_for(uint32_t architecture)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);

	must(filter == NULL ? -ENOMEM : 0, "beginning");
	must(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "other architectures");
	if (architecture != seccomp_arch_native()) {
		must(seccomp_arch_add(filter, architecture), "adding the architecture");
		must(seccomp_arch_remove(filter, seccomp_arch_native()), "leaving this machine's out");
	}
	return filter;
}

static void print_instructions(scmp_filter_ctx filter)
{
	struct sock_filter one;
	FILE *program = tmpfile();

	must(program == NULL ? -errno : 0, "a temporary file");
	must(seccomp_export_bpf(filter, fileno(program)), "making the program");
	rewind(program);
	while (fread(&one, sizeof one, 1, program) == 1)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", one.code, one.jt, one.jf, one.k);
	must(ferror(program) != 0 ? -EIO : 0, "reading the program");
	fclose(program);
}

static void print_code(size_t process, bool sanitized)
{
	printf("/* Made by sandbox/export.c. */\n#include \"%s\"\n\n", PROCESSES[process].header);
	for (size_t i = 0; i < sizeof ARCHITECTURES / sizeof *ARCHITECTURES; i++) {
		scmp_filter_ctx filter = filter_for(ARCHITECTURES[i].token);
		add_rules(filter, PROCESSES[process].rules);
		if (sanitized)
			add_rules(filter, &SANITIZER);
		printf("#%s %s\nstatic const struct sock_filter CODE[] = {\n", i == 0 ? "if" : "elif",
		       ARCHITECTURES[i].condition);
		print_instructions(filter);
		printf("};\n");
		seccomp_release(filter);
	}
	printf("#else\n#error \"sandbox/export.c does not know this architecture\"\n#endif\n\n"
	       "const struct sandbox_program %s_sandbox = { sizeof CODE / sizeof *CODE, CODE };\n",
	       PROCESSES[process].name);
}

static void print_name(int number)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);

	printf("%s", name != NULL ? name : "?");
	free(name);
}

static void print_condition(const struct scmp_arg_cmp *condition)
{
	printf("arg%u", condition->arg);
	if (condition->datum_a != 0xffffffffu)
		printf(" & 0x%llx", (unsigned long long)condition->datum_a);
	printf(" == 0x%llx", (unsigned long long)condition->datum_b);
}

static void print_list(const struct sandbox_rules *rules)
{
	for (size_t i = 0; i < rules->allowed_count; i++) {
		print_name(rules->allowed[i].syscall);
		for (unsigned int c = 0; c < rules->allowed[i].condition_count; c++) {
			printf("%s", c == 0 ? "(" : ", ");
			print_condition(&rules->allowed[i].condition[c]);
		}
		printf("%s\n", rules->allowed[i].condition_count > 0 ? ")" : "");
	}
	for (size_t i = 0; i < rules->absent_count; i++) {
		print_name(rules->absent[i]);
		printf(" = ENOENT\n");
	}
}

int main(int argc, char **argv)
{
	must(seccomp_api_set(API_LEVEL), "the level of libseccomp");
	for (size_t i = 0; argc >= 3 && i < sizeof PROCESSES / sizeof *PROCESSES; i++) {
		if (strcmp(argv[2], PROCESSES[i].name) != 0)
			continue;
		if (strcmp(argv[1], "code") == 0)
			print_code(i, argc == 4 && strcmp(argv[3], "sanitized") == 0);
		else
			print_list(PROCESSES[i].rules);
		return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
	}
	fprintf(stderr, "usage: export code|list helper|writer|guard|merger [sanitized]\n");
	return 1;
}
