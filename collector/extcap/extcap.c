/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* The program as an extcap. */
#include "extcap.h"

#include <stdio.h>
#include <string.h>

#include "dialog.h"
#include "filter.h"
#include "lists.h"
#include "request.h"

bool extcap_is_asked(int argc, char *const *argv)
{
	static const char WORDS[] = "--extcap-";

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], WORDS, sizeof WORDS - 1) == 0)
			return true;
	return false;
}

/* Wireshark asks one thing at a time; a filter that comes with nothing else is to be looked at. */
static int answer(const struct extcap_request *request)
{
	if (request->interfaces)
		dialog_print_interfaces();
	else if (request->dlts)
		dialog_print_dlts();
	else if (request->config && request->reload != NULL)
		return lists_print(request);
	else if (request->config)
		dialog_print_arguments(request_is_of_app(request));
	else if (request->filter != NULL)
		filter_check(request->filter);
	return 0;
}

enum extcap_answer extcap_answer(struct collect_options *options, int argc, char *const *argv)
{
	struct extcap_request request;

	if (request_read(&request, argc, argv) != 0)
		return EXTCAP_USAGE;
	if (request.capture)
		return request_translate(&request, options, argv[0]) == 0 ? EXTCAP_CAPTURE : EXTCAP_USAGE;
	return answer(&request) == 0 && fflush(stdout) == 0 ? EXTCAP_ANSWERED : EXTCAP_FAILED;
}
