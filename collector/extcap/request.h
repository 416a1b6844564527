/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* What stands on the command line that Wireshark makes. */
#pragma once

#include <stdbool.h>

#include "collector/desk/flags.h"

#define EXTCAP_APP "cf-pcap-app"
#define EXTCAP_SSH "cf-pcap-ssh"
#define EXTCAP_SNAPLEN "262144" /* bytes: libpcap's most, and the default of all programs that are asked */

/* NULL: not given, or empty. */
struct extcap_request {
	const char *interface; /* EXTCAP_APP or EXTCAP_SSH */
	const char *reload;    /* the argument whose values are asked for */
	const char *filter;    /* alone: is it valid? */
	const char *fifo;
	const char *app, *process, *instances, *instance_list; /* the list counts before the choice */
	const char *hosts; /* as apps: with commas or blanks between */
	const char *device, *snaplen, *window, *via, *remote;
	bool interfaces, dlts, config, capture, headers_only;
};

/* Unknown --extcap-* words are left out: newer versions of Wireshark have some. Returns 0, or -1 after an ERROR line. */
int request_read(struct extcap_request *request, int argc, char *const *argv);

/* Of EXTCAP_APP, not of EXTCAP_SSH. */
bool request_is_of_app(const struct extcap_request *request);

/* Fills *options as the command line of a capture does. The same. */
int request_translate(const struct extcap_request *request, struct collect_options *options, const char *program);
