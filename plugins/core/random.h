/*
 * random.h - numbers that spread things: lifetimes, pauses, samples.  Not for secrets, which getrandom(2)
 * gives.
 *
 * xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016): the
 * state is one word of whoever draws, who has it seeded, so that a test can repeat what it has seen.
 */
#ifndef PUSH_CORE_RANDOM_H
#define PUSH_CORE_RANDOM_H

#include <stdint.h>

/* push_random_upto - uniform in [0, limit].  The state must not be 0, and never becomes it. */
uint64_t
push_random_upto(uint64_t *state, uint64_t limit);

#endif
