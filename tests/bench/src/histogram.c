/* histogram.c - see histogram.h. */
#include "histogram.h"

/* The largest value that falls into a bucket. */
static uint64_t
bucket_end(unsigned int bucket)
{
	unsigned int shift;
	uint64_t first;

	if (bucket < 2 * HISTOGRAM_SLICES)
		return bucket;
	shift = bucket / HISTOGRAM_SLICES - 1;
	first = (uint64_t)(bucket - shift * HISTOGRAM_SLICES) << shift;
	return first + (((uint64_t)1 << shift) - 1);
}

uint64_t
histogram_percentile(const struct histogram *histogram, double percent)
{
	double wanted = (double)histogram->count * percent / 100.0;
	uint64_t passed = 0;

	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		passed += histogram->buckets[i];
		if (passed && (double)passed >= wanted) {
			uint64_t end = bucket_end(i);

			return end < histogram->max ? end : histogram->max;
		}
	}
	return histogram->max;
}
