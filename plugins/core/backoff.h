/*
 * backoff.h - how long to wait until something that has failed is tried again: twice as long each time, up to
 * a limit, and half of it at random, so that those who failed together do not come back together.
 */
#ifndef PUSH_CORE_BACKOFF_H
#define PUSH_CORE_BACKOFF_H

#include <stdint.h>

/*
 * push_backoff_us - the pause after so many failures before this one.
 *
 * @first_us, @last_us: the longest that the first pause may be, and any.  @random: as push_random_upto() has
 * it.
 */
uint64_t
push_backoff_us(unsigned int failures, uint64_t first_us, uint64_t last_us, uint64_t *random);

#endif
