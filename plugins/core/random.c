/* random.c - see random.h. */
#include "random.h"

uint64_t
push_random_upto(uint64_t *state, uint64_t limit)
{
	uint64_t number;

	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	number = *state * 0x2545F4914F6CDD1Dull;
	return limit == UINT64_MAX ? number : number % (limit + 1);
}
