/* base: no packets, no privilege. */
/* Flags as Go's package reads them. */
#include "flag.h"

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "quantity.h"

void flag_print_table(const struct flag_table *table)
{
	char left[64];

	for (size_t i = 0; i < table->count; i++) {
		const struct flag *flag = &table->flags[i];
		snprintf(left, sizeof left, "-%s %s", flag->name, flag->value != NULL ? flag->value : "");
		printf("  %-24s %s\n", left, flag->help);
	}
}

int flag_reject(const char *message, const char *flag, const char *value)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("flag", flag), LOG_TEXT("value", value)));
	return -1;
}

static const struct flag *find(const struct flag_table *table, const char *name, size_t length)
{
	for (size_t i = 0; i < table->count; i++)
		if (strlen(table->flags[i].name) == length && memcmp(table->flags[i].name, name, length) == 0)
			return &table->flags[i];
	return length == 1 && *name == 'h' ? &table->flags[table->count - 1] : NULL;
}

int flag_read(const struct flag_table *table, char *const *argv, int *next, struct flag_word *word)
{
	const char *argument = argv[(*next)++];
	const char *name = argument + (argument[1] == '-' ? 2 : 1);
	const size_t length = strcspn(name, "=");

	*word = (struct flag_word){ argument, name, length, name[length] == '=' ? name + length + 1 : NULL,
				    find(table, name, length) };
	if (word->flag == NULL || word->value != NULL)
		return 0;
	if (word->flag->value == NULL)
		word->value = "true";
	else if (argv[*next] != NULL)
		word->value = argv[(*next)++];
	return word->value != NULL ? 0 : flag_reject("flag needs a value", argument, "");
}

int flag_parse_quantity(const struct flag *flag, const char *text, uint64_t *value)
{
	const int result = flag->kind == FLAG_SIZE     ? quantity_parse_size(text, value) :
			   flag->kind == FLAG_DURATION ? quantity_parse_duration(text, value) :
							 quantity_parse_number(text, value);

	return result == 0 && *value >= flag->least && *value <= flag->most ? 0 : -1;
}

bool flag_stands_among(const struct flag_table *table, char *const *words)
{
	for (; *words != NULL; words++) {
		const char *name = *words + strspn(*words, "-");
		if (name > *words && name <= *words + 2 && find(table, name, strcspn(name, "=")) != NULL)
			return flag_reject("flags come before the words of the filter", *words, "") != 0;
	}
	return false;
}

int flag_join_words(char *filter, size_t size, char *const *words)
{
	size_t used = 0;

	if (filter[0] != '\0')
		return flag_reject("filter given twice, by -filter and as words; if it is one, put it in quotes",
				   "-filter", words[0]);
	for (; *words != NULL; words++) {
		const size_t length = strlen(*words);
		if (length + 2 > size - used)
			return flag_reject("filter is too long", "-filter", "(too long)");
		if (used > 0)
			filter[used++] = ' ';
		memcpy(filter + used, *words, length + 1);
		used += length;
	}
	return 0;
}
