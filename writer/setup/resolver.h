/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The resolver: a child of the writer that looks up the names in a filter for the helper. */
#pragma once

#include <sys/types.h>

/*
 * Forks the resolver, which owns the lookup channel from then on. It never holds the capture
 * channel, so nothing that it reads from the network or a file can lead to a packet fd.
 * Returns its pid, or -1 with errno.
 */
pid_t resolver_start(int lookup_channel);

enum resolver_end {
	RESOLVER_DONE,
	RESOLVER_TOO_SLOW, /* it had run out of time */
	RESOLVER_REPORTED, /* it has logged why it could not go on */
};

/* Ends the resolver and reaps it. */
enum resolver_end resolver_stop(pid_t resolver);
