/* The application is asked: what it gets, what its answers mean, and what happens while it is away. */
#include "unit.h"

#include <stdlib.h>

#include "auth/hook.h"
#include "auth/hook_answer.h"
#include "auth/hook_cache.h"
#include "auth/limits.h"
#include "failing_alloc.h"
#include "http_answers.h"
#include "loop/http_client.h"

#define SECOND_US 1000000ull
#define WALL_US   (1700000000ull * SECOND_US)
#define TEXT(s)                                                                                              \
	{                                                                                                    \
		s, sizeof(s) - 1                                                                             \
	}

struct fixture {
	struct push_http_client *client;
	struct push_hook *hook;
	struct push_options options;
	struct server server;
	uint64_t now_us;
	unsigned int lines;
	char line[512]; /* the last that was logged */
	enum push_log_level level;
	int64_t revoked_before_s;
};

/* A verdict, copied. */
struct outcome {
	unsigned int count, status, retry_after_s;
	enum push_auth_refusal why;
	char text[256];
	const struct push_identity *identity;
};

static uint64_t
wall_us(void)
{
	return WALL_US;
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
on_verdict(void *context, const struct push_verdict *verdict)
{
	struct outcome *outcome = context;

	outcome->count++;
	outcome->status = verdict->status;
	outcome->retry_after_s = verdict->retry_after_s;
	outcome->why = verdict->why;
	snprintf(outcome->text, sizeof(outcome->text), "%s", verdict->text ? verdict->text : "");
	push_identity_unref(outcome->identity);
	outcome->identity = push_identity_ref(verdict->identity);
	assert_int_equal(!verdict->status, verdict->identity != NULL);
}

static bool
is_revoked(void *context, const struct push_identity *identity)
{
	const struct fixture *f = context;

	return push_identity_facts(identity).issued_s < f->revoked_before_s;
}

static const struct push_asked usual = {
	.right = PUSH_RIGHT_SUBSCRIBE,
	.method = TEXT("GET"),
	.path = TEXT("/sse/messages"),
	.query = TEXT("channels=a,b"),
	.origin = TEXT("https://example.com"),
	.host = TEXT("push.example.com"),
	.cookie = TEXT("session=1"),
	.channels = TEXT("a,b"),
	.address = TEXT("192.0.2.1"),
};

static void
open_hook(struct fixture *f)
{
	const struct push_hook_host host = {
		.wall_us = wall_us, .log = on_log, .is_revoked = is_revoked, .context = f};

	memset(f, 0, sizeof(*f));
	f->now_us = 1000 * SECOND_US;
	server_start(&f->server, serve_answer, "", NULL);
	push_options_init(&f->options);
	/* nothing of tokens counts for answers */
	strcpy(f->options.auth_issuer, "https://id.example.com");
	strcpy(f->options.auth_audience, "push");
	snprintf(f->options.auth_hook_url, sizeof(f->options.auth_hook_url),
		"http://127.0.0.1:%u/push?key=secret", f->server.port);
	f->client = push_http_client_create();
	f->hook = push_hook_create(f->client, &f->options, &host, 1);
	assert_non_null(f->hook);
}

static void
close_hook(struct fixture *f)
{
	push_hook_destroy(f->hook);
	push_http_client_destroy(f->client);
	server_stop(&f->server);
}

static void
turn(struct fixture *f)
{
	turn_client(f->client, f->now_us);
	push_hook_tick(f->hook, f->now_us);
}

static void
ask_for_user(struct fixture *f, const struct push_asked *asked, struct push_str user, struct outcome *outcome)
{
	const struct push_hook_question question = {PUSH_HOOK_CONNECT, asked, user};
	unsigned int count = outcome->count + 1;

	push_hook_ask(f->hook, &question, f->now_us, on_verdict, outcome);
	for (int i = 0; outcome->count < count; i++) {
		assert_true(i < 3000);
		turn(f);
	}
	assert_int_equal(outcome->count, count);
}

static void
ask(struct fixture *f, const struct push_asked *asked, struct outcome *outcome)
{
	ask_for_user(f, asked, (struct push_str){NULL, 0}, outcome);
}

static bool
may(const struct outcome *outcome, enum push_right right, const char *channel)
{
	return push_identity_may(outcome->identity, right, (struct push_str){channel, strlen(channel)});
}

static void
forget(struct outcome *outcome)
{
	push_identity_unref(outcome->identity);
	outcome->identity = NULL;
}

/* --- questions --- */

static void
a_question_has_all_that_is_known(void **state)
{
	struct outcome outcome = {0};
	struct fixture f;
	const char *request;

	(void)state;
	set_answer("204 No Content", "");
	open_hook(&f);
	ask_for_user(&f, &usual, (struct push_str){"ann", 3}, &outcome);
	request = f.server.peers[0].request;
	assert_int_equal(strncmp(request, "POST /push?key=secret HTTP/1.1\r\n", 32), 0);
	assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(request, "\r\nCookie: session=1\r\n"));
	assert_null(strstr(request, "\r\nAuthorization"));
	assert_string_equal(strstr(request, "\r\n\r\n") + 4,
		"{\"event\":\"connect\",\"method\":\"GET\",\"path\":\"/sse/"
		"messages\",\"query\":\"channels=a,b\","
		"\"headers\":{\"cookie\":\"session=1\",\"origin\":\"https://example.com\"},"
		"\"address\":\"192.0.2.1\",\"channels\":[\"a\",\"b\"],\"user\":\"ann\"}");
	forget(&outcome);
	close_hook(&f);
}

