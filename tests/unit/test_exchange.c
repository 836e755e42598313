/* Requests and their answers by the rules of request/, with a broker and a wire that only write down what happens. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "fake_broker.h"
#include "request/limits.h"
#include "request/page.h"

#define STR(text)                                                                                            \
	{                                                                                                    \
		text, sizeof(text) - 1                                                                       \
	}
#define JSON  .content_type = STR("application/json")
#define TOKEN "/0123456789abcdef.0123456789abcdef0123456789abcdef"

static struct fake_broker fake;

static int
set_up(void **state)
{
	fake_broker_init(&fake);
	*state = fake_exchange(&fake);
	return *state ? 0 : -1;
}

static int
tear_down(void **state)
{
	push_exchange_drop(*state);
	fake_broker_fini(&fake);
	return 0;
}

static void
assert_log(const char *text)
{
	push_buf_append(&fake.log, "", 1);
	assert_string_equal(fake.log.bytes, text);
	push_buf_clear(&fake.log);
}

/* A publish whose head is `more`, and so the beginning of each test of a body. */
static const struct push_request publish = {.method = PUSH_METHOD_POST,
	.place = PUSH_PLACE_PUBLISH,
	.path = STR("/messages"),
	.rest = STR(""),
	.host = STR("x"),
	JSON,
	.has_body = true,
	.has_length = true,
	.length = 5};
static const struct push_request chunked_publish = {.method = PUSH_METHOD_POST,
	.place = PUSH_PLACE_PUBLISH,
	.path = STR("/messages"),
	.rest = STR(""),
	.host = STR("x"),
	JSON,
	.has_body = true};

static void
each_path_answers_each_method(void **state)
{
	static const struct {
		enum push_place place;
		const char *path, *rest;
		enum push_method method;
		const char *answer;
	} rows[] = {
		{PUSH_PLACE_PUBLISH, "/messages", "", PUSH_METHOD_GET, "<405 "},
		{PUSH_PLACE_PUBLISH, "/messages", "", PUSH_METHOD_HEAD, "<405 "},
		{PUSH_PLACE_PUBLISH, "/messages", "", PUSH_METHOD_OTHER, "<405 "},
		{PUSH_PLACE_PUBLISH, "/messages", "", PUSH_METHOD_OPTIONS, "<204 >"},
		{PUSH_PLACE_PUBLISH, "/messages", "", PUSH_METHOD_POST, "<411 close "},
		{PUSH_PLACE_PUBLISH, "/messages/", "/", PUSH_METHOD_POST, "<411 close "},
		{PUSH_PLACE_PUBLISH, "/messages/x", "/x", PUSH_METHOD_POST, "<404 "},
		{PUSH_PLACE_EVENTS, "/sse/messages", "", PUSH_METHOD_POST, "<405 "},
		{PUSH_PLACE_EVENTS, "/sse/messages", "", PUSH_METHOD_OPTIONS, "<204 >"},
		{PUSH_PLACE_EVENTS, "/sse/messages", "", PUSH_METHOD_GET, "<400 "},
		{PUSH_PLACE_EVENTS, "/sse/messages/x", "/x", PUSH_METHOD_GET, "<404 "},
		{PUSH_PLACE_EVENTS, "/sse/messages" TOKEN, TOKEN, PUSH_METHOD_GET, "<405 "},
		{PUSH_PLACE_EVENTS, "/sse/messages" TOKEN, TOKEN, PUSH_METHOD_OPTIONS, "<204 >"},
		{PUSH_PLACE_SOCKETS, "/ws/messages", "", PUSH_METHOD_GET, "<426 "},
		{PUSH_PLACE_SOCKETS, "/ws", "", PUSH_METHOD_GET, "<404 "},
		{PUSH_PLACE_NONE, "/x", "", PUSH_METHOD_GET, "<404 "},
		{PUSH_PLACE_NONE, "*", "", PUSH_METHOD_OPTIONS, "<204 >"},
		{PUSH_PLACE_NONE, "/", "", PUSH_METHOD_OPTIONS, "<204 >"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_request request = {.method = rows[i].method,
			.place = rows[i].place,
			.path = {rows[i].path, strlen(rows[i].path)},
			.rest = {rows[i].rest, strlen(rows[i].rest)},
			.host = STR("x")};

		push_buf_clear(&fake.log);
		push_exchange_begin(*state, &request, false);
		assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ANSWERED);
		assert_int_equal(fake.answers, i + 1);
		if (fake.log.size < strlen(rows[i].answer) ||
			memcmp(fake.log.bytes, rows[i].answer, strlen(rows[i].answer)) != 0)
			fail_msg("row %zu: %.*s", i, (int)fake.log.size, fake.log.bytes);
	}
}

