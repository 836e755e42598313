/* The table of identities against a naive one, and walks in slices while it changes. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdlib.h>

#include "core/identities.h"
#include "core/push_assert.h"

#define KEYS 600

/* Addresses as a heap gives them out; nothing is there. */
static struct push_subscriber *
key(size_t i)
{
	return (struct push_subscriber *)(uintptr_t)(0x7f0000001000ull + 144 * i);
}

static const struct push_identity *
create(const char *user)
{
	const struct push_identity_facts facts = {
		.user = {user, strlen(user)}, .expires_us = UINT64_MAX, .issued_s = INT64_MIN};
	const struct push_identity *identity = push_identity_done(push_identity_build(&facts));

	assert_non_null(identity);
	return identity;
}

struct model {
	struct push_memory memory;
	struct push_identities identities;
	const struct push_identity *all[2];
	const struct push_identity *expected[KEYS]; /* NULL: it is not there */
	size_t count;
};

static void
open_model(struct model *model)
{
	memset(model, 0, sizeof(*model));
	push_memory_init(&model->memory);
	identities_init(&model->identities, &model->memory);
	model->all[0] = create("a");
	model->all[1] = create("b");
}

static void
put(struct model *model, size_t i, const struct push_identity *identity)
{
	assert_int_equal(identities_put(&model->identities, key(i), identity), PUSH_OK);
	model->count += !model->expected[i];
	model->expected[i] = identity;
}

static void
forget(struct model *model, size_t i)
{
	identities_forget(&model->identities, key(i));
	model->count -= model->expected[i] != NULL;
	model->expected[i] = NULL;
}

static uint64_t
charged(const struct model *model)
{
	return model->memory.accounts[PUSH_MEMORY_IDENTITIES].bytes;
}

/* The table, and each identity that is in use once. */
static uint64_t
naive_charge(const struct model *model)
{
	size_t capacity = model->identities.capacity;
	uint64_t bytes = capacity ? capacity * sizeof(struct push_identity_slot) + PUSH_MALLOC_BYTES : 0;
	bool is_used[2] = {false, false};

	for (size_t i = 0; i < KEYS; i++)
		for (size_t n = 0; n < 2; n++)
			is_used[n] |= model->expected[i] == model->all[n];
	for (size_t n = 0; n < 2; n++)
		bytes += is_used[n] ? push_identity_bytes(model->all[n]) : 0;
	return bytes;
}

static void
check(const struct model *model)
{
	assert_int_equal(charged(model), naive_charge(model));
	assert_int_equal(model->identities.count, model->count);
	for (size_t i = 0; i < KEYS; i++)
		assert_ptr_equal(identities_get(&model->identities, key(i)), model->expected[i]);
}

static void
close_model(struct model *model)
{
	for (size_t i = 0; i < KEYS; i++)
		forget(model, i);
	identities_fini(&model->identities);
	assert_int_equal(model->memory.bytes, 0);
	push_identity_unref(model->all[0]);
	push_identity_unref(model->all[1]);
}

static void
it_knows_whom_a_naive_table_knows_while_it_grows_and_shrinks(void **state)
{
	static struct model model;

	(void)state;
	srand(20);
	open_model(&model);
	for (int round = 0; round < 6; round++) {
		/* mostly coming, then mostly going */
		for (int step = 0; step < 1500; step++) {
			size_t i = (size_t)rand() % KEYS;

			if ((rand() % 8 < 6) == (round % 2 == 0))
				put(&model, i, model.all[rand() % 2]);
			else
				forget(&model, i);
		}
		check(&model);
		assert_true(8 * model.identities.count <= 7 * model.identities.capacity);
	}
	close_model(&model);
}

static void
it_gives_its_memory_back_when_most_are_gone(void **state)
{
	static struct model model;

	(void)state;
	open_model(&model);
	for (size_t i = 0; i < KEYS; i++)
		put(&model, i, model.all[0]);
	assert_true(model.identities.capacity >= 1024);
	for (size_t i = 0; i < KEYS; i++)
		forget(&model, i);
	assert_int_equal(model.identities.capacity, 16);
	close_model(&model);
}

static void
without_memory_nothing_changes(void **state)
{
	static struct model model;
	size_t count = 0;

	(void)state;
	open_model(&model);
	allocations_left = 0;
	assert_int_equal(identities_put(&model.identities, key(0), model.all[0]), PUSH_OUT_OF_MEMORY);
	allocations_left = 1;
	while (identities_put(&model.identities, key(count), model.all[0]) == PUSH_OK)
		model.expected[count++] = model.all[0];
	model.count = count;
	assert_int_equal(count, 14); /* of 16 */
	check(&model);
	/* it cannot shrink either, and is none the worse for it */
	allocations_left = 1;
	for (; model.count < 100; model.count++) {
		allocations_left = 1;
		assert_int_equal(identities_put(&model.identities, key(model.count), model.all[1]), PUSH_OK);
		model.expected[model.count] = model.all[1];
	}
	allocations_left = 0;
	for (size_t i = 3; i < 100; i++)
		forget(&model, i);
	check(&model);
	allocations_left = -1;
	close_model(&model);
}

