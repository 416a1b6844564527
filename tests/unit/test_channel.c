/* common/channel.c: what may come over the pair, and that nothing else stays open. */
#include "common/channel.c"

#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>

#include "scratch.h"

#define FDS_MOST 16

static int pair[2];
static int fds_before;

static int begin(void **state)
{
	(void)state;
	if (scratch_open_pair(pair) != 0)
		return -1;
	fds_before = scratch_open_fds();
	return 0;
}

static int finish(void **state)
{
	(void)state;
	return scratch_close_pair(pair);
}

static void assert_nothing_left_open(void)
{
	assert_int_equal(scratch_open_fds(), fds_before);
}

/* Room for several control messages, filled from the front. */
struct control {
	size_t length;
	union {
		char bytes[512];
		struct cmsghdr align;
	};
};

static void add_control(struct control *control, int level, int type, const void *data, size_t size)
{
	struct cmsghdr header = { .cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type };

	memcpy(control->bytes + control->length, &header, sizeof header);
	memcpy(control->bytes + control->length + CMSG_LEN(0), data, size);
	control->length += CMSG_SPACE(size);
}

static void add_fds(struct control *control, size_t count)
{
	int fds[FDS_MOST];

	for (size_t i = 0; i < count; i++)
		fds[i] = pair[0];
	add_control(control, SOL_SOCKET, SCM_RIGHTS, fds, count * sizeof *fds);
}

static void add_credentials(struct control *control)
{
	const struct ucred credentials = { getpid(), getuid(), getgid() };

	add_control(control, SOL_SOCKET, SCM_CREDENTIALS, &credentials, sizeof credentials);
}

/* As channel_send(), with any control data. */
static void send_raw(const void *message, size_t size, struct control *control)
{
	struct iovec data = { (void *)(uintptr_t)message, size };
	struct msghdr header = { .msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control->length > 0 ? control->bytes : NULL,
				 .msg_controllen = control->length };

	assert_int_equal(sendmsg(pair[0], &header, MSG_NOSIGNAL), size);
}

static void receive_credentials(void)
{
	const int on = 1;

	assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
}

