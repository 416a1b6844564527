/* What the unit tests share: cmocka, a look at stderr and stdout, children, and the count of open fds. */
#include "scratch.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPTURED_SIZE (1u << 20)

static int captured_fd = -1, before = -1, file = -1;

void scratch_begin_capture(int fd)
{
	captured_fd = fd;
	before = dup(fd);
	file = memfd_create("captured", MFD_CLOEXEC);
	assert_true(before >= 0 && file >= 0);
	assert_int_equal(dup2(file, fd), fd);
}

const char *scratch_end_capture(void)
{
	static char text[CAPTURED_SIZE];
	ssize_t length = pread(file, text, sizeof text - 1, 0);

	dup2(before, captured_fd);
	close(before);
	close(file);
	assert_true(length >= 0);
	text[length] = '\0';
	return text;
}

int scratch_open_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

pid_t scratch_start_child(int out, void (*body)(void))
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGPIPE, SIG_IGN);
		alarm(60);
		if (dup2(out, STDOUT_FILENO) < 0)
			_exit(1);
		close(out);
		body();
		_exit(0);
	}
	close(out);
	return child;
}

void scratch_assert_content(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

void scratch_in_child(int out, void (*body)(void))
{
	scratch_assert_content(scratch_start_child(out, body));
}

int scratch_open_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
}

int scratch_close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
	return 0;
}

int (*scratch_packet_option)(int option, const void *value);

/* In the helper the linker's --wrap makes these. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
int __real_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return scratch_packet_option != NULL ? 0 : bind(fd, address, length);
}

int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
	return scratch_packet_option != NULL && level == SOL_PACKET ? scratch_packet_option(option, value) :
								      setsockopt(fd, level, option, value, length);
}

void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	return mmap(address, length, protection, flags, fd, offset);
}
