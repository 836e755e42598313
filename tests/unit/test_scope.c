/* Names that clients choose, in the space of whoever uses them. */
#include "unit.h"

#include "core/scope.h"

#define STR(text)                                                                                            \
	{                                                                                                    \
		text, sizeof(text) - 1                                                                       \
	}

static const struct push_identity *
create(struct push_str user, struct push_str key)
{
	const struct push_identity_facts facts = {
		.user = user, .key_name = key, .expires_us = UINT64_MAX, .issued_s = INT64_MIN};
	const struct push_identity *identity = push_identity_done(push_identity_build(&facts));

	assert_non_null(identity);
	return identity;
}

static void
each_space_has_names_of_its_own(void **state)
{
	static const struct {
		struct push_str user, key, name;
		const char *scoped;
	} rows[] = {
		{{NULL, 0}, {NULL, 0}, STR("tab"), "client:tab"},
		{STR("alice"), {NULL, 0}, STR("tab"), "client-of:7:u:alice:tab"},
		{{NULL, 0}, STR("orders"), STR("tab"), "client-of:8:k:orders:tab"},
		/* without the length these two would be one */
		{STR("a"), {NULL, 0}, STR("b:tab"), "client-of:3:u:a:b:tab"},
		{STR("a:b"), {NULL, 0}, STR("tab"), "client-of:5:u:a:b:tab"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_identity *identity = create(rows[i].user, rows[i].key);
		struct push_buf to;

		push_buf_init(&to, 200);
		push_scope_append(&to, "client", identity, rows[i].name);
		push_identity_unref(identity);
		assert_int_equal(to.status, PUSH_OK);
		assert_int_equal(to.size, strlen(rows[i].scoped));
		assert_memory_equal(to.bytes, rows[i].scoped, to.size);
		push_buf_fini(&to);
	}
}

static void
everybodys_names_are_what_they_were_before_anybody_had_to_show_something(void **state)
{
	const struct push_identity *const everybody[] = {NULL, push_identity_everybody()};
	struct push_buf to;

	(void)state;
	for (size_t i = 0; i < COUNT(everybody); i++) {
		push_buf_init(&to, 200);
		push_scope_append(&to, "once", everybody[i], (struct push_str)STR("k"));
		assert_int_equal(to.size, 6);
		assert_memory_equal(to.bytes, "once:k", 6);
		push_buf_fini(&to);
	}
}

static void
the_longest_user_leaves_room_for_the_name(void **state)
{
	char user[PUSH_USER_BYTES_MAX], name[64];
	const struct push_identity *identity;
	struct push_buf to;

	(void)state;
	memset(user, 'u', sizeof(user));
	memset(name, 'n', sizeof(name));
	identity = create((struct push_str){user, sizeof(user)}, (struct push_str){NULL, 0});
	push_buf_init(&to, PUSH_SCOPE_BYTES_MAX + sizeof(name));
	push_scope_append(&to, "client", identity, (struct push_str){name, sizeof(name)});
	assert_int_equal(to.status, PUSH_OK);
	push_buf_fini(&to);
	push_identity_unref(identity);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_space_has_names_of_its_own),
		cmocka_unit_test(everybodys_names_are_what_they_were_before_anybody_had_to_show_something),
		cmocka_unit_test(the_longest_user_leaves_room_for_the_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
