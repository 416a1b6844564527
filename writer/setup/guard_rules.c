/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/*
 * What the process that makes the guard may call: memory that cannot become code, one answer, the end.
 */
#include "guard_rules.h"

#include <sys/mman.h>

#include "common/sandbox_rule.h"

static const struct sandbox_rule RULES[] = {
	SANDBOX_ALLOW_IF(write, SANDBOX_ARGUMENT_IS(0, GUARD_ANSWER_FD)),
	SANDBOX_ALLOW_IF(mmap, SANDBOX_ARGUMENT_LACKS(2, PROT_EXEC)),
	SANDBOX_ALLOW(munmap), SANDBOX_ALLOW(mremap), SANDBOX_ALLOW(brk),
	SANDBOX_ALLOW(exit_group),
};

const struct sandbox_rules GUARD_RULES = { RULES, sizeof RULES / sizeof *RULES, NULL, 0 };