static void
a_body_is_asked_about_whole_and_once_in_whatever_pieces_it_comes(void **state)
{
	push_exchange_begin(*state, &publish, false);
	push_exchange_body(*state, "hello", 5, true);
	assert_log("asked hello; <202 {}> ");
	push_exchange_begin(*state, &publish, false);
	push_exchange_body(*state, "he", 2, false);
	assert_int_equal(push_exchange_keeps(*state), 2);
	push_exchange_body(*state, "", 0, false);
	push_exchange_body(*state, "llo", 3, false);
	push_exchange_body(*state, "", 0, true);
	assert_log("asked hello; <202 {}> ");
	assert_int_equal(fake.turns, 0); /* the wire has called */
}

static void
what_the_head_says_wrong_is_answered_behind_the_body_and_the_connection_stays(void **state)
{
	struct push_request requests[] = {publish, publish, publish};

	requests[0].content_type = (struct push_str)STR("text/plain");
	requests[1].content_encoding = (struct push_str)STR("gzip");
	requests[2].query = (struct push_str)STR("wait=%4");
	for (size_t i = 0; i < COUNT(requests); i++) {
		push_exchange_begin(*state, &requests[i], false);
		assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_BODY);
		push_exchange_body(*state, "hel", 3, false);
		assert_int_equal(push_exchange_keeps(*state), 0); /* it is thrown away as it comes */
		push_exchange_body(*state, "lo", 2, true);
		assert_int_equal(fake.counted_status, i < 2 ? 415 : 400);
		assert_false(fake.closes);
		/* a client that waits for 100 does not send it in vain, and its connection is over */
		requests[i].awaits_continue = true;
		push_exchange_begin(*state, &requests[i], false);
		assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ANSWERED);
		assert_true(fake.closes);
		fake.closes = false;
	}
	push_buf_append(&fake.log, "", 1);
	assert_null(strstr(fake.log.bytes, "asked"));
}

static void
a_body_that_is_not_read_ends_the_connection(void **state)
{
	static const enum push_place places[] = {
		PUSH_PLACE_PUBLISH, PUSH_PLACE_EVENTS, PUSH_PLACE_SOCKETS, PUSH_PLACE_NONE};
	struct push_request request = publish;

	for (size_t i = 0; i < COUNT(places); i++)
		for (int method = PUSH_METHOD_GET; method <= PUSH_METHOD_OTHER; method++) {
			request.place = places[i];
			request.method = (enum push_method)method;
			if (request.place == PUSH_PLACE_PUBLISH && request.method == PUSH_METHOD_POST)
				continue;
			fake.closes = false;
			push_exchange_begin(*state, &request, false);
			assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ANSWERED);
			assert_true(fake.closes);
		}
	request = publish;
	request.expect = (struct push_str)STR("x");
	fake.closes = false;
	push_exchange_begin(*state, &request, false);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ANSWERED);
	assert_true(fake.closes);
}

