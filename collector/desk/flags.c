/* desk: starts the commands; what streams hold is never looked at here. */
/* The command line of cf-pcap-collect: cf-pcap's way of writing flags. */
#include "flags.h"

#include <stdio.h>
#include <string.h>

#include "base/flag.h"
#include "words.h"

#define WINDOW_DEFAULT 500000000 /* ns */
#define WINDOW_LEAST 30000000    /* ns: below, heartbeats would be traffic of their own */
#define WINDOW_MOST 60000000000
#define ROTATE_SIZE_LEAST (64u << 10)
#define ROTATE_EVERY_LEAST 1000000000 /* ns */
#define MEMORY_MOST (1ull << 40)

#define FIELD(name) offsetof(struct collect_options, name)
#define TEXT(name, field, value, help) { name, FLAG_TEXT, FIELD(field), 0, 0, value, help }
#define ON(name, field, help) { name, FLAG_ON, FIELD(field), 0, 0, NULL, help }

static const struct flag FLAGS[] = {
	TEXT("i", instances, "LIST", "instances of the apps: 0,2-4 (default all)"),
	TEXT("process", process, "TYPE", "process of the apps (default web)"),
	{ "host", FLAG_NAMES, FIELD(hosts), 0, 0, "NAME", "capture on this host, over ssh; may be repeated" },
	TEXT("hosts-file", hosts_file, "FILE", "capture on each host in this file, one a line"),
	TEXT("via", via, "cf|ssh|WORDS", "how to reach apps or hosts, see cf-pcap-collect(1)"),
	TEXT("remote", remote, "WORDS", "program at the other end (default /tmp/lifecycle/cf-pcap)"),
	TEXT("interface", interfaces, "LIST", "where to capture, such as lo,eth0; \"any\" for all"),
	TEXT("filter", filter, "EXPR", "what to capture, see pcap-filter(7); or as the last words"),
	TEXT("snaplen", snaplen, "N", "keep at most N bytes of each packet"),
	ON("headers-only", headers_only, "keep the headers of each packet, no payload"),
	TEXT("direction", direction, "inout|in|out", "as seen from the interface"),
	ON("nano", nano, "timestamps in nanoseconds"),
	ON("sll1", cooked_v1, "on \"any\", the older LINUX_SLL header"),
	TEXT("buffer-size", buffer_size, "S", "size of each capture's kernel buffer"),
	ON("no-promisc", no_promisc, "do not use promiscuous mode"),
	ON("no-ssh-guard", no_ssh_guard, "capture the ssh session too"),
	TEXT("o", output, "FILE", "write to this file instead of stdout"),
	{ "rotate-size", FLAG_SIZE, FIELD(rotate_size), ROTATE_SIZE_LEAST, UINT64_MAX, "S", "begin a new file before one exceeds S bytes" },
	{ "rotate-every", FLAG_DURATION, FIELD(rotate_every), ROTATE_EVERY_LEAST, INT64_MAX, "D", "begin a new file every D" },
	{ "keep", FLAG_NUMBER, FIELD(keep), 1, 10000, "N", "keep the newest N files, remove older ones of this run" },
	{ "duration", FLAG_DURATION, FIELD(duration), 1, INT64_MAX, "D", "stop after D: 30s, 5m, 1h30m" },
	{ "count", FLAG_NUMBER, FIELD(count), 1, UINT64_MAX, "N", "stop after N packets in all" },
	{ "max-size", FLAG_SIZE, FIELD(max_size), 1024, UINT64_MAX, "S", "stop before all files together exceed S bytes" },
	{ "window", FLAG_DURATION, FIELD(window), WINDOW_LEAST, WINDOW_MOST, "D",
	  "a packet waits at most D to be put in order (default 500ms)" },
	{ "memory", FLAG_SIZE, FIELD(memory), 1u << 20, MEMORY_MOST, "S", "memory for packets that wait (default 64M)" },
	ON("reconnect", reconnect, "restart a capture that ends or breaks off"),
	ON("install-extcap", install_extcap, "link this program into Wireshark's extcap folders"),
	ON("no-progress", no_progress, "no progress line"),
	ON("v", verbose, "debug messages"),
	ON("version", version, "print the version and exit"),
	ON("help", help, "print this help and exit"),
};

static const struct flag_table TABLE = { FLAGS, sizeof FLAGS / sizeof *FLAGS };

void collect_flags_print_help(void)
{
	puts("usage: cf-pcap-collect APP... -interface LIST [options] [FILTER...]\n"
	     "       cf-pcap-collect -host NAME [-host NAME]... -interface LIST [options] [FILTER...]\n\n"
	     "Captures on all instances of apps, or on hosts, at once, and writes one pcapng in time order.\n");
	flag_print_table(&TABLE);
	puts("\nOne or two dashes, -flag value or -flag=value. Sizes take k, M, G (powers of 1024).\n"
	     "Exit status: 0 every capture is complete, 1 it could not start or the output failed,\n"
	     "2 bad command line, 3 a capture is not complete.");
}

