/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The command line: Go's flag syntax, as the users of the platform's existing tool write it. */
#include "flags.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/flag.h"
#include "base/log.h"

#define SNAPLEN_NOT_GIVEN UINT64_MAX
#define LOOPBACK_FRAME 65550 /* bytes: lo's MTU of 65536 and its Ethernet header */
#define MAX_SIZE_LEAST 1024
#define HEARTBEAT_LEAST 10000000 /* ns: more often would be traffic of its own */

#define FIELD(name) offsetof(struct options, name)

static const struct flag FLAGS[] = {
	{ "interface", FLAG_TEXT, FIELD(interface), 1, INTERFACE_NAME_SIZE - 1, "NAME",
	  "where to capture; \"any\" for all interfaces" },
	{ "snaplen", FLAG_NUMBER, FIELD(snaplen), 0, SNAPLEN_MAX, "N",
	  "keep at most N bytes of each packet (default, and 0: 262144)" },
	{ "filter", FLAG_TEXT, FIELD(filter), 0, FILTER_TEXT_SIZE - 1, "EXPR",
	  "what to capture, see pcap-filter(7); or as the last words" },
	{ "headers-only", FLAG_WISH, FIELD(headers_only), 0, 0, NULL,
	  "keep the headers of each packet, no payload" },
	{ "v", FLAG_ON, FIELD(verbose), 0, 0, NULL, "debug messages" },
	{ "count", FLAG_NUMBER, FIELD(count), 1, UINT64_MAX, "N", "stop after N packets" },
	{ "duration", FLAG_DURATION, FIELD(duration), 1, INT64_MAX, "D",
	  "stop after D: 30s, 5m, 1h30m" },
	{ "max-size", FLAG_SIZE, FIELD(max_size), MAX_SIZE_LEAST, UINT64_MAX, "S",
	  "stop before the output exceeds S bytes: 500k, 100M, 2G" },
	{ "stop-at-eof", FLAG_ON, FIELD(stop_at_eof), 0, 0, NULL, "stop when standard input ends" },
	{ "direction", FLAG_CHOICE, FIELD(direction), 0, 0, "inout|in|out",
	  "as seen from the interface (default inout)" },
	{ "format", FLAG_CHOICE, FIELD(format), 0, 0, "pcap|pcapng", "file format (default pcap)" },
	{ "heartbeat", FLAG_DURATION, FIELD(heartbeat), HEARTBEAT_LEAST, INT64_MAX, "D",
	  "pcapng: write statistics after each D without packets" },
	{ "nano", FLAG_ON, FIELD(nano), 0, 0, NULL, "timestamps in nanoseconds" },
	{ "sll1", FLAG_ON, FIELD(cooked_v1), 0, 0, NULL,
	  "on \"any\", the older LINUX_SLL header instead of LINUX_SLL2" },
	{ "buffer-size", FLAG_SIZE, FIELD(buffer_size), BUFFER_BYTES_LEAST, RING_BYTES_MOST, "S",
	  "size of the kernel's buffer, 256k to 64M (default 32M)" },
	{ "no-promisc", FLAG_OFF, FIELD(promiscuous), 0, 0, NULL, "do not use promiscuous mode" },
	{ "no-ssh-guard", FLAG_OFF, FIELD(ssh_guard), 0, 0, NULL,
	  "capture the ssh session too" },
	{ "no-progress", FLAG_OFF, FIELD(progress), 0, 0, NULL,
	  "no progress line on a terminal" },
	{ "list-interfaces", FLAG_ON, FIELD(list_interfaces), 0, 0, NULL,
	  "list the interfaces and exit" },
	{ "version", FLAG_ON, FIELD(version), 0, 0, NULL, "print the version and exit" },
	{ "help", FLAG_ON, FIELD(help), 0, 0, NULL, "print this help and exit" },
};

#define FLAG_COUNT (sizeof FLAGS / sizeof *FLAGS)

static const struct flag_table TABLE = { FLAGS, FLAG_COUNT };

