/* The resolver: a child of the writer that looks up the names in a filter for the helper. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Forks the resolver, which owns the lookup channel from then on. It never holds the capture
 * channel, so nothing that it reads from the network or a file can lead to a packet fd.
 * Returns its pid, or -1 with errno.
 */
pid_t resolver_start(int lookup_channel);

/* Ends the resolver and reaps it. Returns false if it had run out of time. */
bool resolver_stop(pid_t resolver);

