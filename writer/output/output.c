/*
 * stdout: whole records, gathered and written together, and no torn one at the end.
 *
 * stdout's file description may be shared with others, so O_NONBLOCK is not ours to set. A pipe is
 * given no more than it has room for; elsewhere writes block, and a stop interrupts them (stop.h).
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "pipe_room.h"
#include "base/stop.h"

#define BATCH_COPIED (512u << 10) /* small records of one write, and its packets: */
#define BATCH_RECORDS 8192       /* 512 KiB of the smallest */
#define QUEUE_BYTES (16u << 20)  /* of records, while the reader stalls: memory is used as it is needed */
#define QUEUE_RECORDS (256u << 10)
#define VECTORS_MAX ((size_t)8 * IOV_MAX)
#define VECTORS_PER_RECORD 3     /* copied, referenced, copied */
#define STALL_LIMIT_MS 2000      /* at a stop, a reader that takes nothing for this long is given up */
#define RETRY_NS 500000          /* between looks at a pipe that a large record does not fit into, */
#define RETRY_MOST_NS 8000000    /* after a while in which nothing was read */
#define GATHER_NS 100000         /* for room to become more than a little, */
#define BUSY_BYTES (512u << 10)  /* while there is enough in the pipe to keep the reader busy */
#define LITTLE_SHARE 4           /* of the pipe */
#define FULL_NS 50000000         /* between looks at a full pipe, whose reader wakes us */
#define SEND_BUFFER_LAST (1 << 20)

static uint8_t copies[QUEUE_BYTES];
static size_t copied;
static size_t described; /* of the copied bytes, those that a vector tells of */
static struct iovec vectors[VECTORS_MAX];
static size_t vector_count;
static size_t record_ends[QUEUE_RECORDS]; /* bytes from the start of the batch */
static size_t record_count;
static size_t pending;
static uint64_t written;
static bool torn;
static size_t lost_records;
static size_t pipe_bytes; /* stdout's capacity if it is a pipe, else 0 */
static void (*stalled)(void *context);
static void *stalled_context;

const char *output_prepare(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return "stdout is closed";
	pipe_bytes = pipe_room_start();
	return NULL;
}

bool output_is_terminal(void)
{
	return isatty(STDOUT_FILENO) == 1;
}

void output_while_stalled(void (*call)(void *context), void *context)
{
	stalled = call;
	stalled_context = context;
}

uint8_t *output_space(void)
{
	return copies + copied;
}

void output_commit(size_t length)
{
	copied += length;
	pending += length;
}

/* The bytes copied one after the other since the last vector are one vector. */
static void describe_copied(void)
{
	if (copied > described)
		vectors[vector_count++] = (struct iovec){ copies + described, copied - described };
	described = copied;
}

/* The same, as a part of the last vector if that is not written: the queue grows often. */
static void describe_queued(void)
{
	struct iovec *last = vector_count > 0 ? &vectors[vector_count - 1] : NULL;

	if (last == NULL || last->iov_len == 0 || (uint8_t *)last->iov_base + last->iov_len != copies + described)
		describe_copied();
	else
		last->iov_len += copied - described;
	described = copied;
}

void output_reference(const void *bytes, size_t length)
{
	describe_copied();
	vectors[vector_count++] = (struct iovec){ (void *)(uintptr_t)bytes, length };
	pending += length;
}

void output_end_record(void)
{
	record_ends[record_count++] = pending;
}

bool output_has_room(size_t length)
{
	return length <= BATCH_COPIED && copied <= BATCH_COPIED - length && record_count < BATCH_RECORDS &&
	       vector_count + VECTORS_PER_RECORD <= IOV_MAX;
}

bool output_has_space(size_t length)
{
	return length <= sizeof copies - copied && record_count < QUEUE_RECORDS &&
	       vector_count + VECTORS_PER_RECORD <= VECTORS_MAX;
}

static bool is_copied(const struct iovec *vector)
{
	return (uint8_t *)vector->iov_base >= copies && (uint8_t *)vector->iov_base < copies + sizeof copies;
}