void flags_print_help(void)
{
	puts("usage: cf-pcap -interface NAME [options] [FILTER...]\n\n"
	     "Captures packets of this container or machine and writes pcap to stdout. The ssh\n"
	     "session that carries the capture is left out.\n");
	flag_print_table(&TABLE);
	puts("\nOne or two dashes, -flag value or -flag=value. Sizes are whole numbers and take\n"
	     "k, M, G (powers of 1024); durations take h, m, s, ms, us, ns, and fractions.\n"
	     "Exit status: 0 the capture ended as asked, 1 it could not start or failed, 2 bad\n"
	     "command line.");
}

/* As it could be given again: "inout", "30000", "true". The text of a number is `size` bytes. */
static const char *setting(const struct flag *flag, const struct options *options, char *number, size_t size)
{
	const void *field = (const char *)options + flag->offset;
	const char *choice = flag->value;

	switch (flag->kind) {
	case FLAG_TEXT:
		return flag->offset == FIELD(interface) ? options->interface : options->filter;
	case FLAG_ON:
	case FLAG_OFF:
		return *(const bool *)field == (flag->kind == FLAG_ON) ? "true" : "false";
	case FLAG_WISH:
		return *(const enum wish *)field == WISH_YES ? "true" : "false";
	case FLAG_CHOICE:
		for (unsigned int i = 0; i < *(const unsigned int *)field; i++)
			choice += strcspn(choice, "|") + 1;
		snprintf(number, size, "%.*s", (int)strcspn(choice, "|"), choice);
		return number;
	default:
		snprintf(number, size, "%llu%s", (unsigned long long)*(const uint64_t *)field,
			 flag->kind == FLAG_DURATION ? "ns" : "");
		return number;
	}
}

void flags_report(const struct options *options)
{
	char numbers[FLAG_COUNT][24];
	struct log_field fields[FLAG_COUNT + 1];

	memset(fields, 0, sizeof fields);
	/* The last ones are no settings of a capture. */
	for (size_t i = 0; FLAGS[i].offset != FIELD(list_interfaces); i++)
		fields[i] = (struct log_field)LOG_TEXT(
			FLAGS[i].name, setting(&FLAGS[i], options, numbers[i], sizeof numbers[i]));
	log_record(LOG_DEBUG, "parsed flags", fields);
}

