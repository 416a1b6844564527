/* Quoting: any text. Nothing raw reaches the terminal, and the value can be told from its form. */
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t most = 4 * size + 3, length;
	char *value = malloc(size + 1), *out = malloc(most);

	PROMISE(value != NULL && out != NULL);
	if (size > 0)
		memcpy(value, data, size);
	value[size] = '\0';
	length = log_quote(out, most, value);
	PROMISE(length == strlen(out) && length >= strlen(value));
	for (size_t i = 0; i < length; i++)
		PROMISE(!is_raw_control((unsigned char)out[i]));
	if (out[0] == '"')
		expect_closed_quotes(out, length);
	else
		PROMISE(strcmp(out, value) == 0 && strpbrk(out, " =\"") == NULL);
	PROMISE(log_quote(out, size / 2 + 1, value) <= size / 2);
	free(value);
	free(out);
	return 0;
}
