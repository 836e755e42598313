/*
 * clock.h - the one clock of the tool: monotonic nanoseconds.
 *
 * Publisher and subscribers live in one process, so that a latency is the difference of two readings of the
 * same clock and needs no correction.
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

static inline uint64_t
clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline double
seconds(uint64_t ns)
{
	return (double)ns / (double)NS_PER_S;
}

#endif
