/* desk: starts the commands; what streams hold is never looked at here. */
/* The apps of the space that cf is at. */
#include "app_names.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "command.h"

#define CONFIG_MOST (1u << 20) /* bytes */
#define ANSWER_MOST (8u << 20) /* bytes */
#define TEXT_OF(number) TEXT_OF_(number)
#define TEXT_OF_(number) #number

static int fail(const char *message, const char *reason)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("reason", reason)));
	return -1;
}

int app_names_read_space(char guid[GUID_SIZE], const char *json, size_t length)
{
	json_auto_t *config = json_loadb(json, length, 0, NULL);
	const char *found = json_string_value(json_object_get(json_object_get(config, "SpaceFields"), "GUID"));

	return found != NULL ? guid_take(guid, found, strlen(found)) : -1;
}

/* Nor one that would be several in a list, or end a value in Wireshark's dialog. */
static bool is_one_word(const char *name)
{
	return name != NULL && targets_name_fault(name, TARGET_PLACE_SIZE) == NULL && strpbrk(name, ",{}") == NULL;
}

int app_names_read(struct app_names *names, const char *json, size_t length)
{
	json_auto_t *answer = json_loadb(json, length, 0, NULL);
	const json_t *resources = json_object_get(answer, "resources");

	names->count = 0;
	if (!json_is_array(resources))
		return -1;
	for (size_t i = 0; i < json_array_size(resources) && names->count < APP_NAMES_MOST; i++) {
		const char *name = json_string_value(json_object_get(json_array_get(resources, i), "name"));
		if (is_one_word(name))
			memcpy(names->name[names->count++], name, strlen(name) + 1);
	}
	return 0;
}

/* Where cf keeps what it is at: no command tells a program. */
static int read_config(char *config, size_t *length)
{
	const char *home = getenv("CF_HOME") != NULL ? getenv("CF_HOME") : getenv("HOME");
	char path[4096];
	FILE *file;

	if (home == NULL || (size_t)snprintf(path, sizeof path, "%s/.cf/config.json", home) >= sizeof path)
		return fail("cf's configuration was not found", "there is no HOME");
	file = fopen(path, "r");
	if (file == NULL)
		return fail("cf's configuration was not found", strerror(errno));
	*length = fread(config, 1, CONFIG_MOST, file);
	fclose(file);
	return 0;
}

static int ask_space(char guid[GUID_SIZE])
{
	char *config = malloc(CONFIG_MOST);
	size_t length;
	int result;

	if (config == NULL)
		return fail("there is no memory", "");
	result = read_config(config, &length);
	if (result == 0 && app_names_read_space(guid, config, length) != 0)
		result = fail("cf is not at a space", "see cf target -s");
	free(config);
	return result;
}

/* Into json, of ANSWER_MOST bytes. Returns its length, or -1 after an ERROR line. */
static ssize_t ask_apps(char *json)
{
	char guid[GUID_SIZE], path[GUID_SIZE + 96];
	char *words[] = { "cf", "curl", "--fail", path, NULL };

	if (ask_space(guid) != 0)
		return -1;
	snprintf(path, sizeof path, "/v3/apps?space_guids=%s&order_by=name&per_page=" TEXT_OF(APP_NAMES_MOST), guid);
	return command_ask(words, json, ANSWER_MOST);
}

int app_names_ask(struct app_names *names)
{
	char *json = malloc(ANSWER_MOST);
	ssize_t length;
	int result;

	if (json == NULL)
		return fail("there is no memory", "");
	length = ask_apps(json);
	result = length < 0 ? -1 : app_names_read(names, json, (size_t)length);
	if (length >= 0 && result != 0)
		fail("cf did not answer with the space's apps", "");
	free(json);
	return result;
}
