/* position.c - see position.h. */
#include <ctype.h>
#include <string.h>

#include "position.h"

#define BASE 36

static int
digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'z' ? c - 'a' + 10 : -1;
}

/* A number up to the byte `end`, or to the end of the text if `end` is NUL. */
static bool
take_number(const char **text, const char *text_end, uint64_t *ret)
{
	const char *start = *text;
	uint64_t number = 0;

	for (; *text < text_end && digit_of(**text) >= 0; (*text)++) {
		uint64_t digit = (uint64_t)digit_of(**text);

		if (number > (UINT64_MAX - digit) / BASE)
			return false;
		number = number * BASE + digit;
	}
	*ret = number;
	return *text > start && (*start != '0' || *text == start + 1);
}

static bool
take_byte(const char **text, const char *end, char byte)
{
	if (*text == end || **text != byte)
		return false;
	(*text)++;
	return true;
}

enum push_status
push_positions_parse(struct push_positions *ret_positions, const char *text, size_t size)
{
	struct push_positions positions = {0};
	const char *end = text + size;

	do {
		struct push_position at;
		uint64_t partition;

		if (!take_number(&text, end, &partition) || partition >= PUSH_PARTITIONS_MAX ||
			positions.partitions >> partition || !take_byte(&text, end, '.') ||
			!take_number(&text, end, &at.epoch) || !take_byte(&text, end, '.') ||
			!take_number(&text, end, &at.number))
			return PUSH_INVALID;
		positions.partitions |= 1u << partition;
		positions.at[partition] = at;
	} while (take_byte(&text, end, '-'));
	if (text != end)
		return PUSH_INVALID;
	*ret_positions = positions;
	return PUSH_OK;
}

static char *
put_number(char *to, uint64_t number)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char reversed[13]; /* 36^13 > 2^64 */
	size_t count = 0;

	do {
		reversed[count++] = digits[number % BASE];
		number /= BASE;
	} while (number);
	while (count)
		*to++ = reversed[--count];
	return to;
}

size_t
push_positions_format(const struct push_positions *positions, uint32_t partitions, char *to)
{
	char *p = to;

	partitions &= positions->partitions;
	for (unsigned int i = 0; i < PUSH_PARTITIONS_MAX; i++) {
		if (!(partitions & (1u << i)))
			continue;
		if (p > to)
			*p++ = '-';
		p = put_number(p, i);
		*p++ = '.';
		p = put_number(p, positions->at[i].epoch);
		*p++ = '.';
		p = put_number(p, positions->at[i].number);
	}
	return (size_t)(p - to);
}

bool
push_position_is_argument(const char *name, size_t size)
{
	static const char letters[] = "lasteventid", prefix[] = "evs_";
	size_t seen = 0;

	if (size > sizeof(prefix) - 1 && !memcmp(name, prefix, sizeof(prefix) - 1)) {
		name += sizeof(prefix) - 1;
		size -= sizeof(prefix) - 1;
	}

	for (size_t i = 0; i < size; i++) {
		if (name[i] == '_' || name[i] == '-')
			continue;
		if (tolower((unsigned char)name[i]) != letters[seen])
			return false;
		seen++;
	}
	return seen == sizeof(letters) - 1;
}