static void
a_body_over_the_limit_is_413_as_soon_as_that_is_known(void **state)
{
	struct push_request request = publish;
	size_t max = fake.options.message_bytes_max;
	char *body = test_calloc(max + 1, 1);

	request.length = max + 1;
	push_exchange_begin(*state, &request, false);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ANSWERED);
	push_exchange_begin(*state, &chunked_publish, false);
	push_exchange_body(*state, body, max, false);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_BODY);
	push_exchange_body(*state, body, 1, false);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ANSWERED);
	assert_log("<413 close {\"error\":\"the body is over push.message.max.size\"}> "
		   "<413 close {\"error\":\"the body is over push.message.max.size\"}> ");
	push_exchange_begin(*state, &chunked_publish, false);
	push_exchange_body(*state, body, max + 1, true);
	assert_int_equal(fake.counted_status, 413);
	test_free(body);
}

static void
a_late_answer_is_written_and_the_wire_is_called(void **state)
{
	fake.is_late = true;
	push_exchange_begin(*state, &publish, false);
	push_exchange_body(*state, "hello", 5, true);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ASKED);
	assert_log("asked hello; ");
	fake_broker_answer(&fake);
	assert_log("<202 {}> ");
	assert_int_equal(fake.turns, 1);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ANSWERED);
}

static void
an_answer_whose_client_has_gone_is_given_to_nobody(void **state)
{
	fake.is_late = true;
	push_exchange_begin(*state, &publish, false);
	push_exchange_body(*state, "hello", 5, true);
	push_exchange_drop(*state);
	*state = NULL;
	push_buf_clear(&fake.log);
	fake_broker_answer(&fake); /* the exchange is freed with it: valgrind sees that */
	assert_int_equal(fake.answers + fake.turns, 0);
}

static void
lines_are_answered_while_they_come(void **state)
{
	struct push_request request = chunked_publish;

	request.content_type = (struct push_str)STR("application/x-ndjson");
	push_exchange_begin(*state, &request, false);
	assert_true(push_exchange_is_lines(*state));
	push_exchange_body(*state, "1\n2", 3, false);
	assert_log("begin 202; |line\n");
	push_exchange_body(*state, "3\n4", 3, true);
	assert_log("line\nline\n| end; ");
	/* all that can be said of one that breaks is that it has no end */
	push_exchange_begin(*state, &request, false);
	push_exchange_body(*state, "1\n", 2, false);
	push_exchange_break(*state, 400, "the chunks of the body are malformed");
	assert_log("begin 202; |line\n| broken; ");
	push_exchange_begin(*state, &request, false);
	push_exchange_break_stalled(*state);
	assert_log("<408 close {\"error\":\"the body did not arrive in time\"}> ");
}

static void
lines_that_wait_for_their_answers_are_not_read_on(void **state)
{
	struct push_request request = chunked_publish;

	fake.is_late = true;
	request.content_type = (struct push_str)STR("application/x-ndjson");
	push_exchange_begin(*state, &request, false);
	push_exchange_body(*state, "1\n2\n3\n", 6, false);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_BODY);
	assert_false(push_exchange_takes_body(*state));
	fake_lines_work(fake.lines);
	fake.lines->ready(fake.lines->context);
	assert_true(push_exchange_takes_body(*state));
	assert_int_equal(fake.turns, 1);
	assert_log("begin 202; |line\nline\nline\n");
}

static void
a_stall_is_four_seconds_and_thirty_in_all_but_for_lines(void **state)
{
	struct push_request request = chunked_publish;

	push_exchange_begin(*state, &request, false);
	assert_int_equal(push_exchange_stall_us(*state), PUSH_BODY_STALL_US);
	fake.now_us += PUSH_BODY_TOTAL_US - 1000;
	assert_int_equal(push_exchange_stall_us(*state), 1000);
	fake.now_us += 2000;
	assert_int_equal(push_exchange_stall_us(*state), 1);
	push_exchange_break_stalled(*state);
	request.content_type = (struct push_str)STR("application/x-ndjson");
	push_exchange_begin(*state, &request, false);
	fake.now_us += 2 * PUSH_BODY_TOTAL_US;
	assert_int_equal(push_exchange_stall_us(*state), PUSH_BODY_STALL_US);
}

