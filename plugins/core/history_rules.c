/* history_rules.c - see history_rules.h. */
#include <stdio.h>
#include <string.h>

#include "history_rules.h"
#include "units.h"

static enum push_status
invalid(struct push_error *error, const char *rule, size_t size, const char *why)
{
	snprintf(error->text, sizeof(error->text), "push.history.rules: '%.*s': %s",
		(int)(size < PUSH_ERROR_QUOTE_BYTES_MAX ? size : PUSH_ERROR_QUOTE_BYTES_MAX), rule, why);
	return PUSH_INVALID;
}

/* PREFIX=SIZE[/TTL]; the prefix may have anything but white space, so that the last `=` counts. */
static enum push_status
parse_rule(struct push_history_rule *ret, const char *rule, size_t size, uint64_t ttl_us,
	struct push_error *error)
{
	const char *equals = memrchr(rule, '=', size), *end = rule + size;
	char number[32], *slash;
	uint64_t count;

	if (!equals || equals == rule)
		return invalid(error, rule, size, "must be PREFIX=SIZE or PREFIX=SIZE/TTL");
	if ((size_t)(end - equals) > sizeof(number))
		return invalid(error, rule, size, "the number is too long");
	memcpy(number, equals + 1, (size_t)(end - equals - 1));
	number[end - equals - 1] = '\0';
	slash = strchr(number, '/');
	if (slash)
		*slash = '\0';
	if (push_count_parse(number, &count) != PUSH_OK || count > PUSH_HISTORY_SIZE_MAX)
		return invalid(error, rule, size, "the size must be a number of messages, at most 65536");
	if (slash && (push_duration_parse(slash + 1, &ttl_us) != PUSH_OK || ttl_us < PUSH_HISTORY_TTL_US_MIN))
		return invalid(error, rule, size, "the TTL must be a duration from 1s to 24h");
	*ret = (struct push_history_rule){(uint32_t)count, ttl_us, rule, (size_t)(equals - rule)};
	return PUSH_OK;
}

enum push_status
push_history_rules_parse(
	struct push_history_rules *ret_rules, const struct push_options *options, struct push_error *error)
{
	struct push_history_rules rules = {0};
	const char *text = options->history_rules;

	for (;;) {
		size_t size;
		enum push_status status;

		text += strspn(text, " \t");
		size = strcspn(text, " \t");
		if (!size)
			break;
		if (rules.count == PUSH_HISTORY_RULES_MAX)
			return invalid(error, text, size, "too many rules");
		status = parse_rule(&rules.rules[rules.count++], text, size, options->history_ttl_us, error);
		if (status != PUSH_OK)
			return status;
		text += size;
	}
	rules.rules[rules.count++] =
		(struct push_history_rule){(uint32_t)options->history_size, options->history_ttl_us, "", 0};
	*ret_rules = rules;
	return PUSH_OK;
}

bool
push_history_rules_keep_any(const struct push_history_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->rules[i].size)
			return true;
	return false;
}

const struct push_history_rule *
push_history_rules_find(const struct push_history_rules *rules, const char *channel, size_t size)
{
	const struct push_history_rule *best = &rules->rules[rules->count - 1];

	for (size_t i = 0; i + 1 < rules->count; i++) {
		const struct push_history_rule *rule = &rules->rules[i];

		if (rule->prefix_size > best->prefix_size && rule->prefix_size <= size &&
			!memcmp(rule->prefix, channel, rule->prefix_size))
			best = rule;
	}
	return best;
}

bool
push_history_is_kept(const struct push_options *options)
{
	struct push_history_rules rules;
	struct push_error error = {""};

	return push_history_rules_parse(&rules, options, &error) == PUSH_OK &&
	       push_history_rules_keep_any(&rules);
}
