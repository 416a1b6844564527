/* helper: what runs with the capability. */
/* The state a process inherits from whoever executed it, made harmless. */
#include "start.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/privilege.h"

_Noreturn void die(const char *what)
{
	dprintf(STDERR_FILENO, "level=ERROR msg=\"%s: %s\"\n", what, strerror(errno));
	_exit(1);
}

/* What exec makes of processes that are not to be read, proc(5): a digit, or '?'. */
static int suid_dumpable(void)
{
	CLEANUP(cleanup_fd) int setting = open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC);
	char value;

	return setting >= 0 && read(setting, &value, 1) == 1 ? value : '?';
}

struct start_state start_lower_capabilities(void)
{
	struct start_state state = { false, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 };
	const bool exposed = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		die("cannot become non-dumpable");
	/* Fails if it is not there to be kept. Nothing is effective until sockets_open(). */
	state.had_capability = privilege_shield() == 0;
	if (!state.had_capability && privilege_set("=") != 0)
		die("cannot lower capabilities");
	/*
	 * Exec of a file with a capability sets dumpable to fs.suid_dumpable, unless the parent had the capability.
	 * Exec of an unreadable file, the writer's copy, always does. So with 1 both would be dumpable at first.
	 */
	errno = EPERM;
	if (exposed && privilege_is_the_files() && strchr("02", suid_dumpable()) == NULL)
		die("fs.suid_dumpable is 1, or not in this /proc, so the user's other processes could look into the capture");
	return state;
}

static void fill_standard_fds(void)
{
	int fd;

	/* A packet socket that landed on 1 would have pcap written to it, that is, frames sent. */
	do {
		/* Read-only, so that a capture into a closed stdout is an error and not lost. */
		fd = open("/dev/null", O_RDONLY);
		if (fd < 0)
			die("cannot open /dev/null");
	} while (fd <= STDERR_FILENO);
	close(fd);
}

/* For kernels and seccomp profiles without close_range(2). */
static void close_listed_fds(void)
{
	const struct dirent *entry;
	DIR *list = opendir("/proc/self/fd");

	if (list == NULL)
		die("cannot read /proc/self/fd (is /proc mounted?)");
	while ((entry = readdir(list)) != NULL) {
		int fd = atoi(entry->d_name); /* NOLINT(cert-err34-c): the kernel's digits, or . and .. */
		if (fd > STDERR_FILENO && fd != dirfd(list))
			close(fd);
	}
	closedir(list);
}

void start_tidy_fds(void)
{
	close(STDERR_FILENO + 1); /* the table may be full: room for one */
	fill_standard_fds();
	if (close_range(STDERR_FILENO + 1, ~0u, 0) != 0)
		close_listed_fds();
}

void start_reset_signals(void)
{
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	sigset_t all;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* fails for SIGKILL, SIGSTOP and libc's own: rightly */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	for (int timer = ITIMER_REAL; timer <= ITIMER_PROF; timer++)
		setitimer((__itimer_which_t)timer, &never, NULL);
	/* Until the writer handles them: ended by one, it would leave a child behind. The helper's stay blocked. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	umask(077);
}
