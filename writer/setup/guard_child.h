/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The guard is made in a process of its own, which can do nothing but answer. */
#pragma once

#include <stdbool.h>

/*
 * guard_make(), with text of GUARD_TEXT_SIZE bytes, in a child that has nothing but a pipe; what was odd
 * is logged. Without an answer that can be one, in time, a WARN says so and the guard is what can be
 * said without reading the variables. The child is reaped. Returns what guard_make() does.
 */
bool guard_from_environment(char *text, const char *interface, const char *instance_ports,
			    const char *ssh_connection);
