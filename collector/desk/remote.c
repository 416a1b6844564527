/* desk: starts the commands; what streams hold is never looked at here. */
/* The command line of a capture, in the words of the program at the other end. */
#include "remote.h"

#include <stdio.h>
#include <string.h>

#include "via.h"

#define HEARTBEATS_IN_WINDOW 3 /* each is late by a margin besides: two would be too few */
#define TOO_LONG "the command line is too long"
/*
 * No signal crosses ssh; the end of stdin does. So a shell at the other end makes one of the other. SIGTERM: SIGINT is
 * ignored by what a shell starts in the background. Reading is the shell's own, so that nobody is left behind.
 */
#define ENDS_WITH_INPUT "exec 3<&0; \"$@\" 3<&- & p=$!; (while read -r _ <&3; do :; done; kill $p) >/dev/null 2>&1 & " \
			"wait $p; s=$?; kill $!; exit $s"

/* "sudo -n tcpdump" is tcpdump. */
static const char *last_word(const char *text)
{
	const char *word = text;

	for (const char *at = text; *at != '\0'; at++)
		if (strchr(" \t", *at) != NULL && at[1] != '\0' && strchr(" \t", at[1]) == NULL)
			word = at + 1;
	return word;
}

enum dialect remote_first_dialect(const char *remote)
{
	const char *word = last_word(remote);

	return words_begin_with_program(word, "tcpdump") ? DIALECT_TCPDUMP :
	       words_begin_with_program(word, "dumpcap") ? DIALECT_DUMPCAP : DIALECT_CURRENT;
}

bool remote_step_down(enum dialect *dialect)
{
	if (*dialect >= DIALECT_PLATFORM)
		return false;
	*dialect = *dialect == DIALECT_CURRENT ? DIALECT_FIRST : DIALECT_PLATFORM;
	return true;
}

static bool needs_shell(enum dialect dialect, const struct collect_options *options)
{
	return dialect != DIALECT_CURRENT && (via_is_cf(options) || via_is_ssh(options));
}

bool remote_stops_at_eof(enum dialect dialect, const struct collect_options *options)
{
	return dialect == DIALECT_CURRENT || needs_shell(dialect, options);
}

bool remote_captures_ssh(enum dialect dialect)
{
	return dialect == DIALECT_TCPDUMP || dialect == DIALECT_DUMPCAP;
}

static int add_if(struct words *words, bool wanted, const char *flag)
{
	return wanted ? words_add(words, flag) : 0;
}

/* What only a cf-pcap knows. Returns its flag, or NULL. */
static const char *of_cf_pcap(const struct collect_options *options)
{
	return options->headers_only ? "-headers-only" :
	       options->buffer_size != NULL ? "-buffer-size" :
	       options->nano ? "-nano" :
	       options->cooked_v1 ? "-sll1" :
	       options->no_ssh_guard ? "-no-ssh-guard" : NULL;
}

static const char *make_cf_pcap(struct words *words, bool is_current, const struct collect_options *options,
				const char *interface)
{
	char heartbeat[32];

	snprintf(heartbeat, sizeof heartbeat, "%llums",
		 (unsigned long long)(options->window / 1000000 / HEARTBEATS_IN_WINDOW));
	if (!is_current && options->headers_only)
		return "-headers-only";
	if (words_add_pair(words, "-interface", interface) != 0 || words_add_pair(words, "-format", "pcapng") != 0 ||
	    words_add_pair(words, "-heartbeat", is_current ? heartbeat : NULL) != 0 ||
	    add_if(words, is_current, "-stop-at-eof") != 0 || words_add_pair(words, "-snaplen", options->snaplen) != 0 ||
	    add_if(words, options->headers_only, "-headers-only") != 0 ||
	    words_add_pair(words, "-direction", options->direction) != 0 || add_if(words, options->nano, "-nano") != 0 ||
	    add_if(words, options->cooked_v1, "-sll1") != 0 ||
	    words_add_pair(words, "-buffer-size", options->buffer_size) != 0 ||
	    add_if(words, options->no_promisc, "-no-promisc") != 0 ||
	    add_if(words, options->no_ssh_guard, "-no-ssh-guard") != 0 ||
	    words_add_pair(words, "-filter", options->filter) != 0)
		return TOO_LONG;
	return NULL;
}

static const char *make_platform(struct words *words, const struct collect_options *options, const char *interface)
{
	if (of_cf_pcap(options) != NULL)
		return of_cf_pcap(options);
	if (options->direction != NULL || options->no_promisc)
		return options->direction != NULL ? "-direction" : "-no-promisc";
	return words_add_pair(words, "-interface", interface) != 0 || words_add_pair(words, "-snaplen", options->snaplen) != 0 ||
			       words_add_pair(words, "-filter", options->filter) != 0 ? TOO_LONG : NULL;
}

static const char *make_tcpdump(struct words *words, const struct collect_options *options, const char *interface)
{
	if (of_cf_pcap(options) != NULL)
		return of_cf_pcap(options);
	/* Else what it has from the kernel is up to a second old, and lost when it is stopped. */
	return words_add_split(words, "-U -n --immediate-mode -w -") != 0 || words_add_pair(words, "-i", interface) != 0 ||
			       words_add_pair(words, "-s", options->snaplen) != 0 ||
			       words_add_pair(words, "-Q", options->direction) != 0 ||
			       add_if(words, options->no_promisc, "-p") != 0 ||
			       words_add_pair(words, "--", options->filter) != 0 ? TOO_LONG : NULL;
}

static const char *make_dumpcap(struct words *words, const struct collect_options *options, const char *interface)
{
	if (of_cf_pcap(options) != NULL || options->direction != NULL)
		return options->direction != NULL ? "-direction" : of_cf_pcap(options);
	return words_add_split(words, "-q -w -") != 0 || words_add_pair(words, "-i", interface) != 0 ||
			       words_add_pair(words, "-s", options->snaplen) != 0 ||
			       add_if(words, options->no_promisc, "-p") != 0 ||
			       words_add_pair(words, "-f", options->filter) != 0 ? TOO_LONG : NULL;
}

const char *remote_make(struct words *words, enum dialect dialect, const struct collect_options *options,
			const char *interface)
{
	words->count = words->used = 0;
	if (needs_shell(dialect, options) &&
	    (words_add_pair(words, "sh", "-c") != 0 || words_add_pair(words, ENDS_WITH_INPUT, "sh") != 0))
		return TOO_LONG;
	if (words_add_split(words, options->remote != NULL ? options->remote : REMOTE_DEFAULT) != 0)
		return TOO_LONG;
	switch (dialect) {
	case DIALECT_TCPDUMP:
		return make_tcpdump(words, options, interface);
	case DIALECT_DUMPCAP:
		return make_dumpcap(words, options, interface);
	case DIALECT_PLATFORM:
		return make_platform(words, options, interface);
	default:
		return make_cf_pcap(words, dialect == DIALECT_CURRENT, options, interface);
	}
}
