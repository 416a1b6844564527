/*
 * The split as one would first write it, for the attacks to work on: a program with cap_net_raw
 * that opens a packet socket, drops the capability, and goes on as a process like any other. A line
 * on stdout says that it got so far.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	cap_t none = cap_init();
	useconds_t life_ms = argc > 1 ? (useconds_t)atoi(argv[1]) : 20;

	if (socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)) < 0 || cap_set_proc(none) != 0)
		return 1;
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (write(STDOUT_FILENO, "\n", 1) != 1)
		return 1;
	usleep(life_ms * 1000);
	return 0;
}
