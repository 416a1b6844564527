/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The guard: the filter expression that leaves out the ssh session the capture travels through. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "guard_answer.h"

/*
 * Writes the guard for an interface into text (size bytes; NUL-terminated; empty if nothing is known
 * about an ssh session) from the values of the environment variables CF_INSTANCE_PORTS and
 * SSH_CONNECTION, each NULL if unset. Both are untrusted: what cannot be used is left out, and told in
 * the warnings. GUARD_TEXT_SIZE bytes hold every guard there can be. Returns false if nothing
 * is known of a session that comes by another interface than lo, and this is or includes one.
 * Calls nothing of the system but for memory: guard_child.c runs it where nothing else is allowed.
 */
bool guard_make(char *text, size_t size, const char *interface, const char *instance_ports,
		const char *ssh_connection, struct guard_warnings *warnings);
