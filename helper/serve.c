/* helper: what runs with the capability. */
/*
 * The helper's side of the protocol.
 *
 *   state      may receive             answers                       then
 *   waiting    open_request            open_reply refused            exit
 *                                      open_reply ready              ready
 *   ready      end of stream           packet_fd_message + the fd    exit
 *
 * Anything else, in any state, ends the process. There is no way back and no second request.
 */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/protocol.h"
#include "handle.h"
#include "libpcap_calls.h"
#include "sandbox_rules.h"
#include "sockets.h"

#define CPU_LIMIT_SECONDS 2 /* a filter compiles in milliseconds */
#ifndef MEMORY_LIMIT_BYTES
#define MEMORY_LIMIT_BYTES (256u << 20) /* libpcap's largest programs need a few MiB */
#endif

static void lower_limit(__rlimit_resource_t resource, rlim_t value)
{
	const struct rlimit limit = { value, value };

	/* EPERM: the user's own hard limit is lower still. */
	if (setrlimit(resource, &limit) != 0 && errno != EPERM)
		_exit(1);
}

/* libpcap's compiler and optimizer run for long on some inputs, and the input is the user's. */
static void limit_resources(pid_t writer)
{
	lower_limit(RLIMIT_CPU, CPU_LIMIT_SECONDS);
	lower_limit(RLIMIT_AS, MEMORY_LIMIT_BYTES);
	/* No life without the writer, who holds our slot among the captures; is he gone already? */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != writer)
		_exit(1);
}

_Noreturn void serve(int capture_channel, int lookup_channel, const struct start_state *state)
{
	static struct open_request request;
	struct packet_fd_message message = { { PROTOCOL_VERSION, MESSAGE_PACKET_FD } };
	struct open_reply reply = { .header = { PROTOCOL_VERSION, MESSAGE_OPEN_REPLY },
				    .had_capability = state->had_capability,
				    .no_new_privs = state->no_new_privs };
	struct sockets sockets;
	int packet_fd = -1;
	ssize_t received;

	reply.error = sockets_open(&sockets);
	limit_resources(state->writer);
	if (enter_helper_sandbox(&sockets, capture_channel, lookup_channel) != 0)
		_exit(1);

	/* waiting */
	received = channel_receive(capture_channel, &request, sizeof request);
	if (received <= 0 || !open_request_valid(&request, (size_t)received))
		_exit(1);
	libpcap_calls_use(&sockets, &request.ring, lookup_channel);
	if (reply.error != 0)
		reply.result = OPEN_REFUSED_NO_SOCKET;
	else
		packet_fd = handle_open(&request, &reply);
	if (channel_send(capture_channel, &reply, sizeof reply) != 0 || packet_fd < 0)
		_exit(0);

	/* ready: the writer half-closes when its sandbox is shut; it has no call that could send. */
	if (channel_receive(capture_channel, &request, sizeof request) != 0 ||
	    channel_send_fd(capture_channel, &message, sizeof message, packet_fd) != 0)
		_exit(1);
	_exit(0);
}
