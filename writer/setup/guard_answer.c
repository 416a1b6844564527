/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* What the process that makes the guard answers, and what of it is believed. */
#include "guard_answer.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/log.h"

#define PORT_DIGITS 5

struct endpoint {
	char address[INET6_ADDRSTRLEN];
	char port[PORT_DIGITS + 1];
};

/* Each of these moves *at past what it is named after, and says whether it was there. */

static bool take(const char **at, const char *words)
{
	const size_t length = strlen(words);

	if (strncmp(*at, words, length) != 0)
		return false;
	*at += length;
	return true;
}

static bool take_port(const char **at, char *port)
{
	const size_t digits = strspn(*at, "0123456789");
	unsigned int number = 0;

	if (digits < 1 || digits > PORT_DIGITS || **at == '0')
		return false;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (unsigned int)((*at)[i] - '0');
	memcpy(port, *at, digits);
	port[digits] = '\0';
	*at += digits;
	return number <= 65535;
}

/* In the one way that inet_ntop() writes it: what is no address does not come back the same. */
static bool take_address(const char **at, char *address)
{
	const size_t length = strspn(*at, "0123456789abcdef.:");
	char again[INET6_ADDRSTRLEN] = "";
	struct in6_addr binary;
	int family;

	if (length >= INET6_ADDRSTRLEN)
		return false;
	memcpy(address, *at, length);
	address[length] = '\0';
	*at += length;
	family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
	return inet_pton(family, address, &binary) == 1 &&
	       inet_ntop(family, &binary, again, sizeof again) != NULL && strcmp(again, address) == 0;
}

static bool take_direction(const char **at, struct endpoint *source, struct endpoint *destination)
{
	return take(at, "(src host ") && take_address(at, source->address) &&
	       take(at, " and tcp src port ") && take_port(at, source->port) &&
	       take(at, " and dst host ") && take_address(at, destination->address) &&
	       take(at, " and tcp dst port ") && take_port(at, destination->port) && take(at, ")");
}

static bool is_same(const struct endpoint *one, const struct endpoint *other)
{
	return strcmp(one->address, other->address) == 0 && strcmp(one->port, other->port) == 0;
}

static bool take_connection_term(const char **at)
{
	struct endpoint client, server, client_again, server_again;

	return take(at, "not (") && take_direction(at, &client, &server) && take(at, " or ") &&
	       take_direction(at, &server_again, &client_again) && take(at, ")") &&
	       is_same(&client, &client_again) && is_same(&server, &server_again);
}

static bool take_port_term(const char **at)
{
	char port[PORT_DIGITS + 1];

	return take(at, "not tcp port ") && take_port(at, port);
}

/* text has a NUL. */
static bool is_guard(const char *text)
{
	const char *at = text;
	unsigned int ports = 0;

	if (*at == '\0')
		return true;
	while (strncmp(at, "not (", strlen("not (")) != 0) {
		if (ports++ == GUARD_PORTS_MOST || !take_port_term(&at))
			return false;
		if (*at == '\0')
			return true;
		if (!take(&at, " and "))
			return false;
	}
	return take_connection_term(&at) && *at == '\0';
}

bool guard_answer_valid(const struct guard_answer *answer)
{
	const struct guard_warnings *warnings = &answer->warnings;

	return memchr(answer->text, '\0', sizeof answer->text) != NULL && is_guard(answer->text) &&
	       memchr(warnings->instance_ports, '\0', sizeof warnings->instance_ports) != NULL &&
	       warnings->ssh_connection <= 1 && answer->ssh_known <= 1;
}

void guard_warnings_report(const struct guard_warnings *warnings)
{
	if (warnings->instance_ports[0] != '\0')
		log_record(LOG_WARN, "CF_INSTANCE_PORTS is not what the platform sets, parts of it are ignored",
			   LOG_FIELDS(LOG_TEXT("reason", warnings->instance_ports)));
	if (warnings->ssh_connection != 0)
		log_record(LOG_WARN, "SSH_CONNECTION is not what sshd sets, it is ignored", LOG_NO_FIELDS);
}
