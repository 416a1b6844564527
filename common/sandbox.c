/* common: what helper and writer share, read together with the helper. */
/* A seccomp allow-list from a table; everything else kills the process. */
#include "sandbox.h"

#include <errno.h>

#include "cleanup.h"

static void cleanup_filter(scmp_filter_ctx *filter)
{
	if (*filter != NULL)
		seccomp_release(*filter);
}

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

/* What the sanitizers' runtimes call by themselves. Never in a build that is installed. */
static const struct sandbox_rule SANITIZER_RULES[] = {
	SANDBOX_ALLOW(sigaltstack), SANDBOX_ALLOW(getpid),	 SANDBOX_ALLOW(gettid),
	SANDBOX_ALLOW(madvise),	    SANDBOX_ALLOW(futex),	 SANDBOX_ALLOW(mprotect),
	SANDBOX_ALLOW(tgkill),	    SANDBOX_ALLOW(sched_yield),	 SANDBOX_ALLOW(getrlimit),
	SANDBOX_ALLOW(prlimit64),   SANDBOX_ALLOW(rt_sigaction), SANDBOX_ALLOW(rt_sigprocmask),
	SANDBOX_ALLOW(clock_gettime), /* without the vDSO, where the program's name is empty */
};
static const int SANITIZER_ABSENT[] = { SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(readlink) };
#endif

static int add_rules(scmp_filter_ctx filter, const struct sandbox_rule *rules, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].syscall,
						   rules[i].condition_count, rules[i].condition);
		if (error != 0) {
			errno = -error;
			return -1;
		}
	}
	return 0;
}

static int add_absent(scmp_filter_ctx filter, const int *absent, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), absent[i], 0);
		if (error != 0) {
			errno = -error;
			return -1;
		}
	}
	return 0;
}

int sandbox_enter(const struct sandbox_rule *rules, size_t rule_count, const int *absent,
		  size_t absent_count)
{
	CLEANUP(cleanup_filter) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error;

	if (filter == NULL) {
		errno = ENOMEM;
		return -1;
	}
	if (add_rules(filter, rules, rule_count) != 0 ||
	    add_absent(filter, absent, absent_count) != 0)
		return -1;
#ifdef SANITIZED
	if (add_rules(filter, SANITIZER_RULES, sizeof SANITIZER_RULES / sizeof *SANITIZER_RULES) != 0 ||
	    add_absent(filter, SANITIZER_ABSENT, sizeof SANITIZER_ABSENT / sizeof *SANITIZER_ABSENT) != 0)
		return -1;
#endif
	error = seccomp_load(filter);
	if (error != 0) {
		errno = -error;
		return -1;
	}
	return 0;
}
