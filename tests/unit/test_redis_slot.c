#include "unit.h"

#include <stdio.h>

#include "core/redis_slot.h"

/* Values that CLUSTER KEYSLOT of Redis 7 answers. */
static void
slots_are_those_of_redis(void **state)
{
	static const struct {
		const char *name;
		uint16_t slot;
	} rows[] = {
		{"foo", 12182},
		{"bar", 5061},
		{"", 0},
		{"123456789", 0x31c3}, /* the check value of CRC-16/XMODEM */
		{"{user1000}.following", 3443},
		{"{user1000}.followers", 3443},
		{"{}foo", 9500},
		{"foo{}{bar}", 8363},    /* the first braces are empty: all of it counts */
		{"foo{{bar}}zap", 4015}, /* what counts is `{bar` */
		{"foo{bar}{zap}", 5061},
		{"foo{bar", 15278},
		{"}foo{bar}", 5061},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(push_redis_slot(rows[i].name, strlen(rows[i].name)), rows[i].slot);
}

static void
each_slot_has_a_tag_that_hashes_to_it(void **state)
{
	struct push_redis_slot_tags *tags = push_redis_slot_tags_create();

	(void)state;
	assert_non_null(tags);
	for (unsigned int slot = 0; slot < PUSH_REDIS_SLOT_COUNT; slot++) {
		char tag[PUSH_REDIS_SLOT_TAG_BYTES], name[64];

		push_redis_slot_tag(tags, (uint16_t)slot, tag);
		assert_true(strlen(tag) > 0);
		assert_int_equal(push_redis_slot(tag, strlen(tag)), slot);
		/* whatever braces stand behind it */
		snprintf(name, sizeof(name), "push:clients:{%s}a{b}c", tag);
		assert_int_equal(push_redis_slot(name, strlen(name)), slot);
	}
	push_redis_slot_tags_destroy(tags);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_those_of_redis),
		cmocka_unit_test(each_slot_has_a_tag_that_hashes_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
