/* One request to lws: what is written, what is made of the answer, and who waits for whom. */
#include "lws_end.h"

#include "direct/lws_request.h"

static struct {
	char heads[512], body[2 * MUCH];
	size_t body_size, taken;
	unsigned int status, failed;
	bool is_last, does_not_read, closes_at_head;
	struct direct_lws_request *request;
} got;

static struct push_str
str(const char *text)
{
	return (struct push_str){text, strlen(text)};
}

static void
read_all(void)
{
	size_t size;

	do {
		size = direct_lws_request_read(got.request, got.body + got.body_size, 1000);
		got.body_size += size;
	} while (size);
}

static void
on_head(void *context, unsigned int status, struct push_str lines, bool is_last)
{
	assert_ptr_equal(context, &got);
	assert_int_equal(got.status, 0);
	assert_true(lines.size < sizeof(got.heads));
	memcpy(got.heads, lines.bytes, lines.size);
	got.heads[lines.size] = '\0';
	got.status = status;
	got.is_last = is_last;
	if (got.closes_at_head) {
		direct_lws_request_close(got.request);
		got.request = NULL;
	}
}

static void
on_readable(void *context)
{
	(void)context;
	assert_int_not_equal(got.status, 0);
	assert_false(got.is_last);
	if (!got.does_not_read)
		read_all();
}

static void
on_taken(void *context, size_t size)
{
	(void)context;
	got.taken += size;
}

static void
on_failed(void *context, unsigned int status)
{
	(void)context;
	assert_int_equal(got.failed, 0);
	got.failed = status;
}

static const struct direct_lws_handler handler = {on_head, on_readable, on_taken, on_failed};

static unsigned int
open_head(const struct direct_lws_head *head)
{
	const struct direct_end_client client = {.fd = 0}; /* any */

	return direct_lws_request_open(f.direct, &client, PORT, head, &handler, &got, &got.request);
}

static void
ask(const char *method, const char *target)
{
	const struct direct_lws_head head = {
		.method = str(method), .target = str(target), .authority = str("a")};

	assert_int_equal(open_head(&head), 0);
	turn();
}

static void
ask_with_body(uint64_t length)
{
	const struct direct_lws_head head = {.method = str("POST"),
		.target = str("/"),
		.authority = str("a"),
		.has_body = true,
		.has_length = true,
		.length = length};
	char text[256];

	assert_int_equal(open_head(&head), 0);
	turn();
	assert_true(recv(f.lws, text, sizeof(text), 0) > 0);
}

