/* collector: the desk's program: one capture of a whole app; no privilege. */
/*
 * cf-pcap-collect: two processes. This one reads the command line, asks cf for instances, opens files, starts a command
 * for each capture and holds its stdin; it never looks at what they send. The merger is forked from it before any of
 * that is started, with the output and one end of a socket pair, and closes its sandbox before it has any stream: who
 * takes it over, by what a hostile container sends, can lie in the file and on the terminal, and no more. It gets the
 * commands' stdout and stderr, and each new file, over that socket, because it can open nothing itself. Two
 * processes and not one for each stream: the merge has to look at all streams anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "collector/desk/desk.h"
#include "collector/desk/files.h"
#include "collector/desk/flags.h"
#include "collector/desk/targets.h"
#include "collector/extcap/extcap.h"
#include "collector/extcap/install.h"
#include "collector/merge/merger.h"
#include "platform.h"
#include "sandbox_rules.h"
#include "wire.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_NOT_WHOLE 3
#define DESCRIPTORS_BESIDES 32
#define MEMORY_DEFAULT (64u << 20)

static int fail(const char *message, const char *reason)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("reason", reason)));
	return EXIT_FAILED;
}

/* Where the output is a pipe, its reader may draw on the same terminal. */
static bool shows_progress(int output)
{
	struct stat status;

	return isatty(STDERR_FILENO) == 1 && fstat(output, &status) == 0 && S_ISREG(status.st_mode);
}

static void move(int *fd, int number)
{
	if (*fd != number && dup2(*fd, number) >= 0) {
		close(*fd);
		*fd = number;
	}
}

/* A terminal's signals are for the other process: this one ends when all that came is written. */
static void ignore_signals(void)
{
	static const int IGNORED[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGXFSZ };

	for (size_t i = 0; i < sizeof IGNORED / sizeof *IGNORED; i++)
		signal(IGNORED[i], SIG_IGN);
}

/* In the child, which has nothing but the output, stderr and its end of the pair. */
static _Noreturn void merge(const struct merger_options *options, int control, int output)
{
	ignore_signals();
	if (output == MERGER_CONTROL_FD)
		output = dup(output);
	move(&control, MERGER_CONTROL_FD);
	close(STDIN_FILENO);
	if (output != STDOUT_FILENO)
		close(STDOUT_FILENO);
	log_set_patience(0);
	if (output < 0 || platform_enter_sandbox() != 0)
		_exit(fail("cannot close the sandbox", strerror(errno)));
	_exit((int)merger_run(options, control, output));
}

/* Returns its pid, or -1 after an ERROR line; *control is our end of the pair. */
static pid_t start_merger(const struct merger_options *options, int output, int *control)
{
	int pair[2];
	pid_t pid;

	if (wire_pair(pair) != 0) {
		fail("cannot start the merger", strerror(errno));
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		merge(options, pair[1], output);
	}
	close(pair[1]);
	if (pid < 0)
		fail("cannot start the merger", strerror(errno));
	(void)fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	*control = pair[0];
	return pid;
}

/* Returns the exit status that the merger's end means. */
static int wait_for(pid_t merger)
{
	int status = 0;

	while (waitpid(merger, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!WIFEXITED(status))
		return fail("the merger ended unexpectedly", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "");
	switch (WEXITSTATUS(status)) {
	case MERGER_WHOLE:
		return 0;
	case MERGER_NOT_WHOLE:
		return EXIT_NOT_WHOLE;
	default:
		return EXIT_FAILED;
	}
}

/* Only the merger has it: its reader sees its end. No pipe of a command may land on a closed standard descriptor. */
static void release_output(const struct collect_options *options, int output)
{
	const int null = options->output == NULL ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		close(null);
	}
	if (output != STDOUT_FILENO)
		close(output);
}

/* What is not given is what there has to be, at least. */
static int settle_memory(struct collect_options *options, const struct targets *targets)
{
	const uint64_t least = merger_memory_least(targets->count);
	char needed[32];

	if (options->memory == 0)
		options->memory = least > MEMORY_DEFAULT ? least : MEMORY_DEFAULT;
	if (options->memory >= least)
		return 0;
	snprintf(needed, sizeof needed, "%lluk", (unsigned long long)((least + 1023) >> 10));
	log_record(LOG_ERROR, "-memory is less than so many captures need",
		   LOG_FIELDS(LOG_NUMBER("captures", targets->count), LOG_TEXT("needed", needed)));
	return -1;
}

