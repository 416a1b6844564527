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

int flag_reject_value(const struct flag *flag, const char *value)
{
	char name[32], message[160];

	snprintf(name, sizeof name, "-%s", flag->name);
	switch (flag->kind) {
	case FLAG_TEXT:
		snprintf(message, sizeof message, "expected %llu to %llu characters",
			 (unsigned long long)flag->least, (unsigned long long)flag->most);
		break;
	case FLAG_NUMBER:
		snprintf(message, sizeof message,
			 flag->most == UINT64_MAX ? "expected a whole number of at least %llu" :
						    "expected a whole number from %llu to %llu",
			 (unsigned long long)flag->least, (unsigned long long)flag->most);
		break;
	case FLAG_SIZE:
		snprintf(message, sizeof message,
			 flag->most == UINT64_MAX ? "expected a whole number of at least %lluk, such as 500k, 2M or 1G" :
						    "expected a whole number from %lluk to %lluM, such as 500k or 2M",
			 (unsigned long long)flag->least >> 10, (unsigned long long)flag->most >> 20);
		break;
	case FLAG_DURATION:
		snprintf(message, sizeof message,
			 flag->most < INT64_MAX ? "expected a duration from %llums to %llus, such as 500ms or 10s" :
			 flag->least > 1	? "expected a duration of at least %llums, such as 500ms or 10s" :
						  "expected a duration above 0, such as 30s, 5m or 1h30m",
			 (unsigned long long)flag->least / 1000000, (unsigned long long)flag->most / 1000000000);
		break;
	case FLAG_CHOICE:
		snprintf(message, sizeof message, "expected one of %s", flag->value);
		break;
	default:
		snprintf(message, sizeof message, "expected true or false, or no value");
	}
	return flag_reject(message, name, value);
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