static void
answer(const char *text)
{
	assert_int_equal(send(f.lws, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn();
}

static int
set_up_request(void **state)
{
	memset(&got, 0, sizeof(got));
	return set_up(state);
}

static int
tear_down_request(void **state)
{
	direct_lws_request_close(got.request);
	return tear_down(state);
}

/* --- what lws is sent --- */

static void
a_request_is_written_with_the_fields_that_are_its_own(void **state)
{
	static const char expected[] =
		"GET /a?b=c HTTP/1.1\r\nhost: example.org:8443\r\naccept: */*\r\n"
		"authorization: Basic eA==\r\ncookie: a=1; b=2\r\nconnection: close\r\n\r\n";
	const struct direct_lws_field fields[] = {
		{str(":method"), str("GET")},
		{str("accept"), str("*/*")},
		{str("cookie"), str("a=1")},
		{str("connection"), str("keep-alive")},
		{str("te"), str("trailers")},
		{str("upgrade"), str("h2c")},
		{str("transfer-encoding"), str("chunked")},
		{str("content-length"), str("7")},
		{str("host"), str("elsewhere")},
		{str("expect"), str("100-continue")},
		{str("authorization"), str("Basic eA==")},
		{str("cookie"), str("b=2")},
	};
	const struct direct_lws_head head = {.method = str("GET"),
		.target = str("/a?b=c"),
		.authority = str("example.org:8443"),
		.fields = fields,
		.field_count = COUNT(fields)};

	(void)state;
	assert_int_equal(open_head(&head), 0);
	expect(f.lws, expected);
}

static void
lws_is_always_told_of_a_body_it_would_wait_for(void **state)
{
	(void)state;
	ask("POST", "/");
	expect(f.lws, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

static void
what_could_be_read_as_another_request_is_refused(void **state)
{
	static const struct {
		const char *method, *target, *authority, *name;
		struct push_str value;
		bool has_body, has_length;
		unsigned int status;
	} rows[] = {
		{"GET", "/a b", "a", "x", {"", 0}, false, false, 400},
		{"GET", "/a\r\nx:", "a", "x", {"", 0}, false, false, 400},
		{"GET", "/\xff", "a", "x", {"", 0}, false, false, 400},
		{"GET", "/#a", "a", "x", {"", 0}, false, false, 400},
		{"GET", "a", "a", "x", {"", 0}, false, false, 400},
		{"GET", "", "a", "x", {"", 0}, false, false, 400},
		{"GET", "*", "a", "x", {"", 0}, false, false, 400},
		{"GET", "http://b/", "a", "x", {"", 0}, false, false, 400},
		{"GET", "/", "", "x", {"", 0}, false, false, 400},
		{"GET", "/", "a/b", "x", {"", 0}, false, false, 400},
		{"GET", "/", "user@a", "x", {"", 0}, false, false, 400},
		{"GET", "/", "a\r\nx: y", "x", {"", 0}, false, false, 400},
		{"GET", "/", "a", "", {"", 0}, false, false, 400},
		{"GET", "/", "a", "x y", {"", 0}, false, false, 400},
		{"GET", "/", "a", "x:", {"", 0}, false, false, 400},
		{"GET", "/", "a", "x\r\ny", {"", 0}, false, false, 400},
		{"GET", "/", "a", "x", {"\r\nHost: b", 9}, false, false, 400},
		{"GET", "/", "a", "x", {"\0", 1}, false, false, 400},
		{"GET", "/", "a", "cookie", {"a\n", 2}, false, false, 400},
		{"GET", "/", "a", "connection", {"\r", 1}, false, false, 400},
		{"GET", "/", "a", "x", {"", 0}, true, true, 400},
		{"DELETE", "/", "a", "x", {"", 0}, true, true, 400},
		{"POST", "/", "a", "x", {"", 0}, true, false, 411},
		{"CONNECT", "/", "a", "x", {"", 0}, false, false, 501},
		{"get", "/", "a", "x", {"", 0}, false, false, 501},
		{"GET /", "/", "a", "x", {"", 0}, false, false, 501},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct direct_lws_field field = {str(rows[i].name), rows[i].value};
		const struct direct_lws_head head = {.method = str(rows[i].method),
			.target = str(rows[i].target),
			.authority = str(rows[i].authority),
			.fields = &field,
			.field_count = 1,
			.has_body = rows[i].has_body,
			.has_length = rows[i].has_length,
			.length = 3};

		assert_int_equal(open_head(&head), rows[i].status);
		assert_int_equal(f.lws, -1);
	}
}

static void
a_head_that_is_too_long_is_refused(void **state)
{
	static char value[3 * PUSH_HEAD_BYTES_MAX];
	const struct direct_lws_field field = {str("x"), {value, sizeof(value)}};
	const struct direct_lws_head head = {.method = str("GET"),
		.target = str("/"),
		.authority = str("a"),
		.fields = &field,
		.field_count = 1};

	(void)state;
	memset(value, 'x', sizeof(value));
	assert_int_equal(open_head(&head), 431);
}

/* --- what it answers --- */

static void
an_answer_comes_apart_into_head_and_body(void **state)
{
	(void)state;
	ask("GET", "/");
	answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain \r\nKeep-Alive: 5\r\nX-Empty:\r\nConnection: "
	       "close\r\n");
	assert_int_equal(got.status, 0);
	answer("content-length: 5\r\n\r\nhe");
	assert_int_equal(got.status, 200);
	assert_string_equal(got.heads, "content-type: text/plain\r\nx-empty: \r\ncontent-length: 5\r\n");
	assert_false(direct_lws_request_is_over(got.request));
	answer("lloHTTP/1.1 200 OK\r\n\r\n");
	assert_true(direct_lws_request_is_over(got.request));
	assert_int_equal(got.body_size, 5);
	assert_memory_equal(got.body, "hello", 5);
	assert_int_equal(f.direct->relay_sources, 0);
}

static void
chunks_are_undone_and_trailers_dropped(void **state)
{
	(void)state;
	ask("GET", "/");
	answer("HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
	answer("3\r\nabc\r\n");
	assert_int_equal(got.body_size, 3);
	answer("2\r\nde\r\n0\r\nx-trailer: 1\r\n\r\n");
	assert_memory_equal(got.body, "abcde", 5);
	assert_string_equal(got.heads, "");
	assert_true(direct_lws_request_is_over(got.request));
}

static void
an_answer_may_be_cut_anywhere(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nX-One: a b \r\nKeep-Alive: 5\r\nX-Two:\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

	(void)state;
	for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
		memset(&got, 0, sizeof(got));
		ask("GET", "/");
		assert_int_equal(send(f.lws, text, cut, 0), cut);
		turn();
		answer(text + cut);
		assert_string_equal(got.heads, "x-one: a b\r\nx-two: \r\n");
		assert_true(direct_lws_request_is_over(got.request));
		assert_int_equal(got.body_size, 5);
		assert_memory_equal(got.body, "abcde", 5);
		direct_lws_request_close(got.request);
		got.request = NULL;
		close_end(&f.lws);
	}
}

static void
an_answer_without_a_length_ends_with_the_connection(void **state)
{
	(void)state;
	ask("GET", "/");
	answer("HTTP/1.0 200 OK\r\n\r\nabc");
	assert_false(direct_lws_request_is_over(got.request));
	close_end(&f.lws);
	assert_true(direct_lws_request_is_over(got.request));
	assert_int_equal(got.failed, 0);
}

static void
answers_without_a_body_are_whole_with_their_head(void **state)
{
	static const struct {
		const char *method, *text;
	} rows[] = {
		{"HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"},
		{"GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"},
		{"OPTIONS", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		memset(&got, 0, sizeof(got));
		ask(rows[i].method, "/");
		answer(rows[i].text);
		assert_true(got.is_last);
		assert_true(direct_lws_request_is_over(got.request));
		direct_lws_request_close(got.request);
		got.request = NULL;
		close_end(&f.lws);
	}
}

static void
what_is_no_answer_fails(void **state)
{
	static const struct {
		const char *text;
		unsigned int status; /* of a head that came before */
	} rows[] = {
		{"", 0}, {"HTTP/1.1 200 O", 0}, {"SSH-2.0\r\n\r\n", 0},
		{"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", 0},
		{"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 0},
		{"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", 200},
		{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 0}, /* all at once */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		memset(&got, 0, sizeof(got));
		ask("GET", "/");
		answer(rows[i].text);
		close_end(&f.lws);
		assert_int_equal(got.failed, 502);
		assert_int_equal(got.status, rows[i].status);
		assert_false(direct_lws_request_is_over(got.request));
		direct_lws_request_close(got.request);
		got.request = NULL;
	}
}

static void
a_client_that_does_not_read_stops_lws(void **state)
{
	size_t sent = 0;

	(void)state;
	ask("GET", "/");
	answer("HTTP/1.0 200 OK\r\n\r\n");
	got.does_not_read = true;
	put_all_that_goes(f.lws, &sent, MUCH);
	assert_true(sent < MUCH);
	assert_in_range(f.memory.bytes, 1, 2 * PUSH_RELAY_PIECE_BYTES);
	assert_false(push_list_is_empty(&f.direct->burdens));
	close_end(&f.lws); /* and nobody is called again and again for that */
	got.does_not_read = false;
	read_all();
	turn();
	assert_true(direct_lws_request_is_over(got.request));
	assert_int_equal(got.body_size, sent);
	for (size_t i = 0; i < sent; i++)
		assert_int_equal(got.body[i], byte_at(i));
	assert_int_equal(f.memory.bytes, 0);
}

static void
a_client_that_does_not_read_the_rest_is_given_up(void **state)
{
	size_t sent = 0;

	(void)state;
	ask("GET", "/");
	answer("HTTP/1.0 200 OK\r\n\r\n");
	got.does_not_read = true;
	put_all_that_goes(f.lws, &sent, MUCH);
	pass_time(2 * PUSH_ANSWERS_US); /* lws knows how long it may be */
	assert_int_equal(got.failed, 0);
	close_end(&f.lws);
	pass_time(PUSH_ANSWERS_US - 10 * PUSH_TICK_US);
	assert_int_equal(direct_lws_request_read(got.request, got.body, PUSH_RELAY_PIECE_BYTES),
		PUSH_RELAY_PIECE_BYTES);
	pass_time(PUSH_ANSWERS_US - 10 * PUSH_TICK_US); /* it has read */
	assert_int_equal(got.failed, 0);
	pass_time(20 * PUSH_TICK_US);
	assert_int_equal(got.failed, 503);
	assert_int_equal(f.memory.bytes, 0);
}

static void
memory_is_given_back_when_it_is_short(void **state)
{
	size_t sent = 0;

	(void)state;
	ask("GET", "/");
	answer("HTTP/1.0 200 OK\r\n\r\n");
	got.does_not_read = true;
	put_all_that_goes(f.lws, &sent, MUCH);
	push_memory_set_max(&f.memory, PUSH_RELAY_PIECE_BYTES);
	assert_int_equal(push_direct_relieve(f.direct, 10), 1);
	assert_int_equal(got.failed, 503);
	assert_int_equal(f.memory.bytes, 0);
}

/* --- the body of the request --- */

static void
a_body_goes_on_as_lws_takes_it(void **state)
{
	static char piece[PUSH_LWS_BODY_BYTES];
	size_t sent = 0, arrived = 0;
	ssize_t taken;

	(void)state;
	ask_with_body(MUCH);
	while (arrived < MUCH) {
		size_t room = PUSH_LWS_BODY_BYTES - (sent - got.taken);
		size_t size = room < MUCH - sent ? room : MUCH - sent;

		for (size_t i = 0; i < size; i++)
			piece[i] = byte_at(sent + i);
		taken = direct_lws_request_write(got.request, piece, size);
		assert_true(taken >= 0);
		sent += size;
		got.taken += (size_t)taken;
		get_all_that_comes(f.lws, &arrived);
	}
	assert_int_equal(got.taken, MUCH);
	assert_true(direct_lws_request_end(got.request));
	answer("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
	assert_int_equal(got.status, 202);
}

static void
a_body_is_as_long_as_was_announced_or_lws_sees_no_request(void **state)
{
	(void)state;
	ask_with_body(3);
	assert_int_equal(direct_lws_request_write(got.request, "abcd", 4), -1);
	turn();
	assert_true(has_ended(f.lws));
	assert_int_equal(got.failed, 0);
	direct_lws_request_close(got.request);
	close_end(&f.lws);
	ask_with_body(3);
	assert_int_equal(direct_lws_request_write(got.request, "ab", 2), 2);
	assert_false(direct_lws_request_end(got.request));
	expect(f.lws, "ab");
	assert_true(has_ended(f.lws));
}

static void
an_answer_may_come_before_the_body(void **state)
{
	(void)state;
	ask_with_body(10);
	answer("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno");
	assert_int_equal(got.status, 401);
	assert_true(direct_lws_request_is_over(got.request));
	assert_int_equal(direct_lws_request_write(got.request, "0123456789", 10), 10); /* nobody wants it */
	assert_true(direct_lws_request_end(got.request));
}

/* --- its end --- */

static void
it_may_be_closed_at_any_time(void **state)
{
	(void)state;
	ask("GET", "/");
	got.closes_at_head = true;
	answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
	assert_int_equal(got.status, 200);
	assert_int_equal(f.direct->relay_sources, 0);
	close_end(&f.lws);
	got.closes_at_head = false;
	got.status = 0;
	ask("GET", "/");
	direct_lws_request_close(got.request);
	got.request = NULL;
	turn();
	assert_int_equal(f.direct->relay_sources, 0);
}

static void
without_memory_or_descriptors_it_is_refused(void **state)
{
	const struct direct_lws_head head = {.method = str("GET"), .target = str("/"), .authority = str("a")};
	unsigned int status;
	long left = 0;

	(void)state;
	do {
		allocations_left = left;
		status = open_head(&head);
		allocations_left = -1;
		assert_true(status == 0 || status == 503);
		assert_true(left++ < 10);
		turn();
	} while (status);
	direct_lws_request_close(got.request);
	got.request = NULL;
	close_end(&f.lws);
	f.direct->files_max = 3;
	assert_int_equal(open_head(&head), 503);
	assert_int_equal(f.lws, -1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_request, tear_down_request)
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_written_with_the_fields_that_are_its_own),
		TEST(lws_is_always_told_of_a_body_it_would_wait_for),
		TEST(what_could_be_read_as_another_request_is_refused),
		TEST(a_head_that_is_too_long_is_refused),
		TEST(an_answer_comes_apart_into_head_and_body),
		TEST(chunks_are_undone_and_trailers_dropped),
		TEST(an_answer_may_be_cut_anywhere),
		TEST(an_answer_without_a_length_ends_with_the_connection),
		TEST(answers_without_a_body_are_whole_with_their_head),
		TEST(what_is_no_answer_fails),
		TEST(a_client_that_does_not_read_stops_lws),
		TEST(a_client_that_does_not_read_the_rest_is_given_up),
		TEST(memory_is_given_back_when_it_is_short),
		TEST(a_body_goes_on_as_lws_takes_it),
		TEST(a_body_is_as_long_as_was_announced_or_lws_sees_no_request),
		TEST(an_answer_may_come_before_the_body),
		TEST(it_may_be_closed_at_any_time),
		TEST(without_memory_or_descriptors_it_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
