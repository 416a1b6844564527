/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* A process of the writer's, for what others wrote: nothing in it leads to a packet socket. */
#pragma once

#include <sys/types.h>

/*
 * fork(2), whose child dies with the writer. Before it returns there, the capture channel and the slot
 * are closed, every capability is gone, and the signals that the writer handles for itself are ignored.
 */
pid_t child_fork(void);
