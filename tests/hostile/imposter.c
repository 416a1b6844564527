/*
 * A program that has come to be executed in the writer's place: it asks the helper for a packet
 * fd, gets it, and sends frames with it.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/protocol.h"

int main(void)
{
	static struct open_request request = { .header = { PROTOCOL_VERSION, MESSAGE_OPEN },
					       .snaplen = 65535,
					       .ring = { .tp_block_size = 1 << 16, .tp_block_nr = 4, .tp_frame_size = 1 << 16,
							 .tp_frame_nr = 4, .tp_retire_blk_tov = 10 },
					       .interface = "lo" };
	struct open_reply reply;
	struct packet_fd_message message;
	static const char frame[60] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x88\xb5INJECTED";
	int fd = -1;

	write(STDOUT_FILENO, "IMPOSTER", 8);
	channel_send(WRITER_CAPTURE_CHANNEL_FD, &request, sizeof request);
	channel_receive(WRITER_CAPTURE_CHANNEL_FD, &reply, sizeof reply);
	shutdown(WRITER_CAPTURE_CHANNEL_FD, SHUT_WR);
	channel_receive_fd(WRITER_CAPTURE_CHANNEL_FD, &message, sizeof message, &fd);
	return write(fd, frame, sizeof frame) == sizeof frame ? 0 : 1;
}
