/* desk: starts the commands; what streams hold is never looked at here. */
/* The platform's answer about a process. */
#include "instances.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define INDEX_MOST 99999

/* As it is, but for what a state has not. */
static void copy_state(char *out, size_t size, const char *state)
{
	size_t length = 0;

	for (; length < size - 1 && state[length] != '\0'; length++) {
		out[length] = '?';
		if (state[length] >= 'A' && state[length] <= 'Z')
			out[length] = state[length];
	}
	out[length] = '\0';
}

_Static_assert(INSTANCES_ADDRESS_SIZE == INET6_ADDRSTRLEN, "room for any address");

void instances_address(const struct instance *instance, char text[INSTANCES_ADDRESS_SIZE])
{
	text[0] = '\0';
	if (instance->address_length > 0)
		inet_ntop(instance->address_length == 4 ? AF_INET : AF_INET6, instance->address, text, INSTANCES_ADDRESS_SIZE);
}

static uint32_t read_address(const char *text, uint8_t *address)
{
	if (text == NULL)
		return 0;
	if (inet_pton(AF_INET, text, address) == 1)
		return 4;
	return inet_pton(AF_INET6, text, address) == 1 ? 16 : 0;
}

static int read_instance(const json_t *from, struct instance *instance)
{
	const json_t *index = json_object_get(from, "index");
	const char *state = json_string_value(json_object_get(from, "state"));

	memset(instance, 0, sizeof *instance);
	if (!json_is_integer(index) || json_integer_value(index) < 0 || json_integer_value(index) > INDEX_MOST || state == NULL)
		return -1;
	instance->index = (unsigned int)json_integer_value(index);
	copy_state(instance->state, sizeof instance->state, state);
	instance->runs = strcmp(state, "RUNNING") == 0;
	instance->address_length = read_address(json_string_value(json_object_get(from, "instance_internal_ip")),
						instance->address);
	return 0;
}

int instances_read(const char *json, size_t length, struct instance instances[INSTANCES_MOST])
{
	json_auto_t *answer = json_loadb(json, length, 0, NULL);
	const json_t *resources = json_object_get(answer, "resources");
	const size_t count = json_array_size(resources);

	if (!json_is_array(resources) || count > INSTANCES_MOST)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (read_instance(json_array_get(resources, i), &instances[i]) != 0)
			return -1;
	return (int)count;
}
