/* common: what helper and writer share, read together with the helper. */
/* A seccomp program that was made at build time: everything that it does not allow kills the process. */
#include "sandbox.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
/*
 * The leak checker traces its own process, which nobody can do here; the symbolizer opens files;
 * colours ask the terminal. A report ends in abort(): no other exit status means it.
 */
#define REPORT_OPTIONS "symbolize=0:color=never:abort_on_error=1"

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return REPORT_OPTIONS ":detect_leaks=0";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return REPORT_OPTIONS;
}
#endif

int sandbox_enter(const struct sandbox_program *program)
{
	/* The kernel makes a copy of it. */
	const struct sock_fprog loaded = { program->length, (struct sock_filter *)program->code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &loaded, 0, 0);
}
