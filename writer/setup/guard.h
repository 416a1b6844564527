/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The guard: the filter expression that leaves out the ssh session the capture travels through. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes the guard for an interface into text (size bytes; NUL-terminated; empty if nothing is known
 * about an ssh session) from the values of the environment variables CF_INSTANCE_PORTS and
 * SSH_CONNECTION, each NULL if unset. Both are untrusted: what cannot be used is left out, with one
 * WARN for each of them. GUARD_TEXT_SIZE bytes hold every guard there can be. Returns false if nothing
 * is known of a session that comes by another interface than lo, and this is or includes one.
 */
bool guard_make(char *text, size_t size, const char *interface, const char *instance_ports,
		const char *ssh_connection);

