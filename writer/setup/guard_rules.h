/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* What the process that makes the guard may call. */
#pragma once

#include <unistd.h>

#define GUARD_ANSWER_FD STDOUT_FILENO /* its only descriptor: a pipe */

/* Closes its sandbox. Returns 0, or -1 with errno. */
int enter_guard_sandbox(void);
