/* The platform's answers about instances and apps, as cf passes them on: whatever they are, what is believed is in bounds. */
#include "collector/desk/app_names.h"
#include "collector/desk/instances.h"
#include "fuzz.h"

static void expect_words(const uint8_t *data, size_t size)
{
	static struct app_names names;
	char guid[GUID_SIZE];

	if (app_names_read(&names, (const char *)data, size) == 0)
		PROMISE(names.count <= APP_NAMES_MOST);
	for (size_t i = 0; i < names.count; i++) {
		PROMISE(names.name[i][0] != '-' && names.name[i][0] != '\0');
		PROMISE(strpbrk(names.name[i], " \n\033,{}") == NULL);
	}
	if (app_names_read_space(guid, (const char *)data, size) == 0)
		PROMISE(strspn(guid, "0123456789abcdefABCDEF-") == strlen(guid) && guid[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct instance instances[INSTANCES_MOST];
	const int count = instances_read((const char *)data, size, instances);

	PROMISE(count >= -1 && count <= INSTANCES_MOST);
	for (int i = 0; i < count; i++) {
		const struct instance *one = &instances[i];
		PROMISE(one->index <= 99999);
		PROMISE(one->address_length == 0 || one->address_length == 4 || one->address_length == 16);
		PROMISE(strspn(one->state, "ABCDEFGHIJKLMNOPQRSTUVWXYZ?") == strlen(one->state));
		PROMISE(one->runs == (strcmp(one->state, "RUNNING") == 0));
	}
	expect_words(data, size);
	return 0;
}
