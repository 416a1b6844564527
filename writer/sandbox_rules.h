/* writer: no privilege; from setup/ through the sandbox's door to capture/. */
/* What the writer may call once it is to hold a packet fd. */
#pragma once

#include "common/sandbox.h"

extern const struct sandbox_rules WRITER_RULES;     /* at build time */
extern const struct sandbox_program writer_sandbox; /* made of them */
