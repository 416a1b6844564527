/*
 * Starts a program many times and tries, as the same ordinary uid, to get into it or at its
 * packet socket: from before its first instruction to after its last.
 *
 *   thief STARTS WORKERS LIFE_MS PROGRAM [ARGUMENT...]
 *
 * With "-" for PROGRAM the prey is a child that executes nothing. Half of the starts are ended with SIGKILL somewhere within LIFE_MS. Prints for each attack how
 * often it was tried on the running program and how often it worked.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FDS_TRIED 12
#define OWN_NAME "thief"

enum attack {
	PIDFD_GETFD, PROC_FD, PROC_MEM, PROC_MAPS, PROC_EXE, PROC_ENVIRON, PROC_CWD, VM_READV, VM_WRITEV,
	PTRACE_SEIZED, PTRACE_ATTACHED, KCMP, PERF, HELD_MEM, HELD_MAPS, HELD_ENVIRON, ATTACKS
};

static const char *const NAMES[ATTACKS] = {
	"pidfd_getfd", "proc_fd", "proc_mem", "proc_maps", "proc_exe", "proc_environ", "proc_cwd",
	"process_vm_readv", "process_vm_writev", "ptrace_seize", "ptrace_attach", "kcmp",
	"perf_event_open", "mem_opened_before_exec", "maps_opened_before_exec", "environ_opened_before_exec",
};

struct score {
	long tried[ATTACKS], worked[ATTACKS], packet_fds;
};

/* Opened while the child was still ours. */
struct held {
	int mem, maps, environ;
};

static struct score *scores;

static long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	return open(path, flags | O_CLOEXEC);
}

/* The name changes in exec: until then the process runs our own code, and is no prey. */
static bool is_prey(pid_t pid)
{
	char name[32] = "";
	int fd = open_proc(pid, "comm", O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, name, sizeof name - 1);

	if (fd >= 0)
		close(fd);
	return length > 0 && strncmp(name, OWN_NAME, strlen(OWN_NAME)) != 0;
}

static void note(struct score *score, enum attack attack, bool worked)
{
	score->tried[attack]++;
	score->worked[attack] += worked;
}

static bool is_packet_socket(int fd)
{
	int domain = 0;
	socklen_t length = sizeof domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_PACKET;
}

/* Cheap enough to be repeated without end; also works on what is no process any more. */
static void grab_fds(struct score *score, int pidfd)
{
	for (int number = 3; number < FDS_TRIED; number++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
		bool packet = fd >= 0 && is_packet_socket(fd);

		note(score, PIDFD_GETFD, packet);
		score->packet_fds += packet;
		if (fd >= 0)
			close(fd);
	}
}

static bool reads(int fd)
{
	char bytes[16];
	bool some = fd >= 0 && read(fd, bytes, sizeof bytes) > 0;

	if (fd >= 0)
		close(fd);
	return some;
}

static bool opens(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool lists_fds(pid_t pid)
{
	char path[64], target[64];

	for (int number = 0; number < FDS_TRIED; number++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
		if (readlink(path, target, sizeof target) > 0)
			return true;
	}
	return false;
}

/* EFAULT would mean that access was granted and only the address is wrong. */
static bool moves_memory(pid_t pid, long call)
{
	char byte;
	struct iovec own = { &byte, 1 }, other = { (void *)4096, 1 };

	return syscall(call, pid, &own, 1, &other, 1, 0) >= 0 || errno == EFAULT;
}

static bool traces(pid_t pid, enum __ptrace_request how)
{
	if (ptrace(how, pid, 0, 0) != 0)
		return false;
	if (how == PTRACE_SEIZE)
		ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	waitpid(pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	return true;
}

static bool counts_events(pid_t pid)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attr,
					.config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1 };

	return opens((int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, 0));
}

static void attack(struct score *score, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0 || !is_prey(pid)) {
		opens(pidfd);
		return;
	}
	grab_fds(score, pidfd);
	close(pidfd);
	note(score, PROC_FD, lists_fds(pid));
	note(score, PROC_MEM, opens(open_proc(pid, "mem", O_RDWR)));
	note(score, PROC_MAPS, reads(open_proc(pid, "maps", O_RDONLY)));
	note(score, PROC_EXE, opens(open_proc(pid, "exe", O_RDONLY)));
	note(score, PROC_ENVIRON, reads(open_proc(pid, "environ", O_RDONLY)));
	note(score, PROC_CWD, opens(open_proc(pid, "cwd", O_RDONLY)));
	note(score, VM_READV, moves_memory(pid, SYS_process_vm_readv));
	note(score, VM_WRITEV, moves_memory(pid, SYS_process_vm_writev));
	note(score, KCMP, syscall(SYS_kcmp, pid, getpid(), KCMP_FILE, 0, 0) >= 0);
	note(score, PERF, counts_events(pid));
	note(score, PTRACE_SEIZED, traces(pid, PTRACE_SEIZE));
	note(score, PTRACE_ATTACHED, traces(pid, PTRACE_ATTACH));
}