static void
a_body_for_which_there_is_no_memory_is_503(void **state)
{
	push_memory_set_max(&fake.memory, 3);
	push_exchange_begin(*state, &publish, false);
	push_exchange_body(*state, "hello", 5, true);
	assert_log("<503 close {\"error\":\"" PUSH_MEMORY_SHORT_TEXT "\"}> ");
}

static void
a_drain_ends_each_connection_and_takes_no_new_stream(void **state)
{
	const struct push_request events = {.method = PUSH_METHOD_GET,
		.place = PUSH_PLACE_EVENTS,
		.path = STR("/sse/messages"),
		.rest = STR(""),
		.query = STR("channels=a")};

	push_exchange_begin(*state, &events, false);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_STREAM);
	assert_log("subscribe 200; ");
	push_exchange_drop(*state);
	*state = fake_exchange(&fake);
	fake.is_draining = true;
	push_exchange_begin(*state, &publish, false);
	push_exchange_body(*state, "hello", 5, true);
	push_exchange_begin(*state, &events, false);
	assert_log("asked hello; <202 close {}> <503 close {\"error\":\"the server is draining\"}> ");
}

static void
another_origin_is_refused_but_for_its_preflight(void **state)
{
	struct push_request request = publish;

	fake.refuses_origins = true;
	request.origin = (struct push_str)STR("https://evil.example");
	push_exchange_begin(*state, &request, false);
	assert_log("<403 close {\"error\":\"not this origin\"}> ");
	request.method = PUSH_METHOD_OPTIONS;
	request.has_body = false;
	push_exchange_begin(*state, &request, false);
	assert_log("<204 > ");
}

/* What it keeps of an Origin was kept once more by each request. */
static void
the_heads_of_event_streams_leave_nothing_behind(void **state)
{
	const struct push_request events = {.method = PUSH_METHOD_HEAD,
		.place = PUSH_PLACE_EVENTS,
		.path = STR("/sse/messages"),
		.rest = STR(""),
		.query = STR("channels=a"),
		.origin = STR("https://page.example")};

	for (int i = 0; i < 3; i++)
		push_exchange_begin(*state, &events, false);
	assert_log("<200 > <200 > <200 > ");
}

static void
a_wire_that_reads_no_chunks_and_no_pieces_is_served_too(void **state)
{
	struct push_wire wire = fake_wire;
	struct push_request request = publish;
	struct push_exchange *exchange;

	(void)state;
	wire.reads_any_length = false;
	wire.begin = NULL;
	exchange = push_exchange_create(&fake_ops, (struct push_broker *)(void *)&fake, &wire, &fake);
	push_exchange_begin(exchange, &chunked_publish, false);
	assert_log("<411 close {\"error\":\"a chunked body is not accepted, send Content-Length\"}> ");
	request.content_type = (struct push_str)STR("application/x-ndjson");
	push_exchange_begin(exchange, &request, false);
	push_exchange_body(exchange, "1\n2\n3", 5, true);
	assert_log("asked 1\n2\n3; <202 {}> ");
	push_exchange_drop(exchange);
}

/* --- what operators see --- */

static void
page_get(const struct push_page_call *call)
{
	struct push_buf body;

	push_buf_init(&body, 64);
	push_buf_append(
		&body, call->name.bytes ? call->name.bytes : "here", call->name.bytes ? call->name.size : 4);
	push_page_answer(call, 200, NULL, &body);
}

/* Late, if the broker is. */
static void
page_post(const struct push_page_call *call)
{
	assert_null(call->request);
	fake_ask((struct push_broker *)(void *)&fake, "posted ", call->body.bytes, call->body.size,
		call->answer, call->context);
}

