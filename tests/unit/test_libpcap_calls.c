/* helper/libpcap_calls.c: libpcap's sockets, mappings and name look-ups, with the resolver in the test. */
#include "helper/libpcap_calls.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/protocol.h"
#include "scratch.h"

int __wrap_socket(int domain, int type, int protocol);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);
void __wrap_freeaddrinfo(struct addrinfo *result);
struct hostent *__wrap_gethostbyname(const char *name);
int __wrap_getnetbyname_r(const char *name, struct netent *net, char *buffer, size_t size,
			  struct netent **result, int *error);
int __wrap_getprotobyname_r(const char *name, struct protoent *protocol, char *buffer, size_t size,
			    struct protoent **result);
int __wrap_ether_hostton(const char *name, struct ether_addr *address);

#define MAPPED 4096

static const struct sockets NO_SOCKETS = { -1, -1, -1 };
static const struct open_request REQUEST = { .interface = "lo", .ring = { .tp_block_size = 4096, .tp_block_nr = 1 } };
static int pair[2];
static const struct addrinfo NO_HINTS; /* libpcap always passes some */
static struct lookup_answer answer;

static int begin(void **state)
{
	(void)state;
	memset(&answer, 0, sizeof answer);
	answer.header = (struct message_header){ PROTOCOL_VERSION, MESSAGE_LOOKUP_ANSWER };
	if (scratch_open_pair(pair) != 0)
		return -1;
	libpcap_calls_use(&NO_SOCKETS, &REQUEST, pair[0]);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	return scratch_close_pair(pair);
}

/* Any socket that takes a filter will do. */
static struct sockets some_sockets(void)
{
	struct sockets some = { socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0),
				socket(AF_UNIX, SOCK_DGRAM, 0) };

	assert_true(some.raw >= 0 && some.cooked >= 0 && some.local >= 0);
	libpcap_calls_use(&some, &REQUEST, pair[0]);
	return some;
}

static void close_sockets(const struct sockets *some)
{
	close(some->raw);
	close(some->cooked);
	close(some->local);
}

static void each_socket_is_given_once_and_no_other(void **state)
{
	const struct sockets some = some_sockets();

	(void)state;
	assert_int_equal(__wrap_socket(AF_UNIX, SOCK_RAW, 0), some.local);
	assert_int_equal(__wrap_socket(AF_PACKET, SOCK_RAW, 0), some.raw);
	assert_int_equal(__wrap_socket(AF_PACKET, SOCK_DGRAM, 0), some.cooked);
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++)
		assert_int_equal(__wrap_socket(AF_INET, type, 0), -1);
	assert_int_equal(__wrap_socket(AF_UNIX, SOCK_RAW, 0), -1);
	assert_int_equal(__wrap_socket(AF_PACKET, SOCK_RAW, 0), -1);
	assert_int_equal(__wrap_socket(AF_PACKET, SOCK_DGRAM, 0), -1);
	close_sockets(&some);
}

static void a_socket_lets_nothing_pass_from_the_first_moment(void **state)
{
	const struct sockets some = some_sockets();
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof here;
	char byte = 'x';

	(void)state;
	assert_int_equal(bind(some.raw, (struct sockaddr *)&here, length), 0);
	assert_int_equal(getsockname(some.raw, (struct sockaddr *)&here, &length), 0);
	assert_int_equal(sendto(some.cooked, &byte, 1, 0, (struct sockaddr *)&here, length), 1);
	assert_int_equal(recv(some.raw, &byte, 1, MSG_DONTWAIT), 1);
	assert_int_equal(__wrap_socket(AF_PACKET, SOCK_RAW, 0), some.raw);
	assert_int_equal(sendto(some.cooked, &byte, 1, 0, (struct sockaddr *)&here, length), 1);
	assert_int_equal(recv(some.raw, &byte, 1, MSG_DONTWAIT), -1);
	close_sockets(&some);
}

