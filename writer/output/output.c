/* output: inside the sandbox, on the way to stdout; it never waits. */
/*
 * stdout: whole records, gathered and written together, and no torn one at the end.
 *
 * stdout's file description may be shared with others, so O_NONBLOCK is not ours to set. A pipe is
 * given no more than it has room for; elsewhere writes block, and a stop interrupts them (base/stop.h).
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_BYTES (1024u << 10)
#define BATCH_COPIED (512u << 10) /* small records of one write, and their packets: */
#define BATCH_RECORDS 8192       /* 512 KiB of the smallest */
#define BATCH_VECTORS (IOV_MAX - 3)
#define RECORD_BYTES_LEAST 64    /* a queue of smaller ones is full before its bytes are */
#define QUEUE_VECTORS ((size_t)8 * IOV_MAX)
#define RETRY_NS 500000          /* between looks at a pipe that a large record does not fit into, */
#define RETRY_MOST_NS 8000000    /* after a while in which nothing was read */
#define GATHER_NS 100000         /* for room to become more than a little, */
#define BUSY_BYTES (512u << 10)  /* while there is enough in the pipe to keep the reader busy */
#define LITTLE_SHARE 4           /* of the pipe */
#define FULL_NS 50000000         /* between looks at a full pipe, whose reader wakes us */
#define SEND_BUFFER_LAST (1 << 20)

