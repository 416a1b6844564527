/* desk: starts the commands; what streams hold is never looked at here. */
/* The process that starts a command for each capture, and ends them all. */
#include "desk.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "collector/platform.h"
#include "collector/wire.h"
#include "notice.h"
#include "via.h"

/* Commands of cf rewrite one file, sshd refuses too many at once that have not said who they are. */
#define STARTING_MOST_CF 1
#define STARTING_MOST 8
#define REST_LIMIT_MS 10000 /* from a stop to the end of all, whatever the reader of the output does */
#define TICK_MS 1000
#define PIPES_BYTES (16u << 20)
#define PIPE_LEAST (64 << 10) /* as Linux makes them */

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
	struct capture *capture = &desk->captures[index];

	if (capture_start(capture, desk->options) != 0)
		return;
	platform_enlarge_pipe(capture->command.out, pipe_bytes(desk));
	order(desk, ORDER_STREAM, index, (const int[]){ capture->command.out, capture->command.err }, 2);
	close(capture->command.out);
	close(capture->command.err);
}

static void start_those_that_wait(struct desk *desk)
{
	const size_t most = via_is_cf(desk->options) ? STARTING_MOST_CF : STARTING_MOST;
	const int64_t now = clock_ms();
	size_t starting = 0;

	for (size_t i = 0; i < desk->targets->count; i++)
		starting += capture_is_starting(&desk->captures[i], now);
	for (size_t i = 0; i < desk->targets->count && starting < most; i++)
		if (desk->captures[i].state == CAPTURE_WAITS && now >= desk->captures[i].not_before_ms) {
			start(desk, i);
			starting += desk->captures[i].state == CAPTURE_STARTS;
		}
}

static void stop(struct desk *desk)
{
	if (desk->stop_ms != 0)
		return;
	desk->stop_ms = clock_ms();
	order(desk, ORDER_STOP, 0, NULL, 0);
	for (size_t i = 0; i < desk->targets->count; i++)
		capture_ask_to_end(&desk->captures[i], desk->options, desk->stop_ms);
}

static void end_at_once(struct desk *desk)
{
	desk->urgent = true;
	order(desk, ORDER_HURRY, 0, NULL, 0);
	for (size_t i = 0; i < desk->targets->count; i++)
		capture_kill(&desk->captures[i]);
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
		notice(LOG_INFO, "received signal, stopping", LOG_FIELDS(LOG_TEXT("signal", signal_name(desk->seen.number))));
	else if (!desk->urgent)
		end_at_once(desk);
	stop(desk);
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
		capture_stream_began(capture);
		break;
	case REPORT_ENDED:
		capture_stream_ended(capture, report.ending);
		break;
	case REPORT_FILE_WANTED:
		hand_over_file(desk);
		break;
	case REPORT_ENOUGH:
		notice(LOG_INFO, "reached the limit, stopping", LOG_NO_FIELDS);
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
		timeout = clock_sooner(timeout, timeout_until(capture->silence_ms, now));
		if (capture->state == CAPTURE_WAITS)
			timeout = clock_sooner(timeout, capture->not_before_ms > now ? timeout_until(capture->not_before_ms, now) :
									       TICK_MS);
	}
	return timeout;
}

/* The merger knows why; what follows it for the only one left is the summary. */
static void tell_of_end(struct desk *desk, size_t index)
{
	const struct capture *capture = &desk->captures[index];

	if (desk->stop_ms != 0 || capture->ending == ENDING_REFUSED)
		return;
	if (capture->state == CAPTURE_WAITS)
		order(desk, ORDER_AGAIN, index, NULL, 0);
	else if (!have_all_ended(desk))
		order(desk, ORDER_LOST, index, NULL, 0);
}

static void look_at_captures(struct desk *desk)
{
	const int64_t now = clock_ms();

	for (size_t i = 0; i < desk->targets->count; i++) {
		struct capture *capture = &desk->captures[i];
		capture_look(capture);
		if (capture_conclude(capture, desk->options, desk->stop_ms != 0))
			tell_of_end(desk, i);
		capture_look_at_silence(capture, now);
		if (capture_press(capture, now))
			order(desk, ORDER_GONE, i, NULL, 0);
	}
}

static void look_at_messages(struct desk *desk, int timeout)
{
	struct pollfd watched[] = { { desk->signals.fd, POLLIN, 0 }, { desk->control, POLLIN, 0 } };

	if (poll(watched, 2, timeout) <= 0)
		return;
	if (watched[0].revents != 0)
		look_at_signals(desk);
	if (watched[1].revents != 0)
		take_report(desk);
}

static void turn(struct desk *desk)
{
	start_those_that_wait(desk);
	if (have_all_ended(desk)) /* none could be started */
		return;
	look_at_messages(desk, next_timeout(desk));
	if (desk->deadline_ms != 0 && desk->stop_ms == 0 && clock_ms() >= desk->deadline_ms) {
		notice(LOG_INFO, "reached duration, stopping", LOG_NO_FIELDS);
		stop(desk);
	}
	look_at_captures(desk);
}

/* Without the merger nobody reads what they send: then only the commands are waited for. */
static void give_up_streams(struct desk *desk)
{
	for (size_t i = 0; i < desk->targets->count; i++) {
		desk->captures[i].stream_ended = true;
		capture_conclude(&desk->captures[i], desk->options, true);
	}
}

/* The reader of the output may take nothing, and then no stream is ever told to have ended. */
static bool is_enough(const struct desk *desk)
{
	return desk->urgent || (desk->stop_ms != 0 && clock_ms() - desk->stop_ms >= REST_LIMIT_MS);
}

/* What a filter leaves out is not known here; without one it is nothing, and only the loopback has no session. */
static void warn_of_ssh(const struct desk *desk)
{
	const struct collect_options *options = desk->options;

	if (via_is_ssh(options) && remote_captures_ssh(desk->captures->dialect) && options->filter[0] == '\0' &&
	    strcmp(options->interfaces, "lo") != 0)
		notice(LOG_WARN, "without a filter the program there captures its own ssh session",
		       LOG_FIELDS(LOG_TEXT("remote", options->remote)));
}

int desk_run(struct desk *desk)
{
	desk->captures = calloc(desk->targets->count, sizeof *desk->captures);
	if (desk->captures == NULL)
		return -1;
	for (size_t i = 0; i < desk->targets->count; i++)
		capture_open(&desk->captures[i], &desk->targets->all[i], desk->options);
	warn_of_ssh(desk);
	if (desk->options->duration > 0)
		desk->deadline_ms = clock_ms() + (int64_t)(desk->options->duration / 1000000);
	while (!have_all_ended(desk) && !is_enough(desk)) {
		turn(desk);
		if (desk->control < 0) {
			stop(desk);
			give_up_streams(desk);
		}
	}
	order(desk, ORDER_FINISH, 0, NULL, 0);
	while (desk->control >= 0) /* files may be full, and whoever waits may lose patience, to the last packet */
		look_at_messages(desk, -1);
	free(desk->captures);
	return desk->failed ? -1 : 0;
}
