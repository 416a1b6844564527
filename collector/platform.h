/* collector: the desk's program: one capture of a whole app; no privilege. */
/* The calls that POSIX has not, of this room all of them. Where the system has no such thing they do nothing. */
#pragma once

#include <stdbool.h>

/* Closes the merger's sandbox. Returns 0, also where there is none, or -1 with errno. */
int platform_enter_sandbox(void);

/* Gives a pipe more room, if that is allowed: an ordinary user may ask for 1 MiB. */
#define PLATFORM_PIPE_MOST (1 << 20)
void platform_enlarge_pipe(int fd, int bytes);

/*
 * Makes writes to a pipe never block. On Linux by a file description of our own; elsewhere whoever else has the pipe
 * shares that. Returns a descriptor that may be another one than fd.
 */
int platform_nonblocking(int fd);
