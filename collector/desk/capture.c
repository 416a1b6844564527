/* desk: starts the commands; what streams hold is never looked at here. */
/* One capture. */
#include "capture.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "collector/wire.h"
#include "notice.h"
#include "via.h"
#include "words.h"

#define START_LIMIT_MS 20000 /* after that it is not waited for with the next one */
#define STOP_LIMIT_MS 5000   /* for the end of a stream, once its stdin has ended */
#define TERM_LIMIT_MS 1000   /* from SIGTERM to SIGKILL */
#define GONE_LIMIT_MS 1000   /* from the end of a command to that of its stdout */
#define BACK_OFF_MS 1000
#define BACK_OFF_MOST_MS 30000

void capture_open(struct capture *capture, const struct target *target, const struct collect_options *options)
{
	*capture = (struct capture){
		.target = target,
		.command = { .in = -1, .out = -1, .err = -1 },
		.dialect = remote_first_dialect(options->remote != NULL ? options->remote : REMOTE_DEFAULT)
	};
	snprintf(capture->name, sizeof capture->name, "%s %s", target->name, target->interface);
}

/* Returns NULL, or what keeps it from being said. */
static const char *make_words(const struct capture *capture, const struct collect_options *options, struct words *words)
{
	static struct words remote;
	const struct target *target = capture->target;
	const struct words_values values = { target->place, target->index, target->process, target->interface, &remote };
	const char *failure = remote_make(&remote, capture->dialect, options, target->interface);

	words->count = words->used = 0;
	if (failure == NULL && words_expand(words, via_template(options), &values) != 0)
		failure = "the command line is too long";
	return failure;
}

static void end_capture(struct capture *capture)
{
	capture->state = CAPTURE_ENDED;
	capture->next_kill_ms = capture->silence_ms = 0;
}

/* It never began, and will not. */
static void fail(struct capture *capture, const char *message, const char *what)
{
	notice(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("stream", capture->name), LOG_TEXT("reason", what)));
	end_capture(capture);
}

static void tell_command(const struct capture *capture, const struct words *words)
{
	static char line[WORDS_BYTES];

	if (words_quote(words, line, sizeof line) == 0)
		notice(LOG_DEBUG, "starting a command", LOG_FIELDS(LOG_TEXT("stream", capture->name), LOG_TEXT("command", line)));
}

static void tell_status(const struct capture *capture, int status)
{
	if (WIFSIGNALED(status))
		notice(LOG_DEBUG, "a command ended", LOG_FIELDS(LOG_TEXT("stream", capture->name),
								  LOG_TEXT("signal", strsignal(WTERMSIG(status)))));
	else
		notice(LOG_DEBUG, "a command ended", LOG_FIELDS(LOG_TEXT("stream", capture->name),
								  LOG_NUMBER("status", (uint64_t)WEXITSTATUS(status))));
}

int capture_start(struct capture *capture, const struct collect_options *options)
{
	static struct words words;
	const char *failure = make_words(capture, options, &words);

	if (failure != NULL) {
		fail(capture, "the program at the other end cannot make this capture", failure);
		return -1;
	}
	tell_command(capture, &words);
	if (command_start(&capture->command, words.word) != 0) {
		fail(capture, "cannot start a command", strerror(errno));
		return -1;
	}
	capture->state = CAPTURE_STARTS;
	capture->command_ended = capture->stream_ended = false;
	capture->ended_ms = capture->next_kill_ms = 0;
	capture->started_ms = clock_ms();
	capture->silence_ms = capture->started_ms + START_LIMIT_MS;
	return 0;
}

bool capture_is_starting(const struct capture *capture, int64_t now_ms)
{
	return capture->state == CAPTURE_STARTS && now_ms - capture->started_ms < START_LIMIT_MS;
}

void capture_stream_began(struct capture *capture)
{
	if (capture->state == CAPTURE_STARTS)
		capture->state = CAPTURE_RUNS;
	capture->has_begun = true;
	capture->silence_ms = 0;
}

/* A stream that ended leaves its command some time, one whose command ended is given some. */
static void note_end(struct capture *capture)
{
	if (capture->ended_ms == 0)
		capture->ended_ms = clock_ms();
	command_end_input(&capture->command);
	if (!capture->command_ended && capture->next_kill_ms == 0) {
		capture->next_kill_ms = capture->ended_ms + STOP_LIMIT_MS;
		capture->next_signal = SIGTERM;
	}
}

