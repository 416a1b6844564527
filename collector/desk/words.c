/* desk: starts the commands; what streams hold is never looked at here. */
/* Command lines as words. */
#include "words.h"

#include <stdbool.h>
#include <string.h>

#define BLANKS " \t\n"
/* What no shell makes anything of. Not at the start: ~ and = are left out altogether. */
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:@_"

/* Adds to a text at *used. Returns 0, or -1. */
static int append(char *out, size_t size, size_t *used, const char *text, size_t length)
{
	if (length >= size - *used)
		return -1;
	memcpy(out + *used, text, length);
	*used += length;
	out[*used] = '\0';
	return 0;
}

static int add_bytes(struct words *words, const char *bytes, size_t length)
{
	char *begin = words->bytes + words->used;

	if (words->count == WORDS_MOST || length >= sizeof words->bytes - words->used)
		return -1;
	memcpy(begin, bytes, length);
	begin[length] = '\0';
	words->used += length + 1;
	words->word[words->count++] = begin;
	words->word[words->count] = NULL;
	return 0;
}

int words_add(struct words *words, const char *word)
{
	return add_bytes(words, word, strlen(word));
}

int words_add_pair(struct words *words, const char *flag, const char *value)
{
	if (value == NULL || *value == '\0')
		return 0;
	return words_add(words, flag) != 0 || words_add(words, value) != 0 ? -1 : 0;
}

bool words_begin_with_program(const char *text, const char *name)
{
	const char *end = text + strcspn(text, BLANKS);

	for (const char *at = text; at < end; at++)
		if (*at == '/')
			text = at + 1;
	return (size_t)(end - text) == strlen(name) && strncmp(text, name, strlen(name)) == 0;
}

int words_add_split(struct words *words, const char *text)
{
	for (text += strspn(text, BLANKS); *text != '\0'; text += strspn(text, BLANKS)) {
		const size_t length = strcspn(text, BLANKS);
		if (add_bytes(words, text, length) != 0)
			return -1;
		text += length;
	}
	return 0;
}

static int quote_word(char *out, size_t size, size_t *used, const char *word)
{
	if (*word != '\0' && word[strspn(word, PLAIN)] == '\0')
		return append(out, size, used, word, strlen(word));
	if (append(out, size, used, "'", 1) != 0)
		return -1;
	while (*word != '\0') {
		const size_t span = strcspn(word, "'");
		if (append(out, size, used, word, span) != 0)
			return -1;
		word += span;
		if (*word == '\'' && append(out, size, used, "'\\''", 4) != 0)
			return -1;
		word += *word == '\'';
	}
	return append(out, size, used, "'", 1);
}

int words_quote(const struct words *words, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < words->count; i++)
		if ((i > 0 && append(out, size, &used, " ", 1) != 0) ||
		    quote_word(out, size, &used, words->word[i]) != 0)
			return -1;
	return 0;
}

/* The value of the name that begins at text, and how long that name is; NULL: there is none. */
static const char *value_of(const char *text, const struct words_values *values, const char *command, size_t *length)
{
	const struct {
		const char *name, *value;
	} all[] = { { "{}", values->place },	     { "{index}", values->index }, { "{process}", values->process },
		    { "{interface}", values->interface }, { "{command}", command } };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		*length = strlen(all[i].name);
		if (strncmp(text, all[i].name, *length) == 0)
			return all[i].value;
	}
	return NULL;
}

/* {words} is one only as a whole word. */
static bool is_words(const char *at, const char *begin)
{
	const size_t length = strlen("{words}");

	return strncmp(at, "{words}", length) == 0 && (at == begin || strchr(BLANKS, at[-1]) != NULL) &&
	       strchr(BLANKS, at[length]) != NULL;
}

bool words_names_unknown(const char *template)
{
	static const struct words_values none = { "", "", "", "", NULL };

	for (const char *at = template; (at = strchr(at, '{')) != NULL; at++) {
		const char *end = at + 1 + strspn(at + 1, "abcdefghijklmnopqrstuvwxyz");
		size_t length;
		if (*end == '}' && (at == template || at[-1] != '{') && !is_words(at, template) &&
		    value_of(at, &none, "", &length) == NULL)
			return true;
	}
	return false;
}

static int expand_word(struct words *words, const char *word, size_t length, const struct words_values *values, const char *command)
{
	static const char NOTHING[] = "";
	char *begin = words->bytes + words->used;
	const size_t size = sizeof words->bytes - words->used;
	size_t used = 0;

	for (const char *end = word + length; word < end;) {
		size_t name_length = 1;
		const char *value = value_of(word, values, command, &name_length);
		if (value == NULL && append(begin, size, &used, word, 1) != 0)
			return -1;
		if (value != NULL && append(begin, size, &used, value, strlen(value)) != 0)
			return -1;
		word += value != NULL ? name_length : 1;
	}
	if (words->count == WORDS_MOST || (used == 0 && append(begin, size, &used, NOTHING, 0) != 0))
		return -1;
	words->used += used + 1;
	words->word[words->count++] = begin;
	words->word[words->count] = NULL;
	return 0;
}

int words_expand(struct words *words, const char *template, const struct words_values *values)
{
	char command[WORDS_BYTES];

	if (words_quote(values->remote, command, sizeof command) != 0)
		return -1;
	for (template += strspn(template, BLANKS); *template != '\0'; template += strspn(template, BLANKS)) {
		const size_t length = strcspn(template, BLANKS);
		if (is_words(template, template)) {
			for (size_t i = 0; i < values->remote->count; i++)
				if (words_add(words, values->remote->word[i]) != 0)
					return -1;
		} else if (expand_word(words, template, length, values, command) != 0) {
			return -1;
		}
		template += length;
	}
	return 0;
}
