/*
 * histogram.h - durations, counted so finely that a percentile is off by less than 1 %.
 *
 * Log-linear: each power of two is cut into 128 equal buckets, values below 128 have one each.  Adding is a
 * shift and an increment, the memory is fixed, and nothing is sampled or thrown away, so that the maximum
 * and the far percentiles are real.
 *
 *   value   0 .. 127      one bucket each
 *   value 128 .. 255      128 buckets of 1
 *   value 256 .. 511      128 buckets of 2     and so on up to 2^64
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS    7
#define HISTOGRAM_SLICES  (1u << HISTOGRAM_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) * HISTOGRAM_SLICES)

struct histogram {
	uint64_t count, max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline unsigned int
histogram_bucket(uint64_t value)
{
	unsigned int shift;

	if (value < HISTOGRAM_SLICES)
		return (unsigned int)value;
	shift = 63u - (unsigned int)__builtin_clzll(value) - HISTOGRAM_BITS;
	return shift * HISTOGRAM_SLICES + (unsigned int)(value >> shift);
}

static inline void
histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->count++;
	if (value > histogram->max)
		histogram->max = value;
	histogram->buckets[histogram_bucket(value)]++;
}

/*
 * histogram_percentile - the value that `percent` of all values do not exceed; 0 if there are none.
 *
 * Rounded up to the end of its bucket, never over the maximum.
 */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

#endif
