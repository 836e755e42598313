/*
 * server_clock.h - what a server's own clock (TIME) shows, seen from ours.
 *
 *   ours    sent ──────────▶ heard
 *   its            TIME
 *
 * The server's clock is ahead of ours by at least TIME - heard and at most TIME - sent.  Samples narrow these
 * two bounds; a sample that contradicts them replaces them, since one of the clocks was set.  Nothing is
 * assumed of the clocks of two servers.
 *
 * A publish carries a deadline by the server's clock (scripts.h).  The deadline is computed from the lower
 * bound, so that it is early rather than late: a publish that is refused too early is sent again, one that is
 * carried out too late may be a second one.
 */
#ifndef PUSH_REDIS_SERVER_CLOCK_H
#define PUSH_REDIS_SERVER_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All 0 at first. */
struct push_server_clock {
	bool is_known;
	int64_t ahead_min_us, ahead_max_us;
};

/* push_server_clock_learn - TIME was `server_us` between `sent_us` and `heard_us` of our clock. */
void
push_server_clock_learn(
	struct push_server_clock *clock, uint64_t sent_us, uint64_t heard_us, uint64_t server_us);

/* push_server_clock_ms - what TIME shows when our clock shows `our_us`, or up to ahead_max_us - ahead_min_us
 * later; 0: not known. */
uint64_t
push_server_clock_ms(const struct push_server_clock *clock, uint64_t our_us);

/* push_server_clock_read - SECONDS or MICROSECONDS as TIME has them; false: no such number. */
bool
push_server_clock_read(const char *text, size_t size, uint64_t *ret);

#endif