/* strconv.ParseBool's words. Returns 0, or -1. */
static int parse_boolean(const char *text, bool *value)
{
	static const char *const WORDS[] = { "1", "t", "T", "TRUE",  "true",  "True",
					     "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
		if (strcmp(text, WORDS[i]) == 0) {
			*value = i < sizeof WORDS / sizeof *WORDS / 2;
			return 0;
		}
	return -1;
}

/* The position of value in "a|b|c". Returns 0, or -1. */
static int parse_choice(const char *choices, const char *value, unsigned int *position)
{
	size_t length = strlen(value);

	for (*position = 0; *choices != '\0'; (*position)++) {
		size_t span = strcspn(choices, "|");
		if (span == length && memcmp(choices, value, length) == 0)
			return 0;
		choices += span + (choices[span] == '|');
	}
	return -1;
}

static int store_quantity(const struct flag *flag, const char *text, uint64_t *field)
{
	uint64_t value;

	if (flag_parse_quantity(flag, text, &value) != 0)
		return flag_reject_value(flag, text);
	*field = value;
	return 0;
}

static int store_boolean(const struct flag *flag, const char *text, bool *field)
{
	bool value;

	if (parse_boolean(text, &value) != 0)
		return flag_reject_value(flag, text);
	*field = value == (flag->kind == FLAG_ON);
	return 0;
}

static int store_wish(const struct flag *flag, const char *text, enum wish *field)
{
	bool value;

	if (parse_boolean(text, &value) != 0)
		return flag_reject_value(flag, text);
	*field = value ? WISH_YES : WISH_NO;
	return 0;
}

static int store_text(const struct flag *flag, struct options *options, const char *text)
{
	const bool is_interface = flag->offset == FIELD(interface);
	size_t length = strlen(text);

	/* Of other flags the last one counts. Who gives two filters means both. */
	if (!is_interface && options->filter[0] != '\0')
		return flag_reject("filter given twice by -filter, join the two into one", "-filter", text);
	if (length < flag->least || length > flag->most)
		return flag_reject_value(flag, length > 64 ? "(too long)" : text);
	if (is_interface)
		options->interface = text;
	else
		memcpy(options->filter, text, length + 1);
	return 0;
}

static int store(const struct flag *flag, struct options *options, const char *text)
{
	void *field = (char *)options + flag->offset;

	switch (flag->kind) {
	case FLAG_TEXT:
		return store_text(flag, options, text);
	case FLAG_ON:
	case FLAG_OFF:
		return store_boolean(flag, text, field);
	case FLAG_WISH:
		return store_wish(flag, text, field);
	case FLAG_CHOICE:
		return parse_choice(flag->value, text, field) != 0 ? flag_reject_value(flag, text) : 0;
	default:
		return store_quantity(flag, text, field);
	}
}

/* tcpdump's, that many fingers know. */
static const char *hint_for(const char *name, size_t length)
{
	static const struct {
		char name;
		const char *hint;
	} KNOWN[] = {
		{ 'i', "it is -interface NAME here" },
		{ 'w', "pcap goes to stdout: redirect it, > capture.pcap" },
		{ 'c', "it is -count N here" },
		{ 's', "it is -snaplen N here" },
		{ 'D', "it is -list-interfaces here" },
		{ 'Q', "it is -direction here" },
		{ 'B', "it is -buffer-size S here" },
		{ 'p', "it is -no-promisc here" },
		{ 'n', "leave it out: addresses are not looked up" },
		{ 'U', "leave it out: packets are written as they come" },
	};

	for (size_t i = 0; length == 1 && i < sizeof KNOWN / sizeof *KNOWN; i++)
		if (KNOWN[i].name == *name)
			return KNOWN[i].hint;
	return "see -help";
}

static int reject_unknown(const struct flag_word *word)
{
	log_record(LOG_ERROR, "unknown flag",
		   LOG_FIELDS(LOG_TEXT("flag", word->argument), LOG_TEXT("hint", hint_for(word->name, word->length))));
	return -1;
}

/* One flag at argv[*next], which moves past it and its value. */
static int parse_flag(struct options *options, char *const *argv, int *next)
{
	struct flag_word word;

	if (flag_read(&TABLE, argv, next, &word) != 0)
		return -1;
	return word.flag != NULL ? store(word.flag, options, word.value) : reject_unknown(&word);
}

/* Blocks as large as the most there can be would be fewer: they are for whoever asks for it. */
static void settle_snaplen(struct options *options)
{
	bool given = options->snaplen != SNAPLEN_NOT_GIVEN;

	if (!given || options->snaplen == 0)
		options->snaplen = SNAPLEN_MAX;
	options->block_packet = given ? options->snaplen : LOOPBACK_FRAME;
}

int flags_parse(struct options *options, int argc, char *const *argv)
{
	int next = argc > 0 ? 1 : 0;
	bool ended = false;

	memset(options, 0, sizeof *options);
	options->snaplen = SNAPLEN_NOT_GIVEN;
	options->buffer_size = BUFFER_BYTES_DEFAULT;
	options->promiscuous = true;
	options->progress = true;
	options->ssh_guard = true;
	while (next < argc && argv[next][0] == '-' && argv[next][1] != '\0') {
		if (strcmp(argv[next], "--") == 0) {
			next++;
			ended = true;
			break;
		}
		if (parse_flag(options, argv, &next) != 0)
			return -1;
	}
	if (options->heartbeat != 0 && options->format == FORMAT_PCAP)
		return flag_reject("pcap has no place for a heartbeat, expected -format pcapng too", "-heartbeat", "");
	settle_snaplen(options);
	if (next < argc && ((!ended && flag_stands_among(&TABLE, argv + next)) ||
			    flag_join_words(options->filter, sizeof options->filter, argv + next) != 0))
		return -1;
	if (options->filter[strspn(options->filter, " \t\r\n")] == '\0') /* what libpcap skips */
		options->filter[0] = '\0';
	return 0;
}