static void only_the_rings_mapping_is_replaced(void **state)
{
	const struct sockets some = some_sockets();
	int file = memfd_create("other", MFD_CLOEXEC);
	char *ring, *other;

	(void)state;
	assert_true(file >= 0 && ftruncate(file, MAPPED) == 0 && pwrite(file, "content", 7, 0) == 7);
	/* Not yet given to libpcap, it is a descriptor like any other; a datagram socket cannot be mapped. */
	assert_ptr_equal(__wrap_mmap(NULL, MAPPED, PROT_READ, MAP_SHARED, some.raw, 0), MAP_FAILED);
	assert_int_equal(__wrap_socket(AF_PACKET, SOCK_RAW, 0), some.raw);
	ring = __wrap_mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, some.raw, 0);
	other = __wrap_mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_true(ring != MAP_FAILED && other != MAP_FAILED);
	assert_int_equal(ring[0] | ring[MAPPED - 1], 0);
	assert_string_equal(other, "content");
	other[0] = 'C';
	assert_int_equal(pread(file, other + 100, 1, 0), 1);
	assert_int_equal(other[100], 'C');
	assert_ptr_equal(__wrap_mmap(NULL, MAPPED, PROT_READ, MAP_SHARED, some.cooked, 0), MAP_FAILED);
	munmap(ring, MAPPED);
	munmap(other, MAPPED);
	close(file);
	close_sockets(&some);
}