static const struct push_page page_list[] = {
	{.path = "/", .get = page_get, .without_broker = true},
	{.path = "/read", .get = page_get},
	{.path = "/read", .get = page_get, .takes_name = true},
	{.path = "/both", .get = page_get, .post = page_post},
	{.path = "/write", .post = page_post},
};
static struct push_broker_link page_link;
static const struct push_pages with_broker = {page_list, COUNT(page_list), &page_link, NULL};
static const struct push_pages without_broker = {page_list, COUNT(page_list), NULL, "no broker"};

static struct push_request
page_request(const struct push_pages *pages, enum push_method method, const char *path)
{
	return (struct push_request){.method = method,
		.place = PUSH_PLACE_OPERATORS,
		.path = {path, strlen(path)},
		.rest = STR(""),
		.host = STR("x"),
		.origin = STR("https://page.example"),
		.pages = pages};
}

static void
a_row_is_all_that_a_page_of_operators_needs(void **state)
{
	static const struct {
		enum push_method method;
		const char *path, *answer, *allow;
	} rows[] = {
		{PUSH_METHOD_GET, "/", "<200 here> ", NULL},
		{PUSH_METHOD_GET, "/read", "<200 here> ", NULL},
		{PUSH_METHOD_HEAD, "/read/", "<200 here> ", NULL},
		{PUSH_METHOD_GET, "/read/a", "<200 a> ", NULL},
		{PUSH_METHOD_GET, "/both/a", "<404 {\"error\":\"not found; GET / lists what is here\"}> ",
			NULL},
		{PUSH_METHOD_GET, "/rea", "<404 {\"error\":\"not found; GET / lists what is here\"}> ", NULL},
		{PUSH_METHOD_POST, "/read", "<405 {\"error\":\"method not allowed, use GET\"}> ",
			"GET, HEAD, OPTIONS"},
		{PUSH_METHOD_GET, "/write", "<405 {\"error\":\"method not allowed, use POST\"}> ",
			"POST, OPTIONS"},
		{PUSH_METHOD_OTHER, "/both", "<405 {\"error\":\"method not allowed, use GET or POST\"}> ",
			"GET, HEAD, POST, OPTIONS"},
		{PUSH_METHOD_OPTIONS, "/both", "<204 > ", "GET, HEAD, POST, OPTIONS"},
		{PUSH_METHOD_OPTIONS, "/", "<204 > ", "GET, HEAD, OPTIONS"},
		{PUSH_METHOD_OPTIONS, "*", "<204 > ", "GET, HEAD, POST, OPTIONS"},
	};

	fake.refuses_origins = true; /* which are those of clients */
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_request request = page_request(&with_broker, rows[i].method, rows[i].path);

		push_exchange_begin(*state, &request, false);
		assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ANSWERED);
		assert_log(rows[i].answer);
		if (rows[i].allow)
			assert_string_equal(fake.response.allow, rows[i].allow);
		assert_true(fake.response.no_store);
		assert_false(fake.response.is_preflight);
		assert_null(fake.response.cors.allow_origin);
	}
}

static void
a_page_of_operators_is_given_its_body_and_may_answer_late(void **state)
{
	struct push_request request = page_request(&with_broker, PUSH_METHOD_POST, "/write");

	request.has_body = request.has_length = true;
	request.length = 5;
	request.content_type = (struct push_str)STR("text/plain");
	push_exchange_begin(*state, &request, false);
	push_exchange_body(*state, "hello", 5, true);
	assert_log("<415 {\"error\":\"Content-Type must be application/json\"}> ");
	request.content_type = (struct push_str)STR("application/json");
	fake.is_late = true;
	push_exchange_begin(*state, &request, false);
	push_exchange_body(*state, "he", 2, false);
	push_exchange_body(*state, "llo", 3, true);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_ASKED);
	fake_broker_answer(&fake);
	assert_log("posted hello; <202 {}> ");
	assert_int_equal(fake.turns, 1);
	request.length = PUSH_PAGE_BODY_BYTES_MAX + 1;
	push_exchange_begin(*state, &request, false);
	assert_log("<413 close {\"error\":\"the body is over 16 kB\"}> ");
}

