/* collector: the desk's program: one capture of a whole app; no privilege. */
/*
 * What the merger may call, from before the first byte of a stream: it reads, writes and waits on the descriptors
 * that it was given, which are outputs, the readable ends of pipes, and its control. No call here opens, connects, binds,
 * executes, clones, traces, or maps code.
 */
#include "sandbox_rules.h"

#include <sys/mman.h>

#include "common/sandbox_rule.h"

static const struct sandbox_rule RULES[] = {
	/* streams, outputs, messages */
	SANDBOX_ALLOW(read), SANDBOX_ALLOW(write), SANDBOX_ALLOW(close),
	/* the end of a file on a full disk */
	SANDBOX_ALLOW(lseek), SANDBOX_ALLOW(ftruncate),
	/* orders with descriptors, and reports without */
	ALLOW_ON(recvmsg, MERGER_CONTROL_FD), ALLOW_ON(recvfrom, MERGER_CONTROL_FD), ALLOW_ON(sendto, MERGER_CONTROL_FD),

	SANDBOX_ALLOW_IF(mmap, SANDBOX_ARGUMENT_LACKS(2, PROT_EXEC)), SANDBOX_ALLOW(munmap), SANDBOX_ALLOW(mremap),
	SANDBOX_ALLOW(brk),

	/* waiting, time, signals, the end */
	SANDBOX_ALLOW(poll), SANDBOX_ALLOW(ppoll), SANDBOX_ALLOW(clock_gettime), SANDBOX_ALLOW(rt_sigreturn),
	SANDBOX_ALLOW(restart_syscall), SANDBOX_ALLOW(exit_group),
};

const struct sandbox_rules MERGER_RULES = { RULES, sizeof RULES / sizeof *RULES, NULL, 0 };