static void assert_receive_fd_refuses(void)
{
	char buffer[8];
	int fd = 99;

	errno = 0;
	assert_int_equal(channel_receive_fd(pair[1], buffer, sizeof buffer, &fd), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(fd, -1);
	assert_nothing_left_open();
}

static void assert_receive_refuses(void)
{
	char buffer[8];

	errno = 0;
	assert_int_equal(channel_receive(pair[1], buffer, sizeof buffer), -1);
	assert_int_equal(errno, EBADMSG);
	assert_nothing_left_open();
}

static void a_message_arrives_whole_and_alone(void **state)
{
	char buffer[8];

	(void)state;
	assert_int_equal(channel_send(pair[0], "first", 5), 0);
	assert_int_equal(channel_send(pair[0], "2nd", 3), 0);
	assert_int_equal(channel_receive(pair[1], buffer, sizeof buffer), 5);
	assert_memory_equal(buffer, "first", 5);
	assert_int_equal(channel_receive(pair[1], buffer, sizeof buffer), 3);
	assert_memory_equal(buffer, "2nd", 3);
}

static void a_message_as_long_as_the_buffer_fits(void **state)
{
	char buffer[8];

	(void)state;
	assert_int_equal(channel_send(pair[0], "12345678", 8), 0);
	assert_int_equal(channel_receive(pair[1], buffer, sizeof buffer), 8);
}

static void a_message_longer_than_the_buffer_is_refused(void **state)
{
	(void)state;
	assert_int_equal(channel_send(pair[0], "123456789", 9), 0);
	assert_receive_refuses();
}

static void end_of_stream_is_0(void **state)
{
	char buffer[8];
	int fd = 99;

	(void)state;
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	assert_int_equal(channel_receive(pair[1], buffer, sizeof buffer), 0);
	assert_int_equal(channel_receive_fd(pair[1], buffer, sizeof buffer, &fd), 0);
	assert_int_equal(fd, -1);
	assert_nothing_left_open();
}

static void one_fd_arrives_and_is_close_on_exec(void **state)
{
	int pipe_fds[2], fd = -1;
	char buffer[8];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(channel_send_fd(pair[0], "here", 4, pipe_fds[1]), 0);
	assert_int_equal(channel_receive_fd(pair[1], buffer, sizeof buffer, &fd), 4);
	assert_memory_equal(buffer, "here", 4);
	assert_true(fd > 2 && fd != pipe_fds[1]);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(pipe_fds[0], buffer, 1), 1);
	close(fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_nothing_left_open();
}

static void no_fd_where_one_is_wanted_is_refused(void **state)
{
	(void)state;
	assert_int_equal(channel_send(pair[0], "none", 4), 0);
	assert_receive_fd_refuses();
}

static void two_to_eight_fds_are_refused_and_closed(void **state)
{
	(void)state;
	for (size_t count = 2; count <= 8; count++) {
		struct control control = { .length = 0 };
		add_fds(&control, count);
		send_raw("many", 4, &control);
		assert_receive_fd_refuses();
	}
}

static void more_fds_than_there_is_room_for_are_refused_and_closed(void **state)
{
	(void)state;
	for (size_t count = 9; count <= FDS_MOST; count++) {
		struct control control = { .length = 0 };
		add_fds(&control, count);
		send_raw("many", 4, &control);
		assert_receive_fd_refuses();
	}
}

/* The kernel merges them into one when it delivers them. */
static void fds_in_two_control_messages_are_refused_and_closed(void **state)
{
	struct control control = { .length = 0 };

	(void)state;
	add_fds(&control, 1);
	add_fds(&control, 1);
	send_raw("two", 3, &control);
	assert_receive_fd_refuses();
}

static void a_control_message_of_another_type_is_refused(void **state)
{
	struct control control = { .length = 0 };

	(void)state;
	receive_credentials();
	add_credentials(&control);
	send_raw("who", 3, &control);
	assert_receive_fd_refuses();
}

static bool is_one_fd(struct control *control)
{
	struct msghdr header = { .msg_control = control->bytes, .msg_controllen = control->length };

	return holds_one_fd(&header);
}

/* Some that no kernel of today delivers here. */
static void made_up_control_data_is_judged_by_level_type_and_length(void **state)
{
	static const struct {
		int level, type;
		size_t fds;
		bool right;
	} CASES[] = { { SOL_SOCKET, SCM_RIGHTS, 1, true },	{ SOL_SOCKET, SCM_RIGHTS, 0, false },
		      { SOL_SOCKET, SCM_RIGHTS, 2, false },	{ SOL_SOCKET, SCM_CREDENTIALS, 1, false },
		      { SOL_SOCKET, 4, 1, false }, /* SCM_PIDFD */ { SOL_SOCKET + 1, SCM_RIGHTS, 1, false } };
	const int fds[2] = { -1, -1 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		struct control control = { .length = 0 };
		add_control(&control, CASES[i].level, CASES[i].type, fds, CASES[i].fds * sizeof *fds);
		assert_int_equal(is_one_fd(&control), CASES[i].right);
	}
}

static void a_second_control_message_is_one_too_many(void **state)
{
	struct control control = { .length = 0 };

	(void)state;
	add_fds(&control, 1);
	assert_true(is_one_fd(&control));
	add_credentials(&control);
	assert_false(is_one_fd(&control));
}

static void an_fd_beside_credentials_is_refused_and_closed(void **state)
{
	struct control control = { .length = 0 };

	(void)state;
	receive_credentials();
	add_fds(&control, 1);
	add_credentials(&control);
	send_raw("both", 4, &control);
	assert_receive_fd_refuses();
}

static void fds_in_truncated_control_data_are_closed(void **state)
{
	struct control control = { .length = 0 };

	(void)state;
	receive_credentials();
	add_credentials(&control);
	add_fds(&control, 8);
	send_raw("more", 4, &control);
	assert_receive_fd_refuses();
}

static void an_fd_in_a_message_that_is_too_long_is_closed(void **state)
{
	(void)state;
	assert_int_equal(channel_send_fd(pair[0], "123456789", 9, pair[0]), 0);
	assert_receive_fd_refuses();
}

static void an_fd_in_an_empty_message_is_no_end_of_stream(void **state)
{
	struct control control = { .length = 0 };

	(void)state;
	add_fds(&control, 1);
	send_raw("", 0, &control);
	assert_receive_fd_refuses();
}

/* Where none is wanted nothing that comes beside the data becomes ours, or is looked at. */
static void assert_receives(const char *expected)
{
	char buffer[8];

	assert_int_equal(channel_receive(pair[1], buffer, sizeof buffer), strlen(expected));
	assert_memory_equal(buffer, expected, strlen(expected));
	assert_nothing_left_open();
}

static void an_fd_where_none_is_wanted_never_arrives(void **state)
{
	struct control control = { .length = 0 };

	(void)state;
	assert_int_equal(channel_send_fd(pair[0], "here", 4, pair[0]), 0);
	assert_receives("here");
	add_fds(&control, 8);
	send_raw("many", 4, &control);
	assert_receives("many");
}

static void an_fd_in_an_empty_message_where_none_is_wanted_never_arrives(void **state)
{
	struct control control = { .length = 0 };

	(void)state;
	add_fds(&control, 1);
	send_raw("", 0, &control);
	assert_receives("");
}

static void credentials_where_none_are_wanted_are_not_looked_at(void **state)
{
	struct control control = { .length = 0 };

	(void)state;
	receive_credentials();
	add_credentials(&control);
	send_raw("who", 3, &control);
	assert_receives("who");
}

static void on_alarm(int number)
{
	(void)number;
}

static void a_signal_interrupts_the_wait(void **state)
{
	const struct itimerval soon = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_alarm }, before;
	char buffer[8];

	(void)state;
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &soon, NULL);
	errno = 0;
	assert_int_equal(channel_receive(pair[1], buffer, sizeof buffer), -1);
	assert_int_equal(errno, EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
}

