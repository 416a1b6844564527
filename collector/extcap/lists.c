/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* The lists that are loaded from the platform. */
#include "lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/desk/app_names.h"
#include "collector/desk/apps.h"
#include "dialog.h"

/* The dialog shows no errors: what stands on stderr is for whoever looks there. */
static int fail(int argument, const char *shown)
{
	dialog_print_value(argument, "none", shown, true);
	return -1;
}

static int print_apps(void)
{
	static struct app_names names;

	if (app_names_ask(&names) != 0)
		return fail(DIALOG_APP, "cf does not tell: is it logged in, and at a space? (cf target)");
	for (size_t i = 0; i < names.count; i++)
		dialog_print_value(DIALOG_APP, names.name[i], names.name[i], i == 0);
	return 0;
}

static void print_instance(const struct instance *instance)
{
	char number[16], shown[128], address[INSTANCES_ADDRESS_SIZE];

	instances_address(instance, address);
	snprintf(number, sizeof number, "%u", instance->index);
	snprintf(shown, sizeof shown, "%s  %s  %s", number, instance->state, address);
	dialog_print_value(DIALOG_INSTANCES, number, shown, false);
}

static int print_instances(const struct extcap_request *request)
{
	struct instance *instances;
	int count;

	if (request->app == NULL)
		return fail(DIALOG_INSTANCES, "choose an app first");
	instances = calloc(INSTANCES_MOST, sizeof *instances);
	if (instances == NULL)
		return fail(DIALOG_INSTANCES, "there is no memory");
	count = apps_ask_instances(instances, request->app, request->process);
	if (count >= 0)
		dialog_print_value(DIALOG_INSTANCES, "all", "all that run", true);
	for (int i = 0; i < count; i++)
		print_instance(&instances[i]);
	free(instances);
	return count >= 0 ? 0 : fail(DIALOG_INSTANCES, "cf does not tell: is there such an app? (cf apps)");
}

int lists_print(const struct extcap_request *request)
{
	if (!request_is_of_app(request))
		return 0;
	if (strcmp(request->reload, "app") == 0)
		return print_apps();
	return strcmp(request->reload, "instances") == 0 ? print_instances(request) : 0;
}
