/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The file of the operator's policy: beside the program, where the user cannot have changed it. */
#pragma once

#include "policy.h"

/*
 * To be called before anything of the user's is read. *policy limits nothing where there is no file.
 * Returns 0, or -1, logged: the policy is wrong, or the user could have changed it, or the folder it would
 * lie in.
 */
int policy_read(struct policy *policy);