static void
a_question_is_json_whatever_the_client_sends(void **state)
{
	static const struct push_asked asked = {.right = PUSH_RIGHT_PUBLISH,
		.method = TEXT("POST"),
		.path = TEXT("/\"\\\n\xff"),
		.cookie = TEXT("\xe9=\"\xc3"),
		.channels = TEXT("\xc3\xbc,\"")};
	const struct push_hook_question question = {PUSH_HOOK_PUBLISH, &asked, {NULL, 0}};
	struct push_buf text;

	(void)state;
	push_buf_init(&text, 4096);
	push_hook_question_write(
		&text, &question, 1u << PUSH_HOOK_HEADER_COOKIE | 1u << PUSH_HOOK_HEADER_HOST);
	push_buf_append(&text, "", 1);
	assert_string_equal(text.bytes,
		"{\"event\":\"publish\",\"method\":\"POST\",\"path\":\"/\\\"\\\\\\n\\u00ff\","
		"\"headers\":{\"cookie\":\"\\u00e9=\\\"\\u00c3\"},\"channels\":[\"\xc3\xbc\",\"\\\"\"]}");
	push_buf_fini(&text);
}

static void
it_is_asked_at_the_events_of_its_option(void **state)
{
	const struct push_hook_host host = {.wall_us = wall_us, .log = on_log};
	struct push_http_client *client = push_http_client_create();
	struct push_options options;
	struct push_hook *hook;

	(void)state;
	push_options_init(&options);
	strcpy(options.auth_hook_url, "http://127.0.0.1:1/");
	strcpy(options.auth_hook_on, "Subscribe , publish");
	hook = push_hook_create(client, &options, &host, 1);
	assert_false(push_hook_asks(hook, PUSH_HOOK_CONNECT));
	assert_true(push_hook_asks(hook, PUSH_HOOK_SUBSCRIBE));
	assert_true(push_hook_asks(hook, PUSH_HOOK_PUBLISH));
	push_hook_destroy(hook);
	push_http_client_destroy(client);
}

/* --- answers --- */