static int store_quantity(const struct flag *flag, const char *text, uint64_t *field)
{
	uint64_t value;

	if (flag_parse_quantity(flag, text, &value) != 0)
		return flag_reject_value(flag, text);
	*field = value;
	return 0;
}

static int store_name(struct collect_options *options, const char *text)
{
	if (options->host_count == COLLECT_HOSTS_MOST)
		return flag_reject("too many hosts", "-host", text);
	options->hosts[options->host_count++] = text;
	return 0;
}

static int store_text(const struct flag *flag, struct collect_options *options, const char *text)
{
	if (*text == '\0')
		return flag_reject("expected a value that is not empty", flag->name, text);
	if (flag->offset == FIELD(interfaces) && options->interfaces != NULL)
		return flag_reject("given twice: write one list, such as lo,eth0", "-interface", text);
	if (flag->offset != FIELD(filter)) {
		*(const char **)(void *)((char *)options + flag->offset) = text;
		return 0;
	}
	if (strlen(text) >= sizeof options->filter)
		return flag_reject("filter is too long", "-filter", "(too long)");
	memcpy(options->filter, text, strlen(text) + 1);
	return 0;
}

static int store(const struct flag *flag, struct collect_options *options, const char *text)
{
	void *field = (char *)options + flag->offset;

	switch (flag->kind) {
	case FLAG_TEXT:
		return store_text(flag, options, text);
	case FLAG_NAMES:
		return store_name(options, text);
	case FLAG_ON:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return flag_reject_value(flag, text);
		*(bool *)field = strcmp(text, "true") == 0;
		return 0;
	default:
		return store_quantity(flag, text, field);
	}
}

/* One flag at argv[*next], which moves past it and its value. */
static int parse_flag(struct collect_options *options, char *const *argv, int *next)
{
	struct flag_word word;

	if (flag_read(&TABLE, argv, next, &word) != 0)
		return -1;
	if (word.flag == NULL)
		return flag_reject("unknown flag, see -help", word.argument, word.value != NULL ? word.value : "");
	return store(word.flag, options, word.value);
}

/* What does not go together, or is missing. */
static int check(const struct collect_options *options)
{
	const bool has_hosts = options->host_count > 0 || options->hosts_file != NULL;

	if (options->help || options->version || options->install_extcap)
		return 0;
	if (options->interfaces == NULL)
		return flag_reject("-interface is required, see -help", "-interface", "");
	if (options->app_count == 0 && !has_hosts)
		return flag_reject("expected apps as the first words, or -host", "-host", "");
	if (options->app_count > 0 && has_hosts)
		return flag_reject("expected apps or hosts, not both", "-host", "");
	if (has_hosts && options->via != NULL && strcmp(options->via, "cf") == 0)
		return flag_reject("cf leads to apps, not to hosts", "-via", options->via);
	if (options->app_count == 0 && (options->instances != NULL || options->process != NULL))
		return flag_reject("only apps have instances and processes", options->instances != NULL ? "-i" : "-process", "");
	if (options->via != NULL && words_names_unknown(options->via))
		return flag_reject("a name in braces is unknown, or {words} is not a word of its own, see cf-pcap-collect(1)", "-via",
				   options->via);
	if (options->output == NULL && (options->rotate_size > 0 || options->rotate_every > 0))
		return flag_reject("only a file can be rotated, expected -o too", "-rotate-size", "");
	if (options->keep > 0 && options->rotate_size == 0 && options->rotate_every == 0)
		return flag_reject("without -rotate-size or -rotate-every there is one file", "-keep", "");
	return 0;
}

static bool is_flag(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

int collect_flags_parse(struct collect_options *options, int argc, char *const *argv)
{
	int next = argc > 0 ? 1 : 0;
	bool ended = false;

	memset(options, 0, sizeof *options);
	options->window = WINDOW_DEFAULT;
	options->apps = argv + next;
	while (next < argc && !is_flag(argv[next]))
		next++;
	options->app_count = (size_t)(argv + next - options->apps);
	while (next < argc && is_flag(argv[next]) && !ended) {
		ended = strcmp(argv[next], "--") == 0;
		if (ended)
			next++;
		else if (parse_flag(options, argv, &next) != 0)
			return -1;
	}
	if (next < argc && ((!ended && flag_stands_among(&TABLE, argv + next)) ||
			    flag_join_words(options->filter, sizeof options->filter, argv + next) != 0))
		return -1;
	if (options->output != NULL && strcmp(options->output, "-") == 0)
		options->output = NULL;
	return check(options);
}
