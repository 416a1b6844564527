/* The writer's and the resolver's side of the protocol: any message, with any fds, in any order. */
#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/protocol.h"
#include "fuzz.h"

#define FDS_MOST 12
#define MESSAGE_MOST (sizeof(struct lookup_answer) + 8)

static int count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	PROMISE(folder != NULL);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

/* Control messages as the input has them: fds and credentials, any number of either. */
static size_t add_control(struct bytes *bytes, char *control, int fd)
{
	const struct ucred credentials = { getpid(), getuid(), getgid() };
	int fds[FDS_MOST];
	size_t used = 0;

	for (size_t i = 0; i < FDS_MOST; i++)
		fds[i] = fd;
	for (uint8_t kind = take_byte(bytes) % 4; kind > 0 && used < 256; kind = take_byte(bytes) % 4) {
		size_t size = kind == 1 ? sizeof *fds * (take_byte(bytes) % (FDS_MOST + 1)) : sizeof credentials;
		struct cmsghdr header = { .cmsg_len = CMSG_LEN(size),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = kind == 1 ? SCM_RIGHTS : SCM_CREDENTIALS };
		memcpy(control + used, &header, sizeof header);
		memcpy(control + used + CMSG_LEN(0), kind == 1 ? (const void *)fds : &credentials, size);
		used += CMSG_SPACE(size);
	}
	return used;
}

static void send_fuzzed(int channel, struct bytes *bytes)
{
	static char message[MESSAGE_MOST];
	union {
		char bytes[512];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	size_t control_length = add_control(bytes, control.bytes, channel);
	size_t size = bytes->size < sizeof message ? bytes->size : sizeof message;
	struct iovec data = { message, size };
	struct msghdr header = { .msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control_length > 0 ? control.bytes : NULL,
				 .msg_controllen = control_length };

	take(bytes, message, size);
	sendmsg(channel, &header, MSG_NOSIGNAL);
}

static void expect_reply(const struct open_reply *reply, size_t received)
{
	if (!open_reply_valid(reply, received))
		return;
	PROMISE(received == sizeof *reply && reply->result < OPEN_RESULT_COUNT);
	PROMISE(strlen(reply->text) < sizeof reply->text);
}

static void expect_answer(const struct lookup_answer *answer, size_t received)
{
	if (!lookup_answer_valid(answer, received))
		return;
	PROMISE(received == sizeof *answer && answer->count <= LOOKUP_ADDRESS_MAX);
	for (uint32_t i = 0; i < answer->count; i++)
		PROMISE(answer->entry[i].family == answer->entry[i].address.any.sa_family);
}

static void expect_question(const struct lookup_request *request, size_t received)
{
	if (lookup_request_valid(request, received))
		PROMISE(received == sizeof *request && strlen(request->name) < sizeof request->name);
}

/* The buffer is as large as the message that is expected, so that reading beyond it shows. */
static void receive_and_check(int channel, uint8_t kind)
{
	union {
		struct open_reply reply;
		struct bare_message message;
		struct status_answer status;
		struct lookup_request question;
		struct lookup_answer answer;
	} *received;
	const size_t sizes[] = { sizeof received->reply, sizeof received->message, sizeof received->question,
				 sizeof received->answer, sizeof received->status };
	const uint8_t which = kind % 5;
	size_t size = sizes[which];
	int fd = -2;
	ssize_t length;

	received = __builtin_alloca(size);
	length = which == 1 ? channel_receive_fd(channel, received, size, &fd) :
				 channel_receive(channel, received, size);
	PROMISE(length <= (ssize_t)size);
	PROMISE(length >= 0 || errno == EBADMSG);
	if (which == 1)
		PROMISE((fd >= 0) == (length > 0));
	else
		PROMISE(fd == -2);
	if (length > 0 && which == 0)
		expect_reply(&received->reply, (size_t)length);
	if (length > 0 && which == 1)
		bare_message_valid(&received->message, MESSAGE_PACKET_FD, (size_t)length);
	if (length > 0 && which == 2)
		expect_question(&received->question, (size_t)length);
	if (length > 0 && which == 3)
		expect_answer(&received->answer, (size_t)length);
	if (length > 0 && which == 4 && status_answer_valid(&received->status, (size_t)length))
		PROMISE(length == sizeof received->status && received->status.dropped <= received->status.packets);
	if (fd >= 0)
		close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	const int on = 1;
	uint8_t kind = take_byte(&bytes);
	int pair[2], before;

	PROMISE(channel_pair(pair) == 0);
	if ((kind & 0x80) != 0)
		setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	before = count_fds();
	send_fuzzed(pair[0], &bytes);
	shutdown(pair[0], SHUT_WR);
	receive_and_check(pair[1], kind);
	PROMISE(count_fds() == before);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