/* A table for 14, and what is left of a quarter of the budget. */
static void
past_its_part_of_the_budget_an_identity_is_refused_and_nothing_changes(void **state)
{
	static struct model model;
	uint64_t part;

	(void)state;
	open_model(&model);
	part = 16 * sizeof(struct push_identity_slot) + PUSH_MALLOC_BYTES + push_identity_bytes(model.all[0]);
	push_memory_set_max(&model.memory, PUSH_IDENTITIES_SHARE * part);
	for (size_t i = 0; i < 14; i++)
		put(&model, i, model.all[0]);
	assert_int_equal(charged(&model), part);
	/* another identity, whose it ever is, and a larger table */
	assert_int_equal(identities_put(&model.identities, key(0), model.all[1]), PUSH_TOO_LARGE);
	assert_int_equal(identities_put(&model.identities, key(20), model.all[0]), PUSH_TOO_LARGE);
	check(&model);
	forget(&model, 3);
	assert_int_equal(identities_put(&model.identities, key(20), model.all[1]), PUSH_TOO_LARGE);
	put(&model, 20, model.all[0]);
	check(&model);
	push_memory_set_max(&model.memory, UINT64_MAX);
	put(&model, 0, model.all[1]);
	put(&model, 21, model.all[0]);
	check(&model);
	close_model(&model);
}

static void
what_others_have_taken_of_the_budget_leaves_no_room_either(void **state)
{
	static struct model model;

	(void)state;
	open_model(&model);
	push_memory_set_max(&model.memory, 1 << 20);
	push_account_add(&model.memory.accounts[PUSH_MEMORY_QUEUES], 1 << 20);
	put(&model, 0, model.all[0]); /* queues can be freed */
	model.memory.is_exhausted = true;
	assert_int_equal(identities_put(&model.identities, key(1), model.all[1]), PUSH_TOO_LARGE);
	put(&model, 1, model.all[0]); /* which takes nothing */
	push_account_take(&model.memory.accounts[PUSH_MEMORY_QUEUES], 1 << 20);
	put(&model, 1, model.all[1]);
	check(&model);
	close_model(&model);
}

static void
the_same_subscriber_has_one_identity_the_last_one(void **state)
{
	static struct model model;

	(void)state;
	open_model(&model);
	put(&model, 1, model.all[0]);
	put(&model, 1, model.all[0]);
	put(&model, 1, model.all[1]);
	check(&model);
	assert_null(identities_get(&model.identities, key(2)));
	close_model(&model);
}

struct walk {
	bool seen[KEYS];
};

static void
see(void *context, struct push_subscriber *subscriber, const struct push_identity *identity)
{
	struct walk *walk = context;

	assert_non_null(identity);
	walk->seen[((uintptr_t)subscriber - (uintptr_t)key(0)) / 144] = true;
}

/* Whoever is there from the first slice to the last one is seen, whatever comes and goes in between. */
static void
walk_while_it_changes(struct model *model, size_t slice, bool grows)
{
	struct walk walk = {{false}};
	bool stays[KEYS];
	uint64_t at = 0;
	size_t calls = 0;

	for (size_t i = 0; i < KEYS; i++)
		stays[i] = model->expected[i];
	while (!identities_walk(&model->identities, &at, slice, see, &walk)) {
		assert_true(++calls < 10000);
		for (int n = 0; n < 12; n++) {
			size_t i = (size_t)rand() % KEYS;

			if (grows)
				put(model, i, model->all[0]);
			else
				forget(model, i);
			stays[i] = stays[i] && model->expected[i];
		}
	}
	for (size_t i = 0; i < KEYS; i++)
		assert_true(walk.seen[i] || !stays[i]);
}

static void
a_walk_in_slices_misses_nobody_while_the_table_grows_shrinks_and_closes_gaps(void **state)
{
	static const size_t slices[] = {1, 3, 16, 100, SIZE_MAX};
	static struct model model;

	(void)state;
	srand(21);
	open_model(&model);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < COUNT(slices); i++) {
			for (int n = 0; n < KEYS; n++)
				put(&model, (size_t)rand() % KEYS, model.all[1]);
			walk_while_it_changes(&model, slices[i], false);
			walk_while_it_changes(&model, slices[i], true);
		}
	}
	close_model(&model);
}

static void
a_walk_of_an_empty_table_is_over(void **state)
{
	struct push_memory memory;
	struct push_identities none;
	uint64_t at = 0;

	(void)state;
	push_memory_init(&memory);
	identities_init(&none, &memory);
	assert_true(identities_walk(&none, &at, 10, see, NULL));
	assert_null(identities_get(&none, key(0)));
	identities_forget(&none, key(0));
	identities_fini(&none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_knows_whom_a_naive_table_knows_while_it_grows_and_shrinks),
		cmocka_unit_test(it_gives_its_memory_back_when_most_are_gone),
		cmocka_unit_test(without_memory_nothing_changes),
		cmocka_unit_test(past_its_part_of_the_budget_an_identity_is_refused_and_nothing_changes),
		cmocka_unit_test(what_others_have_taken_of_the_budget_leaves_no_room_either),
		cmocka_unit_test(the_same_subscriber_has_one_identity_the_last_one),
		cmocka_unit_test(
			a_walk_in_slices_misses_nobody_while_the_table_grows_shrinks_and_closes_gaps),
		cmocka_unit_test(a_walk_of_an_empty_table_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