bool output_detach(void)
{
	size_t length = 0;

	describe_queued();
	for (size_t i = 0; i < vector_count; i++)
		length += is_copied(&vectors[i]) ? 0 : vectors[i].iov_len;
	if (length > sizeof copies - copied)
		return false;
	for (size_t i = 0; length > 0 && i < vector_count; i++) {
		if (is_copied(&vectors[i]) || vectors[i].iov_len == 0)
			continue;
		memcpy(copies + copied, vectors[i].iov_base, vectors[i].iov_len);
		vectors[i].iov_base = copies + copied;
		copied += vectors[i].iov_len;
	}
	described = copied; /* by the vectors that they were moved for */
	return true;
}

size_t output_pending(void)
{
	return pending;
}

uint64_t output_written(void)
{
	return written;
}

size_t output_lost_records(void)
{
	return lost_records;
}

bool output_torn(void)
{
	return torn;
}

/* How many of the batch's records end at or before `limit`. */
static size_t records_up_to(size_t limit)
{
	size_t low = 0, high = record_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (record_ends[middle] <= limit)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The last record boundary at or before `limit`. */
static size_t boundary_before(size_t limit)
{
	size_t count = records_up_to(limit);

	return count > 0 ? record_ends[count - 1] : 0;
}

/* The first record boundary after `done`, which is not the end of the batch. */
static size_t boundary_after(size_t done)
{
	return record_ends[records_up_to(done)];
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

/* How far one flush has come. */
struct flush_state {
	size_t done;          /* bytes */
	size_t vector;        /* the first one that is not written whole: its rest is in it */
	int64_t stalled_since; /* ms, once a stop is requested and nothing moves; else 0 */
	size_t unread;        /* bytes in the pipe when last looked at */
	long retry_ns;        /* until the next look, if the next record does not fit */
	bool gathered;        /* since the last write: whatever room there is now is used */
	bool last_record;     /* only the end of this record is still to be written */
};

/* Waits `most` ns at most, for a condition of poll(2) or for nothing but the reader going away. */
static enum output_result wait_for_reader(short events, long most)
{
	struct pollfd watched = { .fd = STDOUT_FILENO, .events = events };

	if (ppoll(&watched, 1, &(struct timespec){ 0, most }, NULL) > 0 &&
	    (watched.revents & (POLLERR | POLLHUP)) != 0)
		return OUTPUT_READER_GONE;
	return OUTPUT_OK;
}

/* Waits until there is room for what there was none for. */
static enum output_result wait_for_room(struct flush_state *state)
{
	long most = state->retry_ns;

	if (stalled != NULL) {
		stalled(stalled_context);
		describe_queued();
	}
	if (!pipe_room_for_page())
		return wait_for_reader(POLLOUT, FULL_NS);
	/* There is, for a page; nothing tells when there is for more. */
	if (state->retry_ns < RETRY_MOST_NS)
		state->retry_ns *= 2;
	return wait_for_reader(0, most);
}

/* Many small writes cost more than a few large ones. */
static bool is_worth_waiting(const struct flush_state *state, size_t end)
{
	return pipe_bytes > 0 && !state->gathered && state->unread >= BUSY_BYTES && end < pending &&
	       end - state->done < pipe_bytes / LITTLE_SHARE;
}

/*
 * How far to write next, state->done: not now. A pipe is given whole records that it has room for,
 * so it never tears one.
 */
static size_t next_end(struct flush_state *state)
{
	size_t unread, end;

	if (pipe_bytes == 0)
		return pending;
	unread = pipe_room_unread();
	if (unread < state->unread) {
		state->stalled_since = 0;
		state->retry_ns = RETRY_NS;
	}
	state->unread = unread;
	end = boundary_before(state->done + pipe_room(unread));
	if (end <= state->done && pipe_room_for_page())
		end = boundary_before(state->done + pipe_room_page());
	/* Larger than the whole pipe: there is no other way than piece by piece. */
	return end <= state->done && unread == 0 ? boundary_after(state->done) : end;
}

/* One write of at most `length` bytes. Returns as writev(2). */
static ssize_t write_some(struct flush_state *state, size_t length)
{
	size_t count = 0, total = 0, surplus;
	ssize_t written_now;

	while (total < length && count < IOV_MAX)
		total += vectors[state->vector + count++].iov_len;
	surplus = total > length ? total - length : 0;
	vectors[state->vector + count - 1].iov_len -= surplus;
	written_now = writev(STDOUT_FILENO, vectors + state->vector, (int)count);
	vectors[state->vector + count - 1].iov_len += surplus;
	if (written_now > 0 && pipe_bytes > 0)
		pipe_room_written((size_t)written_now);
	for (size_t left = written_now > 0 ? (size_t)written_now : 0; left > 0;) {
		struct iovec *vector = &vectors[state->vector];
		size_t taken = left < vector->iov_len ? left : vector->iov_len;
		vector->iov_base = (uint8_t *)vector->iov_base + taken;
		vector->iov_len -= taken;
		left -= taken;
		if (vector->iov_len == 0)
			state->vector++;
	}
	return written_now;
}

/* After a stop request: is it time to give the reader up? */
static bool out_of_patience(struct flush_state *state)
{
	if (!stop_requested())
		return false;
	if (stop_urgent())
		return true;
	if (state->stalled_since == 0)
		state->stalled_since = clock_ms();
	return clock_ms() - state->stalled_since >= STALL_LIMIT_MS;
}

/* What a failed write means; OUTPUT_OK: nothing, try again. */
static enum output_result judge_error(void)
{
	if (errno == EPIPE || errno == ECONNRESET)
		return OUTPUT_READER_GONE;
	if (errno == EAGAIN) /* somebody else has made stdout non-blocking */
		return wait_for_reader(POLLOUT, RETRY_NS);
	return errno == EINTR ? OUTPUT_OK : OUTPUT_FAILED;
}

static enum output_result write_up_to(struct flush_state *state, size_t end)
{
	while (state->done < end) {
		ssize_t count = write_some(state, end - state->done);
		enum output_result result = count > 0  ? OUTPUT_OK :
					    count == 0 ? OUTPUT_FAILED : judge_error();

		if (result != OUTPUT_OK)
			return result;
		if (count > 0) {
			state->done += (size_t)count;
			state->stalled_since = 0;
			state->gathered = false;
		}
		if (state->done == end || (count > 0 && !stop_urgent()) || !out_of_patience(state))
			continue;
		if (state->last_record || boundary_before(state->done) == state->done)
			return OUTPUT_ABANDONED;
		/* Give up, but not in the middle of a record that the reader has the beginning of. */
		end = boundary_after(state->done);
		enlarge_send_buffer();
		state->last_record = true;
	}
	return state->last_record ? OUTPUT_ABANDONED : OUTPUT_OK;
}

static enum output_result write_pending(struct flush_state *state)
{
	enum output_result result = OUTPUT_OK;

	while (result == OUTPUT_OK && state->done < pending) {
		size_t end = next_end(state);
		if (end > state->done && is_worth_waiting(state, end)) {
			result = wait_for_reader(0, GATHER_NS);
			state->gathered = true;
		} else if (end > state->done)
			result = write_up_to(state, end);
		else if (out_of_patience(state))
			result = OUTPUT_ABANDONED;
		else
			result = wait_for_room(state);
	}
	return result;
}

enum output_result output_flush(void)
{
	struct flush_state state = { .retry_ns = RETRY_NS };
	enum output_result result;
	int saved;

	describe_copied();
	result = write_pending(&state);
	saved = errno;

	written += state.done;
	if (result == OUTPUT_FAILED || result == OUTPUT_ABANDONED) {
		size_t partial = state.done - boundary_before(state.done);
		if (partial > 0 && take_back(partial))
			written -= partial;
		else if (partial > 0)
			torn = true;
	}
	lost_records = record_count - records_up_to(state.done);
	copied = described = vector_count = record_count = pending = 0;
	errno = saved;
	return result;
}
