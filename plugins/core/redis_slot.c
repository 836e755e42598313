/* redis_slot.c - see redis_slot.h. */
#include <stdlib.h>
#include <string.h>

#include "push_assert.h"
#include "redis_slot.h"

#define CRC_POLYNOMIAL 0x1021 /* CRC-16/XMODEM */

struct push_redis_slot_tags {
	char texts[PUSH_REDIS_SLOT_COUNT][PUSH_REDIS_SLOT_TAG_BYTES];
};

/* Bit by bit: names are short, and a table of 512 bytes would push them out of the cache. */
static uint16_t
crc16(const char *bytes, size_t size)
{
	unsigned int crc = 0;

	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned int)(unsigned char)bytes[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? (crc << 1) ^ CRC_POLYNOMIAL : crc << 1;
		crc &= 0xffff;
	}
	return (uint16_t)crc;
}

uint16_t
push_redis_slot(const char *name, size_t size)
{
	const char *open = memchr(name, '{', size);

	if (open) {
		size_t rest = size - (size_t)(open + 1 - name);
		const char *close = memchr(open + 1, '}', rest);

		if (close && close > open + 1) {
			name = open + 1;
			size = (size_t)(close - name);
		}
	}
	return crc16(name, size) % PUSH_REDIS_SLOT_COUNT;
}

/* In order a, b, ... 9, aa, ba ...: some 160,000 of them hit all slots. */
static void
write_tag(unsigned long number, char to[PUSH_REDIS_SLOT_TAG_BYTES])
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t size = 0;

	do {
		PUSH_ASSERT(size + 1 < PUSH_REDIS_SLOT_TAG_BYTES);
		to[size++] = digits[number % 36];
		number /= 36;
	} while (number);
	to[size] = '\0';
}

struct push_redis_slot_tags *
push_redis_slot_tags_create(void)
{
	struct push_redis_slot_tags *tags = calloc(1, sizeof(*tags));
	size_t missing = PUSH_REDIS_SLOT_COUNT;

	for (unsigned long number = 1; tags && missing; number++) {
		char text[PUSH_REDIS_SLOT_TAG_BYTES];
		uint16_t slot;

		write_tag(number, text);
		slot = push_redis_slot(text, strlen(text));
		if (tags->texts[slot][0])
			continue;
		memcpy(tags->texts[slot], text, sizeof(text));
		missing--;
	}
	return tags;
}

void
push_redis_slot_tags_destroy(struct push_redis_slot_tags *tags)
{
	free(tags);
}

void
push_redis_slot_tag(
	const struct push_redis_slot_tags *tags, uint16_t slot, char to[PUSH_REDIS_SLOT_TAG_BYTES])
{
	PUSH_ASSERT(slot < PUSH_REDIS_SLOT_COUNT);
	memcpy(to, tags->texts[slot], PUSH_REDIS_SLOT_TAG_BYTES);
}
