/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* What the user asks for, within what the operator allows. */
#pragma once

#include "flags.h"
#include "policy.h"

/*
 * Lowers the options to what the policy allows, and says what that is. Returns 0, or -1, logged: what the
 * user asks for cannot be had in part.
 */
int limits_apply(struct options *options, const struct policy *policy);

