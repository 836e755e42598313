#include "unit.h"

#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>

#include "loop/resolve.h"

struct result {
	unsigned int count;
	enum push_status status;
	uint64_t tokens;
	size_t address_count;
	uint16_t port;
	char error[128];
};

static void
on_result(void *context, uint64_t token, enum push_status status, const struct sockaddr_storage *addresses,
	size_t count, const char *error)
{
	struct result *result = context;

	result->count++;
	result->status = status;
	result->tokens += token;
	result->address_count = count;
	if (count)
		result->port = ntohs(((const struct sockaddr_in *)addresses)->sin_port);
	strncpy(result->error, error, sizeof(result->error) - 1);
}

static void
wait_for(struct push_resolver *resolver, struct result *result, unsigned int count)
{
	struct pollfd one = {.fd = push_resolver_fd(resolver), .events = POLLIN};

	while (result->count < count) {
		assert_int_equal(poll(&one, 1, 30000), 1);
		push_resolver_ready(resolver);
	}
}

static void
names_and_addresses_are_found_with_their_port(void **state)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "::1"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct result result = {0};
		struct push_resolver *resolver = push_resolver_create(on_result, &result);

		assert_true(push_resolver_start(resolver, names[i], 6379, 7));
		wait_for(resolver, &result, 1);
		assert_int_equal(result.status, PUSH_OK);
		assert_int_equal(result.tokens, 7);
		assert_true(result.address_count >= 1);
		assert_int_equal(result.port, 6379);
		assert_string_equal(result.error, "");
		push_resolver_destroy(resolver);
	}
}

static void
a_name_that_is_none_fails_with_a_reason(void **state)
{
	struct result result = {0};
	struct push_resolver *resolver = push_resolver_create(on_result, &result);

	(void)state;
	assert_true(push_resolver_start(resolver, "no such name", 6379, 1));
	wait_for(resolver, &result, 1);
	assert_int_equal(result.status, PUSH_UNAVAILABLE);
	assert_int_equal(result.address_count, 0);
	assert_true(strlen(result.error) > 0);
	push_resolver_destroy(resolver);
}

static void
it_may_be_destroyed_while_lookups_are_under_way(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct result result = {0};
		struct push_resolver *resolver = push_resolver_create(on_result, &result);

		for (uint64_t i = 0; i < 4; i++)
			assert_true(push_resolver_start(resolver, "localhost", 1, i));
		push_resolver_destroy(resolver);
		assert_int_equal(result.count, 0);
	}
}

static void
many_at_once_are_all_told_and_too_many_refused(void **state)
{
	struct result result = {0};
	struct push_resolver *resolver = push_resolver_create(on_result, &result);
	unsigned int started = 0;

	(void)state;
	while (started < 10 * PUSH_RESOLVES_MAX && push_resolver_start(resolver, "localhost", 1, 1))
		started++;
	assert_true(started >= PUSH_RESOLVES_MAX);
	wait_for(resolver, &result, started);
	assert_int_equal(result.tokens, started);
	push_resolver_destroy(resolver);
}

/* The last lookups may outlive their resolver; one that is cut off by the end of the process looks like a
 * leak of the C library's. */
static int
await_threads(void **state)
{
	char line[64];
	unsigned int threads;

	(void)state;
	do {
		FILE *status = fopen("/proc/self/status", "r");

		assert_non_null(status);
		threads = 0;
		while (fgets(line, sizeof(line), status))
			(void)sscanf(line, "Threads: %u", &threads);
		fclose(status);
		sched_yield();
	} while (threads > 1);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_addresses_are_found_with_their_port),
		cmocka_unit_test(a_name_that_is_none_fails_with_a_reason),
		cmocka_unit_test(it_may_be_destroyed_while_lookups_are_under_way),
		cmocka_unit_test(many_at_once_are_all_told_and_too_many_refused),
	};

	return cmocka_run_group_tests(tests, NULL, await_threads);
}
