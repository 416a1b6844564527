/* desk: starts the commands; what streams hold is never looked at here. */
/* What is captured on. */
#include "targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps.h"
#include "base/log.h"

#define LINE_SIZE 512
#define NUMBER_MOST INSTANCES_MOST

static int reject(const char *message, const char *flag, const char *value)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("flag", flag), LOG_TEXT("value", value)));
	return TARGETS_REJECTED;
}

static int fail(const char *message, const char *file)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("file", file), LOG_TEXT("reason", strerror(errno))));
	return -1;
}

const char *targets_name_fault(const char *name, size_t size)
{
	if (*name == '\0' || *name == '-')
		return "a name that is empty or begins with \"-\"";
	if (strlen(name) >= size)
		return "a name that is too long";
	for (; *name != '\0'; name++)
		if ((unsigned char)*name <= ' ' || *name == 0x7f)
			return "a name with blanks or control characters";
	return NULL;
}

int targets_check_name(const char *name, size_t size, const char *flag)
{
	const char *fault = targets_name_fault(name, size);

	return fault == NULL ? 0 : reject(fault, flag, name);
}

static int take_number(const char **text, unsigned long *number)
{
	char *end;

	if (**text < '0' || **text > '9')
		return -1;
	*number = strtoul(*text, &end, 10);
	*text = end;
	return *number < NUMBER_MOST ? 0 : -1;
}

int targets_list_holds(const char *list, unsigned int number)
{
	unsigned long first, last;
	int holds = 0;

	if (list == NULL)
		return 1;
	for (;;) {
		if (take_number(&list, &first) != 0)
			return -1;
		last = first;
		if (*list == '-') {
			list++;
			if (take_number(&list, &last) != 0 || last < first)
				return -1;
		}
		holds |= number >= first && number <= last;
		if (*list == '\0')
			return holds;
		if (*list++ != ',')
			return -1;
	}
}

static int add_one(struct targets *targets, const struct target *target)
{
	if (targets->count == TARGETS_MOST)
		return reject("too many captures at once", "-interface", target->interface);
	for (size_t i = 0; i < targets->count; i++)
		if (strcmp(targets->all[i].name, target->name) == 0 && strcmp(targets->all[i].interface, target->interface) == 0) {
			log_record(LOG_ERROR, "this capture is given twice",
				   LOG_FIELDS(LOG_TEXT("name", target->name), LOG_TEXT("interface", target->interface)));
			return TARGETS_REJECTED;
		}
	targets->all[targets->count++] = *target;
	return 0;
}

int targets_add(struct targets *targets, const struct collect_options *options, const struct target *model)
{
	struct target target = *model;
	const char *at = options->interfaces;
	int result;

	for (;;) {
		const size_t length = strcspn(at, ",");
		if (length >= sizeof target.interface)
			return reject("a name that is too long", "-interface", at);
		memcpy(target.interface, at, length);
		target.interface[length] = '\0';
		result = targets_check_name(target.interface, sizeof target.interface, "-interface");
		if (result == 0)
			result = add_one(targets, &target);
		if (result != 0)
			return result;
		if (at[length] == '\0')
			return 0;
		at += length + 1;
	}
}

static int add_host(struct targets *targets, const struct collect_options *options, const char *name, const char *flag)
{
	struct target target = { 0 };

	if (targets_check_name(name, sizeof target.place, flag) != 0)
		return TARGETS_REJECTED;
	snprintf(target.place, sizeof target.place, "%s", name);
	snprintf(target.name, sizeof target.name, "%s", name);
	return targets_add(targets, options, &target);
}

/* Without what ends it, blanks around it, and what follows a "#". */
static char *trim(char *line)
{
	size_t length;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	length = strlen(line);
	while (length > 0 && strchr(" \t", line[length - 1]) != NULL)
		line[--length] = '\0';
	return line;
}

static int add_hosts_of(struct targets *targets, const struct collect_options *options)
{
	FILE *file = fopen(options->hosts_file, "r");
	char line[LINE_SIZE];
	int result = 0;

	if (file == NULL)
		return fail("cannot read the file of hosts", options->hosts_file);
	while (result == 0 && fgets(line, sizeof line, file) != NULL) {
		const bool is_whole = strchr(line, '\n') != NULL || feof(file);
		const char *name = trim(line);
		if (!is_whole)
			result = reject("a line is too long", "-hosts-file", options->hosts_file);
		else if (*name != '\0')
			result = add_host(targets, options, name, "-hosts-file");
	}
	if (result == 0 && ferror(file))
		result = fail("cannot read the file of hosts", options->hosts_file);
	fclose(file);
	return result;
}

int targets_find(struct targets *targets, const struct collect_options *options)
{
	int result = 0;

	*targets = (struct targets){ .all = calloc(TARGETS_MOST, sizeof *targets->all) };
	if (targets->all == NULL)
		return fail("there is no memory", "");
	if (targets_list_holds(options->instances, 0) < 0)
		return reject("expected numbers of instances, such as 0,2-4", "-i", options->instances);
	for (size_t i = 0; i < options->host_count && result == 0; i++)
		result = add_host(targets, options, options->hosts[i], "-host");
	if (options->hosts_file != NULL && result == 0)
		result = add_hosts_of(targets, options);
	for (size_t i = 0; i < options->app_count && result == 0; i++)
		result = apps_add(targets, options, options->apps[i]);
	if (result != 0 || targets->count > 0)
		return result;
	if (options->hosts_file != NULL)
		return reject("the file names no host", "-hosts-file", options->hosts_file);
	log_record(LOG_ERROR, "no instance to capture on is running", LOG_NO_FIELDS);
	return -1;
}
