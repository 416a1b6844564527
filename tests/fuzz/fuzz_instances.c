/* The platform's answer about instances, as cf passes it on: whatever it is, what is believed is in bounds. */
#include "collector/desk/instances.h"
#include "fuzz.h"

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
	return 0;
}
