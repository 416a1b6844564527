/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The guard: the filter expression that leaves out the ssh session the capture travels through. */
#include "guard.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/quantity.h"
#include "common/cleanup.h"

#define SSH_PORT 2222               /* where diego-sshd listens in every container */
#define INSTANCE_PORTS_MAX 65536    /* bytes of JSON; the platform's is below 1000 */
#define PROXY_PORT_MAX 8
#define SSH_ADDRESS_SIZE 64

struct guard {
	char *text;
	size_t size, length;
	struct guard_warnings *warnings;
};

__attribute__((format(printf, 2, 3))) static void add(struct guard *guard, const char *format, ...)
{
	const char *joint = guard->length > 0 ? " and " : "";
	size_t room = guard->size - guard->length, need;
	char term[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(term, sizeof term, format, arguments);
	va_end(arguments);
	need = strlen(joint) + strlen(term);
	if (need >= room) /* a term is whole or not there; all that there can be fit GUARD_TEXT_SIZE */
		return;
	snprintf(guard->text + guard->length, room, "%s%s", joint, term);
	guard->length += need;
}

/* Of what is odd the first is told, however much there is. */
static void warn_ports(struct guard *guard, const char *why)
{
	char *told = guard->warnings->instance_ports;

	if (told[0] == '\0')
		snprintf(told, sizeof guard->warnings->instance_ports, "%s", why);
}

/* A port under a key; 0 if the key is missing or is no port. */
static unsigned int port_of(struct guard *guard, const json_t *entry, const char *key)
{
	const json_t *value = json_object_get(entry, key);

	if (value == NULL)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 1 ||
	    json_integer_value(value) > 65535) {
		warn_ports(guard, "a port is not a number from 1 to 65535");
		return 0;
	}
	return (unsigned int)json_integer_value(value);
}

static bool contains(const unsigned int *ports, size_t count, unsigned int port)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i] == port)
			return true;
	return false;
}

static void add_port(struct guard *guard, unsigned int port)
{
	add(guard, "not tcp port %u", port);
}

static void add_proxy_ports(struct guard *guard, const json_t *list)
{
	unsigned int ports[PROXY_PORT_MAX];
	size_t count = 0, index;
	json_t *entry;

	json_array_foreach(list, index, entry) {
		unsigned int proxy;
		if (!json_is_object(entry)) {
			warn_ports(guard, "an entry is not an object");
			continue;
		}
		if (port_of(guard, entry, "internal") != SSH_PORT)
			continue;
		proxy = port_of(guard, entry, "internal_tls_proxy");
		if (proxy == 0 || contains(ports, count, proxy))
			continue;
		if (count == PROXY_PORT_MAX) {
			warn_ports(guard, "more proxies of ssh than there can be");
			break;
		}
		ports[count++] = proxy;
		add_port(guard, proxy);
	}
}

static void cleanup_json(json_t **value)
{
	json_decref(*value);
}

/* The ports that the TLS proxy in the container forwards to ssh. */
static void add_instance_ports(struct guard *guard, const char *text)
{
	size_t length = strnlen(text, INSTANCE_PORTS_MAX + 1);
	CLEANUP(cleanup_json) json_t *list = NULL;
	json_error_t error;

	if (length > INSTANCE_PORTS_MAX) {
		warn_ports(guard, "it is too long");
		return;
	}
	list = json_loadb(text, length, 0, &error);
	if (list == NULL) {
		warn_ports(guard, error.text);
		return;
	}
	if (!json_is_array(list)) {
		warn_ports(guard, "it is not a list");
		return;
	}
	add_proxy_ports(guard, list);
}

struct endpoint {
	char address[SSH_ADDRESS_SIZE]; /* checked: an IPv4 or IPv6 address, no name */
	uint64_t port;
};

/* Prints the address anew, as it is on the wire, so that only an address comes out. */
static int normalize_address(const char *address, char *out)
{
	struct in6_addr binary;

	if (inet_pton(AF_INET, address, &binary) == 1)
		return inet_ntop(AF_INET, &binary, out, SSH_ADDRESS_SIZE) != NULL ? 0 : -1;
	if (inet_pton(AF_INET6, address, &binary) != 1)
		return -1;
	if (IN6_IS_ADDR_V4MAPPED(&binary))
		return inet_ntop(AF_INET, &binary.s6_addr[12], out, SSH_ADDRESS_SIZE) != NULL ? 0 : -1;
	return inet_ntop(AF_INET6, &binary, out, SSH_ADDRESS_SIZE) != NULL ? 0 : -1;
}

/* Two fields of SSH_CONNECTION. */
static int parse_endpoint(struct endpoint *endpoint, char **fields)
{
	char *address = strsep(fields, " "), *port = strsep(fields, " ");

	if (address == NULL || port == NULL)
		return -1;
	address[strcspn(address, "%")] = '\0'; /* a link-local zone is not on the wire */
	if (normalize_address(address, endpoint->address) != 0 ||
	    quantity_parse_number(port, &endpoint->port) != 0)
		return -1;
	return endpoint->port >= 1 && endpoint->port <= 65535 ? 0 : -1;
}

/* "client-address client-port server-address server-port", ssh(1). Returns false if it is something else. */
static bool add_ssh_connection(struct guard *guard, const char *connection)
{
	char copy[256], *fields = copy;
	struct endpoint client, server;

	if (snprintf(copy, sizeof copy, "%s", connection) >= (int)sizeof copy ||
	    parse_endpoint(&client, &fields) != 0 || parse_endpoint(&server, &fields) != 0 ||
	    fields != NULL) {
		guard->warnings->ssh_connection = 1;
		return false;
	}
	add(guard,
	    "not ((src host %s and tcp src port %u and dst host %s and tcp dst port %u)"
	    " or (src host %s and tcp src port %u and dst host %s and tcp dst port %u))",
	    client.address, (unsigned)client.port, server.address, (unsigned)server.port,
	    server.address, (unsigned)server.port, client.address, (unsigned)client.port);
	return true;
}

bool guard_make(char *text, size_t size, const char *interface, const char *instance_ports,
		const char *ssh_connection, struct guard_warnings *warnings)
{
	struct guard guard = { .text = text, .size = size, .warnings = warnings };
	bool loopback = strcmp(interface, "lo") == 0, any = strcmp(interface, "any") == 0;
	bool known = loopback || instance_ports != NULL;

	text[0] = '\0';
	*warnings = (struct guard_warnings){ 0 };
	/* diego-sshd is reached over lo from the TLS proxy, elsewhere only in a container. */
	if (loopback || any || instance_ports != NULL)
		add_port(&guard, SSH_PORT);
	if (instance_ports != NULL && !loopback)
		add_instance_ports(&guard, instance_ports);
	if (ssh_connection != NULL && add_ssh_connection(&guard, ssh_connection))
		known = true;
	return known;
}