static void
without_a_broker_only_pages_that_need_none_are_there(void **state)
{
	struct push_exchange *exchange = push_exchange_create(NULL, NULL, &fake_wire, &fake);
	static const struct {
		enum push_method method;
		const char *path, *answer;
	} rows[] = {
		{PUSH_METHOD_GET, "/", "<200 here> "},
		{PUSH_METHOD_GET, "/read", "<503 {\"error\":\"no broker\"}> "},
		{PUSH_METHOD_POST, "/write", "<503 close {\"error\":\"no broker\"}> "},
		{PUSH_METHOD_OPTIONS, "/write", "<204 > "},
		{PUSH_METHOD_GET, "/none", "<404 {\"error\":\"not found; GET / lists what is here\"}> "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_request request =
			page_request(&without_broker, rows[i].method, rows[i].path);

		push_exchange_begin(exchange, &request, false);
		assert_log(rows[i].answer);
	}
	push_exchange_drop(exchange);
}

/* --- where clients have to show who they are --- */

#define YES .authorization = STR("Bearer yes")

static void
begin_late(struct push_exchange *exchange, const struct push_request *request)
{
	fake.is_guarded = fake.is_late = true;
	push_exchange_begin(exchange, request, false);
	assert_int_equal(push_exchange_state(exchange), PUSH_EXCHANGE_ASKED);
	assert_true(push_exchange_awaits_identity(exchange));
	assert_true(fake.memory.bytes > 0);
	fake.is_late = false;
}

static void
identify(struct push_exchange *exchange)
{
	const unsigned int turns = fake.turns;

	fake_broker_identify(&fake);
	assert_int_equal(fake.turns, turns + 1);
	assert_false(push_exchange_awaits_identity(exchange));
}

static void
a_body_is_read_when_it_is_known_whose_it_is(void **state)
{
	/* what is known of the head when the answer comes is a copy */
	struct push_request *request = malloc(sizeof(*request));
	char key[] = "0123456789abcdef";

	assert_non_null(request);
	*request = publish;
	request->authorization = (struct push_str)STR("Bearer yes");
	request->idempotency_key = (struct push_str){key, sizeof(key) - 1};
	begin_late(*state, request);
	memset(key, 'x', sizeof(key));
	memset(request, 0xA5, sizeof(*request));
	free(request);
	identify(*state);
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_BODY);
	push_exchange_body(*state, "hello", 5, true);
	assert_log("asked hello; <202 {}> ");
	assert_false(fake.closes);
}

static void
late_lines_and_late_continues_go_on_as_early_ones(void **state)
{
	struct push_request request = chunked_publish;

	request.authorization = (struct push_str)STR("Bearer yes");
	request.content_type = (struct push_str)STR("application/x-ndjson");
	request.expect = (struct push_str)STR("100-continue");
	request.awaits_continue = true;
	begin_late(*state, &request);
	assert_false(push_exchange_take_continue(*state)); /* not before it is known who it is */
	identify(*state);
	assert_true(push_exchange_take_continue(*state));
	assert_true(push_exchange_is_lines(*state));
	push_exchange_body(*state, "1\n2", 3, true);
	assert_log("begin 202; |line\nline\n| end; ");
}

static void
a_late_stream_is_opened_and_its_head_answered(void **state)
{
	struct push_request request = {.method = PUSH_METHOD_GET,
		.place = PUSH_PLACE_EVENTS,
		.path = STR("/sse/messages"),
		.rest = STR(""),
		.query = STR("channels=a"),
		.host = STR("x"),
		YES};

	begin_late(*state, &request);
	identify(*state);
	assert_log("subscribe 200; ");
	assert_int_equal(push_exchange_state(*state), PUSH_EXCHANGE_STREAM);
	push_exchange_drop(*state);
	*state = fake_exchange(&fake);
	request.method = PUSH_METHOD_HEAD;
	begin_late(*state, &request);
	identify(*state);
	assert_log("<200 > ");
	assert_int_equal(fake.subscribers, 1);
}

