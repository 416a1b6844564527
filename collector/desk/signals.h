/* desk: starts the commands; what streams hold is never looked at here. */
/* Signals as bytes in a pipe, so that poll(2) waits for them too. */
#pragma once

#include <stdint.h>

struct signals {
	int fd; /* readable when one has come */
};

/* What came since it was looked at last. */
struct signals_seen {
	int stops;      /* signals that ask to end, apart from those right after one another: they are the same one */
	int number;     /* the last of them */
	int64_t stop_ms;
};

/* From now on SIGINT, SIGTERM, SIGHUP and SIGCHLD are noticed, SIGPIPE is ignored. Returns 0, or -1 with errno. */
int signals_watch(struct signals *signals);

/* Adds what has come. */
void signals_look(const struct signals *signals, struct signals_seen *seen);
