/* base: no packets, no privilege. */
/* Whether the user is still there. */
#include "audience.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "stop.h"

/* POLLERR: a pipe's writing end, or a connection that was reset. */
#define GONE (POLLHUP | POLLRDHUP | POLLERR)

static bool is_connection(void)
{
	int type = 0;
	socklen_t length = sizeof type;

	return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type != SOCK_DGRAM &&
	       type != SOCK_RAW;
}

/* What has another end that can go away. One that is hung up already answers EIO. */
static const char *input_with_other_end(void)
{
	struct stat status;

	if (fstat(STDIN_FILENO, &status) != 0)
		return NULL;
	if (S_ISFIFO(status.st_mode))
		return "pipe";
	if (S_ISSOCK(status.st_mode))
		return is_connection() ? "socket" : NULL;
	return S_ISCHR(status.st_mode) && (isatty(STDIN_FILENO) == 1 || errno == EIO) ? "terminal" : NULL;
}

void audience_start(struct audience *audience, bool stop_at_eof)
{
	*audience = (struct audience){ .input = input_with_other_end(),
				       .stop_at_eof = stop_at_eof,
				       .started_ms = clock_ms() };
}

bool audience_is_watched(const struct audience *audience)
{
	return audience->input != NULL || audience->ended;
}

/* For how long a line may still come to find no reader, ms. */
static int64_t answer_left(const struct audience *audience)
{
	return audience->asked_ms == 0 ? 0 : audience->asked_ms + AUDIENCE_ANSWER_MS - clock_ms();
}

void audience_watch(const struct audience *audience, struct pollfd watched[AUDIENCE_WATCHED])
{
	/* The end of what is written to us is a half of a connection only. */
	watched[0] = (struct pollfd){ .fd = audience->input != NULL ? STDIN_FILENO : -1, .events = POLLRDHUP };
	watched[1] = (struct pollfd){ .fd = answer_left(audience) > 0 ? STDERR_FILENO : -1 };
}

static bool tells_now_and_then(const struct audience *audience)
{
	return audience->ended && !stop_asked();
}

int audience_timeout(const struct audience *audience)
{
	int64_t answer = answer_left(audience), silence;

	if (answer > 0)
		return (int)answer;
	if (!tells_now_and_then(audience))
		return -1;
	silence = audience->quiet_ms + AUDIENCE_SILENCE_MS - clock_ms();
	return silence > 0 ? (int)silence : 0;
}

static void ask(struct audience *audience)
{
	audience->asked_ms = audience->quiet_ms = clock_ms();
}

static void note_end(struct audience *audience)
{
	const char *input = audience->input;

	audience->input = NULL; /* poll(2) would say so again and again */
	audience->ended = true;
	audience->early = clock_ms() - audience->started_ms < AUDIENCE_EARLY_MS;
	if (audience->stop_at_eof) {
		stop_ask(STOP_INPUT_ENDED);
		return;
	}
	log_record(LOG_INFO, "standard input ended, the capture goes on", LOG_FIELDS(LOG_TEXT("input", input)));
	ask(audience);
}

void audience_look(struct audience *audience, const struct pollfd watched[AUDIENCE_WATCHED])
{
	if ((watched[0].revents & POLLNVAL) != 0)
		audience->input = NULL;
	if (watched[0].fd >= 0 && (watched[0].revents & GONE) != 0)
		note_end(audience);
	if (watched[1].fd >= 0 && (watched[1].revents & GONE) != 0) {
		audience->asked_ms = 0;
		stop_ask(STOP_USER_GONE);
	}
}

bool audience_is_silent(struct audience *audience, uint64_t written)
{
	if (!tells_now_and_then(audience))
		return false;
	if (audience->written != written) {
		audience->written = written;
		audience->quiet_ms = clock_ms();
	}
	return clock_ms() - audience->quiet_ms >= AUDIENCE_SILENCE_MS;
}

void audience_tell(struct audience *audience, const struct audience_counts *counts)
{
	log_record(LOG_INFO, "still capturing",
		   LOG_FIELDS(LOG_NUMBER("packets", counts->packets), LOG_NUMBER("bytes", counts->bytes),
			      LOG_NUMBER("dropped", counts->dropped)));
	ask(audience);
}
