/* common: what helper and writer share, read together with the helper. */
/* A seccomp program that was made at build time: everything that it does not allow kills the process. */
#pragma once

#include <linux/filter.h>

struct sandbox_program {
	unsigned short length; /* instructions */
	const struct sock_filter *code;
};

/* Loads it, never to be undone. Returns 0, or -1 with errno: EACCES before no_new_privs, which privilege.h sets. */
int sandbox_enter(const struct sandbox_program *program);
