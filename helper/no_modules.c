/* helper: what runs with the capability. */
/*
 * libpcap's capture modules that cf-pcap does not offer: with these entry points defined, the linker
 * leaves theirs, and the libraries they drag in, out of the program.
 */
#include <pcap/pcap.h>

/* Only the linker refers to these. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define NO_MODULE(name)                                                      \
	pcap_t *name##_create(const char *device, char *error, int *is_ours) \
	{ return (void)device, (void)error, *is_ours = 0, NULL; }            \
	int name##_findalldevs(void *list, char *error)                      \
	{ return (void)list, (void)error, 0; }

NO_MODULE(bt) NO_MODULE(bt_monitor) NO_MODULE(dbus)
NO_MODULE(netfilter) NO_MODULE(rdmasniff) NO_MODULE(usb)
