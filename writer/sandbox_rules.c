/* writer: no privilege; from setup/ through the sandbox's door to capture/. */
/*
 * What the writer may call once it is to hold a packet fd. No call here sends on a socket, binds,
 * opens, connects, executes, traces, clones, duplicates a descriptor, or maps code; writing
 * goes to stdout and stderr and nowhere else.
 */
#include "sandbox_rules.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/protocol.h"
#include "common/sandbox_rule.h"

/* Closing any descriptor from `first` up that differs from it in the bits of `mask` at most. */
#define ALLOW_CLOSE(first, mask) \
	SANDBOX_ALLOW_IF(close, { 0, SCMP_CMP_MASKED_EQ, 0xffffffffu & ~(scmp_datum_t)(mask), first })

static const struct sandbox_rule RULES[] = {
	/* the output and the messages */
	ALLOW_ON(writev, STDOUT_FILENO), ALLOW_ON(write, STDERR_FILENO),
	ALLOW_ON(ftruncate, STDOUT_FILENO), ALLOW_ON(lseek, STDOUT_FILENO),
	ALLOW_ON(fstat, STDOUT_FILENO),
	SANDBOX_ALLOW_IF(newfstatat, SANDBOX_ARGUMENT_IS(0, STDOUT_FILENO)), /* glibc's fstat() */
	SANDBOX_ALLOW_IF(ioctl, SANDBOX_ARGUMENT_IS(0, STDOUT_FILENO),
			 SANDBOX_ARGUMENT_IS(1, FIONREAD)),
	SANDBOX_ALLOW_IF(fcntl, SANDBOX_ARGUMENT_IS(0, STDOUT_FILENO),
			 SANDBOX_ARGUMENT_IS(1, F_GETPIPE_SZ)),
	SANDBOX_ALLOW_IF(setsockopt, SANDBOX_ARGUMENT_IS(0, STDOUT_FILENO),
			 SANDBOX_ARGUMENT_IS(1, SOL_SOCKET), SANDBOX_ARGUMENT_IS(2, SO_SNDBUF)),
	ALLOW_OPTION(getsockopt, SOL_SOCKET, SO_SNDBUF),

	/* the packet fd: received, checked, mapped, watched, closed; never changed, or used to send or to see more */
	ALLOW_ON(recvmsg, WRITER_CAPTURE_CHANNEL_FD),
	/* options one by one: others return a descriptor */
	ALLOW_OPTION(getsockopt, SOL_SOCKET, SO_DOMAIN), ALLOW_OPTION(getsockopt, SOL_SOCKET, SO_LOCK_FILTER),
	ALLOW_OPTION(getsockopt, SOL_PACKET, PACKET_VERSION),
	SANDBOX_ALLOW_IF(epoll_ctl, SANDBOX_ARGUMENT_IS(0, WRITER_EVENTS_FD), SANDBOX_ARGUMENT_IS(1, EPOLL_CTL_ADD)),
	ALLOW_ON(epoll_wait, WRITER_EVENTS_FD), ALLOW_ON(epoll_pwait, WRITER_EVENTS_FD),
	/* the helper keeps it, and is asked */
	ALLOW_ON(sendto, WRITER_CAPTURE_CHANNEL_FD), ALLOW_ON(recvfrom, WRITER_CAPTURE_CHANNEL_FD),
	/* the shield goes with the socket; no other use of a capability is allowed here */
	SANDBOX_ALLOW(capset), SANDBOX_ALLOW(capget),
	SANDBOX_ALLOW_IF(mmap, SANDBOX_ARGUMENT_LACKS(2, PROT_EXEC)), SANDBOX_ALLOW(munmap),
	SANDBOX_ALLOW(brk),
	/* 4 to 15, not 0 to 2: a descriptor that is received must not land where we write; nor our place */
	ALLOW_CLOSE(4, 3), ALLOW_CLOSE(8, 7),

	/* waiting, time, signals, the end */
	SANDBOX_ALLOW(poll), SANDBOX_ALLOW(ppoll), SANDBOX_ALLOW(clock_gettime), SANDBOX_ALLOW(clock_getres),
	SANDBOX_ALLOW(gettimeofday), SANDBOX_ALLOW(setitimer), SANDBOX_ALLOW(rt_sigreturn),
	SANDBOX_ALLOW(restart_syscall), SANDBOX_ALLOW(wait4), SANDBOX_ALLOW(exit_group),
};

const struct sandbox_rules WRITER_RULES = { RULES, sizeof RULES / sizeof *RULES, NULL, 0 };