static void
an_answer_without_rights_grants_exactly_what_was_asked_for(void **state)
{
	static const char *const bodies[] = {"", " \r\n", "{}", "{\"sub\":\"ann\"}", "{\"other\":1}"};

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct push_asked publish = usual;
		struct outcome outcome = {0};
		struct fixture f;

		set_answer("200 OK", bodies[i]);
		open_hook(&f);
		ask(&f, &usual, &outcome);
		assert_int_equal(outcome.status, 0);
		assert_true(
			may(&outcome, PUSH_RIGHT_SUBSCRIBE, "a") && may(&outcome, PUSH_RIGHT_SUBSCRIBE, "b"));
		assert_true(may(&outcome, PUSH_RIGHT_HISTORY, "a"));
		assert_false(may(&outcome, PUSH_RIGHT_SUBSCRIBE, "c"));
		assert_false(may(&outcome, PUSH_RIGHT_SUBSCRIBE, "a,b"));
		assert_false(may(&outcome, PUSH_RIGHT_PUBLISH, "a"));
		assert_int_equal(push_identity_facts(outcome.identity).user.size, i == 3 ? 3 : 0);
		assert_true(push_identity_facts(outcome.identity).expires_us == UINT64_MAX);
		assert_int_equal(push_identity_facts(outcome.identity).issued_s, WALL_US / SECOND_US);
		publish.right = PUSH_RIGHT_PUBLISH;
		ask(&f, &publish, &outcome);
		assert_true(may(&outcome, PUSH_RIGHT_PUBLISH, "a"));
		assert_false(
			may(&outcome, PUSH_RIGHT_SUBSCRIBE, "a") || may(&outcome, PUSH_RIGHT_HISTORY, "a"));
		forget(&outcome);
		close_hook(&f);
	}
}

/* Or a client would give itself rights by the names that it asks for. */
static void
a_name_with_a_wildcard_is_not_granted_as_a_pattern(void **state)
{
	static const char *const names[] = {"*", "**", "a:*", "a*", "{sub}", "x{sub}y"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct push_asked asked = usual;
		struct outcome outcome = {0};
		struct fixture f;

		set_answer("200 OK", "{\"sub\":\"ann\"}");
		open_hook(&f);
		asked.channels = (struct push_str){names[i], strlen(names[i])};
		ask(&f, &asked, &outcome);
		assert_int_equal(outcome.status, 0);
		assert_false(may(&outcome, PUSH_RIGHT_SUBSCRIBE, names[i]));
		assert_false(may(&outcome, PUSH_RIGHT_SUBSCRIBE, "a"));
		assert_false(may(&outcome, PUSH_RIGHT_SUBSCRIBE, "a:b"));
		assert_false(may(&outcome, PUSH_RIGHT_SUBSCRIBE, "ann"));
		forget(&outcome);
		close_hook(&f);
	}
}

static void
rights_of_an_answer_are_as_in_a_token(void **state)
{
	struct outcome outcome = {0};
	struct push_identity_facts facts;
	struct fixture f;

	(void)state;
	set_answer("200 OK", "{\"sub\":\"ann\",\"expires_in\":60,\"push\":{\"subscribe\":[\"user:{sub}:*\"],"
			     "\"publish\":[\"news\"],\"channels\":[\"user:ann:1\"]}}");
	open_hook(&f);
	ask(&f, &usual, &outcome);
	assert_int_equal(outcome.status, 0);
	assert_true(may(&outcome, PUSH_RIGHT_SUBSCRIBE, "user:ann:2") &&
		    may(&outcome, PUSH_RIGHT_PUBLISH, "news"));
	assert_false(may(&outcome, PUSH_RIGHT_SUBSCRIBE, "a"));
	facts = push_identity_facts(outcome.identity);
	assert_int_equal(facts.user.size, 3);
	assert_true(facts.expires_us >= f.now_us + 60 * SECOND_US &&
		    facts.expires_us <= f.now_us + 61 * SECOND_US);
	assert_int_equal(push_identity_channels(outcome.identity).size, 10);
	/* no rights at all, if it says so */
	set_answer("200 OK", "{\"push\":{}}");
	ask(&f, &usual, &outcome);
	assert_int_equal(outcome.status, 0);
	assert_false(may(&outcome, PUSH_RIGHT_SUBSCRIBE, "a"));
	forget(&outcome);
	close_hook(&f);
}

static void
a_user_who_is_known_stays_so(void **state)
{
	struct outcome outcome = {0};
	struct fixture f;

	(void)state;
	set_answer("200 OK", "");
	open_hook(&f);
	ask_for_user(&f, &usual, (struct push_str){"a\"b", 3}, &outcome);
	assert_int_equal(push_identity_facts(outcome.identity).user.size, 3);
	assert_int_equal(memcmp(push_identity_facts(outcome.identity).user.bytes, "a\"b", 3), 0);
	forget(&outcome);
	close_hook(&f);
}

