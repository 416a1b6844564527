/*
 * Linked into a test-only build of the helper or of the writer (-Wl,--wrap), to do, from inside,
 * what somebody would who has taken the process over. SSH_CONNECTION, which both are given, says what:
 * "probe-NAME", or "weak-NAME" for the same without a sandbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
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
#include <sys/un.h>
#include <unistd.h>

#define HIGH_BITS (1L << 32) /* which the kernel ignores in a descriptor and a filter must too */
#define X32 0x40000000

static char frame[60] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x88\xb5INJECTED";
static char page[65536] __attribute__((aligned(65536))); /* a whole one, whatever the size */
static struct iovec vector = { frame, sizeof frame };
static struct sockaddr_ll everywhere = { .sll_family = AF_PACKET, .sll_protocol = 0x0300, .sll_ifindex = 1 };
static struct msghdr message = { .msg_name = &everywhere, .msg_namelen = sizeof everywhere,
				 .msg_iov = &vector, .msg_iovlen = 1 };
static struct mmsghdr messages;
static union {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr rights;
} control;
static struct msghdr passing = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
				 .msg_controllen = sizeof control };
static struct sock_filter take_all[] = { { 6, 0, 0, 0x40000 } };
static struct sock_fprog take_all_program = { 1, take_all };
static struct packet_mreq promiscuous = { 1, PACKET_MR_PROMISC, 0, { 0 } };
static struct tpacket_req transmit = { 4096, 1, 2048, 2 };
static struct tpacket_req3 no_ring;
static struct ifreq device = { .ifr_name = "lo" };
static struct sockaddr_un local = { AF_UNIX, "\0probe" };
static int zero, one = 1, version = TPACKET_V1;
static int pair[2];
static char *no_words[] = { "true", NULL };
static uint64_t clone_arguments[8];

struct probe {
	const char *name;
	long number, arguments[6];
};

static long probe_fd = -1;

