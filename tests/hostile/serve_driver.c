/*
 * The helper's own serve(), linked from its objects, with the other ends of its channels in the
 * hands of a test:  serve_driver SCENARIO.  Plays the scenario and prints how the helper ended
 * and whether a packet fd came out.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/protocol.h"
#include "helper/serve.h"
#include "helper/start.h"

static int channel, lookups, answers;
static struct open_request request = { .header = { PROTOCOL_VERSION, MESSAGE_OPEN },
				       .snaplen = 65535,
				       .ring = { 1u << 17, 8, 1u << 17, 8, 8, 0, 0 },
				       .interface = "lo",
				       .filter = "udp" };
static char large[sizeof request + 64];

static bool fd_came_out(void)
{
	struct bare_message message;
	struct open_reply reply;
	struct pollfd readable = { channel, POLLIN, 0 };
	int fd = -1;

	if (poll(&readable, 1, 10000) != 1 || channel_receive(channel, &reply, sizeof reply) <= 0 ||
	    reply.result != OPEN_READY)
		return false;
	poll(&readable, 1, 10000);
	return channel_receive_fd(channel, &message, sizeof message, &fd) > 0 && fd >= 0;
}

static void send_bytes(const void *bytes, size_t length)
{
	channel_send(channel, bytes, length);
}

static void send_request(void)
{
	send_bytes(&request, sizeof request);
}

static void send_with_fds(const void *bytes, size_t length, int count)
{
	char control[CMSG_SPACE(20 * sizeof(int))] = { 0 };
	struct iovec data = { (void *)bytes, length };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				 .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int)) };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
	memset(CMSG_DATA(rights), 0, (size_t)count * sizeof(int)); /* descriptor 0, again and again */
	sendmsg(channel, &header, 0);
}

/* "My sandbox is closed", and then no more. */
static void end(void)
{
	struct bare_message sandboxed = { { PROTOCOL_VERSION, MESSAGE_SANDBOXED } };

	send_bytes(&sandboxed, sizeof sandboxed);
	shutdown(channel, SHUT_WR);
}

static void good(void) { send_request(); end(); }
static void nothing(void) { end(); }
static void empty(void) { send_bytes("", 0); end(); }
static void one_byte(void) { send_bytes("x", 1); end(); }
static void short_by_one(void) { send_bytes(&request, sizeof request - 1); end(); }
static void long_by_one(void) { memcpy(large, &request, sizeof request); send_bytes(large, sizeof request + 1); end(); }
static void header_only(void) { send_bytes(&request, sizeof request.header); end(); }
static void twice(void) { send_request(); send_request(); end(); }
static void version_0(void) { request.header.version = 0; good(); }
static void version_next(void) { request.header.version++; good(); }
static void type_reply(void) { request.header.type = MESSAGE_OPEN_REPLY; good(); }
static void type_packet_fd(void) { request.header.type = MESSAGE_PACKET_FD; good(); }
static void type_lookup(void) { request.header.type = MESSAGE_LOOKUP; good(); }
static void type_rubbish(void) { request.header.type = 0xffffffff; good(); }
static void flags_unknown(void) { request.flags = OPEN_FLAGS_ALL + 1; good(); }
static void flags_all(void) { request.flags = 0xffffffff; good(); }
static void snaplen_0(void) { request.snaplen = 0; good(); }
static void snaplen_large(void) { request.snaplen = SNAPLEN_MAX + 1; good(); }
static void snaplen_negative(void) { request.snaplen = 0x80000001; good(); }
static void ring_large(void) { request.ring.tp_block_nr = request.ring.tp_frame_nr = 513; good(); }
static void ring_wraps_around(void) { request.ring.tp_block_nr = request.ring.tp_frame_nr = 1u << 15; good(); }
static void ring_private(void) { request.ring.tp_sizeof_priv = 8; good(); }
static void ring_feature(void) { request.ring.tp_feature_req_word = 1; good(); }
static void name_empty(void) { request.interface[0] = '\0'; good(); }
static void name_path(void) { strcpy(request.interface, "../../x"); good(); }
static void name_dots(void) { strcpy(request.interface, ".."); good(); }
static void name_colon(void) { strcpy(request.interface, "lo:1"); good(); }
static void name_unterminated(void) { memset(request.interface, 'x', sizeof request.interface); good(); }
static void policy_unterminated(void) { memset(request.policy, ' ', sizeof request.policy); good(); }
static void guard_unterminated(void) { memset(request.guard, ' ', sizeof request.guard); good(); }
static void filter_unterminated(void) { memset(request.filter, ' ', sizeof request.filter); good(); }
static void one_fd(void) { send_with_fds(&request, sizeof request, 1); end(); }
static void many_fds(void) { send_with_fds(&request, sizeof request, 20); end(); }
static void end_with(uint32_t version, uint32_t type, size_t length)
{
	struct { struct bare_message bare; char more[8]; } message = { { { version, type } } };

	send_request();
	send_bytes(&message, length);
	shutdown(channel, SHUT_WR);
}

