/* helper: what runs with the capability. */
/*
 * The helper's side of the protocol.
 *
 *   state      may receive         answers                       then
 *   starting                       one byte: it ends with us     waiting
 *   waiting    open_request        open_reply refused            exit
 *                                  open_reply ready              ready
 *   ready      sandboxed           packet_fd + the fd            keeping
 *   keeping    status_question     status_answer                 keeping
 *              end of stream                                     exit
 *
 * Anything else, in any state, ends the process. There is no way back and no second request.
 */
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/protocol.h"
#include "handle.h"
#include "libpcap_calls.h"
#include "sandbox_rules.h"
#include "sockets.h"

#ifndef MEMORY_LIMIT_BYTES
#define MEMORY_LIMIT_BYTES (256u << 20) /* libpcap's largest programs need a few MiB */
#endif

/* libpcap's compiler needs much memory for some inputs, and the input is the user's. */
static void limit_memory(void)
{
	const struct rlimit limit = { MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES };

	/* EPERM: the user's own hard limit is lower still. */
	if (setrlimit(RLIMIT_AS, &limit) != 0 && errno != EPERM)
		_exit(1);
}

/* Ends with the writer, and with nothing else: signals that a terminal sends to its whole group stay blocked. */
static void live_with_writer(int capture_channel)
{
	sigset_t timer;

	sigemptyset(&timer);
	sigaddset(&timer, COMPILE_TIMER_SIGNAL);
	sigprocmask(SIG_UNBLOCK, &timer, NULL);
	prctl(PR_SET_NAME, "cf-pcap-socket");
	/*
	 * The kernel kills us when the writer ends. It may have ended before this call: then the channel is hung
	 * up, and poll() says so: main() waits with its other end for our byte. getppid() would not tell: it is 0
	 * for a parent outside of our PID namespace.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || poll(&(struct pollfd){ .fd = capture_channel }, 1, 0) != 0 ||
	    channel_send(capture_channel, "", 1) != 0)
		_exit(1);
}

static void receive(int channel, enum message_type type)
{
	struct bare_message message;
	ssize_t received = channel_receive(channel, &message, sizeof message);

	if (received <= 0 || !bare_message_valid(&message, type, (size_t)received))
		_exit(received == 0 ? 0 : 1);
}

static void answer_status(int channel, int packet_fd)
{
	struct status_answer answer = { .header = { PROTOCOL_VERSION, MESSAGE_STATUS_ANSWER } };
	struct tpacket_stats_v3 counts = { 0 };
	struct sockaddr_ll bound = { 0 };
	socklen_t counts_size = sizeof counts, error_size = sizeof answer.error, bound_size = sizeof bound;

	if (getsockopt(packet_fd, SOL_PACKET, PACKET_STATISTICS, &counts, &counts_size) != 0 ||
	    getsockopt(packet_fd, SOL_SOCKET, SO_ERROR, &answer.error, &error_size) != 0 ||
	    getsockname(packet_fd, (struct sockaddr *)&bound, &bound_size) != 0)
		_exit(1);
	answer.packets = counts.tp_packets;
	answer.dropped = counts.tp_drops;
	answer.interface = bound.sll_ifindex;
	if (channel_send(channel, &answer, sizeof answer) != 0)
		_exit(1);
}

_Noreturn void serve(int capture_channel, int lookup_channel, const struct start_state *state)
{
	static struct open_request request;
	struct bare_message message = { { PROTOCOL_VERSION, MESSAGE_PACKET_FD } };
	struct open_reply reply = { .header = { PROTOCOL_VERSION, MESSAGE_OPEN_REPLY },
				    .had_capability = state->had_capability,
				    .no_new_privs = state->no_new_privs };
	struct sockets sockets;
	int packet_fd = -1;
	ssize_t received;

	live_with_writer(capture_channel); /* before there are sockets: SIGKILL ends a stopped process too */
	reply.error = sockets_open(&sockets);
	/* Only the writer uses them. Held open here, the user's pipes could outlive the writer. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
	limit_memory();
	/* The sandbox allows calls by the descriptor's number. Without sockets every request is refused below. */
	if (capture_channel != HELPER_CAPTURE_CHANNEL_FD || lookup_channel != HELPER_LOOKUP_CHANNEL_FD ||
	    (reply.error == 0 && (sockets.raw != HELPER_RAW_FD || sockets.cooked != HELPER_COOKED_FD)) ||
	    sandbox_enter(&helper_sandbox) != 0)
		_exit(1);

	/* waiting */
	received = channel_receive(capture_channel, &request, sizeof request);
	if (received <= 0 || !open_request_valid(&request, (size_t)received))
		_exit(1);
	libpcap_calls_use(&sockets, &request, lookup_channel);
	if (reply.error != 0)
		reply.result = OPEN_REFUSED_NO_SOCKET;
	else
		packet_fd = handle_open(&request, &reply);
	if (channel_send(capture_channel, &reply, sizeof reply) != 0 || packet_fd < 0)
		_exit(0);

	/* ready: the writer gets the socket when its sandbox is closed. */
	receive(capture_channel, MESSAGE_SANDBOXED);
	if (channel_send_fd(capture_channel, &message, sizeof message, packet_fd) != 0)
		_exit(1);

	close(packet_fd == sockets.raw ? sockets.cooked : sockets.raw); /* libpcap had no use for it */

	/* keeping: the writer closes the socket, and asks here for its counts and errors. */
	for (;;) {
		receive(capture_channel, MESSAGE_STATUS_QUESTION);
		answer_status(capture_channel, packet_fd);
	}
}
