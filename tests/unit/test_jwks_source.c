/* Keys from a URL: fetched at start and again, kept through an outage, and fetched for a key that is not known. */
#include "unit.h"

#include <stdlib.h>

#include "auth/jwks_source.h"
#include "auth/limits.h"
#include "failing_alloc.h"
#include "http_answers.h"
#include "loop/http_client.h"

#define SECOND_US 1000000ull

struct fixture {
	struct push_http_client *client;
	struct push_jwks_source *source;
	struct push_options options;
	struct server server;
	uint64_t now_us;
	char set[256]; /* the last that was parsed */
	unsigned int parsed, lines;
	char line[512]; /* the last that was logged */
	enum push_log_level level;
};

static enum push_status
parse(void *context, struct push_str text, struct push_error *error)
{
	struct fixture *f = context;

	if (text.size && *text.bytes != '{') {
		snprintf(error->text, sizeof(error->text), "not a JWK set");
		return PUSH_INVALID;
	}
	f->parsed++;
	snprintf(f->set, sizeof(f->set), "%.*s", (int)text.size, text.bytes);
	return PUSH_OK;
}

static void
on_log(void *context, enum push_log_level level, const char *line)
{
	struct fixture *f = context;

	f->lines++;
	f->level = level;
	snprintf(f->line, sizeof(f->line), "%s", line);
}

static void
open_source(struct fixture *f)
{
	const struct push_jwks_host host = {.parse = parse, .log = on_log, .context = f};

	memset(f, 0, sizeof(*f));
	f->now_us = 1000 * SECOND_US;
	server_start(&f->server, serve_answer, "", NULL);
	push_options_init(&f->options);
	snprintf(f->options.auth_jwks_url, sizeof(f->options.auth_jwks_url),
		"http://127.0.0.1:%u/jwks.json?key=secret", f->server.port);
	f->client = push_http_client_create();
	f->source = push_jwks_source_create(f->client, &f->options, &host, 1);
	assert_non_null(f->source);
}

static void
close_source(struct fixture *f)
{
	push_jwks_source_destroy(f->source);
	push_http_client_destroy(f->client);
	server_stop(&f->server);
}

static void
turn(struct fixture *f)
{
	turn_client(f->client, f->now_us);
	push_jwks_source_tick(f->source, f->now_us);
}

static void
wait_for_fetches(struct fixture *f, uint64_t fetches)
{
	for (int i = 0; push_jwks_source_counts(f->source).fetches < fetches; i++) {
		assert_true(i < 3000);
		turn(f);
	}
	assert_int_equal(push_jwks_source_counts(f->source).fetches, fetches);
}

static void
wait_for_requests(struct fixture *f, unsigned int requests)
{
	for (int i = 0; f->server.requests < requests; i++) {
		assert_true(i < 3000);
		turn(f);
	}
}

/* Nothing is asked for within this time. */
static void
pass_quietly(struct fixture *f, uint64_t us)
{
	uint64_t fetches = push_jwks_source_counts(f->source).fetches;
	unsigned int connections = f->server.connections;

	f->now_us += us;
	for (int i = 0; i < 3; i++)
		turn(f);
	assert_int_equal(push_jwks_source_counts(f->source).fetches, fetches);
	assert_int_equal(f->server.connections, connections);
}

struct waiting {
	unsigned int count;
	enum push_status status;
};

static void
on_waited(void *context, enum push_status status)
{
	struct waiting *waiting = context;

	waiting->count++;
	waiting->status = status;
}

/* --- */

static void
the_first_set_is_fetched_at_start(void **state)
{
	struct fixture f;

	(void)state;
	set_answer("200 OK", "{1}");
	open_source(&f);
	assert_false(push_jwks_source_has_set(f.source));
	wait_for_fetches(&f, 1);
	assert_true(push_jwks_source_has_set(f.source));
	assert_string_equal(f.set, "{1}");
	assert_int_equal(f.lines, 1);
	assert_int_equal(f.level, PUSH_LOG_INFO);
	assert_non_null(strstr(f.line, "/jwks.json: fetched"));
	assert_null(strstr(f.line, "secret"));
	assert_non_null(strstr(f.server.peers[0].request, "GET /jwks.json?key=secret HTTP/1.1\r\n"));
	assert_non_null(strstr(f.server.peers[0].request, "Connection: close\r\n"));
	assert_int_equal(push_jwks_source_counts(f.source).fetched_us, f.now_us);
	close_source(&f);
}

