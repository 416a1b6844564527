/* The state a process inherits from whoever executed it, made harmless. */
#include "start.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "cleanup.h"

static void cleanup_cap(cap_t *set)
{
	if (*set != NULL)
		cap_free(*set);
}

int start_lower_capabilities(struct start_state *state)
{
	CLEANUP(cleanup_cap) cap_t now = cap_get_proc();
	CLEANUP(cleanup_cap) cap_t kept = cap_init();
	const cap_value_t net_raw = CAP_NET_RAW;
	cap_flag_value_t permitted = CAP_CLEAR;

	if (now == NULL || kept == NULL ||
	    cap_get_flag(now, net_raw, CAP_PERMITTED, &permitted) != 0)
		return -1;
	state->had_capability = permitted == CAP_SET;
	state->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	/* Root, unless SECBIT_NOROOT, gets the capability from any exec: nothing to take from us. */
	state->has_something_to_protect =
		state->had_capability &&
		(getuid() != 0 || (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) & SECBIT_NOROOT) != 0);
	if (cap_set_flag(kept, CAP_PERMITTED, 1, &net_raw, permitted) != 0)
		return -1;
	return cap_set_proc(kept);
}

int start_fill_standard_fds(void)
{
	int fd;

	/* A packet socket that landed on 1 would have pcap written to it, that is, frames sent. */
	do {
		/* Read-only, so that a capture into a closed stdout is an error and not lost. */
		fd = open("/dev/null", O_RDONLY);
		if (fd < 0)
			return -1;
	} while (fd <= STDERR_FILENO);
	return close(fd);
}

/* For kernels and seccomp profiles without close_range(2). */
static int close_listed_fds(void)
{
	const struct dirent *entry;
	DIR *list;

	close(STDERR_FILENO + 1); /* the table may be full: room for the listing itself */
	list = opendir("/proc/self/fd");
	if (list == NULL)
		return -1;
	while ((entry = readdir(list)) != NULL) {
		int fd = atoi(entry->d_name);
		if (fd > STDERR_FILENO && fd != dirfd(list))
			close(fd);
	}
	return closedir(list);
}

int start_close_other_fds(void)
{
	if (close_range(STDERR_FILENO + 1, ~0u, 0) == 0)
		return 0;
	return close_listed_fds();
}

void start_reset_signals(void)
{
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* fails for SIGKILL, SIGSTOP and libc's own: rightly */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	setitimer(ITIMER_REAL, &never, NULL);
	setitimer(ITIMER_VIRTUAL, &never, NULL);
	setitimer(ITIMER_PROF, &never, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(077);
}
