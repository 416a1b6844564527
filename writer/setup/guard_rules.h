/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* What the process that makes the guard may call. */
#pragma once

#include <unistd.h>

#include "common/sandbox.h"

#define GUARD_ANSWER_FD STDOUT_FILENO /* its only descriptor: a pipe */

extern const struct sandbox_rules GUARD_RULES;     /* at build time */
extern const struct sandbox_program guard_sandbox; /* made of them */