static void
it_is_fetched_again_when_its_time_is_over(void **state)
{
	static const struct {
		const char *head;
		uint64_t lifetime_us;
	} rows[] = {
		{"200 OK", PUSH_JWKS_LIFETIME_US},
		{"200 OK\r\nCache-Control: no-cache", PUSH_JWKS_LIFETIME_US},
		{"200 OK\r\nCache-Control: public, max-age=3600", 3600 * SECOND_US},
		{"200 OK\r\nCache-Control: max-age=3600\r\nAge: 1800", 1800 * SECOND_US},
		{"200 OK\r\nCache-Control: max-age=3600\r\nAge: 3601", PUSH_JWKS_LIFETIME_US_MIN},
		{"200 OK\r\nCache-Control: max-age=1", PUSH_JWKS_LIFETIME_US_MIN},
		{"200 OK\r\nCache-Control: max-age=31536000", PUSH_JWKS_LIFETIME_US_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f;

		set_answer(rows[i].head, "{1}");
		open_source(&f);
		wait_for_fetches(&f, 1);
		set_answer(rows[i].head, "{2}");
		/* up to a tenth less, at random */
		pass_quietly(&f, rows[i].lifetime_us - rows[i].lifetime_us / 10 - 1);
		f.now_us += rows[i].lifetime_us / 10 + 1;
		wait_for_fetches(&f, 2);
		assert_string_equal(f.set, "{2}");
		assert_int_equal(f.lines, 1);
		close_source(&f);
	}
}

static void
an_outage_leaves_the_last_set_and_one_line(void **state)
{
	static const struct {
		const char *head, *body, *why;
	} rows[] = {
		{"500 Oh", "{3}", "answered with status 500"},
		{"302 Found\r\nLocation: https://example.com/", "{3}", "answered with status 302"},
		{"200 OK", "<html>", "not a JWK set"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f;

		set_answer("200 OK", "{1}");
		open_source(&f);
		wait_for_fetches(&f, 1);
		set_answer(rows[i].head, rows[i].body);
		f.now_us += PUSH_JWKS_LIFETIME_US;
		wait_for_fetches(&f, 2);
		assert_string_equal(f.set, "{1}");
		assert_int_equal(f.lines, 2);
		assert_int_equal(f.level, PUSH_LOG_WARN);
		assert_non_null(strstr(f.line, rows[i].why));
		assert_non_null(strstr(f.line, "those fetched before stay in use"));
		/* it is tried again, after pauses that become longer, without another line */
		pass_quietly(&f, PUSH_JWKS_RETRY_FIRST_US / 2 - 1);
		f.now_us += PUSH_JWKS_RETRY_FIRST_US / 2 + 1;
		wait_for_fetches(&f, 3);
		pass_quietly(&f, PUSH_JWKS_RETRY_FIRST_US - 1);
		f.now_us += PUSH_JWKS_RETRY_LAST_US;
		wait_for_fetches(&f, 4);
		assert_int_equal(push_jwks_source_counts(f.source).failures, 3);
		assert_int_equal(f.lines, 2);
		set_answer("200 OK", "{4}");
		f.now_us += PUSH_JWKS_RETRY_LAST_US;
		wait_for_fetches(&f, 5);
		assert_string_equal(f.set, "{4}");
		assert_int_equal(f.lines, 3);
		assert_int_equal(f.level, PUSH_LOG_INFO);
		close_source(&f);
	}
}

static void
an_unknown_key_fetches_at_once_but_not_again_and_again(void **state)
{
	struct waiting first = {0}, second = {0}, third = {0};
	struct fixture f;

	(void)state;
	set_answer("200 OK", "{1}");
	open_source(&f);
	wait_for_fetches(&f, 1);
	/* also just after a fetch that was due */
	set_answer("200 OK", "{2}");
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &first), PUSH_OK);
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &second), PUSH_OK);
	assert_int_equal(push_jwks_source_counts(f.source).waiting, 2);
	assert_int_equal(first.count, 0);
	wait_for_fetches(&f, 2);
	assert_string_equal(f.set, "{2}");
	assert_int_equal(first.count, 1);
	assert_int_equal(first.status, PUSH_OK);
	assert_int_equal(second.count, 1);
	assert_int_equal(f.server.connections, 2);
	/* still unknown */
	f.now_us += PUSH_JWKS_UNKNOWN_US - 1;
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &third), PUSH_NOT_FOUND);
	assert_int_equal(first.count + second.count + third.count, 2);
	f.now_us += 1;
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &third), PUSH_OK);
	wait_for_fetches(&f, 3);
	assert_int_equal(third.count, 1);
	close_source(&f);
}

static void
waits_end_in_time_though_the_fetch_does_not(void **state)
{
	struct waiting waiting = {0};
	struct fixture f;

	(void)state;
	set_no_answer();
	open_source(&f);
	wait_for_requests(&f, 1);
	/* the first fetch is under way */
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &waiting), PUSH_OK);
	f.now_us += PUSH_JWKS_WAIT_US - 1;
	push_jwks_source_tick(f.source, f.now_us);
	assert_int_equal(waiting.count, 0);
	f.now_us += 1;
	push_jwks_source_tick(f.source, f.now_us);
	assert_int_equal(waiting.count, 1);
	assert_int_equal(waiting.status, PUSH_UNAVAILABLE);
	/* and the fetch ends itself */
	f.now_us += PUSH_JWKS_FETCH_US;
	wait_for_fetches(&f, 1);
	assert_non_null(strstr(f.line, "no answer in time; until they come, tokens get 503"));
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &waiting), PUSH_UNAVAILABLE);
	close_source(&f);
}

