/* For LD_PRELOAD: tells that it was loaded. */
#include <unistd.h>

__attribute__((constructor)) static void loaded(void)
{
	write(2, "PRELOADED", 9);
}
