#include "unit.h"

#include "core/similar_name.h"

static void
one_slip_of_the_fingers_is_told_from_another_name(void **state)
{
	static const struct {
		const char *name, *other;
		bool is_slip;
	} rows[] = {
		{"tll", "ttl", true}, /* a wrong letter that is one of its own */
		{"tlt", "ttl", true}, /* two swapped */
		{"tttl", "ttl", true},
		{"tl", "ttl", true},
		{"TTL", "ttl", true},
		{"Channel", "channel", true},
		{"chanel", "channel", true},
		{"channell", "channel", true},
		{"chnanel", "channel", true},
		{"chamnel", "channel", true},
		{"mesage", "message", true},
		{"messages", "message", true},
		{"trace_parent", "traceparent", true},
		{"ttl", "ttl", false}, /* it is the name itself */
		/* short words of others */
		{"tel", "ttl", false},
		{"rtl", "ttl", false},
		{"tts", "ttl", false},
		{"ids", "id", false},
		{"it", "id", false},
		{"i", "id", false},
		{"channelId", "channel", false},
		{"messageId", "message", false},
		{"msg", "message", false},
		{"", "ttl", false},
		{"x", "", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(push_similar_name_is_slip(rows[i].name, strlen(rows[i].name), rows[i].other),
			rows[i].is_slip);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_slip_of_the_fingers_is_told_from_another_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
