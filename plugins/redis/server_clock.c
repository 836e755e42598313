/* server_clock.c - see server_clock.h. */
#include "redis/call_text.h"
#include "redis/server_clock.h"

#define DIGITS_MAX 12 /* of seconds; a million times as many fit into 63 bits */

void
push_server_clock_learn(
	struct push_server_clock *clock, uint64_t sent_us, uint64_t heard_us, uint64_t server_us)
{
	int64_t min_us = (int64_t)server_us - (int64_t)heard_us;
	int64_t max_us = (int64_t)server_us - (int64_t)sent_us;

	if (!clock->is_known || min_us > clock->ahead_max_us || max_us < clock->ahead_min_us) {
		*clock = (struct push_server_clock){true, min_us, max_us};
		return;
	}
	if (min_us > clock->ahead_min_us)
		clock->ahead_min_us = min_us;
	if (max_us < clock->ahead_max_us)
		clock->ahead_max_us = max_us;
}

uint64_t
push_server_clock_ms(const struct push_server_clock *clock, uint64_t our_us)
{
	int64_t its_us = clock->is_known ? (int64_t)our_us + clock->ahead_min_us : 0;

	return its_us > 0 ? (uint64_t)its_us / 1000 : 0;
}

bool
push_server_clock_read(const char *text, size_t size, uint64_t *ret)
{
	return size <= DIGITS_MAX && push_redis_decimal(text, size, ret);
}
