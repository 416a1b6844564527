/* The state a process inherits from whoever executed it, made harmless. */
#ifndef CFPCAP_START_H
#define CFPCAP_START_H

#include <stdbool.h>

struct start_state {
	bool had_capability; /* cap_net_raw was permitted */
	bool no_new_privs;   /* was set already */
	/* The file gave a capability that the user would not get from just any exec. */
	bool has_something_to_protect;
};

/*
 * Notes in *state what the process was started with, then keeps cap_net_raw as permitted at
 * most, and nothing effective or inheritable. Returns 0, or -1 with errno.
 */
int start_lower_capabilities(struct start_state *state);

/* Puts /dev/null, read-only, on each of 0, 1, 2 that is closed. Returns 0, or -1 with errno. */
int start_fill_standard_fds(void);

/* Closes every descriptor from 3 up. Returns 0, or -1 with errno. */
int start_close_other_fds(void);

/* Default dispositions, nothing blocked, no timers; SIGPIPE and SIGXFSZ become error codes. */
void start_reset_signals(void);

#endif
