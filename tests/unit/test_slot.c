/* helper/libpcap_calls.c: a slot before the ring, or no ring. The kernel's answers are the test's. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/protocol.h"
#include "helper/libpcap_calls.h"
#include "scratch.h"

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length);

#define SLOTS 8

static const struct open_request REQUEST = { .interface = "lo", .ring = { .tp_block_size = 4096, .tp_block_nr = 1 } };

static struct kernel {
	int without_group;    /* errno of a question without one */
	int of_group[SLOTS];  /* errno of each, in their order; 0: it is free */
	unsigned int asked;   /* groups asked for */
	unsigned int rings;   /* made */
	bool has_slot;
	bool down_meanwhile; /* the device goes down when a group is asked for */
} kernel;
static int fd;

/* As a device that is down leaves it: something that nobody has asked for yet. */
static void give_socket_an_error(void)
{
	struct sockaddr_in nobody = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof nobody;
	int taken = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(taken, (struct sockaddr *)&nobody, length), 0);
	assert_int_equal(getsockname(taken, (struct sockaddr *)&nobody, &length), 0);
	close(taken);
	assert_int_equal(connect(fd, (struct sockaddr *)&nobody, length), 0);
	assert_int_equal(send(fd, "", 1, 0), 1);
	assert_int_equal(poll(&(struct pollfd){ .fd = fd }, 1, 10000), 1);
}

static int answer(int option, const void *value)
{
	int error = 0;

	if (option == PACKET_RX_RING)
		kernel.rings++;
	else if (option == PACKET_FANOUT)
		error = value == NULL ? kernel.without_group : kernel.of_group[kernel.asked++ % SLOTS];
	kernel.has_slot |= option == PACKET_FANOUT && error == 0;
	if (kernel.down_meanwhile && kernel.asked == 1)
		give_socket_an_error();
	errno = error;
	return error != 0 ? -1 : 0;
}

static int begin(void **state)
{
	static const struct sockets NO_SOCKETS = { -1, -1, -1 };

	(void)state;
	kernel = (struct kernel){ .without_group = EFAULT };
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	libpcap_calls_use(&NO_SOCKETS, &REQUEST, -1);
	scratch_packet_option = answer;
	return fd < 0 ? -1 : 0;
}

static int finish(void **state)
{
	(void)state;
	scratch_packet_option = NULL;
	return close(fd);
}

static void refuse_every_group(int error)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		kernel.of_group[i] = error;
}

static int make_ring(void)
{
	return __wrap_setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &REQUEST.ring, sizeof REQUEST.ring);
}

static void the_first_group_that_is_free_is_the_slot(void **state)
{
	(void)state;
	kernel.of_group[0] = ENOSPC;
	kernel.of_group[1] = EINVAL; /* taken on another device */
	assert_int_equal(make_ring(), 0);
	assert_int_equal(kernel.asked, 3);
	assert_int_equal(kernel.rings, 1);
}

static void without_a_slot_there_is_no_ring(void **state)
{
	(void)state;
	refuse_every_group(ENOSPC);
	assert_int_equal(make_ring(), -1);
	assert_int_equal(libpcap_calls_error(), ENOSPC);
	refuse_every_group(EINVAL);
	assert_int_equal(make_ring(), -1);
	assert_int_equal(libpcap_calls_error(), ENOSPC);
	assert_int_equal(kernel.rings, 0);
}

/* libpcap asks for the ring once more after ENOMEM. */
static void who_asks_again_does_not_get_a_ring_without_a_slot(void **state)
{
	(void)state;
	kernel.of_group[0] = ENOMEM;
	assert_int_equal(make_ring(), -1);
	assert_int_equal(libpcap_calls_error(), ENOMEM);
	assert_int_equal(kernel.rings, 0);
	assert_int_equal(make_ring(), 0);
	assert_true(kernel.has_slot);
	assert_int_equal(kernel.asked, 2);
}

static void who_has_a_slot_takes_no_second_one(void **state)
{
	(void)state;
	assert_int_equal(make_ring(), 0);
	assert_int_equal(make_ring(), 0);
	assert_int_equal(kernel.asked, 1);
}

static void a_device_that_goes_down_is_no_lack_of_slots(void **state)
{
	(void)state;
	refuse_every_group(EINVAL);
	kernel.down_meanwhile = true;
	assert_int_equal(make_ring(), -1);
	assert_int_equal(libpcap_calls_error(), ECONNREFUSED);
	assert_int_equal(kernel.rings, 0);
}

static void a_kernel_without_such_groups_is_not_asked_for_one(void **state)
{
	(void)state;
	kernel.without_group = EINVAL;
	assert_int_equal(make_ring(), 0);
	assert_int_equal(kernel.asked, 0);
	assert_int_equal(kernel.rings, 1);
}

#define SLOT_TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SLOT_TEST(the_first_group_that_is_free_is_the_slot),
		SLOT_TEST(without_a_slot_there_is_no_ring),
		SLOT_TEST(who_asks_again_does_not_get_a_ring_without_a_slot),
		SLOT_TEST(who_has_a_slot_takes_no_second_one),
		SLOT_TEST(a_device_that_goes_down_is_no_lack_of_slots),
		SLOT_TEST(a_kernel_without_such_groups_is_not_asked_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
