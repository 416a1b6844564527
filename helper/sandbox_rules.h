/* helper: what runs with the capability. */
/* What the helper may call once its sockets are open. */
#pragma once

#include "common/sandbox.h"

/* The numbers that its descriptors have by then: the lowest that are free in main.c and sockets.c. */
enum { HELPER_RAW_FD = 4, HELPER_CAPTURE_CHANNEL_FD, HELPER_COOKED_FD, HELPER_LOOKUP_CHANNEL_FD };

extern const struct sandbox_rules HELPER_RULES;     /* at build time */
extern const struct sandbox_program helper_sandbox; /* made of them */
