/* desk: starts the commands; what streams hold is never looked at here. */
/* The process that starts a command for each capture, and ends them all. */
#include "desk.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "collector/platform.h"
#include "collector/wire.h"

/* Commands of cf rewrite one file, sshd refuses too many at once that have not said who they are. */
#define STARTING_MOST_CF 1
#define STARTING_MOST 8
#define START_LIMIT_MS 20000 /* after that it is not waited for with the next one */
#define STOP_LIMIT_MS 5000   /* for the end of a stream, once its stdin has ended */
#define TERM_LIMIT_MS 1000   /* from SIGTERM to SIGKILL */
#define GONE_LIMIT_MS 1000   /* from the end of a command to that of its stdout */
#define REST_LIMIT_MS 10000  /* from a stop to the end of all, whatever the reader of the output does */
#define BACK_OFF_MS 1000
#define BACK_OFF_MOST_MS 30000
#define TICK_MS 1000
#define PIPES_BYTES (16u << 20)
#define PIPE_LEAST (64 << 10) /* as Linux makes them */

static const char CF[] = "cf ssh {} -i {index} --process {process} -c {command}";
static const char SSH[] = "ssh -T -o BatchMode=yes -- {} {command}";

/* The merger draws its line on the same terminal: it is erased first. */
static void say(enum log_level level, const char *message, const struct log_field *fields)
{
	if (isatty(STDERR_FILENO) == 1)
		log_progress(" ");
	log_record(level, message, fields);
}

static bool is_via_cf(const struct desk *desk)
{
	return desk->options->via == NULL ? desk->options->app_count > 0 : strcmp(desk->options->via, "cf") == 0;
}

static const char *template_of(const struct desk *desk)
{
	if (is_via_cf(desk))
		return CF;
	return desk->options->via == NULL || strcmp(desk->options->via, "ssh") == 0 ? SSH : desk->options->via;
}

/* Returns NULL, or what keeps it from being said. */
static const char *make_words(const struct desk *desk, const struct capture *capture, struct words *words)
{
	static struct words remote;
	const struct target *target = capture->target;
	const struct words_values values = { target->place, target->index, target->process, target->interface, &remote };
	const char *failure = remote_make(&remote, capture->dialect, desk->options, target->interface);

	words->count = words->used = 0;
	if (failure == NULL && words_expand(words, template_of(desk), &values) != 0)
		failure = "a command line that is not too long";
	return failure;
}

static void end_capture(struct capture *capture)
{
	capture->state = CAPTURE_ENDED;
	capture->next_kill_ms = 0;
}

/* It never began, and will not. */
static void fail(struct capture *capture, const char *message, const char *what)
{
	say(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("stream", capture->target->name), LOG_TEXT("reason", what)));
	end_capture(capture);
}

static void order(struct desk *desk, enum order_kind kind, size_t stream, const int *fds, size_t fd_count)
{
	struct order message = { .kind = (uint32_t)kind, .stream = (uint32_t)stream };
	const struct target *target = &desk->targets->all[stream];

	if (kind == ORDER_STREAM) {
		snprintf(message.name, sizeof message.name, "%s", target->name);
		snprintf(message.interface, sizeof message.interface, "%s", target->interface);
		snprintf(message.description, sizeof message.description, "%s", target->description);
		memcpy(message.address, target->address, sizeof message.address);
		message.address_length = target->address_length;
	}
	if (desk->control >= 0 && wire_send_order(desk->control, &message, fds, fd_count) != 0)
		desk->control = -1;
}

/* In all so much as fits into a cache, more or less: what lies in pipes for long is slow to read. */
static int pipe_bytes(const struct desk *desk)
{
	const int bytes = (int)(PIPES_BYTES / desk->targets->count);

	return bytes < PIPE_LEAST ? PIPE_LEAST : bytes > PLATFORM_PIPE_MOST ? PLATFORM_PIPE_MOST : bytes;
}

