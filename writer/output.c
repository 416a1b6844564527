/*
 * stdout: whole records, gathered and written together, and no torn one at the end.
 *
 * Writes block: stdout's file description may be shared with others, so O_NONBLOCK is not ours
 * to set. A stop request interrupts them (stop.h).
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

#include "stop.h"

#define COPY_BYTES (512u << 10)  /* small records of one write */
#define RECORDS_MAX 8192         /* of one write: 512 KiB of the smallest */
#define VECTORS_MAX IOV_MAX
#define VECTORS_PER_RECORD 3     /* copied, referenced, copied */
#define STALL_LIMIT_MS 2000      /* at a stop, a reader that takes nothing for this long is given up */
#define PIPE_BYTES (512 << 10)   /* while capturing; */
#define PIPE_BYTES_LAST (1 << 20) /* grown to this for the end of a record if the reader stalls */
#define SEND_BUFFER_LAST (1 << 20)

static uint8_t copies[COPY_BYTES];
static size_t copied;
static struct iovec vectors[VECTORS_MAX];
static size_t vector_count;
static size_t record_ends[RECORDS_MAX]; /* bytes from the start of the batch */
static size_t record_count;
static size_t pending;
static uint64_t written;
static bool torn;

const char *output_prepare(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return "stdout is closed";
	fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_BYTES); /* refused for anything else, and that is fine */
	return NULL;
}

bool output_is_terminal(void)
{
	return isatty(STDOUT_FILENO) == 1;
}

static void add_vector(const void *bytes, size_t length)
{
	struct iovec *last = vector_count > 0 ? &vectors[vector_count - 1] : NULL;

	if (length == 0)
		return;
	pending += length;
	if (last != NULL && (const uint8_t *)last->iov_base + last->iov_len == bytes)
		last->iov_len += length;
	else
		vectors[vector_count++] = (struct iovec){ (void *)(uintptr_t)bytes, length };
}

uint8_t *output_space(void)
{
	return copies + copied;
}

void output_commit(size_t length)
{
	add_vector(copies + copied, length);
	copied += length;
}

void output_reference(const void *bytes, size_t length)
{
	add_vector(bytes, length);
}

void output_end_record(void)
{
	record_ends[record_count++] = pending;
}

bool output_has_room(size_t length)
{
	return length <= sizeof copies - copied && record_count < RECORDS_MAX &&
	       vector_count + VECTORS_PER_RECORD <= VECTORS_MAX;
}

size_t output_pending(void)
{
	return pending;
}

uint64_t output_written(void)
{
	return written;
}

bool output_torn(void)
{
	return torn;
}

/* Bytes from `done` to the end of the record it lies in; 0 on a record boundary. */
static size_t to_record_end(size_t done)
{
	size_t low = 0, high = record_count;

	if (done == 0)
		return 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (record_ends[middle] < done)
			low = middle + 1;
		else
			high = middle;
	}
	return low < record_count ? record_ends[low] - done : 0;
}

/* Takes the first `length` bytes off *first and the vectors after it. */
static void consume(size_t *first, size_t length)
{
	while (length > 0) {
		struct iovec *vector = &vectors[*first];
		size_t taken = length < vector->iov_len ? length : vector->iov_len;
		vector->iov_base = (uint8_t *)vector->iov_base + taken;
		vector->iov_len -= taken;
		length -= taken;
		if (vector->iov_len == 0)
			(*first)++;
	}
}

/* Cuts the vectors from `first` on to `length` bytes in all. */
static void limit_vectors(size_t first, size_t length)
{
	size_t last = first;

	while (last < vector_count && length > 0) {
		if (vectors[last].iov_len > length)
			vectors[last].iov_len = length;
		length -= vectors[last].iov_len;
		last++;
	}
	vector_count = last;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* For a stdout that somebody else has made non-blocking. */
static void wait_writable(void)
{
	struct pollfd stdout_ready = { .fd = STDOUT_FILENO, .events = POLLOUT };

	poll(&stdout_ready, 1, STOP_KICK_MS);
}

/* Room for the end of a record that a stalled reader has only the beginning of. */
static void enlarge_stdout(void)
{
	const int bytes = SEND_BUFFER_LAST;

	if (fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_BYTES_LAST) < 0)
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
	size_t first, done;   /* vector, bytes */
	int64_t stalled_since; /* ms, once a stop is requested and nothing moves; else 0 */
	bool last_record;     /* only the end of this record is still to be written */
};

/* After a stop request: is it time to give the reader up? */
static bool out_of_patience(struct flush_state *state)
{
	if (!stop_requested())
		return false;
	if (stop_urgent())
		return true;
	if (state->stalled_since == 0)
		state->stalled_since = now_ms();
	return now_ms() - state->stalled_since >= STALL_LIMIT_MS;
}

/* Goes on to the end of the record the reader has the beginning of. False if there is none. */
static bool only_finish_record(struct flush_state *state)
{
	if (state->last_record || to_record_end(state->done) == 0)
		return false;
	limit_vectors(state->first, to_record_end(state->done));
	enlarge_stdout();
	state->last_record = true;
	return true;
}

static enum output_result write_vectors(struct flush_state *state)
{
	while (state->first < vector_count) {
		ssize_t count = writev(STDOUT_FILENO, vectors + state->first,
				       (int)(vector_count - state->first));
		if (count > 0) {
			consume(&state->first, (size_t)count);
			state->done += (size_t)count;
			state->stalled_since = 0;
			if (!stop_urgent() || state->last_record)
				continue;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return OUTPUT_READER_GONE;
		} else if (errno == EAGAIN) {
			wait_writable();
		} else if (errno != EINTR) {
			return OUTPUT_FAILED;
		}
		if (out_of_patience(state) && !only_finish_record(state))
			return OUTPUT_ABANDONED;
	}
	return state->last_record ? OUTPUT_ABANDONED : OUTPUT_OK;
}

/* Bytes of a record whose end could not be written; 0 if there is none. */
static size_t partial_record(size_t done)
{
	size_t missing = to_record_end(done), begin = 0;

	if (missing == 0)
		return 0;
	for (size_t i = 0; i < record_count && record_ends[i] <= done; i++)
		begin = record_ends[i];
	return done - begin;
}

enum output_result output_flush(void)
{
	struct flush_state state = { 0 };
	enum output_result result = write_vectors(&state);
	int saved = errno;

	written += state.done;
	if (result == OUTPUT_FAILED || result == OUTPUT_ABANDONED) {
		size_t partial = partial_record(state.done);
		if (partial > 0 && take_back(partial))
			written -= partial;
		else if (partial > 0)
			torn = true;
	}
	copied = vector_count = record_count = pending = 0;
	errno = saved;
	return result;
}
