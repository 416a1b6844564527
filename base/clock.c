/* base: no packets, no privilege. */
/* Time, as the capture needs it. */
#include "clock.h"

int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int clock_tick_ms(void)
{
#ifdef CLOCK_MONOTONIC_COARSE /* Linux */
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0)
		return (int)((tick.tv_nsec + 999999) / 1000000);
#endif
	return 10;
}

uint64_t clock_wall(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return clock_nanoseconds(now);
}

uint64_t clock_nanoseconds(struct timespec time)
{
	return (uint64_t)time.tv_sec * NANOSECONDS + (uint64_t)time.tv_nsec;
}

int clock_sooner(int one, int other)
{
	return one < 0 || (other >= 0 && other < one) ? other : one;
}
