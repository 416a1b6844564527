/* The guard: the filter expression that leaves out the ssh session the capture travels through. */
#pragma once

#include <stddef.h>

enum guard_result {
	GUARD_MADE,
	GUARD_NONE,    /* nothing is known about an ssh session */
};

/*
 * Writes the guard for an interface into text (NUL-terminated; empty for GUARD_NONE) from the
 * values of the environment variables CF_INSTANCE_PORTS and SSH_CONNECTION, each NULL if unset.
 * Both are untrusted. What cannot be used is reported in a WARN and left out.
 */
enum guard_result guard_make(char *text, size_t size, const char *interface,
			     const char *instance_ports, const char *ssh_connection);

