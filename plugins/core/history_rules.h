/*
 * history_rules.h - how much is kept of which channel.
 *
 * `chat:=100/5m ticker:=1 log:=0`: of channels whose names start with `chat:` 100 messages for 5 minutes, of
 * `ticker:` the last one for push.history.ttl, of `log:` nothing.  Of several prefixes that fit the longest
 * counts; where none does, push.history.size and push.history.ttl do.
 */
#ifndef PUSH_CORE_HISTORY_RULES_H
#define PUSH_CORE_HISTORY_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "status.h"

/* The shortest rule has four bytes with its separator, and an option at most 240. */
#define PUSH_HISTORY_RULES_MAX 60

struct push_history_rule {
	uint32_t size;   /* messages; 0: none are kept */
	uint64_t ttl_us; /* of each */
	const char *prefix;
	size_t prefix_size;
};

struct push_history_rules {
	size_t count; /* the default is the last one, with the empty prefix */
	struct push_history_rule rules[PUSH_HISTORY_RULES_MAX + 1];
};

/*
 * push_history_rules_parse - read the options; the rules point into them.
 *
 * Errors: PUSH_INVALID with the rule and what is wrong with it in `error`.
 */
enum push_status PUSH_MUST_USE
push_history_rules_parse(
	struct push_history_rules *ret_rules, const struct push_options *options, struct push_error *error);

/* push_history_rules_keep_any - whether there is a channel of which anything is kept. */
bool
push_history_rules_keep_any(const struct push_history_rules *rules);

/* push_history_is_kept - the same of options that were checked. */
bool
push_history_is_kept(const struct push_options *options);

/* push_history_rules_find - what holds for a channel; never NULL. */
const struct push_history_rule *
push_history_rules_find(const struct push_history_rules *rules, const char *channel, size_t size);

#endif
