/* writer/setup/guard_child.c: what a process that makes the guard can do to the writer, if it is taken over. */
#include "setup/guard_child.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "scratch.h"
#include "setup/guard.h"
#include "setup/guard_rules.h"

#define LIMIT_MS 20000 /* ten times what the writer waits */
#define GUARD "not tcp port 7"
#define FALLBACK "not tcp port 2222"

static char text[GUARD_TEXT_SIZE];
static const char *messages;
static bool in_child;
static void (*deed)(struct guard_answer *answer); /* what the process does instead of its work */
static long forbidden;                            /* the number of a call, for one of the deeds */

static void after_fork(void)
{
	in_child = true;
}

/* In place of guard.c's: in the child what the test wants, in the writer what can be said without the variables. */
bool guard_make(char *out, size_t size, const char *interface, const char *instance_ports,
		const char *ssh_connection, struct guard_warnings *warnings)
{
	static struct guard_answer answer;

	memset(&answer, 0, sizeof answer);
	if (in_child) {
		deed(&answer);
	} else {
		assert_string_equal(interface, "eth0");
		assert_string_equal(instance_ports, "[]");
		assert_null(ssh_connection);
		strcpy(answer.text, FALLBACK);
	}
	memcpy(out, answer.text, size);
	*warnings = answer.warnings;
	return answer.ssh_known != 0;
}

static bool run(void (*what)(struct guard_answer *answer))
{
	const int open_before = scratch_open_fds();
	const int64_t begun = clock_ms();
	bool known;

	deed = what;
	memset(text, 'x', sizeof text);
	scratch_begin_capture(STDERR_FILENO);
	known = guard_from_environment(text, "eth0", "from the user", "from the user too");
	messages = scratch_end_capture();
	assert_true(clock_ms() - begun < LIMIT_MS);
	assert_non_null(memchr(text, '\0', sizeof text));
	assert_int_equal(scratch_open_fds(), open_before);
	assert_int_equal(waitpid(-1, NULL, 0), -1); /* nobody is left */
	return known;
}

static void assert_no_guard(void (*what)(struct guard_answer *answer), const char *why)
{
	assert_false(run(what));
	assert_string_equal(text, FALLBACK);
	assert_non_null(strstr(messages, "level=WARN msg=\"no guard could be made from the environment, an ssh session may be captured\""));
	if (strstr(messages, why) == NULL)
		fail_msg("%s", messages);
}

static void answer_honestly(struct guard_answer *answer)
{
	strcpy(answer->text, GUARD);
	answer->ssh_known = 1;
}

static void an_answer_is_the_guard(void **state)
{
	(void)state;
	assert_true(run(answer_honestly));
	assert_string_equal(text, GUARD);
	assert_string_equal(messages, "");
}

static void warn(struct guard_answer *answer)
{
	strcpy(answer->warnings.instance_ports, "odd\n\033[2J");
	answer->warnings.ssh_connection = 1;
}

static void its_warnings_reach_the_user_quoted(void **state)
{
	(void)state;
	assert_false(run(warn));
	assert_string_equal(text, "");
	assert_non_null(strstr(messages, "CF_INSTANCE_PORTS is not what the platform sets"));
	assert_non_null(strstr(messages, "reason=\"odd\\n\\x1b[2J\""));
	assert_non_null(strstr(messages, "SSH_CONNECTION is not what sshd sets"));
}

static void answer_with_another_filter(struct guard_answer *answer)
{
	strcpy(answer->text, GUARD ") or (tcp");
}

static void answer_without_an_end(struct guard_answer *answer)
{
	memset(answer->text, '1', sizeof answer->text);
	memcpy(answer->text, GUARD, strlen(GUARD));
}

static void what_is_no_guard_is_not_used(void **state)
{
	(void)state;
	assert_no_guard(answer_with_another_filter, "its process answered something that is no guard");
	assert_no_guard(answer_without_an_end, "its process answered something that is no guard");
}

static void answer_half(struct guard_answer *answer)
{
	answer_honestly(answer);
	if (write(GUARD_ANSWER_FD, answer, sizeof *answer / 2) > 0)
		_exit(0);
}

static void answer_nothing(struct guard_answer *answer)
{
	(void)answer;
	_exit(0);
}

static void half_an_answer_or_none_is_not_used(void **state)
{
	(void)state;
	assert_no_guard(answer_half, "its process ended unexpectedly");
	assert_no_guard(answer_nothing, "its process ended unexpectedly");
}

static void answer_and_go_on(struct guard_answer *answer)
{
	answer_honestly(answer);
	while (write(GUARD_ANSWER_FD, answer, sizeof *answer) > 0)
		answer->text[0] = 'x';
}

static void of_many_answers_the_first_counts_and_the_rest_holds_nobody_up(void **state)
{
	(void)state;
	assert_true(run(answer_and_go_on));
	assert_string_equal(text, GUARD);
}

static void loop(struct guard_answer *answer)
{
	for (volatile unsigned int turns = 0;; turns++)
		answer->ssh_known = turns;
}

static void one_that_never_answers_is_ended(void **state)
{
	(void)state;
	assert_no_guard(loop, "its process takes too long");
}

static void overflow(struct guard_answer *answer)
{
	(void)answer;
	__builtin_trap();
}

static void one_that_crashes_does_no_harm(void **state)
{
	(void)state;
	assert_no_guard(overflow, "its process ended unexpectedly");
}

/* If it lives on, its answer is believed. */
static void call_and_answer(struct guard_answer *answer)
{
	syscall(forbidden, 0, 0, 0, 0, 0, 0);
	answer_honestly(answer);
}

static void map_code(struct guard_answer *answer)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	answer_honestly(answer);
}

static void write_elsewhere(struct guard_answer *answer)
{
	syscall(SYS_write, STDERR_FILENO, "x", 1);
	answer_honestly(answer);
}

static void it_dies_of_every_call_that_is_not_its_own(void **state)
{
	static const long CALLS[] = { SYS_read,	 SYS_openat2, SYS_close,	 SYS_socket, SYS_connect,    SYS_sendto,
				      SYS_sendmsg, SYS_recvmsg, SYS_ioctl, SYS_fcntl, SYS_dup,	     SYS_dup3,
				      SYS_clone, SYS_execve, SYS_ptrace, SYS_kill,   SYS_setsockopt, SYS_prctl,
				      SYS_capset, SYS_memfd_create, SYS_unshare, SYS_mount, SYS_bind, SYS_writev,
				      SYS_pwrite64, SYS_process_vm_writev, SYS_io_uring_setup, SYS_getppid };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CALLS); i++) {
		forbidden = CALLS[i];
		assert_no_guard(call_and_answer, "its process ended unexpectedly");
	}
	assert_no_guard(map_code, "its process ended unexpectedly");
	assert_no_guard(write_elsewhere, "its process ended unexpectedly");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_the_guard),
		cmocka_unit_test(its_warnings_reach_the_user_quoted),
		cmocka_unit_test(what_is_no_guard_is_not_used),
		cmocka_unit_test(half_an_answer_or_none_is_not_used),
		cmocka_unit_test(of_many_answers_the_first_counts_and_the_rest_holds_nobody_up),
		cmocka_unit_test(one_that_never_answers_is_ended),
		cmocka_unit_test(one_that_crashes_does_no_harm),
		cmocka_unit_test(it_dies_of_every_call_that_is_not_its_own),
	};

	pthread_atfork(NULL, NULL, after_fork);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
