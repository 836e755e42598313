/* backoff.c - see backoff.h. */
#include "backoff.h"
#include "random.h"

uint64_t
push_backoff_us(unsigned int failures, uint64_t first_us, uint64_t last_us, uint64_t *random)
{
	uint64_t pause_us = first_us;

	while (failures-- > 0 && pause_us < last_us)
		pause_us *= 2;
	if (pause_us > last_us)
		pause_us = last_us;
	return pause_us / 2 + push_random_upto(random, pause_us / 2);
}
