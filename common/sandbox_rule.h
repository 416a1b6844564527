/* common: what helper and writer share, read together with the helper. */
/* Tables of what a process may call. They are made into programs at build time, by sandbox/export.c. */
#pragma once

#include <seccomp.h>
#include <stddef.h>

/* One allowed call: with all of its argument conditions, if it has any. */
struct sandbox_rule {
	int syscall;
	unsigned int condition_count; /* 0..3 */
	struct scmp_arg_cmp condition[3];
};

/* Calls that are allowed, and those that are answered with ENOENT; anything else kills the process. */
struct sandbox_rules {
	const struct sandbox_rule *allowed;
	size_t allowed_count;
	const int *absent;
	size_t absent_count;
};

#define SANDBOX_ALLOW(name) { SCMP_SYS(name), 0, { { 0 } } }
#define SANDBOX_ALLOW_IF(name, ...)                                                   \
	{ SCMP_SYS(name),                                                             \
	  sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp), \
	  { __VA_ARGS__ } }

/* The condition that argument number `argument` (0..5), as 32 bits, equals or lacks bits. */
#define SANDBOX_ARGUMENT_IS(argument, value) \
	{ argument, SCMP_CMP_MASKED_EQ, 0xffffffffu, (scmp_datum_t)(uint32_t)(value) }
#define SANDBOX_ARGUMENT_LACKS(argument, bits) { argument, SCMP_CMP_MASKED_EQ, bits, 0 }

/* On one descriptor only; and of sockets one option only. */
#define ALLOW_ON(name, fd) SANDBOX_ALLOW_IF(name, SANDBOX_ARGUMENT_IS(0, fd))
#define ALLOW_OPTION(name, level, option) \
	SANDBOX_ALLOW_IF(name, SANDBOX_ARGUMENT_IS(1, level), SANDBOX_ARGUMENT_IS(2, option))
