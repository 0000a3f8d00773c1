#include <errno.h>
#include <sys/random.h>
#include <time.h>
#include "clock.h"

int64_t
clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t
clock_ms(void)
{
	return clock_ns() / 1000000;
}

int64_t
clock_sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

int
clock_pause(void *arg, int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	(void)arg;
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
	return 0;
}

uint32_t
clock_jitter(void)
{
	uint32_t r;

	/* An early boot has no entropy yet. */
	return getrandom(&r, sizeof r, GRND_NONBLOCK) == sizeof r ? r : (uint32_t)clock_ns();
}