void capture_stream_ended(struct capture *capture, uint32_t ending)
{
	capture->stream_ended = true;
	capture->ending = ending;
	note_end(capture);
}

static bool is_started(const struct capture *capture)
{
	return capture->state == CAPTURE_STARTS || capture->state == CAPTURE_RUNS;
}

void capture_look(struct capture *capture)
{
	if (!is_started(capture) || capture->command_ended || !command_has_ended(&capture->command))
		return;
	capture->command_ended = true;
	note_end(capture);
	capture->next_kill_ms = clock_ms() + GONE_LIMIT_MS; /* if its stdout is still open */
}

static void restart(struct capture *capture, int64_t wait_ms)
{
	capture->state = CAPTURE_WAITS;
	capture->next_kill_ms = capture->silence_ms = 0;
	capture->not_before_ms = clock_ms() + wait_ms;
}

static int64_t back_off(const struct capture *capture)
{
	int64_t wait = BACK_OFF_MS;

	for (unsigned int i = 1; i < capture->failures && wait < BACK_OFF_MOST_MS; i++)
		wait *= 2;
	return wait < BACK_OFF_MOST_MS ? wait : BACK_OFF_MOST_MS;
}

/* Once more, in older words. */
static void step_down(struct capture *capture)
{
	if (remote_step_down(&capture->dialect))
		restart(capture, 0);
	else
		fail(capture, "the program at the other end does not know a flag of this capture", "see -remote");
}

static void start_again(struct capture *capture)
{
	if (capture->has_begun && clock_ms() - capture->started_ms >= BACK_OFF_MOST_MS)
		capture->failures = 0;
	capture->failures++;
	restart(capture, back_off(capture));
}

bool capture_conclude(struct capture *capture, const struct collect_options *options, bool is_stopping)
{
	const bool is_first_failure = capture->ending == ENDING_NOTHING && !capture->has_begun && capture->failures == 0;

	if (!is_started(capture) || !capture->command_ended || !capture->stream_ended)
		return false;
	tell_status(capture, command_reap(&capture->command));
	if (!is_stopping && capture->ending == ENDING_REFUSED)
		step_down(capture);
	else if (!is_stopping && (options->reconnect || (is_first_failure && via_is_cf(options))))
		start_again(capture);
	else
		end_capture(capture);
	return true;
}

void capture_ask_to_end(struct capture *capture, const struct collect_options *options, int64_t now_ms)
{
	if (capture->state == CAPTURE_WAITS) {
		notice(LOG_WARN, capture->has_begun ? "this capture was not started again" : "this capture was not started",
		       LOG_FIELDS(LOG_TEXT("stream", capture->name)));
		end_capture(capture);
	}
	if (capture->state == CAPTURE_ENDED)
		return;
	command_end_input(&capture->command);
	/* ^C's signal lets tcpdump and its like write what they have. */
	if (!remote_stops_at_eof(capture->dialect, options) && !capture->command_ended)
		command_signal(&capture->command, SIGINT);
	capture->next_kill_ms = now_ms + STOP_LIMIT_MS;
	capture->next_signal = SIGTERM;
}

void capture_look_at_silence(struct capture *capture, int64_t now_ms)
{
	if (capture->silence_ms == 0 || now_ms < capture->silence_ms)
		return;
	capture->silence_ms = 0;
	notice(LOG_WARN, "nothing has come of a capture yet, it is waited for", LOG_FIELDS(LOG_TEXT("stream", capture->name)));
}

bool capture_press(struct capture *capture, int64_t now_ms)
{
	if (capture->next_kill_ms == 0 || now_ms < capture->next_kill_ms)
		return false;
	if (capture->command_ended) {
		/* What holds its stdout open may be of its group. */
		command_signal(&capture->command, SIGKILL);
		capture->next_kill_ms = 0;
		return true;
	}
	command_signal(&capture->command, capture->next_signal);
	capture->next_kill_ms = capture->next_signal == SIGTERM ? now_ms + TERM_LIMIT_MS : 0;
	capture->next_signal = SIGKILL;
	return false;
}

void capture_kill(const struct capture *capture)
{
	if (capture->state != CAPTURE_ENDED && !capture->command_ended)
		command_signal(&capture->command, SIGKILL);
}