static void *reserve(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static mode_t kind_of_stdout(void)
{
	struct stat status;

	return fstat(STDOUT_FILENO, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

const char *output_open(struct output *output, size_t queue_bytes, size_t pipe_bytes)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return "stdout is closed";
	*output = (struct output){ .most = { queue_bytes / RECORD_BYTES_LEAST, queue_bytes, QUEUE_VECTORS },
				   .retry_ns = RETRY_NS };
	output->copies = reserve(output->most.bytes);
	output->vectors = reserve(output->most.vectors * sizeof *output->vectors);
	output->record_ends = reserve(output->most.records * sizeof *output->record_ends);
	if (output->copies == NULL || output->vectors == NULL || output->record_ends == NULL)
		return "there is no memory for its queue";
	pipe_room_start(&output->pipe, pipe_bytes);
	output->may_block = output->pipe.capacity == 0 && kind_of_stdout() != S_IFREG;
	output->may_keep = kind_of_stdout() == S_IFSOCK;
	return NULL;
}

uint8_t *output_at(const struct output *output)
{
	return output->copies + output->copied;
}

void output_commit(struct output *output, size_t length)
{
	output->copied += length;
	output->pending += length;
}

static void add_vector(struct output *output, const void *bytes, size_t length)
{
	output->vectors[output->vector_count++] = (struct iovec){ (void *)(uintptr_t)bytes, length };
}

/* The bytes copied one after the other since the last vector are one vector. */
static void describe_copied(struct output *output)
{
	if (output->copied > output->described)
		add_vector(output, output->copies + output->described, output->copied - output->described);
	output->described = output->copied;
}

/* The same, as a part of the last vector if that is not written: the queue grows often. */
static void describe_queued(struct output *output)
{
	struct iovec *last = output->vectors + output->vector_count;

	if (output->vector == output->vector_count ||
	    (uint8_t *)last[-1].iov_base + last[-1].iov_len != output->copies + output->described)
		describe_copied(output);
	else
		last[-1].iov_len += output->copied - output->described;
	output->described = output->copied;
}

void output_reference(struct output *output, const void *bytes, size_t length)
{
	describe_copied(output);
	add_vector(output, bytes, length);
	output->pending += length;
}

void output_end_record(struct output *output)
{
	output->record_ends[output->record_count++] = output->pending;
}

bool output_fits(const struct output *output, const struct output_space *need)
{
	const struct output_space *most = &output->most;

	return need->records <= most->records - output->record_count &&
	       need->bytes <= most->bytes - output->copied &&
	       need->vectors < most->vectors - output->vector_count; /* one more: for bytes copied before */
}

bool output_is_batch(const struct output *output)
{
	return output->pending >= BATCH_BYTES || output->copied >= BATCH_COPIED ||
	       output->record_count >= BATCH_RECORDS || output->vector_count >= BATCH_VECTORS;
}

static bool is_copied(const struct output *output, const struct iovec *vector)
{
	return (uint8_t *)vector->iov_base >= output->copies &&
	       (uint8_t *)vector->iov_base < output->copies + output->most.bytes;
}

bool output_detach(struct output *output)
{
	size_t length = 0;

	describe_queued(output);
	for (size_t i = output->vector; i < output->vector_count; i++)
		length += is_copied(output, &output->vectors[i]) ? 0 : output->vectors[i].iov_len;
	if (length > output->most.bytes - output->copied)
		return false;
	for (size_t i = output->vector; length > 0 && i < output->vector_count; i++) {
		struct iovec *vector = &output->vectors[i];
		if (is_copied(output, vector))
			continue;
		memcpy(output->copies + output->copied, vector->iov_base, vector->iov_len);
		vector->iov_base = output->copies + output->copied;
		output->copied += vector->iov_len;
	}
	output->described = output->copied; /* by the vectors that they were moved for */
	return true;
}

size_t output_pending(const struct output *output)
{
	return output->pending - output->done;
}

uint64_t output_written(const struct output *output)
{
	return output->written + output->done;
}

/* How many of the records end at or before `limit`. */
static size_t records_up_to(const struct output *output, size_t limit)
{
	size_t low = 0, high = output->record_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (output->record_ends[middle] <= limit)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The last record boundary at or before `limit`. */
static size_t boundary_before(const struct output *output, size_t limit)
{
	size_t count = records_up_to(output, limit);

	return count > 0 ? output->record_ends[count - 1] : 0;
}

/* Nothing is pending any more. */
static void start_anew(struct output *output)
{
	output->written += output->done;
	output->copied = output->described = output->vector_count = output->record_count = 0;
	output->pending = output->done = output->vector = output->unread = 0;
	output->retry_ns = RETRY_NS;
	output->waited_for_room = false;
}

static enum output_result would_block(struct output *output, short events, long most_ns)
{
	output->wait.events = events;
	output->wait.most_ns = most_ns;
	return OUTPUT_WOULD_BLOCK;
}

/* There is no room for the next record. */
static enum output_result would_block_pipe(struct output *output)
{
	long most = output->retry_ns;

	if (!pipe_room_for_page())
		return would_block(output, POLLOUT, FULL_NS);
	/* There is, for a page; nothing tells when there is for more. */
	if (output->retry_ns < RETRY_MOST_NS)
		output->retry_ns *= 2;
	return would_block(output, 0, most);
}

/* Many small writes cost more than a few large ones. */
static bool is_worth_waiting(const struct output *output, size_t end)
{
	return output->pipe.capacity > 0 && !output->waited_for_room && output->unread >= BUSY_BYTES &&
	       end < output->pending && end - output->done < output->pipe.capacity / LITTLE_SHARE;
}

/*
 * How far to write next, output->done: not now. A pipe is given whole records that it has room for,
 * so it never tears one.
 */
static size_t next_end(struct output *output)
{
	size_t unread, room, end;

	if (output->pipe.capacity == 0)
		return output->pending;
	unread = pipe_room_unread();
	if (unread < output->unread) {
		output->moved += output->unread - unread;
		output->retry_ns = RETRY_NS;
	}
	output->unread = unread;
	room = pipe_room(&output->pipe, unread);
	end = boundary_before(output, output->done + room);
	if (end <= output->done && pipe_room_for_page())
		end = boundary_before(output, output->done + output->pipe.page);
	if (end <= output->done && unread == 0) /* larger than the whole pipe: there is no other way */
		return output->done + room;
	return end > output->done ? end : output->done;
}

/* One write of at most `length` bytes. Returns as writev(2). */
static ssize_t write_once(const struct output *output, size_t length)
{
	struct iovec *first = output->vectors + output->vector;
	size_t count = 0, total = 0, surplus;
	ssize_t written;

	while (total < length && count < IOV_MAX)
		total += first[count++].iov_len;
	surplus = total > length ? total - length : 0;
	first[count - 1].iov_len -= surplus;
	written = writev(STDOUT_FILENO, first, (int)count);
	first[count - 1].iov_len += surplus;
	return written;
}

static void note_written(struct output *output, size_t length)
{
	if (output->pipe.capacity > 0)
		pipe_room_written(&output->pipe, length);
	output->done += length;
	output->moved += length;
	output->waited_for_room = false;
	while (length > 0) {
		struct iovec *vector = &output->vectors[output->vector];
		size_t taken = length < vector->iov_len ? length : vector->iov_len;
		vector->iov_base = (uint8_t *)vector->iov_base + taken;
		vector->iov_len -= taken;
		length -= taken;
		output->vector += vector->iov_len == 0;
	}
	if (output->done == output->pending)
		start_anew(output);
}

static enum output_result judge_error(struct output *output, int error)
{
	output->error = error;
	switch (error) {
	case EPIPE:
	case ECONNRESET:
		return OUTPUT_READER_GONE;
	case EAGAIN: /* somebody else has made stdout non-blocking */
		return would_block(output, POLLOUT, FULL_NS);
	case EINTR:
		return would_block(output, 0, 0);
	default:
		return OUTPUT_FAILED;
	}
}

enum output_result output_step(struct output *output)
{
	size_t end;
	ssize_t count;

	if (output_pending(output) == 0)
		return OUTPUT_OK;
	describe_queued(output);
	end = next_end(output);
	if (end == output->done)
		return would_block_pipe(output);
	if (is_worth_waiting(output, end)) {
		output->waited_for_room = true;
		return would_block(output, 0, GATHER_NS);
	}
	count = write_once(output, end - output->done);
	if (count <= 0)
		return judge_error(output, count < 0 ? errno : EIO);
	note_written(output, (size_t)count);
	return OUTPUT_OK;
}

/* Room in a socket for the end of a record that a stalled reader has the beginning of. */
static void enlarge_send_buffer(void)
{
	const int bytes = SEND_BUFFER_LAST;
	int now = 0;
	socklen_t length = sizeof now;

	/* TCP may have made it larger than we may ask for. */
	if (getsockopt(STDOUT_FILENO, SOL_SOCKET, SO_SNDBUF, &now, &length) == 0 && now < bytes)
		setsockopt(STDOUT_FILENO, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

size_t output_abandon(struct output *output)
{
	size_t whole = records_up_to(output, output->done), lost;
	bool begun = whole < output->record_count &&
		     output->done > (whole > 0 ? output->record_ends[whole - 1] : 0);

	lost = output->record_count - whole - begun;
	output->record_count = whole + begun;
	output->pending = begun ? output->record_ends[whole] : output->done;
	if (begun)
		enlarge_send_buffer();
	else
		start_anew(output);
	return lost;
}

/* A file on a full disk keeps its last whole record. */
static bool take_back(size_t partial)
{
	struct stat status;
	off_t end = lseek(STDOUT_FILENO, 0, SEEK_CUR);

	return fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode) &&
	       end == status.st_size && end >= (off_t)partial &&
	       ftruncate(STDOUT_FILENO, end - (off_t)partial) == 0 &&
	       lseek(STDOUT_FILENO, end - (off_t)partial, SEEK_SET) >= 0;
}

size_t output_forget(struct output *output)
{
	size_t partial = output->done - boundary_before(output, output->done);
	size_t lost = output->record_count - records_up_to(output, output->done);

	if (partial > 0 && take_back(partial))
		output->done -= partial;
	else if (partial > 0)
		output->torn = true;
	start_anew(output);
	return lost;
}
