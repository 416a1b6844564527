/* writer/setup/resolver.c: it answers, and it does not outlive the writer. */
#include "setup/resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/stop.h"
#include "common/channel.h"
#include "common/protocol.h"
#include "scratch.h"

#define END_LIMIT_MS 5000

static int ours, theirs; /* ends of a lookup channel */

static int begin(void **state)
{
	int pair[2];

	(void)state;
	if (channel_pair(pair) != 0)
		return -1;
	ours = pair[0];
	theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, 10); /* the resolver closes what else the writer has */
	close(pair[1]);
	return theirs < 0 ? -1 : 0;
}

static int finish(void **state)
{
	(void)state;
	close(ours);
	return 0;
}

static bool ends_in_time(void)
{
	struct pollfd channel = { .fd = ours, .events = POLLIN };

	return poll(&channel, 1, END_LIMIT_MS) == 1 && (channel.revents & POLLHUP) != 0;
}

/* As /proc has it, proc(5). */
static bool handles(pid_t process, int signal_number)
{
	unsigned long long caught = 0;
	char name[32], line[128];
	FILE *status;

	snprintf(name, sizeof name, "/proc/%d/status", (int)process);
	status = fopen(name, "r");
	assert_non_null(status);
	while (fgets(line, sizeof line, status) != NULL && sscanf(line, "SigCgt: %llx", &caught) != 1)
		continue;
	fclose(status);
	return (caught >> (signal_number - 1) & 1) != 0;
}

static void it_answers_until_it_is_stopped(void **state)
{
	struct lookup_request request = { { PROTOCOL_VERSION, MESSAGE_LOOKUP }, LOOKUP_ADDRESS, AF_INET,
					  SOCK_STREAM, 0, "192.0.2.7" };
	struct lookup_answer answer;
	pid_t resolver = resolver_start(theirs);

	(void)state;
	assert_true(resolver > 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(channel_send(ours, &request, sizeof request), 0);
		assert_int_equal(channel_receive(ours, &answer, sizeof answer), sizeof answer);
		assert_true(lookup_answer_valid(&answer, sizeof answer));
		assert_int_equal(answer.error, 0);
		assert_int_equal(answer.entry[0].address.ipv4.sin_addr.s_addr, inet_addr("192.0.2.7"));
	}
	assert_int_equal(resolver_stop(resolver), RESOLVER_DONE);
	assert_true(ends_in_time());
}

/* Sends it the signal of its own timer, which is set to a minute. */
static void it_ends_when_its_time_is_up_though_the_writer_handles_that_signal(void **state)
{
	pid_t resolver;

	(void)state;
	assert_int_equal(stop_watch(), 0);
	resolver = resolver_start(theirs);
	assert_true(resolver > 0);
	while (handles(resolver, SIGALRM))
		usleep(1000);
	kill(resolver, SIGALRM);
	assert_true(ends_in_time());
	assert_int_equal(resolver_stop(resolver), RESOLVER_TOO_SLOW);
}

/* A process that starts a resolver, as the writer does, and is killed. */
static void lose_writer(void)
{
	pid_t writer = fork();

	assert_true(writer >= 0);
	if (writer == 0) {
		close(ours);
		resolver_start(theirs);
		raise(SIGKILL);
	}
	close(theirs);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
}

static void it_ends_with_the_writer(void **state)
{
	(void)state;
	lose_writer();
	assert_true(ends_in_time());
}

static bool kill_parent_at_once;

/* In the resolver, as the first thing it does. */
static void after_fork(void)
{
	pid_t parent = getppid();

	if (!kill_parent_at_once || parent == 1)
		return;
	kill_parent_at_once = false;
	kill(parent, SIGKILL);
	while (getppid() == parent)
		usleep(1000);
}

static void it_ends_when_the_writer_died_before_it_could_ask_to_end_with_him(void **state)
{
	pid_t writer = fork();

	(void)state;
	assert_true(writer >= 0);
	if (writer == 0) {
		close(ours);
		kill_parent_at_once = true;
		resolver_start(theirs);
		pause();
		_exit(1);
	}
	close(theirs);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	assert_true(ends_in_time());
}

#define RESOLVER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RESOLVER_TEST(it_answers_until_it_is_stopped),
		RESOLVER_TEST(it_ends_when_its_time_is_up_though_the_writer_handles_that_signal),
		RESOLVER_TEST(it_ends_with_the_writer),
		RESOLVER_TEST(it_ends_when_the_writer_died_before_it_could_ask_to_end_with_him),
	};

	pthread_atfork(NULL, NULL, after_fork);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
