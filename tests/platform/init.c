/* The container's first process: reaps, and ends by itself should nobody end it. */
#include <signal.h>
#include <unistd.h>

#define LIFETIME_SECONDS 900

int main(void)
{
	signal(SIGCHLD, SIG_IGN);
	return (int)sleep(LIFETIME_SECONDS);
}