/* Stands for the packet fd in the table. */
#define FD (-77)
#define LOOKUP_CHANNEL 7 /* in the helper */
#define P(pointer) ((long)(uintptr_t)(pointer))
static const struct probe *probes(size_t *count)
{
	static struct probe all[128];
	const struct probe table[] = {
		{ "write", SYS_write, { FD, P(frame), sizeof frame } },
		{ "write_high_bits", SYS_write, { FD, P(frame), sizeof frame } },
		{ "writev", SYS_writev, { FD, P(&vector), 1 } },
		{ "pwrite64", SYS_pwrite64, { FD, P(frame), sizeof frame, 0 } },
		{ "pwritev2", SYS_pwritev2, { FD, P(&vector), 1, -1, -1, 0 } },
		{ "sendto", SYS_sendto, { FD, P(frame), sizeof frame, 0, P(&everywhere), sizeof everywhere } },
		{ "sendmsg", SYS_sendmsg, { FD, P(&message), 0 } },
		{ "pass_to_resolver", SYS_sendmsg, { LOOKUP_CHANNEL, P(&passing), 0 } },
		{ "sendmmsg", SYS_sendmmsg, { FD, P(&messages), 1, 0 } },
		{ "sendfile", SYS_sendfile, { FD, 0, 0, 60 } },
		{ "splice", SYS_splice, { 0, 0, FD, 0, 60, 0 } },
		{ "write_high_number", SYS_write | HIGH_BITS, { FD, P(frame), sizeof frame } },
		{ "bind", SYS_bind, { FD, P(&everywhere), sizeof everywhere } },
		{ "bind_local", SYS_bind, { 1, P(&local), sizeof local } },
		{ "connect", SYS_connect, { FD, P(&everywhere), sizeof everywhere } },
		{ "listen", SYS_listen, { FD, 1 } },
		{ "filter_attach", SYS_setsockopt, { FD, SOL_SOCKET, SO_ATTACH_FILTER, P(&take_all_program), 16 } },
		{ "filter_detach", SYS_setsockopt, { FD, SOL_SOCKET, SO_DETACH_FILTER, P(&zero), 4 } },
		{ "filter_unlock", SYS_setsockopt, { FD, SOL_SOCKET, SO_LOCK_FILTER, P(&zero), 4 } },
		{ "filter_ebpf", SYS_setsockopt, { FD, SOL_SOCKET, SO_ATTACH_BPF, P(&one), 4 } },
		{ "bindtodevice", SYS_setsockopt, { FD, SOL_SOCKET, SO_BINDTODEVICE, P(&device), 3 } },
		{ "membership", SYS_setsockopt, { FD, SOL_PACKET, PACKET_ADD_MEMBERSHIP, P(&promiscuous), sizeof promiscuous } },
		{ "fanout", SYS_setsockopt, { FD, SOL_PACKET, PACKET_FANOUT, P(&one), 4 } },
		{ "tx_ring", SYS_setsockopt, { FD, SOL_PACKET, PACKET_TX_RING, P(&transmit), sizeof transmit } },
		{ "rx_ring", SYS_setsockopt, { FD, SOL_PACKET, PACKET_RX_RING, P(&no_ring), sizeof no_ring } },
		{ "version", SYS_setsockopt, { FD, SOL_PACKET, PACKET_VERSION, P(&version), 4 } },
		{ "qdisc_bypass", SYS_setsockopt, { FD, SOL_PACKET, PACKET_QDISC_BYPASS, P(&one), 4 } },
		{ "socket_packet", SYS_socket, { AF_PACKET, SOCK_RAW, 0 } },
		{ "socket_unix", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 } },
		{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, P(pair) } },
		{ "openat", SYS_openat, { AT_FDCWD, P("/etc/passwd"), O_RDONLY } },
		{ "memfd_create", SYS_memfd_create, { P("probe"), 0 } },
		{ "execve", SYS_execve, { P("/bin/true"), P(no_words), 0 } },
		{ "execveat", SYS_execveat, { AT_FDCWD, P("/bin/true"), P(no_words), 0, 0 } },
		{ "ptrace", SYS_ptrace, { PTRACE_TRACEME } },
		{ "process_vm_readv", SYS_process_vm_readv, { 1, P(&vector), 1, P(&vector), 1, 0 } },
		{ "pidfd_open", SYS_pidfd_open, { 1, 0 } },
		{ "pidfd_getfd", SYS_pidfd_getfd, { FD, 0, 0 } },
		{ "clone", SYS_clone, { SIGCHLD } },
		{ "clone3", SYS_clone3, { P(clone_arguments), 64 } },
		{ "mprotect_exec", SYS_mprotect, { P(page), 4096, PROT_READ | PROT_EXEC } },
		{ "mmap_exec", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
		{ "mmap_exec_high_bits", SYS_mmap, { 0, 4096, HIGH_BITS | PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
		{ "ioctl_flags", SYS_ioctl, { FD, SIOCSIFFLAGS, P(&device) } },
		{ "ioctl_tty", SYS_ioctl, { 0, 0x5412, P("x") } },
		{ "dup", SYS_dup, { FD } },
		{ "dup3_stdout", SYS_dup3, { FD, 1, 0 } },
		{ "fcntl_dupfd", SYS_fcntl, { FD, F_DUPFD, 1 } },
		{ "kill", SYS_kill, { 1, 0 } },
		{ "prctl_dumpable", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
		{ "seccomp", SYS_seccomp, { 1, 0, 0 } },
		{ "io_uring_setup", SYS_io_uring_setup, { 4, P(page) } },
		{ "bpf", SYS_bpf, { 0, P(page), 64 } },
		{ "userfaultfd", SYS_userfaultfd, { 1 } },
		{ "unshare", SYS_unshare, { CLONE_NEWUSER } },
		{ "capset", SYS_capset, { P(page), P(page) } },
		{ "setuid", SYS_setuid, { 0 } },
		{ "chdir", SYS_chdir, { P("/") } },
		{ "personality", SYS_personality, { 0 } },
		{ "perf_event_open", SYS_perf_event_open, { P(page), 0, -1, -1, 0 } },
		{ "shmget", SYS_shmget, { 0, 4096, 0600 } },
		{ "getdents64", SYS_getdents64, { 0, P(page), 4096 } },
		/* then something received would land where the process writes */
		{ "close_stdout", SYS_close, { 1 } },
		{ "close_stderr", SYS_close, { 2 } },
		{ "close_stdout_high_bits", SYS_close, { HIGH_BITS | 1 } },
#ifdef __x86_64__ /* has two other ways in, and calls that younger architectures lack */
		{ "write_i386", -4, { FD, P(frame), sizeof frame } },
		{ "write_x32", SYS_write | X32, { FD, P(frame), sizeof frame } },
		{ "open", SYS_open, { P("/etc/passwd"), O_RDONLY } },
		{ "creat", SYS_creat, { P("/tmp/probe"), 0600 } },
		{ "unlink", SYS_unlink, { P("/tmp/nothing") } },
		{ "fork", SYS_fork, { 0 } },
		{ "dup2_stdout", SYS_dup2, { FD, 1 } },
#endif
	};

	memcpy(all, table, sizeof table);
	messages.msg_hdr = message;
	clone_arguments[4] = SIGCHLD;
	*count = sizeof table / sizeof *table;
	return all;
}

/* "probe-NAME" and "weak-NAME": the NAME. */
static const char *wanted(void)
{
	const char *text = getenv("SSH_CONNECTION");
	const char *dash = text != NULL ? strchr(text, '-') : NULL;

	return dash != NULL ? dash + 1 : "";
}

#ifdef __x86_64__
static long call_i386(long number, long first, long second, long third)
{
	long result = number;

	__asm__ volatile("int $0x80" : "+a"(result) : "b"(first), "c"(second), "d"(third)
			 : "r8", "r9", "r10", "r11", "memory");
	return result;
}
#else
#define call_i386(number, first, second, third) (-1) /* such a process comes of exec alone, which is refused */
#endif

/* Returns 1 and what happened, or 0 if nothing was to be done. Does not come back if killed. */
static int do_probe(int packet_fd, char *text, size_t size)
{
	size_t count;
	const struct probe *probe = probes(&count), *end = probe + count;
	long a[6], result;

	probe_fd = packet_fd;
	control.rights = (struct cmsghdr){ CMSG_LEN(sizeof packet_fd), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.rights), &packet_fd, sizeof packet_fd);
	while (probe < end && strcmp(probe->name, wanted()) != 0)
		probe++;
	if (probe == end)
		return 0;
	for (int i = 0; i < 6; i++)
		a[i] = probe->arguments[i] == FD ? probe_fd : probe->arguments[i];
	if (strcmp(probe->name, "write_high_bits") == 0)
		a[0] |= HIGH_BITS;
	errno = 0;
	result = probe->number < 0 ? call_i386(-probe->number, a[0], a[1], a[2]) :
				     syscall(probe->number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (result == 0 && strcmp(probe->name, "fork") * strcmp(probe->name, "clone") *
				    strcmp(probe->name, "clone3") == 0)
		_exit(0);
	snprintf(text, size, "PROBE %s %s errno=%d", probe->name, result < 0 ? "failed" : "WORKED", errno);
	return 1;
}

int __real_sandbox_enter(const void *program);
int __wrap_sandbox_enter(const void *program);
int __wrap_sandbox_enter(const void *program)
{
	const char *mode = getenv("SSH_CONNECTION");

	if (mode != NULL && strncmp(mode, "weak-", 5) == 0)
		return 0;
	return __real_sandbox_enter(program);
}

#ifdef IN_WRITER
int __wrap_ring_map(void *ring, int packet_fd, const void *layout);
int __wrap_ring_map(void *ring, int packet_fd, const void *layout)
{
	char text[100];

	(void)ring, (void)layout;
	if (do_probe(packet_fd, text, sizeof text))
		syscall(SYS_write, 2, text, strlen(text));
	syscall(SYS_exit_group, 9);
	__builtin_unreachable();
}
#else
#include <pcap/pcap.h>

int __wrap_pcap_compile(pcap_t *handle, struct bpf_program *program, const char *text, int optimize,
			bpf_u_int32 mask);
int __wrap_pcap_compile(pcap_t *handle, struct bpf_program *program, const char *text, int optimize,
			bpf_u_int32 mask)
{
	(void)program, (void)text, (void)optimize, (void)mask;
	if (!do_probe(pcap_fileno(handle), pcap_geterr(handle), PCAP_ERRBUF_SIZE))
		strcpy(pcap_geterr(handle), "no such probe");
	return -1;
}
#endif
