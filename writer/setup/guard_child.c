/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The guard is made in a process of its own, which can do nothing but answer. */
#include "guard_child.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "child.h"
#include "guard.h"
#include "guard_answer.h"
#include "guard_rules.h"

#define ANSWER_LIMIT_MS 2000 /* it takes some milliseconds */
#define CPU_LIMIT_SECONDS 4 /* later than that: who is too slow is always ended for the same reason */
#ifndef MEMORY_LIMIT_BYTES
#define MEMORY_LIMIT_BYTES (256u << 20) /* the writer's own, and some MiB for 64 KiB of JSON */
#endif

_Static_assert(sizeof(struct guard_answer) <= PIPE_BUF, "an answer arrives whole or not at all, pipe(7)");

struct environment {
	const char *interface, *instance_ports, *ssh_connection;
};

static void lower_limit(__rlimit_resource_t resource, rlim_t value)
{
	const struct rlimit limit = { value, value };

	/* EPERM: the user's own hard limit is lower still. */
	if (setrlimit(resource, &limit) != 0 && errno != EPERM)
		_exit(1);
}

/* Nothing stays open but the pipe. It was opened last: whatever else is open has a lower number. */
static void keep_only(int pipe_end)
{
	if (dup2(pipe_end, GUARD_ANSWER_FD) < 0)
		_exit(1);
	for (int fd = 0; fd <= pipe_end; fd++)
		if (fd != GUARD_ANSWER_FD)
			close(fd);
}

/* jansson would open /dev/urandom to seed its hash tables. */
static void seed_tables(void)
{
	size_t seed = 0;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
		seed = (size_t)getpid();
	json_object_seed(seed | 1); /* 0 would ask for /dev/urandom */
}

static _Noreturn void answer_in_child(int pipe_end, const struct environment *environment)
{
	static struct guard_answer answer;

	keep_only(pipe_end);
	lower_limit(RLIMIT_CPU, CPU_LIMIT_SECONDS);
	lower_limit(RLIMIT_AS, MEMORY_LIMIT_BYTES);
	seed_tables();
	if (sandbox_enter(&guard_sandbox) != 0)
		_exit(1);
	answer.ssh_known = guard_make(answer.text, sizeof answer.text, environment->interface,
				      environment->instance_ports, environment->ssh_connection,
				      &answer.warnings);
	_exit(write(GUARD_ANSWER_FD, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1);
}

/* Returns NULL, or why there is no answer that can be believed. */
static const char *receive(int pipe_end, struct guard_answer *answer)
{
	const int64_t deadline = clock_ms() + ANSWER_LIMIT_MS;
	struct pollfd watched = { .fd = pipe_end, .events = POLLIN };
	int ready;

	do {
		const int64_t left = deadline - clock_ms();
		ready = poll(&watched, 1, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR && !stop_requested());
	if (ready <= 0)
		return "its process takes too long";
	if (read(pipe_end, answer, sizeof *answer) != (ssize_t)sizeof *answer)
		return "its process ended unexpectedly";
	return guard_answer_valid(answer) ? NULL : "its process answered something that is no guard";
}

static void reap(pid_t child)
{
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
}

/* Returns NULL, or why there is no answer. */
static const char *ask_child(struct guard_answer *answer, const struct environment *environment)
{
	const char *failure;
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return strerror(errno);
	child = child_fork();
	if (child == 0)
		answer_in_child(ends[1], environment);
	failure = child < 0 ? strerror(errno) : NULL;
	close(ends[1]);
	if (child > 0) {
		failure = receive(ends[0], answer);
		reap(child);
	}
	close(ends[0]);
	return failure;
}

bool guard_from_environment(char *text, const char *interface, const char *instance_ports,
			    const char *ssh_connection)
{
	static struct guard_answer answer;
	const struct environment environment = { interface, instance_ports, ssh_connection };
	const char *failure = NULL;

	if (instance_ports != NULL || ssh_connection != NULL) {
		failure = ask_child(&answer, &environment);
		if (failure == NULL) {
			guard_warnings_report(&answer.warnings);
			memcpy(text, answer.text, sizeof answer.text);
			return answer.ssh_known != 0;
		}
		log_record(LOG_WARN, "no guard could be made from the environment, an ssh session may be captured",
			   LOG_FIELDS(LOG_TEXT("reason", failure)));
	}
	/* That there is a variable says that this is a container; nothing of the user's is parsed here. */
	return guard_make(text, GUARD_TEXT_SIZE, interface, instance_ports != NULL ? "[]" : NULL, NULL,
			  &answer.warnings);
}