static void sending_to_nobody_fails_without_a_signal(void **state)
{
	(void)state;
	shutdown(pair[1], SHUT_RD);
	close(pair[1]);
	errno = 0;
	assert_int_equal(channel_send(pair[0], "lost", 4), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(channel_send_fd(pair[0], "lost", 4, pair[0]), -1);
	assert_int_equal(errno, EPIPE);
	pair[1] = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_message_arrives_whole_and_alone, begin, finish),
		cmocka_unit_test_setup_teardown(a_message_as_long_as_the_buffer_fits, begin, finish),
		cmocka_unit_test_setup_teardown(a_message_longer_than_the_buffer_is_refused, begin, finish),
		cmocka_unit_test_setup_teardown(end_of_stream_is_0, begin, finish),
		cmocka_unit_test_setup_teardown(one_fd_arrives_and_is_close_on_exec, begin, finish),
		cmocka_unit_test_setup_teardown(no_fd_where_one_is_wanted_is_refused, begin, finish),
		cmocka_unit_test_setup_teardown(two_to_eight_fds_are_refused_and_closed, begin, finish),
		cmocka_unit_test_setup_teardown(more_fds_than_there_is_room_for_are_refused_and_closed, begin, finish),
		cmocka_unit_test_setup_teardown(fds_in_two_control_messages_are_refused_and_closed, begin, finish),
		cmocka_unit_test_setup_teardown(a_control_message_of_another_type_is_refused, begin, finish),
		cmocka_unit_test(made_up_control_data_is_judged_by_level_type_and_length),
		cmocka_unit_test_setup_teardown(a_second_control_message_is_one_too_many, begin, finish),
		cmocka_unit_test_setup_teardown(an_fd_beside_credentials_is_refused_and_closed, begin, finish),
		cmocka_unit_test_setup_teardown(fds_in_truncated_control_data_are_closed, begin, finish),
		cmocka_unit_test_setup_teardown(an_fd_in_a_message_that_is_too_long_is_closed, begin, finish),
		cmocka_unit_test_setup_teardown(an_fd_in_an_empty_message_is_no_end_of_stream, begin, finish),
		cmocka_unit_test_setup_teardown(an_fd_where_none_is_wanted_never_arrives, begin, finish),
		cmocka_unit_test_setup_teardown(an_fd_in_an_empty_message_where_none_is_wanted_never_arrives, begin, finish),
		cmocka_unit_test_setup_teardown(credentials_where_none_are_wanted_are_not_looked_at, begin, finish),
		cmocka_unit_test_setup_teardown(a_signal_interrupts_the_wait, begin, finish),
		cmocka_unit_test_setup_teardown(sending_to_nobody_fails_without_a_signal, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
