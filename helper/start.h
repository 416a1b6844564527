/* helper: what runs with the capability. */
/* The state a process inherits from whoever executed it, made harmless. */
#pragma once

#include <stdbool.h>

struct start_state {
	bool had_capability; /* cap_net_raw was permitted */
	bool no_new_privs;   /* was set already */
};

/* Ends the process with one ERROR line: what, and errno in words. */
_Noreturn void die(const char *what);

/*
 * Makes the process non-dumpable. Returns what it was started with, after reducing its
 * capabilities to cap_net_raw as permitted, at most, and nothing effective or inheritable.
 */
struct start_state start_lower_capabilities(void);

/* Makes 0, 1 and 2 open (/dev/null, read-only) and everything above closed. */
void start_tidy_fds(void);

/* Default dispositions, everything blocked, no timers; SIGPIPE and SIGXFSZ become error codes. */
void start_reset_signals(void);

