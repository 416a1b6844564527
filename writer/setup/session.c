/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The writer's side of the protocol: from options to a packet fd. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/audience.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "common/channel.h"
#include "common/cleanup.h"
#include "common/joined_filter.h"
#include "diagnosis.h"
#include "guard_child.h"
#include "interfaces.h"
#include "output/frame.h"
#include "resolver.h"
#include "slots.h"

#define HELPER_END_MS 1000

static bool is_channel(int fd)
{
	int type = 0;
	socklen_t length = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

bool session_is_genuine(void)
{
	/*
	 * Dumpable (1) now would mean that another process of this uid may be inside already. Where
	 * fs.suid_dumpable is 2, it is 2: nobody can get in, and root would get a core dump.
	 */
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
	       is_channel(WRITER_SLOT_FD) && is_channel(WRITER_CAPTURE_CHANNEL_FD) &&
	       is_channel(WRITER_LOOKUP_CHANNEL_FD);
}

static void make_guard(struct session *session, const struct options *options)
{
	session->guard[0] = '\0';
	session->ssh_known = !options->ssh_guard || /* then nobody asks */
			     guard_from_environment(session->guard, options->interface,
						    getenv("CF_INSTANCE_PORTS"), getenv("SSH_CONNECTION"));
}

static void fill_request(struct open_request *request, const struct options *options, const struct policy *policy,
			 const struct interface_facts *facts, const struct tpacket_req3 *ring,
			 const char *guard)
{
	memset(request, 0, sizeof *request);
	request->header = (struct message_header){ PROTOCOL_VERSION, MESSAGE_OPEN };
	request->snaplen = (uint32_t)options->snaplen;
	request->ring = *ring;
	request->netmask = facts->netmask;
	if (options->promiscuous)
		request->flags |= OPEN_PROMISCUOUS;
	/* On a loopback interface each packet is seen going out and coming in: one is enough. */
	if (options->direction == DIRECTION_IN || facts->is_loopback)
		request->flags |= OPEN_IGNORE_OUTGOING;
	if (options->cooked_v1)
		request->flags |= OPEN_COOKED_V1;
	if (options->headers_only == WISH_YES)
		request->flags |= OPEN_HEADERS_ONLY;
	/* All were measured when they were made: they fit. */
	protocol_copy_text(request->interface, sizeof request->interface, options->interface);
	protocol_copy_text(request->policy, sizeof request->policy, policy_filter(policy));
	protocol_copy_text(request->guard, sizeof request->guard, guard);
	protocol_copy_text(request->filter, sizeof request->filter, options->filter);
}

/*
 * How the helper ended, as of wait(2), or 0. By its pid: whoever executed cf-pcap may have left it children of his
 * own. One that is stopped dies with us.
 */
static int wait_for_end(pid_t helper)
{
	const int64_t until = clock_ms() + HELPER_END_MS;
	int status = 0;

	while (helper > 0 && waitpid(helper, &status, WNOHANG | WUNTRACED) == 0 && clock_ms() < until)
		poll(NULL, 0, 1);
	return status;
}

/* The helper died without an answer: how? Returns -1, logged, or SESSION_STOPPED if all of a group got a signal. */
static int helper_ended(void)
{
	const int status = wait_for_end(session_helper());
	const int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (stop_signal_name() != NULL)
		return SESSION_STOPPED;
	if (number == SIGPROF)
		log_record(LOG_ERROR, "filter takes too long to compile, make it simpler", LOG_NO_FIELDS);
	else
		log_record(LOG_ERROR, "the capture helper ended unexpectedly",
			   number != 0 ? LOG_FIELDS(LOG_NUMBER("signal", (uint64_t)number)) : LOG_NO_FIELDS);
	return -1;
}

/* Nobody waits for a capture any more. Its duration has not begun, or gives a file without packets. */
static bool is_called_off(void)
{
	return stop_asked() && stop_reason() != STOP_TIME;
}

/* Looking up names may take a minute. Returns 0, or SESSION_STOPPED if nobody waits for it any more. */
static int wait_for_helper(struct audience *audience)
{
	static const struct audience_counts NONE;
	struct pollfd watched[2 + AUDIENCE_WATCHED] = { { .fd = STDOUT_FILENO, .events = 0 }, /* its reader going away */
							{ .fd = WRITER_CAPTURE_CHANNEL_FD, .events = POLLIN } };
	int ready;

	do {
		audience_watch(audience, watched + 2);
		ready = poll(watched, 2 + AUDIENCE_WATCHED, audience_timeout(audience));
		if (ready > 0)
			audience_look(audience, watched + 2);
		if (is_called_off() || (ready > 0 && watched[0].revents != 0))
			return SESSION_STOPPED;
		if (audience_is_silent(audience, 0))
			audience_tell(audience, &NONE);
	} while (ready <= 0 || watched[1].revents == 0);
	return 0;
}

/* Returns 0, -1 if the helper ended, or SESSION_STOPPED. */
static int exchange(const struct open_request *request, struct open_reply *reply, struct audience *audience)
{
	ssize_t received;

	if (channel_send(WRITER_CAPTURE_CHANNEL_FD, request, sizeof *request) != 0)
		return -1;
	if (wait_for_helper(audience) != 0)
		return SESSION_STOPPED;
	do
		received = channel_receive(WRITER_CAPTURE_CHANNEL_FD, reply, sizeof *reply);
	while (received < 0 && errno == EINTR);
	return received > 0 && open_reply_valid(reply, (size_t)received) ? 0 : -1;
}

/* The whole exchange, with names looked up meanwhile. Returns 0, -1, logged, or SESSION_STOPPED. */
static int ask_helper(const struct open_request *request, struct open_reply *reply, struct audience *audience)
{
	pid_t resolver = resolver_start(WRITER_LOOKUP_CHANNEL_FD);
	enum resolver_end end;
	int result;

	if (resolver < 0) {
		log_record(LOG_ERROR, "cannot start a process", LOG_FIELDS(LOG_TEXT("error", strerror(errno))));
		return -1;
	}
	result = exchange(request, reply, audience);
	end = resolver_stop(resolver);
	if (result == -1 && end == RESOLVER_TOO_SLOW)
		log_record(LOG_ERROR, "looking up the names in the filter takes too long",
			   LOG_FIELDS(LOG_TEXT("filter", request->filter)));
	else if (result == -1 && end == RESOLVER_DONE)
		return helper_ended();
	return result;
}

/* libpcap's own words, except where they are none: the helper's memory is limited. */
static const char *filter_refusal(const struct open_reply *reply)
{
	if (strcmp(reply->text, "malloc") == 0)
		return "it takes too much memory to compile";
	if (strstr(reply->text, "netmask not known") != NULL)
		return "no IPv4 netmask is known here, so 'ip broadcast' would miss some: name the address, as in "
		       "'dst host 255.255.255.255'";
	if (strstr(reply->text, "only on PF linktype") != NULL)
		return "ifname, on and the like are for OpenBSD's PF: one interface is chosen by -interface";
	return reply->text;
}

/* Before Linux 6.8 the default is 20480 bytes, some 1,500 instructions. */
static void report_optmem(const struct open_reply *reply, const char *filter)
{
	CLEANUP(cleanup_fd) int file = open("/proc/sys/net/core/optmem_max", O_RDONLY | O_CLOEXEC);
	char limit[24] = "unknown";
	ssize_t length = read(file, limit, sizeof limit - 1);

	if (length > 0)
		limit[strcspn(limit, "\n")] = '\0';
	log_record(LOG_ERROR, "cannot use filter",
		   LOG_FIELDS(LOG_TEXT("reason", "it takes more socket memory than net.core.optmem_max allows: make it "
						 "shorter, or the operator can raise that"),
			      LOG_NUMBER("bytes", reply->filter_bytes), LOG_TEXT("limit", limit),
			      LOG_TEXT("filter", filter)));
}

static void report_filter_refusal(const struct session *session, const struct options *options)
{
	const struct open_reply *reply = &session->reply;

	if (frame_link_type(reply->link_type) == 0)
		log_record(LOG_ERROR, "cannot capture on this kind of interface",
			   LOG_FIELDS(LOG_TEXT("interface", options->interface),
				      LOG_NUMBER("link-type", (uint64_t)reply->link_type)));
	else if (reply->result == OPEN_REFUSED_POLICY)
		policy_report(&(struct policy_fault){ .reason = filter_refusal(reply),
						      .text = policy_filter(session->policy) });
	else if (reply->result == OPEN_REFUSED_FILTER_KERNEL && reply->error == ENOMEM)
		report_optmem(reply, session->filter);
	else
		log_record(LOG_ERROR,
			   reply->result != OPEN_REFUSED_JOINED ? "cannot use filter" :
			   policy_filter(session->policy)[0] != '\0' ?
				   "cannot use filter together with the operator's policy" :
				   "cannot use filter together with the ssh guard, see -no-ssh-guard",
			   LOG_FIELDS(LOG_TEXT("reason", filter_refusal(reply)), LOG_TEXT("filter", session->filter)));
}

static void report_refusal(const struct session *session, const struct options *options)
{
	const struct open_reply *reply = &session->reply;

	switch (reply->result) {
	case OPEN_REFUSED_NO_SOCKET:
		diagnosis_report_no_socket(reply);
		break;
	case OPEN_REFUSED_INTERFACE:
		interfaces_report_unknown(options->interface);
		break;
	case OPEN_REFUSED_INTERFACE_DOWN:
		log_record(LOG_ERROR, "interface is down", LOG_FIELDS(LOG_TEXT("interface", options->interface)));
		break;
	case OPEN_REFUSED_SLOTS:
		slots_report_full(SLOTS);
		break;
	case OPEN_READY:
	case OPEN_REFUSED_POLICY: /* also the guard's, where there is no TCP */
	case OPEN_REFUSED_FILTER:
	case OPEN_REFUSED_JOINED:
	case OPEN_REFUSED_FILTER_KERNEL:
		report_filter_refusal(session, options);
		break;
	default:
		log_record(LOG_ERROR, "cannot open interface",
			   LOG_FIELDS(LOG_TEXT("interface", options->interface),
				      LOG_TEXT("reason", reply->text),
				      LOG_TEXT("error", strerror(reply->error))));
	}
}

static void report_filter(const struct session *session, const struct options *options)
{
	const char *message = "set filter";

	if (session->reply.guarded)
		message = options->filter[0] == '\0' ? "set filter to avoid capturing SSH session" :
							"adjusted filter to avoid capturing SSH session";
	if (!session->ssh_known)
		log_record(LOG_WARN, "no ssh session is known: if there is one, it is captured too",
			   LOG_FIELDS(LOG_TEXT("interface", options->interface)));
	if (session->filter[0] != '\0')
		log_record(LOG_INFO, message, LOG_FIELDS(LOG_TEXT("filter", session->filter)));
}

int session_open(struct session *session, const struct options *options, const struct policy *policy,
		 const struct interface_facts *facts, const struct tpacket_req3 *ring, struct audience *audience)
{
	static struct open_request request;
	int result;

	if (!interface_name_valid(options->interface)) {
		interfaces_report_unknown(options->interface);
		return -1;
	}
	/* First of all, and before a message could block: who has no slot is to take up nothing. */
	if (slots_take(policy_captures(policy)) != 0 || slots_check_memory(protocol_ring_bytes(ring)) != 0)
		return -1;
	session->policy = policy;
	make_guard(session, options);
	fill_request(&request, options, policy, facts, ring, session->guard);
	result = ask_helper(&request, &session->reply, audience);
	if (result != 0)
		return result;
	joined_filter(session->filter, policy_filter(policy), session->reply.guarded ? session->guard : "", options->filter);
	if (session->reply.result != OPEN_READY || frame_link_type(session->reply.link_type) == 0) {
		report_refusal(session, options);
		return -1;
	}
	if (slots_check_memory(0) != 0)
		return -1;
	report_filter(session, options);
	signal(SIGCHLD, SIG_IGN); /* how the helper ends is no longer asked: the kernel reaps it, wait(2) */
	return 0;
}

/* What the helper promised, asked of the kernel. */
static bool is_locked_packet_socket(int fd)
{
	int domain = 0, locked = 0, version = 0;
	socklen_t length = sizeof domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
	       domain == AF_PACKET &&
	       getsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &locked, &length) == 0 && locked == 1 &&
	       getsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, &length) == 0 &&
	       version == TPACKET_V3;
}

