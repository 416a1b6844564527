/* desk: starts the commands; what streams hold is never looked at here. */
/* The command line of a capture, in the words of the program at the other end. */
#pragma once

#include <stdbool.h>

#include "flags.h"
#include "words.h"

#define REMOTE_DEFAULT "/tmp/lifecycle/cf-pcap"

/* Which program it is. Of ours it is found out: who does not know a flag says so, and is asked in older words. */
enum dialect {
	DIALECT_CURRENT,  /* cf-pcap of this version */
	DIALECT_FIRST,    /* cf-pcap 0.1.0: no heartbeat, and the end of its stdin does not stop it */
	DIALECT_PLATFORM, /* the platform's tool: pcap, -interface, -snaplen, -filter and -v */
	DIALECT_TCPDUMP,
	DIALECT_DUMPCAP,
};

/* By the name that -remote gives it. */
enum dialect remote_first_dialect(const char *remote);

/* The one before it, if the program may be that one. Returns false if there is none. */
bool remote_step_down(enum dialect *dialect);

/* It ends, with everything that had arrived, when its stdin does. */
bool remote_stops_at_eof(enum dialect dialect, const struct collect_options *options);

/* Over ssh it would capture its own packets: a filter has to leave them out. */
bool remote_captures_ssh(enum dialect dialect);

/* Makes the command line. Returns NULL, or what cannot be said to this program. */
const char *remote_make(struct words *words, enum dialect dialect, const struct collect_options *options,
			const char *interface);
