/* units.c - see units.h.  One scanner for "digits, then a unit"; each kind brings its table of units. */
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "limits.h"
#include "units.h"

#define PORT_DIGITS_MAX 5

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Moves *p past the digits. */
static enum push_status
take_number(const char **p, uint64_t max, uint64_t *ret)
{
	const char *start = *p;
	uint64_t value = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++) {
		value = value * 10 + (uint64_t)(**p - '0');
		if (value > max)
			return PUSH_TOO_LARGE;
	}
	*ret = value;
	return *p == start ? PUSH_INVALID : PUSH_OK;
}

static enum push_status
parse_with_units(const char *text, const struct unit *units, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	const char *p = text;
	enum push_status status = take_number(&p, max, &value);

	if (status != PUSH_OK)
		return status;
	for (; units->suffix; units++) {
		if (strcasecmp(p, units->suffix))
			continue;
		if (value > max / units->factor)
			return PUSH_TOO_LARGE;
		*ret = value * units->factor;
		return PUSH_OK;
	}
	return PUSH_INVALID;
}

/* The decimals behind a point, as microseconds; what is below one is cut. */
static bool
take_decimals(const char **p, uint64_t *ret_us)
{
	uint64_t worth = 1000000;
	const char *start = ++*p;

	*ret_us = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		worth /= 10;
		*ret_us += worth * (uint64_t)(**p - '0');
	}
	return *p > start;
}

/* Behind the `P`: each unit once at most, in this order; seconds may have decimals. */
static enum push_status
parse_iso(const char *p, uint64_t *ret_us)
{
	static const struct {
		char letter;
		bool is_time;
		uint64_t us;
	} units[] = {{'D', false, 86400000000}, {'H', true, 3600000000}, {'M', true, 60000000},
		{'S', true, 1000000}};
	const size_t count = sizeof(units) / sizeof(units[0]);
	uint64_t sum = 0, value, decimals_us;
	bool in_time = false, is_whole = false;

	for (size_t i = 0; *p;) {
		enum push_status status;

		if (toupper((unsigned char)*p) == 'T' && !in_time) {
			in_time = true;
			is_whole = false;
			p++;
			continue;
		}
		status = take_number(&p, PUSH_DURATION_US_MAX, &value);
		if (status != PUSH_OK)
			return status;
		decimals_us = 0;
		if (*p == '.' && (!take_decimals(&p, &decimals_us) || toupper((unsigned char)*p) != 'S'))
			return PUSH_INVALID;
		while (i < count &&
			(units[i].letter != toupper((unsigned char)*p) || units[i].is_time != in_time))
			i++;
		if (i == count)
			return PUSH_INVALID;
		if (value > (PUSH_DURATION_US_MAX - sum) / units[i].us)
			return PUSH_TOO_LARGE;
		sum += value * units[i++].us + decimals_us;
		is_whole = true;
		p++;
	}
	if (is_whole && sum > PUSH_DURATION_US_MAX)
		return PUSH_TOO_LARGE;
	if (is_whole)
		*ret_us = sum;
	return is_whole ? PUSH_OK : PUSH_INVALID;
}

enum push_status
push_duration_parse(const char *text, uint64_t *ret_us)
{
	static const struct unit units[] = {
		{"", 1000},
		{"ms", 1000},
		{"s", 1000000},
		{"m", 60000000},
		{"h", 3600000000},
		{"d", 86400000000},
		{NULL, 0},
	};

	if (*text == 'P' || *text == 'p')
		return parse_iso(text + 1, ret_us);
	return parse_with_units(text, units, PUSH_DURATION_US_MAX, ret_us);
}

/* The first one is of memory only. */
static const struct unit memory_units[] = {
	{"gb", 1024 * 1024 * 1024},
	{"mb", 1024 * 1024},
	{"kb", 1024},
	{"b", 1},
	{"", 1},
	{NULL, 0},
};

enum push_status
push_size_parse(const char *text, uint64_t *ret_bytes)
{
	return parse_with_units(text, memory_units + 1, PUSH_SIZE_MAX, ret_bytes);
}

enum push_status
push_memory_parse(const char *text, uint64_t *ret_bytes)
{
	return parse_with_units(text, memory_units, PUSH_MEMORY_MAX, ret_bytes);
}

enum push_status
push_budget_parse(const char *text, uint64_t *ret_budget)
{
	static const struct unit shares[] = {{"%", 1}, {NULL, 0}};
	bool is_share = strchr(text, '%');
	uint64_t budget;
	enum push_status status = is_share ? parse_with_units(text, shares, PUSH_BUDGET_PERCENT_MAX, &budget)
					   : push_memory_parse(text, &budget);

	if (status != PUSH_OK)
		return status;
	if (budget < (is_share ? 1 : PUSH_BUDGET_BYTES_MIN))
		return PUSH_INVALID;
	*ret_budget = budget;
	return PUSH_OK;
}

uint64_t
push_budget_bytes(uint64_t budget, uint64_t bytes)
{
	return budget > PUSH_BUDGET_PERCENT_MAX ? budget : bytes / 100 * budget;
}

enum push_status
push_count_parse(const char *text, uint64_t *ret_count)
{
	static const struct unit units[] = {{"", 1}, {NULL, 0}};

	return parse_with_units(text, units, PUSH_SIZE_MAX, ret_count);
}

/* Not by strtod(3), which reads what the locale says, and `nan`. */
enum push_status
push_ratio_parse(const char *text, uint64_t *ret_billionths)
{
	uint64_t worth = PUSH_RATIO_ONE, sum;

	if (*text != '0' && *text != '1')
		return PUSH_INVALID;
	sum = *text == '1' ? PUSH_RATIO_ONE : 0;
	if (text[1] && (text[1] != '.' || !text[2]))
		return PUSH_INVALID;
	for (const char *at = text[1] ? text + 2 : ""; *at; at++) {
		worth /= 10;
		if (*at < '0' || *at > '9' || !worth)
			return PUSH_INVALID;
		sum += worth * (uint64_t)(*at - '0');
	}
	if (sum > PUSH_RATIO_ONE)
		return PUSH_INVALID;
	*ret_billionths = sum;
	return PUSH_OK;
}

bool
push_port_is_valid(const char *text, size_t size)
{
	unsigned long port = 0;

	if (!size || size > PORT_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (unsigned long)(text[i] - '0');
	}
	return port > 0 && port <= 65535;
}