/* The merger has the only ends that can be read from then on. */
static void start(struct desk *desk, size_t index)
{
	static struct words words;
	struct capture *capture = &desk->captures[index];
	const char *failure = make_words(desk, capture, &words);

	if (failure != NULL) {
		fail(capture, "this capture cannot be asked for in the words of the program there", failure);
		return;
	}
	if (command_start(&capture->command, words.word) != 0) {
		fail(capture, "cannot start a command", strerror(errno));
		return;
	}
	platform_enlarge_pipe(capture->command.out, pipe_bytes(desk));
	order(desk, ORDER_STREAM, index, (const int[]){ capture->command.out, capture->command.err }, 2);
	close(capture->command.out);
	close(capture->command.err);
	capture->state = CAPTURE_STARTS;
	capture->command_ended = capture->stream_ended = false;
	capture->ended_ms = capture->next_kill_ms = 0;
	capture->started_ms = clock_ms();
}

static bool is_starting(const struct capture *capture, int64_t now)
{
	return capture->state == CAPTURE_STARTS && now - capture->started_ms < START_LIMIT_MS;
}

static void start_those_that_wait(struct desk *desk)
{
	const size_t most = is_via_cf(desk) ? STARTING_MOST_CF : STARTING_MOST;
	const int64_t now = clock_ms();
	size_t starting = 0;

	for (size_t i = 0; i < desk->targets->count; i++)
		starting += is_starting(&desk->captures[i], now);
	for (size_t i = 0; i < desk->targets->count && starting < most; i++)
		if (desk->captures[i].state == CAPTURE_WAITS && now >= desk->captures[i].not_before_ms) {
			start(desk, i);
			starting += desk->captures[i].state == CAPTURE_STARTS;
		}
}

/* What does not end with its stdin gets a signal at once: ^C's, which lets tcpdump and its like write what they have. */
static void ask_to_end(struct capture *capture, int64_t now)
{
	if (capture->state == CAPTURE_WAITS) {
		say(LOG_WARN, "this capture was not begun", LOG_FIELDS(LOG_TEXT("stream", capture->target->name)));
		end_capture(capture);
	}
	if (capture->state == CAPTURE_ENDED)
		return;
	command_end_input(&capture->command);
	if (!remote_stops_at_eof(capture->dialect) && !capture->command_ended)
		command_signal(&capture->command, SIGINT);
	capture->next_kill_ms = now + STOP_LIMIT_MS;
	capture->next_signal = SIGTERM;
}

static void stop(struct desk *desk)
{
	if (desk->stop_ms != 0)
		return;
	desk->stop_ms = clock_ms();
	order(desk, ORDER_STOP, 0, NULL, 0);
	for (size_t i = 0; i < desk->targets->count; i++)
		ask_to_end(&desk->captures[i], desk->stop_ms);
}

static void end_at_once(struct desk *desk)
{
	desk->urgent = true;
	for (size_t i = 0; i < desk->targets->count; i++)
		if (desk->captures[i].state != CAPTURE_ENDED && !desk->captures[i].command_ended)
			command_signal(&desk->captures[i].command, SIGKILL);
}

static const char *signal_name(int number)
{
	return number == SIGINT ? "interrupt" : number == SIGTERM ? "terminated" : "hangup";
}