/* The merger has two for each capture, this process one and, while it starts a command, five more. */
static int make_room_for_descriptors(const struct targets *targets)
{
	const rlim_t needed = 2 * (rlim_t)targets->count + DESCRIPTORS_BESIDES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed)
		return 0;
	limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || needed <= limit.rlim_max ? needed : limit.rlim_max;
	if (limit.rlim_cur >= needed && setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return 0;
	log_record(LOG_ERROR, "so many captures need more open files than the limit allows, see ulimit -n",
		   LOG_FIELDS(LOG_NUMBER("captures", targets->count), LOG_NUMBER("needed", needed)));
	return -1;
}

static int collect(const struct collect_options *options, const struct targets *targets)
{
	struct utsname system;
	char system_text[sizeof system.sysname + sizeof system.release + 1];
	struct files files;
	struct desk desk = { .options = options, .targets = targets, .files = &files };
	struct merger_options merger_options = { .streams = targets->count, .memory = options->memory,
						 .window = options->window, .count = options->count,
						 .max_size = options->max_size, .rotate_size = options->rotate_size,
						 .rotate_every = options->rotate_every, .system = system_text,
						 .application = "cf-pcap-collect " CFPCAP_VERSION };
	const int output = files_open(&files, options);
	pid_t merger;
	int result, status;

	if (output < 0)
		return EXIT_FAILED;
	if (uname(&system) != 0)
		return fail("uname", strerror(errno));
	snprintf(system_text, sizeof system_text, "%s %s", system.sysname, system.release);
	merger_options.shows_progress = !options->no_progress && shows_progress(output);
	merger_options.tells_failures = options->fifo != NULL;
	merger = start_merger(&merger_options, output, &desk.control);
	if (merger < 0)
		return EXIT_FAILED;
	release_output(options, output);
	if (signals_watch(&desk.signals) != 0)
		return fail("cannot watch for signals", strerror(errno));
	log_record(LOG_INFO, "collecting", LOG_FIELDS(LOG_NUMBER("captures", targets->count)));
	result = desk_run(&desk);
	status = wait_for(merger);
	files_close(&files);
	if (result != 0)
		return EXIT_FAILED;
	return status == 0 && targets->missing > 0 ? EXIT_NOT_WHOLE : status;
}

static int answer_at_once(const struct collect_options *options, const char *program)
{
	if (options->install_extcap)
		return install_extcap(program) == 0 ? 0 : EXIT_FAILED;
	if (options->help)
		collect_flags_print_help();
	else
		puts("cf-pcap-collect " CFPCAP_VERSION);
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : EXIT_FAILED;
}

/* Nothing of ours may land on a closed standard descriptor. */
static bool has_standard_descriptors(void)
{
	struct stat status;

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &status) != 0)
			return false;
	return true;
}

/* Returns an exit status, or -1: options say what is to be captured. */
static int read_command_line(struct collect_options *options, int argc, char *const *argv)
{
	if (!extcap_is_asked(argc, argv)) {
		if (collect_flags_parse(options, argc, argv) != 0)
			return EXIT_USAGE;
		return options->help || options->version || options->install_extcap ? answer_at_once(options, argv[0]) : -1;
	}
	log_only_errors();
	switch (extcap_answer(options, argc, argv)) {
	case EXTCAP_CAPTURE:
		return -1;
	case EXTCAP_ANSWERED:
		return 0;
	case EXTCAP_USAGE:
		return EXIT_USAGE;
	default:
		return EXIT_FAILED;
	}
}

int main(int argc, char **argv)
{
	static struct collect_options options;
	struct targets targets = { 0 };
	int status, found;

	if (!has_standard_descriptors())
		return EXIT_FAILED;
	log_open();
	status = read_command_line(&options, argc, argv);
	if (status >= 0)
		return status;
	status = EXIT_FAILED;
	if (options.verbose)
		log_enable_debug();
	found = targets_find(&targets, &options);
	if (found == TARGETS_REJECTED)
		status = EXIT_USAGE;
	else if (found == 0)
		status = settle_memory(&options, &targets) != 0		     ? EXIT_USAGE :
			 make_room_for_descriptors(&targets) != 0 ? EXIT_FAILED :
								    collect(&options, &targets);
	free(targets.all);
	return status;
}