static void end_short(void) { end_with(PROTOCOL_VERSION, MESSAGE_SANDBOXED, sizeof(struct bare_message) - 1); }
static void end_long(void) { end_with(PROTOCOL_VERSION, MESSAGE_SANDBOXED, sizeof(struct bare_message) + 1); }
static void end_version(void) { end_with(PROTOCOL_VERSION + 1, MESSAGE_SANDBOXED, sizeof(struct bare_message)); }
static void end_question(void) { end_with(PROTOCOL_VERSION, MESSAGE_STATUS_QUESTION, sizeof(struct bare_message)); }
static void end_of_stream(void) { send_request(); shutdown(channel, SHUT_WR); }
static void empty_at_the_end(void) { send_request(); send_bytes("", 0); }

/* The helper takes no descriptor, whoever sends it: what came with the message is in no table of its. */
static void fds_at_the_end(void)
{
	struct bare_message sandboxed = { { PROTOCOL_VERSION, MESSAGE_SANDBOXED } };

	send_request();
	send_with_fds(&sandboxed, sizeof sandboxed, 3);
	shutdown(channel, SHUT_WR);
}

/* Asked for the socket's state after it was passed on: once, twice, and then with rubbish. */
static void ask_status(uint32_t type, int times)
{
	struct bare_message message = { { PROTOCOL_VERSION, MESSAGE_SANDBOXED } };
	struct status_answer answer;
	struct open_reply reply;
	int fd = -1;

	send_request();
	send_bytes(&message, sizeof message);
	if (channel_receive(channel, &reply, sizeof reply) <= 0 ||
	    channel_receive_fd(channel, &message, sizeof message, &fd) <= 0)
		return;
	for (; times > 0; times--) {
		message.header = (struct message_header){ PROTOCOL_VERSION, type };
		send_bytes(&message, sizeof message);
		if (channel_receive(channel, &answer, sizeof answer) != sizeof answer ||
		    !status_answer_valid(&answer, sizeof answer) || answer.interface <= 0)
			return;
		answers++;
	}
	shutdown(channel, SHUT_WR);
}

static void status_twice(void) { ask_status(MESSAGE_STATUS_QUESTION, 2); }
static void status_rubbish(void) { ask_status(0xffffffff, 1); }
static void status_second_request(void) { ask_status(MESSAGE_OPEN, 1); }
static void closed(void) { send_request(); close(channel); channel = open("/dev/null", O_RDONLY); }
static void not_sandboxed(void) { send_request(); send_bytes("x", 1); }
static void lookup_on_capture(void)
{
	struct lookup_request lookup = { { PROTOCOL_VERSION, MESSAGE_LOOKUP }, LOOKUP_ADDRESS, 0, 0, 0, "x" };
	send_bytes(&lookup, sizeof lookup);
	end();
}

/* As if the writer had sent everything and died before PR_SET_PDEATHSIG: main() has the helper wait for that. */
static void writer_gone(void)
{
	closed();
}

static struct lookup_answer answer;

/* Answers the helper's first look-up, of a host, and lets the caller spoil the answer first. */
static void resolve(void (*spoil)(void), size_t length)
{
	struct lookup_request asked;

	strcpy(request.filter, "host nowhere");
	good();
	if (channel_receive(lookups, &asked, sizeof asked) != sizeof asked)
		return;
	answer = (struct lookup_answer){ .header = { PROTOCOL_VERSION, MESSAGE_LOOKUP_ANSWER }, .count = 1 };
	answer.entry[0].family = AF_INET;
	if (spoil != NULL)
		spoil();
	channel_send(lookups, &answer, length);
	shutdown(lookups, SHUT_RDWR);
}

