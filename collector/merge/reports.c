/* merge: inside the sandbox; here is what the remote machines sent. */
/* Reports on their way to the process that starts the commands. */
#include "reports.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define OF_A_STREAM 2 /* until it is started again, which takes an order */
#define OF_ALL 16     /* each kind is sent once, or for each file that is ordered */

int reports_open(struct reports *reports, size_t streams)
{
	const size_t size = (OF_A_STREAM * streams + OF_ALL) * sizeof(struct report);

	*reports = (struct reports){ .bytes = malloc(size), .size = size };
	return reports->bytes != NULL ? 0 : -1;
}

void reports_close(struct reports *reports)
{
	free(reports->bytes);
	*reports = (struct reports){ 0 };
}

void reports_put(struct reports *reports, enum report_kind kind, size_t stream, enum ending ending)
{
	const struct report report = { (uint32_t)kind, (uint32_t)stream, (uint32_t)ending };

	if (sizeof report > reports->size - reports->length)
		return;
	memcpy(reports->bytes + reports->length, &report, sizeof report);
	reports->length += sizeof report;
}

bool reports_wait(const struct reports *reports)
{
	return reports->length > 0;
}

void reports_send(struct reports *reports, int control)
{
	const size_t sent = control >= 0 && reports->length > 0 ? wire_send_reports(control, reports->bytes, reports->length) : 0;

	reports->length -= sent;
	memmove(reports->bytes, reports->bytes + sent, reports->length);
}
