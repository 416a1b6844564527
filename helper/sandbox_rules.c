/* helper: what runs with the capability. */
/*
 * What the helper may call once its sockets are open: what libpcap needs to open a device and
 * compile a filter, and messages on two channels. No call that sends on a packet socket, opens
 * a file, makes a socket, executes, traces, clones, or maps code.
 */
#include "sandbox_rules.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/sandbox_rule.h"

#define ALLOW_IOCTL(request) SANDBOX_ALLOW_IF(ioctl, SANDBOX_ARGUMENT_IS(1, request))
#define ALLOW_FCNTL(fd, command) \
	SANDBOX_ALLOW_IF(fcntl, SANDBOX_ARGUMENT_IS(0, fd), SANDBOX_ARGUMENT_IS(1, command))

/*
 * Answered with ENOENT and not run. libpcap looks for files in /sys and works without them; it warns on stderr
 * of a filter that the kernel refuses; malloc() gives advice that it does not need.
 */
static const int ABSENT[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(newfstatat), SCMP_SYS(access),
	SCMP_SYS(readlink), SCMP_SYS(write), SCMP_SYS(madvise) };

static const struct sandbox_rule RULES[] = {
	/*
	 * the channels: sendmsg(), which can pass an fd, to the writer only, as the resolver has no sandbox;
	 * and no recvmsg(), so no fd can be received
	 */
	ALLOW_ON(recvfrom, HELPER_CAPTURE_CHANNEL_FD), ALLOW_ON(sendto, HELPER_CAPTURE_CHANNEL_FD),
	ALLOW_ON(sendmsg, HELPER_CAPTURE_CHANNEL_FD),
	ALLOW_ON(recvfrom, HELPER_LOOKUP_CHANNEL_FD), ALLOW_ON(sendto, HELPER_LOOKUP_CHANNEL_FD),

	/* the device: bound, promiscuous, with a slot and a ring; and what becomes of it */
	ALLOW_ON(bind, HELPER_RAW_FD), ALLOW_ON(bind, HELPER_COOKED_FD),
	ALLOW_OPTION(setsockopt, SOL_PACKET, PACKET_VERSION), ALLOW_OPTION(setsockopt, SOL_PACKET, PACKET_RESERVE),
	ALLOW_OPTION(setsockopt, SOL_PACKET, PACKET_AUXDATA), ALLOW_OPTION(setsockopt, SOL_PACKET, PACKET_ADD_MEMBERSHIP),
	ALLOW_OPTION(setsockopt, SOL_PACKET, PACKET_IGNORE_OUTGOING), ALLOW_OPTION(setsockopt, SOL_PACKET, PACKET_RX_RING),
	ALLOW_OPTION(setsockopt, SOL_PACKET, PACKET_FANOUT),
	ALLOW_IOCTL(SIOCGIFINDEX), ALLOW_IOCTL(SIOCGIFHWADDR), ALLOW_IOCTL(SIOCGIFMTU),
	ALLOW_IOCTL(SIOCGIFFLAGS), ALLOW_IOCTL(SIOCETHTOOL),
	/* options one by one: others return a descriptor, such as SO_PEERPIDFD */
	ALLOW_OPTION(getsockopt, SOL_PACKET, PACKET_HDRLEN), ALLOW_OPTION(getsockopt, SOL_PACKET, PACKET_STATISTICS),
	ALLOW_OPTION(getsockopt, SOL_SOCKET, SO_TYPE), ALLOW_OPTION(getsockopt, SOL_SOCKET, SO_ERROR),
	ALLOW_OPTION(getsockopt, SOL_SOCKET, SO_GET_FILTER), ALLOW_OPTION(getsockopt, SOL_SOCKET, SO_BPF_EXTENSIONS),
	SANDBOX_ALLOW(getsockname), SANDBOX_ALLOW(eventfd2), SANDBOX_ALLOW(uname),

	/* the filter: libpcap empties the queue (non-blocking) before it attaches one */
	ALLOW_OPTION(setsockopt, SOL_SOCKET, SO_ATTACH_FILTER), ALLOW_OPTION(setsockopt, SOL_SOCKET, SO_LOCK_FILTER),
	SANDBOX_ALLOW_IF(setitimer, SANDBOX_ARGUMENT_IS(0, ITIMER_PROF)),
	ALLOW_ON(recvfrom, HELPER_RAW_FD), ALLOW_ON(recvfrom, HELPER_COOKED_FD),
	ALLOW_FCNTL(HELPER_RAW_FD, F_GETFL), ALLOW_FCNTL(HELPER_RAW_FD, F_SETFL),
	ALLOW_FCNTL(HELPER_COOKED_FD, F_GETFL), ALLOW_FCNTL(HELPER_COOKED_FD, F_SETFL),

	/* memory that cannot become code, and the end */
	SANDBOX_ALLOW_IF(mmap, SANDBOX_ARGUMENT_LACKS(2, PROT_EXEC)),
	SANDBOX_ALLOW(munmap), SANDBOX_ALLOW(mremap), SANDBOX_ALLOW(brk), SANDBOX_ALLOW(getrandom),
	SANDBOX_ALLOW(close), SANDBOX_ALLOW(restart_syscall), SANDBOX_ALLOW(exit_group),
};

const struct sandbox_rules HELPER_RULES = { RULES, sizeof RULES / sizeof *RULES, ABSENT,
					    sizeof ABSENT / sizeof *ABSENT };