static void no_spoil(void) {}
static void spoil_version(void) { answer.header.version++; }
static void spoil_type(void) { answer.header.type = MESSAGE_OPEN; }
static void spoil_count(void) { answer.count = LOOKUP_ADDRESS_MAX + 1; }
static void spoil_family(void) { answer.entry[0].family = AF_PACKET; }
static void answer_short(void) { resolve(no_spoil, sizeof answer - 1); }
static void answer_version(void) { resolve(spoil_version, sizeof answer); }
static void answer_type(void) { resolve(spoil_type, sizeof answer); }
static void answer_count(void) { resolve(spoil_count, sizeof answer); }
static void answer_family(void) { resolve(spoil_family, sizeof answer); }
/* The resolver sends a descriptor with each good answer; they lie ready before they are asked for. */
static void answer_with_fds(void)
{
	strcpy(request.filter, "host nowhere");
	answer = (struct lookup_answer){ .header = { PROTOCOL_VERSION, MESSAGE_LOOKUP_ANSWER }, .count = 1 };
	answer.entry[0].family = answer.entry[0].address.any.sa_family = AF_INET;
	for (int i = 0; i < 8; i++)
		channel_send_fd(lookups, &answer, sizeof answer, 0);
	good();
}

static void answer_gone(void) { close(lookups); strcpy(request.filter, "host nowhere"); good(); }

#define SCENARIO(name) { #name, name }
static const struct {
	const char *name;
	void (*play)(void);
} SCENARIOS[] = {
	SCENARIO(good), SCENARIO(nothing), SCENARIO(empty), SCENARIO(one_byte), SCENARIO(short_by_one),
	SCENARIO(long_by_one), SCENARIO(header_only), SCENARIO(twice), SCENARIO(version_0),
	SCENARIO(version_next), SCENARIO(type_reply), SCENARIO(type_packet_fd), SCENARIO(type_lookup),
	SCENARIO(type_rubbish), SCENARIO(flags_unknown), SCENARIO(flags_all), SCENARIO(snaplen_0),
	SCENARIO(snaplen_large), SCENARIO(snaplen_negative),
	SCENARIO(ring_large), SCENARIO(ring_wraps_around), SCENARIO(ring_private), SCENARIO(ring_feature),
	SCENARIO(name_empty), SCENARIO(name_path),
	SCENARIO(name_dots), SCENARIO(name_colon), SCENARIO(name_unterminated), SCENARIO(policy_unterminated), SCENARIO(guard_unterminated),
	SCENARIO(filter_unterminated), SCENARIO(one_fd), SCENARIO(many_fds), SCENARIO(fds_at_the_end), SCENARIO(end_short), SCENARIO(end_long), SCENARIO(end_version),
	SCENARIO(end_question), SCENARIO(end_of_stream), SCENARIO(status_twice), SCENARIO(status_rubbish),
	SCENARIO(status_second_request), SCENARIO(answer_with_fds),
	SCENARIO(empty_at_the_end), SCENARIO(closed), SCENARIO(not_sandboxed), SCENARIO(lookup_on_capture),
	SCENARIO(answer_short), SCENARIO(answer_version), SCENARIO(answer_type), SCENARIO(answer_count),
	SCENARIO(answer_family), SCENARIO(answer_gone), SCENARIO(writer_gone),
};

int main(int argc, char **argv)
{
	int slot[2], capture_pair[2], lookup_pair[2], ready, status;
	struct start_state state = start_lower_capabilities();
	bool came_out;
	pid_t helper;

	/* As in helper/main.c, whose numbers the sandbox knows. */
	start_tidy_fds();
	if (argc != 2 || channel_pair(slot) != 0 || close(slot[1]) != 0 || channel_pair(capture_pair) != 0 ||
	    channel_pair(lookup_pair) != 0)
		return 2;
	helper = fork();
	if (helper == 0) {
		close(capture_pair[0]);
		close(lookup_pair[0]);
		if (strcmp(argv[1], "writer_gone") == 0)
			poll(&(struct pollfd){ .fd = capture_pair[1] }, 1, 10000);
		serve(capture_pair[1], lookup_pair[1], &state);
	}
	close(capture_pair[1]);
	close(lookup_pair[1]);
	if (strcmp(argv[1], "writer_gone") != 0 && channel_receive(capture_pair[0], &ready, sizeof ready) != 1)
		return 2;
	channel = capture_pair[0];
	lookups = lookup_pair[0];
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof SCENARIOS / sizeof *SCENARIOS; i++)
		if (strcmp(SCENARIOS[i].name, argv[1]) == 0)
			SCENARIOS[i].play();
	came_out = fd_came_out();
	alarm(15); /* the helper ends by itself */
	waitpid(helper, &status, 0);
	printf("%s %d %s %d\n", came_out ? "fd" : "none", answers, WIFEXITED(status) ? "exited" : "killed",
	       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return 0;
}
