/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The resolver: a child of the writer that looks up the names in a filter for the helper. */
#include "resolver.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <nss.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "child.h"
#include "common/channel.h"
#include "common/protocol.h"

#define LOOKUP_LIMIT_SECONDS 60 /* all names of a filter; name servers may be silent for long */
/* The helper compiles a filter several times. Of so many look-ups all but the first time are free and the same. */
#define REMEMBERED 256
#define EXIT_REPORTED 2

/*
 * The container's nsswitch.conf belongs to the user and names libraries to load. libc's own
 * "files" and "dns" are built in; this also keeps nscd out.
 */
static void use_builtin_sources(void)
{
	__nss_configure_lookup("hosts", "files dns");
	__nss_configure_lookup("networks", "files");
	__nss_configure_lookup("protocols", "files");
	__nss_configure_lookup("services", "files");
	__nss_configure_lookup("ethers", "files");
}

static void add_entry(struct lookup_answer *answer, const struct addrinfo *found)
{
	struct lookup_entry *entry = &answer->entry[answer->count++];

	entry->family = found->ai_family;
	entry->socket_type = found->ai_socktype;
	entry->protocol = found->ai_protocol;
	memcpy(&entry->address, found->ai_addr, found->ai_addrlen);
}

static void look_up_addrinfo(const struct lookup_request *request, struct lookup_answer *answer)
{
	const struct addrinfo hints = { .ai_family = request->family,
					.ai_socktype = request->socket_type,
					.ai_protocol = request->protocol };
	bool address = request->kind == LOOKUP_ADDRESS;
	struct addrinfo *found;

	answer->error = getaddrinfo(address ? request->name : NULL, address ? NULL : request->name,
				    &hints, &found);
	if (answer->error != 0)
		return;
	for (const struct addrinfo *one = found; one != NULL; one = one->ai_next) {
		if ((one->ai_family != AF_INET && one->ai_family != AF_INET6) ||
		    one->ai_addrlen > sizeof answer->entry[0].address)
			continue;
		if (answer->count == LOOKUP_ADDRESS_MAX) {
			/* A filter with some of them would silently miss packets. */
			log_record(LOG_ERROR, "a name in the filter has too many addresses",
				   LOG_FIELDS(LOG_TEXT("name", request->name),
					      LOG_NUMBER("limit", LOOKUP_ADDRESS_MAX)));
			_exit(EXIT_REPORTED);
		}
		add_entry(answer, one);
	}
	freeaddrinfo(found);
}

static void look_up_network(const char *name, struct lookup_answer *answer)
{
	const struct netent *found = getnetbyname(name);

	if (found != NULL) {
		answer->number = found->n_net;
		answer->error = 0;
	}
}

static void look_up_protocol(const char *name, struct lookup_answer *answer)
{
	const struct protoent *found = getprotobyname(name);

	if (found != NULL) {
		answer->number = (uint32_t)found->p_proto;
		answer->error = 0;
	}
}

static void look_up_ethernet(const char *name, struct lookup_answer *answer)
{
	struct ether_addr found;

	if (ether_hostton(name, &found) == 0) {
		memcpy(answer->entry[0].address.ethernet, &found, sizeof found);
		answer->error = 0;
	}
}

static void look_up(const struct lookup_request *request, struct lookup_answer *answer)
{
	memset(answer, 0, sizeof *answer);
	answer->header = (struct message_header){ PROTOCOL_VERSION, MESSAGE_LOOKUP_ANSWER };
	answer->error = -1;
	switch (request->kind) {
	case LOOKUP_ADDRESS:
	case LOOKUP_SERVICE:
		look_up_addrinfo(request, answer);
		break;
	case LOOKUP_NETWORK:
		look_up_network(request->name, answer);
		break;
	case LOOKUP_PROTOCOL:
		look_up_protocol(request->name, answer);
		break;
	default:
		look_up_ethernet(request->name, answer);
	}
}

static const struct lookup_answer *remembered_look_up(const struct lookup_request *request)
{
	static struct lookup_request requests[REMEMBERED];
	static struct lookup_answer answers[REMEMBERED];
	static size_t count;
	size_t slot = count % REMEMBERED;

	for (size_t i = 0; i < count && i < REMEMBERED; i++)
		if (memcmp(&requests[i], request, sizeof *request) == 0)
			return &answers[i];
	requests[slot] = *request;
	look_up(request, &answers[slot]);
	count++;
	return &answers[slot];
}

static _Noreturn void serve_lookups(int channel)
{
	struct lookup_request request;
	const struct lookup_answer *answer;

	for (;;) {
		ssize_t received = channel_receive(channel, &request, sizeof request);
		if (received <= 0 || !lookup_request_valid(&request, (size_t)received))
			_exit(0);
		answer = remembered_look_up(&request);
		if (channel_send(channel, answer, sizeof *answer) != 0)
			_exit(0);
	}
}

pid_t resolver_start(int lookup_channel)
{
	pid_t resolver = child_fork();

	if (resolver != 0) {
		close(lookup_channel);
		return resolver;
	}
	alarm(LOOKUP_LIMIT_SECONDS);
	use_builtin_sources();
	serve_lookups(lookup_channel);
}

enum resolver_end resolver_stop(pid_t resolver)
{
	int status = 0;

	kill(resolver, SIGKILL);
	while (waitpid(resolver, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_REPORTED)
		return RESOLVER_REPORTED;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? RESOLVER_TOO_SLOW : RESOLVER_DONE;
}