static void other_options_are_set_as_they_are(void **state)
{
	const struct sockets some = some_sockets();
	int size = 100000, now = 0;
	socklen_t length = sizeof now;

	(void)state;
	assert_int_equal(__wrap_setsockopt(some.raw, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
	assert_int_equal(getsockopt(some.raw, SOL_SOCKET, SO_RCVBUF, &now, &length), 0);
	assert_int_equal(now, 2 * size);
	close_sockets(&some);
}

/* What the resolver will say: it lies ready before it is asked for. */
static void prepare_answer(void)
{
	assert_int_equal(channel_send(pair[1], &answer, sizeof answer), 0);
}

static void add_ipv4(uint32_t address, uint16_t port)
{
	struct lookup_entry *entry = &answer.entry[answer.count++];

	entry->family = AF_INET;
	entry->socket_type = SOCK_STREAM;
	entry->protocol = IPPROTO_TCP;
	entry->address.ipv4 = (struct sockaddr_in){ .sin_family = AF_INET,
						    .sin_port = htons(port),
						    .sin_addr = { htonl(address) } };
}

static void add_ipv6(uint8_t last)
{
	struct lookup_entry *entry = &answer.entry[answer.count++];

	entry->family = AF_INET6;
	entry->address.ipv6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	entry->address.ipv6.sin6_addr.s6_addr[15] = last;
}

static struct lookup_request question(void)
{
	struct lookup_request request;

	assert_int_equal(channel_receive(pair[1], &request, sizeof request), sizeof request);
	assert_true(lookup_request_valid(&request, sizeof request));
	return request;
}

static void assert_not_asked(void)
{
	char nothing;

	close(pair[0]);
	assert_int_equal(channel_receive(pair[1], &nothing, sizeof nothing), 0);
	pair[0] = -1;
}

static void a_host_is_asked_for_with_its_hints(void **state)
{
	const struct addrinfo hints = { .ai_family = AF_INET6, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP };
	struct addrinfo *found;
	struct lookup_request request;

	(void)state;
	answer.error = EAI_NONAME;
	prepare_answer();
	assert_int_equal(__wrap_getaddrinfo("example.org", NULL, &hints, &found), EAI_NONAME);
	request = question();
	assert_int_equal(request.kind, LOOKUP_ADDRESS);
	assert_string_equal(request.name, "example.org");
	assert_int_equal(request.family, AF_INET6);
	assert_int_equal(request.socket_type, SOCK_STREAM);
	assert_int_equal(request.protocol, IPPROTO_TCP);
}

static void addresses_come_back_as_a_list_in_order(void **state)
{
	struct addrinfo *found = NULL;

	(void)state;
	add_ipv4(0x0a090001, 0);
	add_ipv6(7);
	prepare_answer();
	assert_int_equal(__wrap_getaddrinfo("host", NULL, &NO_HINTS, &found), 0);
	assert_int_equal(found->ai_family, AF_INET);
	assert_int_equal(((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr.s_addr, htonl(0x0a090001));
	assert_int_equal(found->ai_next->ai_family, AF_INET6);
	assert_int_equal(((struct sockaddr_in6 *)(void *)found->ai_next->ai_addr)->sin6_addr.s6_addr[15], 7);
	assert_null(found->ai_next->ai_next);
	__wrap_freeaddrinfo(found);
}

static void as_many_addresses_as_an_answer_holds_come_back(void **state)
{
	struct addrinfo *found = NULL;
	unsigned int count = 0;

	(void)state;
	while (answer.count < LOOKUP_ADDRESS_MAX)
		add_ipv4(answer.count, 0);
	prepare_answer();
	assert_int_equal(__wrap_getaddrinfo("host", NULL, &NO_HINTS, &found), 0);
	for (const struct addrinfo *one = found; one != NULL; one = one->ai_next)
		assert_int_equal(((struct sockaddr_in *)(void *)one->ai_addr)->sin_addr.s_addr, htonl(count++));
	assert_int_equal(count, LOOKUP_ADDRESS_MAX);
}

/* The scanner asks for IPv6 addresses as if they were names. */
static void what_an_ipv6_address_means_is_not_asked(void **state)
{
	struct addrinfo *found = NULL;
	struct in6_addr address;

	(void)state;
	assert_int_equal(inet_pton(AF_INET6, "fd00::5", &address), 1);
	for (int known = 0; known <= 1; known++) {
		libpcap_calls_know_names(known == 1);
		assert_int_equal(__wrap_getaddrinfo("fd00::5", NULL, &NO_HINTS, &found), 0);
		assert_int_equal(found->ai_family, AF_INET6);
		assert_memory_equal(&((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_addr, &address, sizeof address);
		assert_null(found->ai_next);
	}
	assert_not_asked();
}

static void where_no_names_are_known_none_is_asked_for(void **state)
{
	struct addrinfo *found;
	struct netent net, *found_net = NULL;
	struct protoent protocol, *found_protocol = NULL;
	struct ether_addr ethernet;
	int error;

	(void)state;
	libpcap_calls_know_names(false);
	assert_int_equal(__wrap_getaddrinfo("db", NULL, &NO_HINTS, &found), EAI_NONAME);
	assert_int_equal(__wrap_getaddrinfo(NULL, "postgresql", &NO_HINTS, &found), EAI_NONAME);
	assert_int_equal(__wrap_getnetbyname_r("loopback", &net, NULL, 0, &found_net, &error), 0);
	assert_int_equal(__wrap_getprotobyname_r("sctp", &protocol, NULL, 0, &found_protocol), 0);
	assert_true(found_net == NULL && found_protocol == NULL);
	assert_int_not_equal(__wrap_ether_hostton("printer", &ethernet), 0);
	assert_not_asked();
}

static void a_service_is_asked_for_as_such(void **state)
{
	struct addrinfo *found = NULL;
	struct lookup_request request;

	(void)state;
	add_ipv4(0, 443);
	prepare_answer();
	assert_int_equal(__wrap_getaddrinfo(NULL, "https", &NO_HINTS, &found), 0);
	assert_int_equal(((struct sockaddr_in *)(void *)found->ai_addr)->sin_port, htons(443));
	request = question();
	assert_int_equal(request.kind, LOOKUP_SERVICE);
	assert_string_equal(request.name, "https");
}

static void an_answer_without_addresses_is_an_unknown_name(void **state)
{
	struct addrinfo *found;

	(void)state;
	prepare_answer();
	assert_int_equal(__wrap_getaddrinfo("host", NULL, &NO_HINTS, &found), EAI_NONAME);
}

static void a_name_of_255_characters_is_asked_for_and_no_longer_one(void **state)
{
	char name[LOOKUP_NAME_SIZE + 1];
	struct addrinfo *found;

	(void)state;
	memset(name, 'n', sizeof name);
	name[LOOKUP_NAME_SIZE - 1] = '\0';
	answer.error = EAI_NONAME;
	prepare_answer();
	assert_int_equal(__wrap_getaddrinfo(name, NULL, &NO_HINTS, &found), EAI_NONAME);
	assert_string_equal(question().name, name);
	memset(name, 'n', sizeof name);
	name[LOOKUP_NAME_SIZE] = '\0';
	assert_int_equal(__wrap_getaddrinfo(name, NULL, &NO_HINTS, &found), EAI_NONAME);
	assert_not_asked();
}

static void a_network_comes_back_as_its_number(void **state)
{
	struct netent net, *found = NULL;
	int error;

	(void)state;
	answer.number = 0x7f000000;
	prepare_answer();
	assert_int_equal(__wrap_getnetbyname_r("loopback", &net, NULL, 0, &found, &error), 0);
	assert_ptr_equal(found, &net);
	assert_int_equal(net.n_net, 0x7f000000);
	assert_int_equal(question().kind, LOOKUP_NETWORK);
	answer.error = -1;
	prepare_answer();
	__wrap_getnetbyname_r("nowhere", &net, NULL, 0, &found, &error);
	assert_null(found);
}

static void a_protocol_comes_back_as_its_number(void **state)
{
	struct protoent protocol, *found = NULL;

	(void)state;
	answer.number = IPPROTO_SCTP;
	prepare_answer();
	assert_int_equal(__wrap_getprotobyname_r("sctp", &protocol, NULL, 0, &found), 0);
	assert_ptr_equal(found, &protocol);
	assert_int_equal(protocol.p_proto, IPPROTO_SCTP);
	assert_int_equal(question().kind, LOOKUP_PROTOCOL);
	answer.error = -1;
	prepare_answer();
	__wrap_getprotobyname_r("nothing", &protocol, NULL, 0, &found);
	assert_null(found);
}

static void an_ethernet_address_comes_back_whole(void **state)
{
	static const uint8_t ADDRESS[] = { 2, 0, 0, 0, 0, 9 };
	struct ether_addr address;

	(void)state;
	memcpy(answer.entry[0].address.ethernet, ADDRESS, sizeof ADDRESS);
	prepare_answer();
	assert_int_equal(__wrap_ether_hostton("printer", &address), 0);
	assert_memory_equal(&address, ADDRESS, sizeof ADDRESS);
	assert_int_equal(question().kind, LOOKUP_ETHERNET);
	answer.error = -1;
	prepare_answer();
	assert_int_not_equal(__wrap_ether_hostton("nobody", &address), 0);
}

static void a_name_that_is_only_an_address_is_not_asked_for(void **state)
{
	(void)state;
	assert_null(__wrap_gethostbyname("host"));
	assert_not_asked();
}

/* The exit status of a process that looks a name up. */
static int status_of_lookup(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct addrinfo *found;
		alarm(30);
		close(pair[1]);
		_exit(__wrap_getaddrinfo("host", NULL, &NO_HINTS, &found) == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void a_sound_answer_lets_the_helper_live(void **state)
{
	(void)state;
	add_ipv4(1, 0);
	prepare_answer();
	assert_int_equal(status_of_lookup(), 0);
}

static void a_corrupt_answer_ends_the_helper(void **state)
{
	(void)state;
	answer.count = LOOKUP_ADDRESS_MAX + 1;
	prepare_answer();
	assert_int_equal(WEXITSTATUS(status_of_lookup()), 1);
}

static void a_short_answer_ends_the_helper(void **state)
{
	(void)state;
	assert_int_equal(channel_send(pair[1], &answer, sizeof answer - 1), 0);
	assert_int_equal(WEXITSTATUS(status_of_lookup()), 1);
}

static void an_fd_beside_an_answer_never_arrives(void **state)
{
	int before = scratch_open_fds();
	struct addrinfo *found;

	(void)state;
	add_ipv4(0x7f000001, 0);
	assert_int_equal(channel_send_fd(pair[1], &answer, sizeof answer, pair[1]), 0);
	assert_int_equal(__wrap_getaddrinfo("name", NULL, &NO_HINTS, &found), 0);
	assert_int_equal(scratch_open_fds(), before);
}

static void a_resolver_that_is_gone_ends_the_helper(void **state)
{
	(void)state;
	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(WEXITSTATUS(status_of_lookup()), 1);
}

#define LOOKUP_TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOKUP_TEST(each_socket_is_given_once_and_no_other),
		LOOKUP_TEST(a_socket_lets_nothing_pass_from_the_first_moment),
		LOOKUP_TEST(only_the_rings_mapping_is_replaced),
		LOOKUP_TEST(other_options_are_set_as_they_are),
		LOOKUP_TEST(a_host_is_asked_for_with_its_hints),
		LOOKUP_TEST(addresses_come_back_as_a_list_in_order),
		LOOKUP_TEST(as_many_addresses_as_an_answer_holds_come_back),
		LOOKUP_TEST(what_an_ipv6_address_means_is_not_asked),
		LOOKUP_TEST(where_no_names_are_known_none_is_asked_for),
		LOOKUP_TEST(a_service_is_asked_for_as_such),
		LOOKUP_TEST(an_answer_without_addresses_is_an_unknown_name),
		LOOKUP_TEST(a_name_of_255_characters_is_asked_for_and_no_longer_one),
		LOOKUP_TEST(a_network_comes_back_as_its_number),
		LOOKUP_TEST(a_protocol_comes_back_as_its_number),
		LOOKUP_TEST(an_ethernet_address_comes_back_whole),
		LOOKUP_TEST(a_name_that_is_only_an_address_is_not_asked_for),
		LOOKUP_TEST(a_sound_answer_lets_the_helper_live),
		LOOKUP_TEST(a_corrupt_answer_ends_the_helper),
		LOOKUP_TEST(a_short_answer_ends_the_helper),
		LOOKUP_TEST(an_fd_beside_an_answer_never_arrives),
		LOOKUP_TEST(a_resolver_that_is_gone_ends_the_helper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