static void
a_late_no_ends_the_connection_where_a_body_may_follow(void **state)
{
	struct push_request request = publish;

	begin_late(*state, &request);
	identify(*state);
	assert_log("<401 close {\"error\":\"no\"}> ");
	assert_string_equal(fake.response.www_authenticate ? "there" : "", "there");
	assert_int_equal(fake.counted_status, 401);
	request = (struct push_request){.method = PUSH_METHOD_GET,
		.place = PUSH_PLACE_EVENTS,
		.path = STR("/sse/messages"),
		.rest = STR(""),
		.query = STR("channels=a"),
		.host = STR("x")};
	fake.closes = false;
	begin_late(*state, &request);
	identify(*state);
	assert_log("<401 {\"error\":\"no\"}> ");
	assert_int_equal(fake.auth_refusals, 2);
}

static void
a_client_that_goes_while_it_is_asked_about_takes_all_with_it(void **state)
{
	struct push_request request = publish;

	request.authorization = (struct push_str)STR("Bearer yes");
	begin_late(*state, &request);
	push_exchange_drop(*state);
	*state = NULL;
	fake_broker_identify(&fake); /* the exchange is freed with it: valgrind sees that */
	assert_int_equal(fake.answers + fake.turns, 0);
	assert_int_equal(fake.memory.bytes, 0);
}

static void
a_ticket_is_for_those_who_have_shown_something(void **state)
{
	struct push_request request = {.method = PUSH_METHOD_POST,
		.place = PUSH_PLACE_SOCKETS,
		.path = STR("/auth/tickets"),
		.rest = STR("/auth/tickets"),
		.host = STR("x"),
		YES};

	fake.is_anonymous = true;
	begin_late(*state, &request);
	identify(*state);
	assert_log("<401 {\"error\":\"a ticket needs a token\"}> ");
	assert_int_equal(fake.auth_refusals, 1);
	fake.is_anonymous = false;
	begin_late(*state, &request);
	identify(*state);
	assert_log("<200 {\"ticket\":\"the-ticket\",\"expires_in\":30}> ");
	assert_true(fake.response.no_store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_path_answers_each_method),
		TEST(a_body_is_asked_about_whole_and_once_in_whatever_pieces_it_comes),
		TEST(what_the_head_says_wrong_is_answered_behind_the_body_and_the_connection_stays),
		TEST(a_body_that_is_not_read_ends_the_connection),
		TEST(a_body_over_the_limit_is_413_as_soon_as_that_is_known),
		TEST(a_late_answer_is_written_and_the_wire_is_called),
		TEST(an_answer_whose_client_has_gone_is_given_to_nobody),
		TEST(lines_are_answered_while_they_come),
		TEST(lines_that_wait_for_their_answers_are_not_read_on),
		TEST(a_stall_is_four_seconds_and_thirty_in_all_but_for_lines),
		TEST(a_body_for_which_there_is_no_memory_is_503),
		TEST(a_drain_ends_each_connection_and_takes_no_new_stream),
		TEST(another_origin_is_refused_but_for_its_preflight),
		TEST(the_heads_of_event_streams_leave_nothing_behind),
		TEST(a_wire_that_reads_no_chunks_and_no_pieces_is_served_too),
		TEST(a_row_is_all_that_a_page_of_operators_needs),
		TEST(a_page_of_operators_is_given_its_body_and_may_answer_late),
		TEST(without_a_broker_only_pages_that_need_none_are_there),
		TEST(a_body_is_read_when_it_is_known_whose_it_is),
		TEST(late_lines_and_late_continues_go_on_as_early_ones),
		TEST(a_late_stream_is_opened_and_its_head_answered),
		TEST(a_late_no_ends_the_connection_where_a_body_may_follow),
		TEST(a_client_that_goes_while_it_is_asked_about_takes_all_with_it),
		TEST(a_ticket_is_for_those_who_have_shown_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
