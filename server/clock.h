/* clock.h - what time it is, in microseconds. */
#ifndef PUSHD_CLOCK_H
#define PUSHD_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* clock_now_us - goes on and never back, whatever is set. */
static inline uint64_t
clock_now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

/* clock_wall_us - since 1970. */
static inline uint64_t
clock_wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

#endif
