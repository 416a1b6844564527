/* Quoting: any text. Nothing raw reaches the terminal, and the value can be told from its form. */
#include <stdbool.h>
#include <stdlib.h>

#include "base/line.h"
#include "fuzz.h"

static bool is_raw_control(unsigned char byte)
{
	return byte < ' ' || byte == 0x7f;
}

/* Between the quotes, every quote has a backslash in front of it. */
static void expect_closed_quotes(const char *text, size_t length)
{
	PROMISE(length >= 2 && text[length - 1] == '"');
	for (size_t i = 1; i < length - 1; i++) {
		PROMISE(text[i] != '"');
		if (text[i] == '\\')
			i++;
		PROMISE(i < length - 1);
	}
}

static size_t quote(char *out, size_t size, const char *value)
{
	struct line line = { out, size, 0 };

	out[0] = '\0';
	line_append_value(&line, value);
	return line.length;
}

/* In words it is one line, of nothing that moves a cursor. */
static void expect_plain_words(const char *value, char *out, size_t size)
{
	struct line line = { out, size, 0 };

	out[0] = '\0';
	line_append_words(&line, value);
	for (size_t i = 0; i < line.length; i++)
		PROMISE(!is_raw_control((unsigned char)out[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t most = 4 * size + 3, length;
	char *value = malloc(size + 1), *out = malloc(most);

	PROMISE(value != NULL && out != NULL);
	if (size > 0)
		memcpy(value, data, size);
	value[size] = '\0';
	length = quote(out, most, value);
	PROMISE(length == strlen(out) && length >= strlen(value));
	for (size_t i = 0; i < length; i++)
		PROMISE(!is_raw_control((unsigned char)out[i]));
	if (out[0] == '"')
		expect_closed_quotes(out, length);
	else
		PROMISE(strcmp(out, value) == 0 && strpbrk(out, " =\"") == NULL);
	PROMISE(quote(out, size / 2 + 1, value) <= size / 2);
	expect_plain_words(value, out, most);
	free(value);
	free(out);
	return 0;
}