static void look_at_signals(struct desk *desk)
{
	const int before = desk->seen.stops;

	signals_look(&desk->signals, &desk->seen);
	if (desk->seen.stops == before)
		return;
	if (desk->stop_ms == 0)
		say(LOG_INFO, "received signal, stopping", LOG_FIELDS(LOG_TEXT("signal", signal_name(desk->seen.number))));
	else if (!desk->urgent)
		end_at_once(desk);
	stop(desk);
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

static void look_at_commands(struct desk *desk)
{
	for (size_t i = 0; i < desk->targets->count; i++) {
		struct capture *capture = &desk->captures[i];
		if (capture->state != CAPTURE_STARTS && capture->state != CAPTURE_RUNS)
			continue;
		if (capture->command_ended || !command_has_ended(&capture->command))
			continue;
		capture->command_ended = true;
		note_end(capture);
		capture->next_kill_ms = clock_ms() + GONE_LIMIT_MS; /* if its stdout is still open */
	}
}

static void restart(struct capture *capture, int64_t wait_ms)
{
	capture->state = CAPTURE_WAITS;
	capture->next_kill_ms = 0;
	capture->not_before_ms = clock_ms() + wait_ms;
}

static int64_t back_off(const struct capture *capture)
{
	int64_t wait = BACK_OFF_MS;

	for (unsigned int i = 1; i < capture->failures && wait < BACK_OFF_MOST_MS; i++)
		wait *= 2;
	return wait < BACK_OFF_MOST_MS ? wait : BACK_OFF_MOST_MS;
}

/* Its command and its stream have ended. */
static void conclude(struct desk *desk, struct capture *capture)
{
	const bool is_first_failure = capture->ending == ENDING_NOTHING && !capture->has_begun && capture->failures == 0;

	command_reap(&capture->command);
	if (desk->stop_ms == 0 && capture->ending == ENDING_REFUSED) {
		if (remote_step_down(&capture->dialect))
			restart(capture, 0);
		else
			fail(capture, "the program there does not know a flag of this capture", "see -remote");
	} else if (desk->stop_ms == 0 && (desk->options->reconnect || (is_first_failure && is_via_cf(desk)))) {
		capture->failures++;
		say(LOG_INFO, "a capture ended, it is started again", LOG_FIELDS(LOG_TEXT("stream", capture->target->name)));
		restart(capture, back_off(capture));
	} else {
		end_capture(capture);
	}
}

static void kill_those_that_stay(struct desk *desk)
{
	const int64_t now = clock_ms();

	for (size_t i = 0; i < desk->targets->count; i++) {
		struct capture *capture = &desk->captures[i];
		if (capture->next_kill_ms == 0 || now < capture->next_kill_ms)
			continue;
		if (capture->command_ended) {
			/* What holds its stdout open may be of its group. */
			command_signal(&capture->command, SIGKILL);
			order(desk, ORDER_GONE, i, NULL, 0);
			capture->next_kill_ms = 0;
			continue;
		}
		command_signal(&capture->command, capture->next_signal);
		capture->next_kill_ms = capture->next_signal == SIGTERM ? now + TERM_LIMIT_MS : 0;
		capture->next_signal = SIGKILL;
	}
}

static void conclude_all(struct desk *desk)
{
	for (size_t i = 0; i < desk->targets->count; i++) {
		struct capture *capture = &desk->captures[i];
		if ((capture->state == CAPTURE_STARTS || capture->state == CAPTURE_RUNS) && capture->command_ended &&
		    capture->stream_ended)
			conclude(desk, capture);
	}
}

static void hand_over_file(struct desk *desk)
{
	const int fd = files_next(desk->files);

	order(desk, ORDER_FILE, 0, &fd, fd >= 0 ? 1 : 0);
	if (fd >= 0) {
		close(fd);
		return;
	}
	desk->failed = true;
	stop(desk);
}

/* Only numbers of it are believed, and those after a look. */
static void take_report(struct desk *desk)
{
	struct report report;
	struct capture *capture;

	if (wire_receive_report(desk->control, &report) != 1) {
		desk->control = -1;
		stop(desk);
		return;
	}
	if (report.stream >= desk->targets->count)
		return;
	capture = &desk->captures[report.stream];
	switch (report.kind) {
	case REPORT_BEGAN:
		if (capture->state == CAPTURE_STARTS)
			capture->state = CAPTURE_RUNS;
		capture->has_begun = true;
		capture->failures = 0;
		break;
	case REPORT_ENDED:
		capture->stream_ended = true;
		capture->ending = report.ending;
		note_end(capture);
		break;
	case REPORT_FILE_WANTED:
		hand_over_file(desk);
		break;
	case REPORT_ENOUGH:
		say(LOG_INFO, "reached the limit, stopping", LOG_NO_FIELDS);
		stop(desk);
		break;
	default:
		stop(desk);
	}
}

static bool have_all_ended(const struct desk *desk)
{
	for (size_t i = 0; i < desk->targets->count; i++)
		if (desk->captures[i].state != CAPTURE_ENDED)
			return false;
	return true;
}

static int timeout_until(int64_t when_ms, int64_t now)
{
	const int64_t left = when_ms - now;

	return when_ms == 0 ? -1 : left <= 0 ? 0 : left > TICK_MS ? TICK_MS : (int)left;
}

static int next_timeout(const struct desk *desk)
{
	const int64_t now = clock_ms();
	int timeout = timeout_until(desk->stop_ms == 0 ? desk->deadline_ms : desk->stop_ms + REST_LIMIT_MS, now);

	for (size_t i = 0; i < desk->targets->count; i++) {
		const struct capture *capture = &desk->captures[i];
		timeout = clock_sooner(timeout, timeout_until(capture->next_kill_ms, now));
		if (capture->state == CAPTURE_WAITS)
			timeout = clock_sooner(timeout, capture->not_before_ms > now ? timeout_until(capture->not_before_ms, now) :
									       TICK_MS);
	}
	return timeout;
}

static void turn(struct desk *desk)
{
	struct pollfd watched[2];

	start_those_that_wait(desk);
	if (have_all_ended(desk)) /* none could be started */
		return;
	watched[0] = (struct pollfd){ desk->signals.fd, POLLIN, 0 };
	watched[1] = (struct pollfd){ desk->control, POLLIN, 0 };
	if (poll(watched, 2, next_timeout(desk)) > 0) {
		if (watched[0].revents != 0)
			look_at_signals(desk);
		if (watched[1].revents != 0)
			take_report(desk);
	}
	if (desk->deadline_ms != 0 && desk->stop_ms == 0 && clock_ms() >= desk->deadline_ms) {
		say(LOG_INFO, "reached duration, stopping", LOG_NO_FIELDS);
		stop(desk);
	}
	look_at_commands(desk);
	conclude_all(desk);
	kill_those_that_stay(desk);
}

/* Without the merger nobody reads what they send: then only the commands are waited for. */
static void give_up_streams(struct desk *desk)
{
	for (size_t i = 0; i < desk->targets->count; i++)
		desk->captures[i].stream_ended = true;
}

/* The reader of the output may take nothing, and then no stream is ever told to have ended. */
static bool is_enough(const struct desk *desk)
{
	return desk->urgent || (desk->stop_ms != 0 && clock_ms() - desk->stop_ms >= REST_LIMIT_MS);
}

int desk_run(struct desk *desk)
{
	desk->captures = calloc(desk->targets->count, sizeof *desk->captures);
	if (desk->captures == NULL)
		return -1;
	for (size_t i = 0; i < desk->targets->count; i++)
		desk->captures[i] = (struct capture){
			.target = &desk->targets->all[i],
			.command = { .in = -1, .out = -1, .err = -1 },
			.dialect = remote_first_dialect(desk->options->remote != NULL ? desk->options->remote : REMOTE_DEFAULT)
		};
	if (desk->options->duration > 0)
		desk->deadline_ms = clock_ms() + (int64_t)(desk->options->duration / 1000000);
	while (!have_all_ended(desk) && !is_enough(desk)) {
		turn(desk);
		if (desk->control < 0) {
			stop(desk);
			give_up_streams(desk);
			conclude_all(desk);
		}
	}
	order(desk, ORDER_FINISH, 0, NULL, 0);
	free(desk->captures);
	return desk->failed ? -1 : 0;
}
