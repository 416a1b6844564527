/* desk: starts the commands; what streams hold is never looked at here. */
/* The instances of an app. */
#include "apps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "command.h"
#include "guid.h"

#define GUID_ANSWER_MOST 4096 /* bytes: what cf says when it fails is longer */
#define PROCESS_DEFAULT "web"
/* It becomes a part of a path. */
#define PROCESS_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

static int fail(const char *message, const char *app)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("app", app)));
	return -1;
}

static int ask_guid(char guid[GUID_SIZE], const char *app)
{
	char *words[] = { "cf", "app", (char *)(uintptr_t)app, "--guid", NULL };
	char answer[GUID_ANSWER_MOST];

	if (command_ask(words, answer, sizeof answer) < 0)
		return -1;
	return guid_take(guid, answer, strcspn(answer, "\r\n")) == 0 ? 0 : fail("cf did not answer with the app's guid", app);
}

static int check_names(const char *app, const char *process)
{
	if (targets_check_name(app, TARGET_PLACE_SIZE, "app") != 0 ||
	    targets_check_name(process, TARGET_PROCESS_SIZE, "-process") != 0)
		return -1;
	if (process[strspn(process, PROCESS_LETTERS)] != '\0')
		return fail("a process type has letters, digits, \"-\", \"_\" and \".\"", app);
	return 0;
}

/* Into json, of INSTANCES_JSON_MOST bytes. Returns its length, or -1 after an ERROR line. */
static ssize_t ask_stats(char *json, const char *app, const char *process)
{
	char guid[GUID_SIZE], path[GUID_SIZE + TARGET_PROCESS_SIZE + 32];
	char *words[] = { "cf", "curl", "--fail", path, NULL };

	if (ask_guid(guid, app) != 0)
		return -1;
	snprintf(path, sizeof path, "/v3/apps/%s/processes/%s/stats", guid, process);
	return command_ask(words, json, INSTANCES_JSON_MOST);
}

int apps_ask_instances(struct instance instances[INSTANCES_MOST], const char *app, const char *process)
{
	int count = -1;
	ssize_t length;
	char *json;

	process = process != NULL ? process : PROCESS_DEFAULT;
	if (check_names(app, process) != 0)
		return TARGETS_REJECTED;
	json = malloc(INSTANCES_JSON_MOST);
	if (json == NULL)
		return fail("there is no memory", app);
	length = ask_stats(json, app, process);
	if (length >= 0 && (count = instances_read(json, (size_t)length, instances)) < 0)
		fail("cf did not answer with the app's instances", app);
	free(json);
	return count;
}

static void describe(struct target *target, const struct instance *instance)
{
	char address[INSTANCES_ADDRESS_SIZE];

	instances_address(instance, address);
	snprintf(target->description, sizeof target->description, "%s%s%s", target->process,
		 address[0] != '\0' ? ", " : "", address);
	memcpy(target->address, instance->address, sizeof target->address);
	target->address_length = instance->address_length;
}

static int add_instance(struct targets *targets, const struct collect_options *options, const struct target *model,
			const struct instance *instance)
{
	struct target target = *model;
	const int wanted = targets_list_holds(options->instances, instance->index);

	if (wanted <= 0)
		return 0;
	snprintf(target.index, sizeof target.index, "%u", instance->index);
	if (strcmp(target.process, PROCESS_DEFAULT) == 0)
		snprintf(target.name, sizeof target.name, "%.*s/%s", TARGET_PLACE_SIZE - 1, target.place, target.index);
	else
		snprintf(target.name, sizeof target.name, "%.*s/%.12s/%s", TARGET_PLACE_SIZE - 1, target.place, target.process,
			 target.index);
	if (!instance->runs) {
		targets->missing += options->instances != NULL; /* that one was asked for */
		log_record(LOG_WARN, "an instance is not running, it is left out",
			   LOG_FIELDS(LOG_TEXT("instance", target.name), LOG_TEXT("state", instance->state)));
		return 0;
	}
	describe(&target, instance);
	return targets_add(targets, options, &target);
}

/* -i names instances: each must be there. Those that are not are counted as missing. */
static void look_for_missing(struct targets *targets, const struct collect_options *options, const char *app,
			     const struct instance *instances, int count)
{
	if (options->instances == NULL)
		return;
	for (unsigned int index = 0; index < INSTANCES_MOST; index++) {
		bool found = targets_list_holds(options->instances, index) <= 0;
		for (int i = 0; i < count && !found; i++)
			found = instances[i].index == index;
		if (found)
			continue;
		targets->missing++;
		log_record(LOG_WARN, "there is no such instance",
			   LOG_FIELDS(LOG_TEXT("app", app), LOG_NUMBER("instance", index)));
	}
}

int apps_add(struct targets *targets, const struct collect_options *options, const char *app)
{
	const char *process = options->process != NULL ? options->process : PROCESS_DEFAULT;
	struct instance *instances = calloc(INSTANCES_MOST, sizeof *instances);
	struct target model = { 0 };
	int count, result = 0;

	if (instances == NULL)
		return fail("there is no memory", app);
	count = apps_ask_instances(instances, app, process);
	snprintf(model.place, sizeof model.place, "%s", app);
	snprintf(model.process, sizeof model.process, "%s", process);
	for (int i = 0; i < count && result == 0; i++)
		result = add_instance(targets, options, &model, &instances[i]);
	if (count >= 0)
		look_for_missing(targets, options, app, instances, count);
	free(instances);
	return count < 0 ? count : result;
}
