/* capture: inside the sandbox, with the packets. */
/* What of the file is no packet: its header, heartbeats, its end. */
#include "envelope.h"

#include "base/clock.h"
#include "base/log.h"

bool envelope_is_full(const struct capture *capture, size_t length)
{
	return capture->max_size != 0 && output_written(capture->output) + output_pending(capture->output) + length +
						 format_trailer_length(&capture->format) > capture->max_size;
}

static void append(struct output *output, size_t length)
{
	output_commit(output, length);
	output_end_record(output);
}

bool envelope_begin(const struct capture *capture)
{
	size_t length = format_header(&capture->format, output_at(capture->output));

	if (envelope_is_full(capture, length)) {
		log_record(LOG_ERROR, "-max-size is less than this file's header takes",
			   LOG_FIELDS(LOG_NUMBER("header", length)));
		return false;
	}
	append(capture->output, length);
	return true;
}

bool envelope_beat(const struct capture *capture, const struct drops *drops, uint64_t printed, uint64_t time)
{
	const struct format_statistics statistics = { drops->received, drops->dropped, printed, time, NULL };
	size_t length = format_heartbeat(&capture->format, output_at(capture->output), &statistics);

	if (envelope_is_full(capture, length))
		return false;
	append(capture->output, length);
	return true;
}

void envelope_end(const struct capture *capture, const struct drops *drops, uint64_t printed, const char *why)
{
	const struct format_statistics statistics = { drops->received, drops->dropped, printed, clock_wall(), why };
	size_t length = format_trailer(&capture->format, output_at(capture->output), &statistics);

	if (length > 0)
		append(capture->output, length);
}