static void
a_refusal_has_its_reason(void **state)
{
	static const struct {
		const char *head;
		unsigned int status;
		const char *body, *text;
	} rows[] = {
		{"403 No", 403, "{\"error\":\"not on Sundays\"}", "not on Sundays"},
		{"401 No", 401, "{\"error\":\"who are you?\"}", "who are you?"},
		{"403 No", 403, "", "the application refuses this"},
		{"403 No", 403, "<html>", "the application refuses this"},
		{"403 No", 403, "{\"error\":7}", "the application refuses this"},
		{"403 No", 403, "{\"error\":\"\"}", "the application refuses this"},
		{"403 No", 403, "{\"error\":\"a\\r\\nb\\u0000c\\u007fd\\u0085e\"}", "a  b c d  e"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct outcome outcome = {0};
		struct fixture f;

		set_answer(rows[i].head, rows[i].body);
		open_hook(&f);
		ask(&f, &usual, &outcome);
		assert_int_equal(outcome.status, rows[i].status);
		assert_string_equal(outcome.text, rows[i].text);
		assert_int_equal(outcome.retry_after_s, 0);
		assert_int_equal(outcome.why, PUSH_AUTH_HOOK);
		assert_int_equal(push_hook_counts(f.hook).refused, 1);
		assert_int_equal(f.lines, 0);
		close_hook(&f);
	}
}

static void
a_long_reason_is_cut_between_characters(void **state)
{
	struct outcome outcome = {0};
	char body[1024] = "{\"error\":\"x";
	struct fixture f;

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(body, "\xc3\xbc");
	strcat(body, "\"}");
	set_answer("403 No", body);
	open_hook(&f);
	ask(&f, &usual, &outcome);
	assert_int_equal(strlen(outcome.text), PUSH_HOOK_REASON_BYTES_MAX - 1);
	close_hook(&f);
}

static void
anything_else_is_503_and_never_a_refusal(void **state)
{
	static const struct {
		const char *head, *body, *why;
	} rows[] = {
		{"500 Oh", "", "answered with status 500"},
		{"404 Not Found", "{\"error\":\"no\"}", "answered with status 404"},
		{"302 Found\r\nLocation: /login", "", "answered with status 302"},
		{"429 Slow", "", "answered with status 429"},
		{"200 OK", "<html>", "not JSON"},
		{"200 OK", "[]", "not a JSON object"},
		{"200 OK", "true", "not a JSON object"},
		{"200 OK", "{\"sub\":7}", "'sub' must be a string"},
		{"200 OK", "{\"sub\":\"\"}", "'sub' must have"},
		{"200 OK", "{\"sub\":\"a\",\"sub\":\"b\"}", "sub"},
		{"200 OK", "{\"expires_in\":0}", "'expires_in' must be"},
		{"200 OK", "{\"expires_in\":-1}", "'expires_in' must be"},
		{"200 OK", "{\"expires_in\":1.5}", "'expires_in' must be"},
		{"200 OK", "{\"expires_in\":\"60\"}", "'expires_in' must be"},
		{"200 OK", "{\"push\":[]}", "'push' must be an object"},
		{"200 OK", "{\"push\":{\"subscribe\":\"a\"}}", "must be an array of strings"},
		{"200 OK", "{\"push\":{\"subscribes\":[\"a\"]}}", "subscribes"},
		{"200 OK", "{\"push\":{\"subscribe\":[\"\"]}}", "push.subscribe"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct outcome outcome = {0};
		struct fixture f;

		set_answer(rows[i].head, rows[i].body);
		open_hook(&f);
		ask(&f, &usual, &outcome);
		assert_int_equal(outcome.status, 503);
		assert_int_equal(outcome.retry_after_s, PUSH_HOOK_RETRY_S);
		assert_null(strstr(outcome.text, rows[i].why));
		assert_int_equal(outcome.why, PUSH_AUTH_UNAVAILABLE);
		assert_int_equal(push_hook_counts(f.hook).failed, 1);
		assert_int_equal(f.lines, 1);
		assert_int_equal(f.level, PUSH_LOG_WARN);
		if (!strstr(f.line, rows[i].why) || strstr(f.line, "secret") || strstr(f.line, "token"))
			fail_msg("row %zu: %s", i, f.line);
		close_hook(&f);
	}
}

static void
its_own_retry_after_is_passed_on(void **state)
{
	struct outcome outcome = {0};
	struct fixture f;

	(void)state;
	set_answer("503 Busy\r\nRetry-After: 17", "");
	open_hook(&f);
	ask(&f, &usual, &outcome);
	assert_int_equal(outcome.status, 503);
	assert_int_equal(outcome.retry_after_s, 17);
	close_hook(&f);
}

/* --- while it is away --- */

static void
no_answer_in_time_is_503_and_one_line(void **state)
{
	struct outcome outcomes[3] = {{0}}, after = {0};
	struct fixture f;

	(void)state;
	set_no_answer();
	open_hook(&f);
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		const struct push_hook_question question = {PUSH_HOOK_CONNECT, &usual, {NULL, 0}};

		push_hook_ask(f.hook, &question, f.now_us, on_verdict, &outcomes[i]);
	}
	assert_int_equal(push_hook_counts(f.hook).under_way, 3);
	push_http_client_tick(f.client, f.now_us + f.options.auth_hook_timeout_us - 1);
	for (size_t i = 0; i < COUNT(outcomes); i++)
		assert_int_equal(outcomes[i].count, 0);
	f.now_us += f.options.auth_hook_timeout_us;
	push_http_client_tick(f.client, f.now_us);
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		assert_int_equal(outcomes[i].count, 1);
		assert_int_equal(outcomes[i].status, 503);
	}
	assert_int_equal(push_hook_counts(f.hook).call_sum_us, 3 * f.options.auth_hook_timeout_us);
	assert_int_equal(push_hook_counts(f.hook).call_buckets[10], 3); /* below 2^20 us */
	assert_int_equal(f.lines, 1);
	/* when it is back, one line more, but not at once */
	set_answer("200 OK", "");
	ask(&f, &usual, &after);
	assert_int_equal(after.status, 0);
	assert_int_equal(f.lines, 1);
	f.now_us += PUSH_HOOK_SAY_US;
	ask(&f, &usual, &after);
	assert_int_equal(f.lines, 2);
	assert_non_null(strstr(f.line, "answers again"));
	forget(&after);
	close_hook(&f);
}

