/* The command line: any words. */
#include <stdlib.h>

#include "capture/ring.h"
#include "fuzz.h"
#include "setup/flags.h"

#define WORDS_MOST 64

/* The input's words, each ending with a NUL. Returns how many there are. */
static int split(char *text, size_t size, char **argv)
{
	int argc = 0;

	for (size_t at = 0; at < size && argc < WORDS_MOST; at += strlen(text + at) + 1)
		argv[argc++] = text + at;
	argv[argc] = NULL;
	return argc;
}

static void expect_in_range(const struct options *options)
{
	PROMISE(options->snaplen >= 1 && options->snaplen <= SNAPLEN_MAX);
	PROMISE(options->buffer_size >= BUFFER_BYTES_LEAST && options->buffer_size <= RING_BYTES_MOST);
	PROMISE(options->duration <= INT64_MAX);
	PROMISE(options->max_size == 0 || options->max_size >= 1024);
	PROMISE(options->direction <= DIRECTION_OUT && options->format <= FORMAT_PCAPNG);
	PROMISE(strnlen(options->filter, sizeof options->filter) < sizeof options->filter);
	if (options->interface != NULL)
		PROMISE(options->interface[0] != '\0' && strlen(options->interface) < INTERFACE_NAME_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct options options;
	char *argv[WORDS_MOST + 1], *text = malloc(size + 1);

	PROMISE(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (flags_parse(&options, split(text, size, argv), argv) == 0)
		expect_in_range(&options);
	free(text);
	return 0;
}
