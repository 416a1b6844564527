/* desk: starts the commands; what streams hold is never looked at here. */
/* A command on this machine. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define ASK_LIMIT_MS 60000
#define EXIT_NOT_EXECUTED 127

static int close_both(const int ends[2])
{
	const int saved = errno;

	close(ends[0]);
	close(ends[1]);
	errno = saved;
	return -1;
}

/* Neither end is left to another child: whoever had one would keep an end from being seen. */
static int make_pipe(int ends[2])
{
	if (pipe(ends) != 0)
		return -1;
	if (fcntl(ends[0], F_SETFD, FD_CLOEXEC) != 0 || fcntl(ends[1], F_SETFD, FD_CLOEXEC) != 0)
		return close_both(ends);
	return 0;
}

/* Signals are as for any program, whatever they are for us. */
static void reset_signals(void)
{
	static const int OURS[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++)
		signal(OURS[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void execute(int in, int out, int err, char *const *words)
{
	setsid();
	reset_signals();
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0)
		execvp(words[0], words);
	dprintf(STDERR_FILENO, "cannot execute %s: %s\n", words[0], strerror(errno));
	_exit(EXIT_NOT_EXECUTED);
}

static int start_on(struct command *command, const int in[2], const int out[2], const int err[2], char *const *words)
{
	command->pid = fork();
	if (command->pid < 0)
		return -1;
	if (command->pid == 0)
		execute(in[0], out[1], err[1], words);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	command->in = in[1];
	command->out = out[0];
	command->err = err[0];
	(void)fcntl(command->out, F_SETFL, O_NONBLOCK);
	(void)fcntl(command->err, F_SETFL, O_NONBLOCK);
	return 0;
}

int command_start(struct command *command, char *const *words)
{
	int in[2], out[2], err[2];

	if (make_pipe(in) != 0)
		return -1;
	if (make_pipe(out) != 0)
		return close_both(in);
	if (make_pipe(err) != 0)
		return close_both(out), close_both(in);
	if (start_on(command, in, out, err, words) == 0)
		return 0;
	command->pid = 0;
	return close_both(err), close_both(out), close_both(in);
}

bool command_has_ended(const struct command *command)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)command->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == command->pid;
}

int command_reap(struct command *command)
{
	int status = 0;

	while (command->pid > 0 && waitpid(command->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	command->pid = 0;
	return status;
}

void command_end_input(struct command *command)
{
	if (command->in >= 0)
		close(command->in);
	command->in = -1;
}

void command_signal(const struct command *command, int number)
{
	if (command->pid <= 0)
		return;
	if (kill(-command->pid, number) != 0) /* it has not called setsid() yet */
		kill(command->pid, number);
}

static int fail(const char *message, const char *command, const char *reason)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("command", command), LOG_TEXT("reason", reason)));
	return -1;
}

/* What it says is shown when it fails. */
struct answer {
	char *out;
	size_t size, length;
	char err[1024];
	size_t err_length;
};

/* Returns false at the end. What does not fit is read and forgotten; of out that is an error in the end. */
static bool take(int fd, char *at, size_t size, size_t *length)
{
	char rest[4096];
	const bool fits = *length < size - 1;
	const ssize_t count = fits ? read(fd, at + *length, size - 1 - *length) : read(fd, rest, sizeof rest);

	if (count > 0)
		*length += fits ? (size_t)count : size; /* larger than there is room for */
	return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Returns false if it takes too long. */
static bool read_answer(const struct command *command, struct answer *answer)
{
	const int64_t deadline = clock_ms() + ASK_LIMIT_MS;
	struct pollfd watched[] = { { command->out, POLLIN, 0 }, { command->err, POLLIN, 0 } };

	while (watched[0].fd >= 0 || watched[1].fd >= 0) {
		const int64_t left = deadline - clock_ms();
		if (left <= 0)
			return false;
		if (poll(watched, 2, (int)left) <= 0)
			continue;
		if (watched[0].revents != 0 && !take(command->out, answer->out, answer->size, &answer->length))
			watched[0].fd = -1;
		if (watched[1].revents != 0 && answer->err_length < sizeof answer->err - 1) {
			if (!take(command->err, answer->err, sizeof answer->err, &answer->err_length))
				watched[1].fd = -1;
		} else if (watched[1].revents != 0) {
			watched[1].fd = -1;
		}
	}
	return true;
}

/* For a message. Returns it. */
static char *make_one_line(char *text)
{
	size_t length = strlen(text);

	while (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	for (char *at = text; (at = strchr(at, '\n')) != NULL;)
		*at = ' ';
	return text;
}

ssize_t command_ask(char *const *words, char *out, size_t size)
{
	struct answer answer = { .out = out, .size = size };
	struct command command;
	bool in_time;
	int status;

	if (command_start(&command, words) != 0)
		return fail("cannot start a command", words[0], strerror(errno));
	command_end_input(&command);
	in_time = read_answer(&command, &answer);
	if (!in_time)
		command_signal(&command, SIGKILL);
	close(command.out);
	close(command.err);
	status = command_reap(&command);
	out[answer.length < size ? answer.length : size - 1] = '\0';
	answer.err[answer.err_length] = '\0';
	make_one_line(answer.err);
	if (!in_time)
		return fail("a command takes too long", words[0], answer.err);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return fail("a command failed", words[0], answer.err[0] != '\0' ? answer.err : make_one_line(out));
	if (answer.length >= size)
		return fail("a command's answer is too long", words[0], "");
	return (ssize_t)answer.length;
}