pid_t session_helper(void)
{
	int pid = fcntl(WRITER_SLOT_FD, F_GETOWN); /* helper/main.c has put it there */

	return pid > 0 ? pid : 0;
}

void session_end(pid_t helper)
{
	close(WRITER_CAPTURE_CHANNEL_FD); /* which is how the helper learns that it is not needed */
	wait_for_end(helper);
}

int session_receive_packet_fd(struct audience *audience)
{
	const struct bare_message sandboxed = { { PROTOCOL_VERSION, MESSAGE_SANDBOXED } };
	struct bare_message message;
	int fd = -1;
	ssize_t received;

	channel_send(WRITER_CAPTURE_CHANNEL_FD, &sandboxed, sizeof sandboxed); /* fails if there is no helper to answer */
	if (wait_for_helper(audience) != 0)
		return SESSION_STOPPED;
	do
		received = channel_receive_fd(WRITER_CAPTURE_CHANNEL_FD, &message, sizeof message, &fd);
	while (received < 0 && errno == EINTR && !is_called_off());
	if (received <= 0 && is_called_off())
		return SESSION_STOPPED;
	if (received <= 0 || !bare_message_valid(&message, MESSAGE_PACKET_FD, (size_t)received) ||
	    !is_locked_packet_socket(fd)) {
		log_record(LOG_ERROR, "the capture helper ended unexpectedly", LOG_NO_FIELDS);
		return -1;
	}
	return fd;
}
