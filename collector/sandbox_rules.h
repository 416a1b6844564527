/* collector: the desk's program: one capture of a whole app; no privilege. */
/* What the merger may call. */
#pragma once

#include "common/sandbox.h"

#define MERGER_CONTROL_FD 3

extern const struct sandbox_rules MERGER_RULES;     /* at build time */
extern const struct sandbox_program merger_sandbox; /* made of them */
