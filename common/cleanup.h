/* common: what helper and writer share, read together with the helper. */
/* The one clean-up idiom of this project: the compiler's cleanup attribute. */
#pragma once

#include <unistd.h>

/* CLEANUP(f): at the end of the variable's scope, f(&variable) is called. */
#define CLEANUP(function) __attribute__((cleanup(function)))

/* Closes *fd unless it is negative. */
static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