static void
those_who_wait_are_bounded(void **state)
{
	struct waiting waiting = {0};
	struct fixture f;

	(void)state;
	set_no_answer();
	open_source(&f);
	wait_for_requests(&f, 1);
	for (unsigned int i = 0; i < PUSH_JWKS_WAITS_MAX; i++)
		assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &waiting), PUSH_OK);
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &waiting), PUSH_TOO_MANY);
	/* and nobody is forgotten when it ends */
	close_source(&f);
	assert_int_equal(waiting.count, PUSH_JWKS_WAITS_MAX);
	assert_int_equal(waiting.status, PUSH_UNAVAILABLE);
}

static void
a_fetch_that_fails_ends_the_waits(void **state)
{
	struct waiting waiting = {0};
	struct fixture f;

	(void)state;
	set_answer("200 OK", "{1}");
	open_source(&f);
	wait_for_fetches(&f, 1);
	set_answer("503 Busy", "");
	f.now_us += PUSH_JWKS_UNKNOWN_US;
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &waiting), PUSH_OK);
	wait_for_fetches(&f, 2);
	assert_int_equal(waiting.count, 1);
	assert_int_equal(waiting.status, PUSH_UNAVAILABLE);
	/* nobody knows whether there is such a key, until a set comes */
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &waiting), PUSH_UNAVAILABLE);
	set_answer("200 OK", "{2}");
	f.now_us += PUSH_JWKS_RETRY_LAST_US;
	wait_for_fetches(&f, 3);
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &waiting), PUSH_OK);
	wait_for_fetches(&f, 4);
	assert_int_equal(waiting.status, PUSH_OK);
	assert_int_equal(push_jwks_source_wait(f.source, f.now_us, on_waited, &waiting), PUSH_NOT_FOUND);
	close_source(&f);
}

static void
http_to_another_machine_is_warned_of(void **state)
{
	static const struct {
		const char *url;
		unsigned int lines;
	} rows[] = {{"http://id.example.com/", 1}, {"http://localhost/", 0}, {"http://127.0.0.1/", 0},
		{"https://id.example.com/", 0}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f = {.now_us = 1};
		const struct push_jwks_host host = {.parse = parse, .log = on_log, .context = &f};
		struct push_error error = {""};

		push_options_init(&f.options);
		strcpy(f.options.auth_jwks_url, rows[i].url);
		f.client = push_http_client_create();
		assert_int_equal(push_http_client_trust(f.client, "ca", "", &error), PUSH_OK);
		f.source = push_jwks_source_create(f.client, &f.options, &host, 1);
		assert_int_equal(f.lines, rows[i].lines);
		assert_true(!f.lines || strstr(f.line, "http, not https"));
		push_jwks_source_destroy(f.source);
		push_http_client_destroy(f.client);
	}
}

static void
without_memory_it_fails_and_nothing_is_lost(void **state)
{
	struct fixture f;

	(void)state;
	set_answer("200 OK", "{1}");
	for (long i = 0; i < 12; i++) {
		struct waiting waiting = {0};
		enum push_status status;

		open_source(&f);
		allocations_left = i;
		turn(&f);
		status = push_jwks_source_wait(f.source, f.now_us, on_waited, &waiting);
		allocations_left = -1;
		if (status == PUSH_OK) {
			for (int j = 0; !waiting.count && j < 3000; j++)
				turn(&f);
			assert_int_equal(waiting.count, 1);
		} else {
			assert_true(status == PUSH_OUT_OF_MEMORY || status == PUSH_UNAVAILABLE ||
				    status == PUSH_NOT_FOUND);
		}
		/* it is tried again */
		for (int j = 0; !push_jwks_source_has_set(f.source); j++) {
			assert_true(j < 3000);
			f.now_us += PUSH_JWKS_RETRY_FIRST_US;
			turn(&f);
		}
		close_source(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_set_is_fetched_at_start),
		cmocka_unit_test(it_is_fetched_again_when_its_time_is_over),
		cmocka_unit_test(an_outage_leaves_the_last_set_and_one_line),
		cmocka_unit_test(an_unknown_key_fetches_at_once_but_not_again_and_again),
		cmocka_unit_test(waits_end_in_time_though_the_fetch_does_not),
		cmocka_unit_test(those_who_wait_are_bounded),
		cmocka_unit_test(a_fetch_that_fails_ends_the_waits),
		cmocka_unit_test(http_to_another_machine_is_warned_of),
		cmocka_unit_test(without_memory_it_fails_and_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
