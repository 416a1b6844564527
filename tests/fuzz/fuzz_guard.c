/* The guard: any environment. Whatever comes out is a filter that libpcap compiles. */
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/channel.h"
#include "common/protocol.h"
#include "fuzz.h"
#include "setup/guard.h"

/* libpcap looks up IPv6 addresses as it does names: there is nothing else to look up in a guard. */
static struct lookup_request asked;

int channel_send(int channel, const void *message, size_t size)
{
	(void)channel;
	PROMISE(size == sizeof asked);
	memcpy(&asked, message, sizeof asked);
	return 0;
}

ssize_t channel_receive(int channel, void *message, size_t size)
{
	struct lookup_answer *answer = message;
	struct sockaddr_in6 *address = &answer->entry[0].address.ipv6;

	(void)channel;
	PROMISE(asked.kind == LOOKUP_ADDRESS && size == sizeof *answer);
	memset(answer, 0, sizeof *answer);
	answer->header = (struct message_header){ PROTOCOL_VERSION, MESSAGE_LOOKUP_ANSWER };
	answer->count = 1;
	answer->entry[0].family = address->sin6_family = AF_INET6;
	PROMISE(inet_pton(AF_INET6, asked.name, &address->sin6_addr) == 1);
	return sizeof *answer;
}

static const char *const INTERFACES[] = { "lo", "eth0", "any" };

/* The input's next text, up to a NUL, in a buffer of its exact size; NULL for an unset variable. */
static char *take_variable(struct bytes *bytes, bool set)
{
	size_t length = strnlen((const char *)bytes->data, bytes->size);
	char *text = malloc(length + 1);

	PROMISE(text != NULL);
	take(bytes, text, length);
	text[length] = '\0';
	take_byte(bytes);
	if (set)
		return text;
	free(text);
	return NULL;
}

static void expect_plain_words(const char *text)
{
	PROMISE(text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789 .:()")] == '\0');
}

static void expect_compiles(const char *text)
{
	pcap_t *handle = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program program;

	PROMISE(handle != NULL);
	PROMISE(pcap_compile(handle, &program, text, 1, PCAP_NETMASK_UNKNOWN) == 0);
	pcap_freecode(&program);
	pcap_close(handle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	uint8_t choice = take_byte(&bytes);
	char *ports = take_variable(&bytes, (choice & 1) != 0);
	char *connection = take_variable(&bytes, (choice & 2) != 0);
	struct guard_answer *answer = malloc(sizeof *answer);
	const char *interface = INTERFACES[choice / 4 % 3], *text = answer->text;

	PROMISE(answer != NULL);
	answer->ssh_known = guard_make(answer->text, sizeof answer->text, interface, ports, connection,
				       &answer->warnings);
	PROMISE(guard_answer_valid(answer));
	if (strcmp(interface, "eth0") != 0 || ports != NULL)
		PROMISE(strncmp(text, "not tcp port 2222", strlen("not tcp port 2222")) == 0);
	if (text[0] != '\0') {
		expect_plain_words(text);
		expect_compiles(text);
	}
	free(answer);
	free(ports);
	free(connection);
	return 0;
}
