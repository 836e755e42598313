/* utf8.c - see utf8.h.  ASCII goes eight bytes at a time, since nearly everything is ASCII. */
#include <stdint.h>
#include <string.h>

#include "utf8.h"

/* Length of the sequence at p, 0 if it is not well-formed; `left` > 0 bytes are readable. */
static size_t
sequence_length(const unsigned char *p, size_t left)
{
	unsigned char least = 0x80, most = 0xBF;
	size_t length;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	length = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (left < length)
		return 0;

	/* the second byte's range excludes overlong forms, surrogates and what is past U+10FFFF */
	switch (p[0]) {
	case 0xE0: least = 0xA0; break;
	case 0xED: most = 0x9F; break;
	case 0xF0: least = 0x90; break;
	case 0xF4: most = 0x8F; break;
	default: break;
	}
	if (p[1] < least || p[1] > most)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	return length;
}

/* How far the whole sequences go. */
static const unsigned char *
skip_valid(const unsigned char *p, const unsigned char *end)
{

	while (p < end) {
		uint64_t word;
		size_t length;

		if ((size_t)(end - p) >= sizeof(word)) {
			memcpy(&word, p, sizeof(word));
			if (!(word & 0x8080808080808080ull)) {
				p += sizeof(word);
				continue;
			}
		}
		length = sequence_length(p, (size_t)(end - p));
		if (!length)
			break;
		p += length;
	}
	return p;
}

bool
push_utf8_is_valid(const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;

	return skip_valid(p, p + size) == p + size;
}

/* Whether a sequence of up to three bytes could be completed: with the lowest or the highest bytes it is one.
 */
static bool
is_beginning(const unsigned char *p, size_t size)
{
	unsigned char low[4] = {0}, high[4] = {0};

	if (size >= sizeof(low))
		return false;
	memset(low, 0x80, sizeof(low));
	memset(high, 0xBF, sizeof(high));
	memcpy(low, p, size);
	memcpy(high, p, size);
	return sequence_length(low, sizeof(low)) > size || sequence_length(high, sizeof(high)) > size;
}

bool
push_utf8_take(const char *text, size_t size, size_t *ret_size)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + size;
	const unsigned char *stop = skip_valid(p, end);

	*ret_size = (size_t)(stop - p);
	return stop == end || is_beginning(stop, (size_t)(end - stop));
}

size_t
push_utf8_cut(const char *text, size_t size, size_t max)
{
	if (size <= max)
		return size;
	while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80)
		max--;
	return max;
}

bool
push_utf8_has_control(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte < 0x20 || byte == 0x7F)
			return true;
		if (byte == 0xC2 && i + 1 < size && (unsigned char)text[i + 1] < 0xA0)
			return true;
	}
	return false;
}