static void
calls_are_bounded_and_those_over_the_queue_get_503(void **state)
{
	const struct push_hook_question question = {PUSH_HOOK_CONNECT, &usual, {NULL, 0}};
	struct outcome waiting = {0}, over = {0};
	struct fixture f;

	(void)state;
	set_no_answer();
	open_hook(&f);
	for (unsigned int i = 0; i < PUSH_HOOK_CALLS_MAX + PUSH_HOOK_WAITING_MAX; i++)
		push_hook_ask(f.hook, &question, f.now_us, on_verdict, &waiting);
	assert_int_equal(waiting.count, 0);
	push_hook_ask(f.hook, &question, f.now_us, on_verdict, &over);
	assert_int_equal(over.count, 1);
	assert_int_equal(over.status, 503);
	assert_int_equal(over.why, PUSH_AUTH_UNAVAILABLE);
	assert_int_equal(over.retry_after_s, PUSH_HOOK_RETRY_S);
	assert_int_equal(push_hook_counts(f.hook).turned_away, 1);
	assert_int_equal(push_hook_counts(f.hook).under_way, PUSH_HOOK_CALLS_MAX);
	assert_int_equal(push_hook_counts(f.hook).waiting, PUSH_HOOK_WAITING_MAX);
	/* nobody is forgotten at the end */
	close_hook(&f);
	assert_int_equal(waiting.count, PUSH_HOOK_CALLS_MAX + PUSH_HOOK_WAITING_MAX);
	assert_int_equal(waiting.status, 503);
}

/* --- answers that are kept --- */

