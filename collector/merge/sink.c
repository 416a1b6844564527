/* merge: inside the sandbox; here is what the remote machines sent. */
/* The output. */
#include "sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define BLOCK_LENGTH_AT 4 /* in a pcapng block */

int sink_open(struct sink *sink, int fd)
{
	*sink = (struct sink){ .fd = fd, .bytes = malloc(SINK_BYTES), .files = 1 };
	return sink->bytes != NULL ? 0 : -1;
}

bool sink_has_room(const struct sink *sink)
{
	return (sink->fd >= 0 || sink->discards) && sink->length < SINK_BATCH_BYTES;
}

uint8_t *sink_at(const struct sink *sink)
{
	return sink->bytes + sink->length;
}

void sink_commit(struct sink *sink, size_t length)
{
	sink->length += length;
	sink->file_bytes += length;
	sink->total_bytes += length;
}

bool sink_is_batch(const struct sink *sink)
{
	return sink->length >= SINK_BATCH_BYTES;
}

bool sink_is_written(const struct sink *sink)
{
	return sink->length == 0;
}

/* Of what was gathered, the bytes up to the last block's end at or before `limit`. */
static size_t boundary_before(const struct sink *sink, size_t limit)
{
	size_t at = 0;

	for (;;) {
		uint32_t length;
		if (limit - at < BLOCK_LENGTH_AT + sizeof length)
			return at;
		memcpy(&length, sink->bytes + at + BLOCK_LENGTH_AT, sizeof length);
		if (length > limit - at)
			return at;
		at += length;
	}
}

bool sink_give_up(struct sink *sink)
{
	const size_t partial = sink->done - boundary_before(sink, sink->done);
	const off_t end = partial > 0 ? lseek(sink->fd, 0, SEEK_CUR) : 0;
	bool whole = true;

	/* Only a file can be shortened; a pipe has no place in it. */
	if (partial > 0)
		whole = end >= (off_t)partial && ftruncate(sink->fd, end - (off_t)partial) == 0;
	sink->total_bytes -= sink->length - sink->done + (whole ? partial : 0);
	sink->length = sink->done = 0;
	return whole;
}

static enum sink_result judge_error(struct sink *sink, int error)
{
	if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR)
		return SINK_WOULD_BLOCK;
	sink->error = error;
	return error == EPIPE || error == ECONNRESET ? SINK_READER_GONE : SINK_FAILED;
}

enum sink_result sink_write(struct sink *sink)
{
	while (!sink->discards && sink->done < sink->length) {
		const ssize_t count = write(sink->fd, sink->bytes + sink->done, sink->length - sink->done);
		if (count < 0)
			return judge_error(sink, errno);
		sink->done += (size_t)count;
	}
	sink->length = sink->done = 0;
	return SINK_OK;
}

void sink_discard(struct sink *sink)
{
	if (sink->fd >= 0)
		close(sink->fd);
	sink->fd = -1;
	sink->discards = true;
	sink->length = sink->done = 0;
}

enum sink_result sink_end_file(struct sink *sink)
{
	const int fd = sink->fd;

	sink->fd = -1;
	if (close(fd) == 0)
		return SINK_OK;
	sink->error = errno;
	return SINK_FAILED;
}

void sink_begin_file(struct sink *sink, int fd)
{
	sink->fd = fd;
	sink->file_bytes = 0;
	sink->files++;
}
