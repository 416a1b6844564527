/* collector: the desk's program: one capture of a whole app; no privilege. */
/* The calls that POSIX has not. */
#include "platform.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__

#include <sys/prctl.h>

#include "sandbox_rules.h"

int platform_enter_sandbox(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -1 : sandbox_enter(&merger_sandbox);
}

void platform_enlarge_pipe(int fd, int bytes)
{
	(void)fcntl(fd, F_SETPIPE_SZ, bytes);
}

static int own_description(int fd)
{
	char path[32];
	struct stat given, own;
	int opened;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	opened = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (opened >= 0 && (fstat(fd, &given) != 0 || fstat(opened, &own) != 0 || given.st_dev != own.st_dev ||
			    given.st_ino != own.st_ino)) {
		close(opened);
		opened = -1;
	}
	return opened;
}

#else

int platform_enter_sandbox(void)
{
	return 0;
}

void platform_enlarge_pipe(int fd, int bytes)
{
	(void)fd;
	(void)bytes;
}

static int own_description(int fd)
{
	(void)fd;
	return -1;
}

#endif

int platform_nonblocking(int fd)
{
	const int own = own_description(fd);
	const int flags = fcntl(fd, F_GETFL);

	if (own >= 0)
		return own;
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	return fd;
}
