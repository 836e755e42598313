/*
 * cache_control.h - how long an answer may be kept, by its Cache-Control (RFC 9111, 5.2.2).
 */
#ifndef PUSH_CORE_CACHE_CONTROL_H
#define PUSH_CORE_CACHE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#define PUSH_MAX_AGE_NONE UINT32_MAX

struct push_cache_control {
	uint32_t max_age_s; /* PUSH_MAX_AGE_NONE: it does not say */
	bool no_store; /* or no-cache, which for us is the same: nothing is asked whether it still holds */
};

/*
 * push_cache_control_parse - read it; several headers are joined by commas.
 *
 * Unknown directives are ignored; of a max-age that comes twice the lesser one counts, and one that is no number
 * is 0.
 */
struct push_cache_control
push_cache_control_parse(const char *text);

#endif