static void
an_answer_is_kept_as_its_cache_control_says(void **state)
{
	static const struct {
		const char *head;
		unsigned int kept_s; /* 0: not */
	} rows[] = {
		{"200 OK", 0},
		{"200 OK\r\nCache-Control: max-age=60", 60},
		{"200 OK\r\nCache-Control: max-age=60\r\nAge: 20", 40},
		{"403 No\r\nCache-Control: max-age=5", 5},
		{"200 OK\r\nCache-Control: no-store, max-age=60", 0},
		{"200 OK\r\nCache-Control: max-age=0", 0},
		{"200 OK\r\nCache-Control: max-age=86400", PUSH_HOOK_CACHE_US_MAX / SECOND_US},
		{"500 Oh\r\nCache-Control: max-age=60", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct outcome outcome = {0};
		struct fixture f;

		set_answer(rows[i].head, rows[i].kept_s == 5 ? "{\"error\":\"no\"}" : "");
		open_hook(&f);
		ask(&f, &usual, &outcome);
		f.now_us += (rows[i].kept_s ? rows[i].kept_s : 1) * SECOND_US - 1;
		ask(&f, &usual, &outcome);
		assert_int_equal(f.server.requests, rows[i].kept_s ? 1 : 2);
		assert_int_equal(push_hook_counts(f.hook).cached, rows[i].kept_s ? 1 : 0);
		if (rows[i].kept_s == 5)
			assert_string_equal(outcome.text, "no");
		f.now_us += 1;
		ask(&f, &usual, &outcome);
		assert_int_equal(f.server.requests, rows[i].kept_s ? 2 : 3);
		forget(&outcome);
		close_hook(&f);
	}
}

static void
only_the_same_question_has_the_same_answer(void **state)
{
	struct push_asked others[6];
	struct outcome outcome = {0};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++)
		others[i] = usual;
	others[0].cookie = (struct push_str)TEXT("session=2");
	others[1].channels = (struct push_str)TEXT("a");
	others[2].address = (struct push_str)TEXT("192.0.2.2");
	others[3].path = (struct push_str)TEXT("/ws/messages");
	others[4].authorization = (struct push_str)TEXT("Bearer x");
	others[5].origin = (struct push_str){NULL, 0};
	set_answer("200 OK\r\nCache-Control: max-age=60", "");
	open_hook(&f);
	ask(&f, &usual, &outcome);
	for (size_t i = 0; i < COUNT(others); i++)
		ask(&f, &others[i], &outcome);
	ask_for_user(&f, &usual, (struct push_str){"ann", 3}, &outcome);
	assert_int_equal(f.server.requests, 2 + COUNT(others));
	for (size_t i = 0; i < COUNT(others); i++)
		ask(&f, &others[i], &outcome);
	assert_int_equal(f.server.requests, 2 + COUNT(others));
	assert_int_equal(push_hook_counts(f.hook).cache_entries, 2 + COUNT(others));
	forget(&outcome);
	close_hook(&f);
}

static void
an_answer_is_not_kept_longer_than_its_rights_last(void **state)
{
	struct outcome outcome = {0};
	struct fixture f;

	(void)state;
	set_answer("200 OK\r\nCache-Control: max-age=600", "{\"expires_in\":10}");
	open_hook(&f);
	ask(&f, &usual, &outcome);
	f.now_us += 11 * SECOND_US;
	ask(&f, &usual, &outcome);
	assert_int_equal(f.server.requests, 2);
	assert_true(push_identity_facts(outcome.identity).expires_us > f.now_us);
	forget(&outcome);
	close_hook(&f);
}

static void
an_answer_that_was_given_before_its_user_was_revoked_is_asked_for_again(void **state)
{
	struct outcome outcome = {0};
	struct fixture f;
	int64_t answered_s;

	(void)state;
	set_answer("200 OK\r\nCache-Control: max-age=600", "{\"sub\":\"ann\"}");
	open_hook(&f);
	ask(&f, &usual, &outcome);
	answered_s = push_identity_facts(outcome.identity).issued_s;
	f.revoked_before_s = answered_s;
	ask(&f, &usual, &outcome);
	assert_int_equal(f.server.requests, 1);
	/* it is the same second yet: not even a new answer counts, and is not kept */
	f.revoked_before_s = answered_s + 1;
	for (int i = 2; i < 4; i++) {
		ask(&f, &usual, &outcome);
		assert_int_equal(f.server.requests, i);
		assert_int_equal(outcome.status, 401);
		assert_string_equal(outcome.text, "the token was revoked");
		assert_null(outcome.identity);
	}
	f.revoked_before_s = answered_s;
	ask(&f, &usual, &outcome);
	assert_int_equal(outcome.status, 0);
	forget(&outcome);
	close_hook(&f);
}