static void attack_held(struct score *score, pid_t pid, const struct held *held)
{
	char bytes[4096];
	ssize_t length;

	if (!is_prey(pid))
		return;
	note(score, HELD_MEM, pread(held->mem, bytes, 1, (off_t)(uintptr_t)scores) > 0);
	length = pread(held->maps, bytes, sizeof bytes - 1, 0);
	bytes[length > 0 ? length : 0] = '\0';
	note(score, HELD_MAPS, length > 0);
	note(score, HELD_ENVIRON, pread(held->environ, bytes, sizeof bytes, 0) > 0);
}

static void attack_children(struct score *score, pid_t pid)
{
	char path[64], list[256] = "", *next = list;
	int fd;
	ssize_t length;
	long child;

	snprintf(path, sizeof path, "task/%d/children", pid);
	fd = open_proc(pid, path, O_RDONLY);
	length = fd < 0 ? 0 : read(fd, list, sizeof list - 1);
	opens(fd);
	list[length > 0 ? length : 0] = '\0';
	while ((child = strtol(next, &next, 10)) > 0)
		attack(score, (pid_t)child);
}

static pid_t start(char **argv, int *go)
{
	int gate[2], null;
	char byte;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC) != 0)
		exit(1);
	pid = fork();
	if (pid != 0) {
		close(gate[0]);
		*go = gate[1];
		return pid;
	}
	close(gate[1]);
	null = open("/dev/null", O_RDWR);
	dup2(null, 1);
	dup2(null, 2);
	close(null);
	if (read(gate[0], &byte, 1) < 0)
		_exit(1);
	if (strcmp(argv[0], "-") != 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	prctl(PR_SET_NAME, "prey");
	usleep(20000);
	_exit(0);
}

static bool is_over(int pidfd)
{
	struct pollfd wait = { pidfd, POLLIN, 0 };

	return poll(&wait, 1, 0) > 0;
}

static void start_and_attack(struct score *score, char **argv, long life_us, bool kill_it)
{
	int go, pidfd;
	pid_t pid = start(argv, &go);
	struct held held = { open_proc(pid, "mem", O_RDWR), open_proc(pid, "maps", O_RDONLY),
			     open_proc(pid, "environ", O_RDONLY) };
	long end = now_us() + (kill_it ? random() % life_us : 30000000);

	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	close(go);
	while (!is_over(pidfd) && now_us() < end) {
		attack(score, pid);
		attack_held(score, pid, &held);
		attack_children(score, pid);
	}
	kill(pid, SIGKILL);
	while (!is_over(pidfd)) /* the last moments: it has no memory any more, but still its fds */
		grab_fds(score, pidfd);
	grab_fds(score, pidfd);
	waitpid(pid, NULL, 0);
	close(pidfd);
	close(held.mem);
	close(held.maps);
	close(held.environ);
}

int main(int argc, char **argv)
{
	int starts, workers;
	long life_us;

	if (argc < 5)
		return 2;
	starts = atoi(argv[1]);
	workers = atoi(argv[2]);
	life_us = atol(argv[3]) * 1000;
	prctl(PR_SET_NAME, OWN_NAME);
	scores = mmap(NULL, sizeof *scores * (size_t)workers, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int worker = 0; worker < workers; worker++)
		if (fork() == 0) {
			srandom((unsigned int)(worker + 1));
			for (int i = 0; i < starts / workers; i++)
				start_and_attack(&scores[worker], argv + 4, life_us, i % 2 == 1);
			_exit(0);
		}
	while (wait(NULL) > 0)
		continue;
	for (int attack_number = 0; attack_number < ATTACKS; attack_number++) {
		long tried = 0, worked = 0;
		for (int worker = 0; worker < workers; worker++) {
			tried += scores[worker].tried[attack_number];
			worked += scores[worker].worked[attack_number];
		}
		printf("%s %ld %ld\n", NAMES[attack_number], tried, worked);
	}
	return 0;
}
