/*
 * refuse_syscalls ERRNO UID NAME... -- COMMAND...
 *
 * Executes the command as an ordinary user under a seccomp filter that refuses the named system
 * calls, as a container's does. "socket:17" refuses socket(2) of that domain. The filter is
 * loaded as root, because for a user it would need no_new_privs, which costs file capabilities.
 */
#include <grp.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(int result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "refuse_syscalls: %s failed\n", what);
		exit(99);
	}
}

static void refuse(scmp_filter_ctx filter, char *name, int error)
{
	char *argument = strchr(name, ':');

	if (argument == NULL) {
		check(seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)error),
				       seccomp_syscall_resolve_name(name), 0), name);
		return;
	}
	*argument = '\0';
	check(seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)error), seccomp_syscall_resolve_name(name),
			       1, SCMP_A0(SCMP_CMP_EQ, (uint64_t)atoi(argument + 1))), name);
}

int main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int at = 3;

	check(filter == NULL || argc < 5 ? -1 : 0, "starting");
	check(seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0), "keeping no_new_privs off");
	for (; at < argc && strcmp(argv[at], "--") != 0; at++)
		refuse(filter, argv[at], atoi(argv[1]));
	check(seccomp_load(filter), "seccomp_load");
	check(setgroups(0, NULL), "setgroups");
	check(setresgid((gid_t)atoi(argv[2]), (gid_t)atoi(argv[2]), (gid_t)atoi(argv[2])), "setresgid");
	check(setresuid((uid_t)atoi(argv[2]), (uid_t)atoi(argv[2]), (uid_t)atoi(argv[2])), "setresuid");
	execv(argv[at + 1], argv + at + 1);
	check(-1, "exec");
}