static void
the_cache_is_bounded_and_gives_its_memory_back(void **state)
{
	struct push_verdict verdict = {.status = 403, .text = "no"};
	struct push_hook_cache *cache = push_hook_cache_create(7, 100, 100000);
	unsigned char hash[PUSH_HOOK_HASH_BYTES] = {0};

	(void)state;
	for (unsigned int i = 0; i < 250; i++) {
		hash[i % 7] = (unsigned char)i;
		hash[31] = (unsigned char)i;
		push_hook_cache_put(cache, hash, &verdict, 1, 100);
		assert_non_null(push_hook_cache_find(cache, hash, 99));
		assert_string_equal(push_hook_cache_find(cache, hash, 99)->text, "no");
	}
	assert_int_equal(push_hook_cache_count(cache), 100);
	/* the same again takes no second place */
	push_hook_cache_put(cache, hash, &verdict, 1, 200);
	assert_int_equal(push_hook_cache_count(cache), 100);
	for (unsigned int i = 0; i < 1024; i++)
		push_hook_cache_tick(cache, 100);
	assert_int_equal(push_hook_cache_count(cache), 1);
	assert_non_null(push_hook_cache_find(cache, hash, 199));
	assert_null(push_hook_cache_find(cache, hash, 200));
	assert_int_equal(push_hook_cache_count(cache), 0);
	push_hook_cache_destroy(cache);
	/* by bytes, too */
	cache = push_hook_cache_create(7, 100, 1000);
	for (unsigned int i = 0; i < 50; i++) {
		hash[0] = (unsigned char)i;
		push_hook_cache_put(cache, hash, &verdict, 1, 100);
	}
	assert_true(push_hook_cache_count(cache) > 1 && push_hook_cache_count(cache) < 10);
	push_hook_cache_destroy(cache);
}

/* --- memory --- */

static void
without_memory_the_client_gets_503(void **state)
{
	bool was_whole = false;
	struct fixture f;

	(void)state;
	set_answer(
		"200 OK\r\nCache-Control: max-age=60", "{\"sub\":\"ann\",\"push\":{\"subscribe\":[\"a\"]}}");
	for (long i = 0; !was_whole; i++) {
		const struct push_hook_question question = {PUSH_HOOK_CONNECT, &usual, {NULL, 0}};
		struct outcome outcome = {0};

		assert_true(i < 100);
		open_hook(&f);
		allocations_left = i;
		push_hook_ask(f.hook, &question, f.now_us, on_verdict, &outcome);
		for (int j = 0; !outcome.count && j < 3000; j++)
			turn(&f);
		was_whole = allocations_left > 0;
		allocations_left = -1;
		assert_int_equal(outcome.count, 1);
		assert_true(outcome.status == 0 || outcome.status == 503);
		assert_true(!was_whole || outcome.status == 0);
		forget(&outcome);
		close_hook(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_has_all_that_is_known),
		cmocka_unit_test(a_question_is_json_whatever_the_client_sends),
		cmocka_unit_test(it_is_asked_at_the_events_of_its_option),
		cmocka_unit_test(an_answer_without_rights_grants_exactly_what_was_asked_for),
		cmocka_unit_test(a_name_with_a_wildcard_is_not_granted_as_a_pattern),
		cmocka_unit_test(rights_of_an_answer_are_as_in_a_token),
		cmocka_unit_test(a_user_who_is_known_stays_so),
		cmocka_unit_test(a_refusal_has_its_reason),
		cmocka_unit_test(a_long_reason_is_cut_between_characters),
		cmocka_unit_test(anything_else_is_503_and_never_a_refusal),
		cmocka_unit_test(its_own_retry_after_is_passed_on),
		cmocka_unit_test(no_answer_in_time_is_503_and_one_line),
		cmocka_unit_test(calls_are_bounded_and_those_over_the_queue_get_503),
		cmocka_unit_test(an_answer_is_kept_as_its_cache_control_says),
		cmocka_unit_test(only_the_same_question_has_the_same_answer),
		cmocka_unit_test(an_answer_is_not_kept_longer_than_its_rights_last),
		cmocka_unit_test(an_answer_that_was_given_before_its_user_was_revoked_is_asked_for_again),
		cmocka_unit_test(the_cache_is_bounded_and_gives_its_memory_back),
		cmocka_unit_test(without_memory_the_client_gets_503),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
