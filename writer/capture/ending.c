/* capture: inside the sandbox, with the packets. */
/* Why a capture ends. */
#include "ending.h"

#include <stddef.h>

#include "base/log.h"
#include "base/stop.h"

#define LAST_WORDS_MS 200 /* that the summary may take, on a stderr that is slow */

static const char *stop_text(void)
{
	switch (stop_reason()) {
	case STOP_SIGNAL:
		return "received signal";
	case STOP_INPUT_ENDED:
		return "standard input ended";
	case STOP_USER_GONE:
		return "nobody reads messages any more";
	default:
		return "reached duration";
	}
}

bool ending_is_final(enum ending ending)
{
	return ending != RUNNING && ending != ENDING_ASKED && ending != ENDING_INTERFACE_GONE &&
	       ending != ENDING_HELPER_GONE;
}

const char *ending_text(enum ending ending)
{
	switch (ending) {
	case ENDING_COUNT:
		return "reached packet count";
	case ENDING_SIZE:
		return "reached maximum size";
	case ENDING_INTERFACE_GONE:
		return "interface is gone";
	case ENDING_HELPER_GONE:
		return "the capture helper ended unexpectedly";
	case ENDING_RING_CORRUPT:
		return "the kernel's packet ring is inconsistent";
	default:
		return stop_text();
	}
}

void ending_announce(const struct audience *audience)
{
	switch (stop_reason()) {
	case STOP_SIGNAL:
		log_record(LOG_INFO, "received signal, stopping capture",
			   LOG_FIELDS(LOG_TEXT("signal", stop_signal_name())));
		break;
	case STOP_INPUT_ENDED:
		log_record(LOG_INFO, "standard input ended, stopping capture",
			   audience->early ? LOG_FIELDS(LOG_TEXT("flag", "-stop-at-eof"),
							LOG_TEXT("hint", AUDIENCE_EARLY_HINT)) :
					     LOG_FIELDS(LOG_TEXT("flag", "-stop-at-eof")));
		break;
	case STOP_USER_GONE:
		log_record(LOG_INFO, "nobody reads messages any more, stopping capture", LOG_NO_FIELDS);
		break;
	default:
		log_record(LOG_INFO, "reached duration, stopping capture", LOG_NO_FIELDS);
	}
}

static void report_cause(enum ending ending, enum output_result output, bool torn)
{
	if (ending == ENDING_RING_CORRUPT || ending == ENDING_HELPER_GONE)
		log_record(LOG_ERROR, ending_text(ending), LOG_NO_FIELDS);
	if (ending == ENDING_COUNT)
		log_record(LOG_INFO, "reached packet count, stopping capture", LOG_NO_FIELDS);
	if (ending == ENDING_SIZE)
		log_record(LOG_INFO, "reached maximum size, stopping capture", LOG_NO_FIELDS);
	/* Ctrl-C ends all of a pipeline: its signal was the reason. */
	if (output == OUTPUT_READER_GONE && !stop_asked())
		log_record(LOG_INFO, "the reader of stdout is gone, stopping capture", LOG_NO_FIELDS);
	if (output == OUTPUT_ABANDONED)
		log_record(LOG_WARN,
			   torn	       ? "the reader of stdout does not read, the last packet is incomplete" :
			   stop_urgent() ? "ended at once, packets were left unwritten" :
					     "the reader of stdout does not read, packets were not written",
			   LOG_NO_FIELDS);
}

void ending_report(enum ending ending, enum output_result output, bool torn, const struct audience_counts *counts)
{
	log_set_patience(LAST_WORDS_MS);
	report_cause(ending, output, torn);
	log_record(LOG_INFO, "stopped capture",
		   LOG_FIELDS(LOG_NUMBER("packets", counts->packets), LOG_NUMBER("bytes", counts->bytes),
			      LOG_NUMBER("dropped", counts->dropped)));
}

int ending_status(enum ending ending, enum output_result output, bool torn)
{
	return output == OUTPUT_FAILED || (output == OUTPUT_ABANDONED && torn) || ending == ENDING_INTERFACE_GONE ||
			       ending == ENDING_HELPER_GONE || ending == ENDING_RING_CORRUPT ? 1 : 0;
}
