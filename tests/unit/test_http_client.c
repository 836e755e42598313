/* Calls of other servers: over real sockets, with servers that do as they should, and as they should not. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>

#include "failing_alloc.h"
#include "http_server.h"
#include "loop/http_answer.h"
#include "loop/http_client.h"
#include "loop/limits.h"

#define SECOND_US 1000000ull

struct fixture {
	struct push_http_client *client;
	struct push_http_origin *origin;
	struct push_http_url url;
	uint64_t now_us;
};

/* What came of a call. */
struct outcome {
	unsigned int count;
	enum push_status status;
	unsigned int http_status, retry_after_s;
	char body[4096], error[256], cache_control[256], content_type[64];
	size_t body_size;
};

static const struct push_http_limits usual = {.calls_max = 4, .waiting_max = 4, .idle_max = 2};

static void
on_done(void *context, const struct push_http_result *result)
{
	struct outcome *outcome = context;

	outcome->count++;
	outcome->status = result->status;
	outcome->http_status = result->http_status;
	outcome->retry_after_s = result->retry_after_s;
	outcome->body_size = result->body.size;
	assert_true(result->body.size < sizeof(outcome->body));
	if (result->body.size)
		memcpy(outcome->body, result->body.bytes, result->body.size);
	outcome->body[result->body.size] = '\0';
	snprintf(outcome->error, sizeof(outcome->error), "%s", result->error);
	snprintf(outcome->cache_control, sizeof(outcome->cache_control), "%s", result->cache_control);
	snprintf(outcome->content_type, sizeof(outcome->content_type), "%s", result->content_type);
}

static void
open_client(struct fixture *f, const char *url, const struct push_http_limits *limits, const char *ca_file)
{
	struct push_error error = {""};

	memset(f, 0, sizeof(*f));
	f->now_us = SECOND_US;
	f->client = push_http_client_create();
	assert_non_null(f->client);
	assert_int_equal(push_http_url_parse(&f->url, "url", url, &error), PUSH_OK);
	if (ca_file)
		assert_int_equal(push_http_client_trust(f->client, "ca", ca_file, &error), PUSH_OK);
	f->origin = push_http_client_add(f->client, &f->url, limits);
	assert_non_null(f->origin);
}

static void
open_to(struct fixture *f, const struct server *server, const struct push_http_limits *limits)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/path?q=1", server->port);
	open_client(f, url, limits, NULL);
}

static struct push_http_ask
ask_for(const struct fixture *f, struct outcome *outcome)
{
	return (struct push_http_ask){.request = {.url = &f->url},
		.deadline_us = f->now_us + SECOND_US,
		.body_max = 1024,
		.done = on_done,
		.context = outcome};
}

static void
turn(struct fixture *f)
{
	struct pollfd one = {.fd = push_http_client_fd(f->client), .events = POLLIN};

	if (poll(&one, 1, 10) > 0)
		push_http_client_ready(f->client, f->now_us);
	push_http_client_tick(f->client, f->now_us);
}

/* The clock stands still: what ends does not end by time. */
static void
wait_for(struct fixture *f, const struct outcome *outcome, unsigned int count)
{
	for (int i = 0; outcome->count < count; i++) {
		assert_true(i < 3000);
		turn(f);
	}
	assert_int_equal(outcome->count, count);
}

static void
wait_for_requests(struct fixture *f, const struct server *server, unsigned int count)
{
	for (int i = 0; server->requests < count; i++) {
		assert_true(i < 3000);
		turn(f);
	}
}

static void
call(struct fixture *f, struct outcome *outcome)
{
	struct push_http_ask ask = ask_for(f, outcome);
	unsigned int count = outcome->count;

	assert_int_equal(push_http_call(f->origin, &ask, f->now_us, NULL), PUSH_OK);
	assert_int_equal(outcome->count, count);
	wait_for(f, outcome, count + 1);
}

/* --- answers --- */

/* Each in two pieces, cut in its middle, too. */
static void
serve_in_pieces(struct peer *peer)
{
	const char *text = peer->server->text;
	size_t size = strlen(text);

	while (peer_hear(peer)) {
		if (peer->number == 0) {
			peer_send(peer, text, size);
		} else {
			for (size_t i = 0; i < size; i++)
				peer_send(peer, text + i, 1);
		}
		if (strstr(text, "close") || !strstr(text, "\r\n\r\n"))
			return;
	}
}

static void
answers_are_read_in_every_form(void **state)
{
	static const struct {
		const char *text;
		enum push_status status;
		unsigned int http_status;
		const char *body;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", PUSH_OK, 200, "hello"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
			PUSH_OK, 200, "hello"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nCache-Control: "
		 "no\r\n\r\n",
			PUSH_OK, 200, "x"},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", PUSH_OK, 200, "until the end"},
		{"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nold", PUSH_OK, 200, "old"},
		{"HTTP/1.1 204 No Content\r\n\r\n", PUSH_OK, 204, ""},
		{"HTTP/1.1 304 Not Modified\r\n\r\n", PUSH_OK, 304, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", PUSH_OK, 200, ""},
		{"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n", PUSH_OK, 302, ""},
		{"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", PUSH_OK, 500, "no"},
		{"HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=1\r\n\r\nHTTP/1.1 200 "
		 "OK\r\nContent-Length: "
		 "1\r\n\r\nx",
			PUSH_OK, 200, "x"},
		/* not whole */
		{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello", PUSH_UNAVAILABLE,
			0, ""},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
			PUSH_UNAVAILABLE, 0, ""},
		{"HTTP/1.1 200 OK\r\nContent-Len", PUSH_UNAVAILABLE, 0, ""},
		/* no HTTP, or such as others read in another way */
		{"SSH-2.0-OpenSSH\r\nclose\r\n", PUSH_INVALID, 0, ""},
		{"HTTP/2.0 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", PUSH_INVALID, 0, ""},
		{"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade, close\r\n\r\n", PUSH_INVALID,
			0, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: "
		 "close\r\n\r\nhello!",
			PUSH_INVALID, 0, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: "
		 "close\r\n\r\n0\r\n\r\n",
			PUSH_INVALID, 0, ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nxyz\r\n",
			PUSH_INVALID, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_http_limits each_anew = {.calls_max = 1};
		struct outcome outcome = {0};
		struct server server;
		struct fixture f;

		server_start(&server, serve_in_pieces, rows[i].text, NULL);
		open_to(&f, &server, &each_anew);
		for (unsigned int j = 0; j < 2; j++) {
			call(&f, &outcome);
			if (outcome.status != rows[i].status || strcmp(outcome.body, rows[i].body))
				fail_msg("row %zu: %s %s", i, outcome.error, outcome.body);
			assert_int_equal(outcome.http_status, rows[i].http_status);
			assert_string_equal(outcome.cache_control, "");
			assert_int_equal(!*outcome.error, outcome.status == PUSH_OK);
		}
		push_http_client_destroy(f.client);
		server_stop(&server);
	}
}

static void
headers_that_matter_are_handed_on(void **state)
{
	struct outcome outcome = {0};
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_text,
		"HTTP/1.1 503 Busy\r\nCACHE-control: public\r\nRetry-After: 7\r\ncache-control:  max-age=60 "
		"\r\n"
		"Content-Type: application/json\r\nX-Other-Header-With-A-Name: 1\r\nContent-Length: "
		"0\r\n\r\n",
		NULL);
	open_to(&f, &server, &usual);
	call(&f, &outcome);
	assert_int_equal(outcome.http_status, 503);
	assert_int_equal(outcome.retry_after_s, 7);
	assert_string_equal(outcome.content_type, "application/json");
	assert_string_equal(outcome.cache_control, "public, max-age=60");
	push_http_client_destroy(f.client);
	server_stop(&server);
}

static void
only_whole_seconds_are_a_retry_after(void **state)
{
	static const struct {
		const char *text;
		unsigned int seconds;
	} rows[] = {{"", 0}, {"0", 0}, {"1", 1}, {"3600", 3600}, {"3601", 3600},
		{"99999999999999999999", 3600}, {"-1", 0}, {"1.5", 0}, {"Wed, 21 Oct 2015 07:28:00 GMT", 0}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(push_http_retry_after_s(rows[i].text), rows[i].seconds);
}

static void
a_body_is_taken_up_to_its_limit(void **state)
{
	static const char *const forms[] = {"HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(forms) * 2; i++) {
		size_t size = 1024 + (i & 1);
		char body[1026], text[2048];
		struct outcome outcome = {0};
		struct server server;
		struct fixture f;

		memset(body, 'x', size);
		body[size] = '\0';
		snprintf(text, sizeof(text), forms[i / 2], size, body);
		server_start(&server, serve_text, text, NULL);
		open_to(&f, &server, &usual);
		call(&f, &outcome);
		assert_int_equal(outcome.status, i & 1 ? PUSH_TOO_LARGE : PUSH_OK);
		assert_int_equal(outcome.body_size, i & 1 ? 0 : 1024);
		push_http_client_destroy(f.client);
		server_stop(&server);
	}
}

/* Of heads, chunk extensions and interim answers without an end. */
static void
serve_for_ever(struct peer *peer)
{
	static const char *const beginnings[] = {
		"HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", ""};
	static const char *const more[] = {
		"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
		"x=yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy;",
		"HTTP/1.1 100 Continue\r\n\r\n"};

	if (!peer_hear(peer))
		return;
	peer_say(peer, beginnings[peer->number]);
	for (int i = 0; i < 4096; i++)
		peer_say(peer, more[peer->number]);
	peer_wait(peer);
}

static void
an_answer_without_an_end_is_not_read_for_ever(void **state)
{
	struct outcome outcome = {0};
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_for_ever, "", NULL);
	open_to(&f, &server, &usual);
	for (int i = 0; i < 3; i++) {
		call(&f, &outcome);
		assert_int_equal(outcome.status, PUSH_INVALID);
	}
	assert_int_equal(server.connections, 3);
	push_http_client_destroy(f.client);
	server_stop(&server);
}

/* --- requests --- */

static void
serve_echo(struct peer *peer)
{
	char head[128];

	while (peer_hear(peer)) {
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", peer->size);
		peer_say(peer, head);
		peer_send(peer, peer->request, peer->size);
	}
}

static void
a_request_is_what_was_asked_for(void **state)
{
	const struct push_http_header headers[] = {{"Content-Type", {"application/json", 16}},
		{"Cookie", {NULL, 0}}, {"X-Umlaut", {"\xc3\xbc\t", 3}}};
	struct outcome outcome = {0};
	struct push_http_ask ask;
	struct server server;
	struct fixture f;
	char expected[512];

	(void)state;
	server_start(&server, serve_echo, "", NULL);
	open_to(&f, &server, &usual);
	ask = ask_for(&f, &outcome);
	ask.request.is_post = true;
	ask.request.headers = headers;
	ask.request.header_count = COUNT(headers);
	ask.request.body = (struct push_str){"{}", 2};
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
	wait_for(&f, &outcome, 1);
	snprintf(expected, sizeof(expected),
		"POST /path?q=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: push/" PUSH_VERSION
		"\r\nContent-Type: application/json\r\nX-Umlaut: \xc3\xbc\t\r\nContent-Length: 2\r\n\r\n{}",
		server.port);
	assert_string_equal(outcome.body, expected);
	push_http_client_destroy(f.client);
	server_stop(&server);
}

static void
a_header_cannot_end_the_head(void **state)
{
	static const struct push_http_header bad[] = {{"X", {"a\r\nY: b", 7}}, {"X", {"a\nb", 3}},
		{"X", {"a\0b", 3}}, {"X", {"\x7f", 1}}, {"X Y", {"a", 1}}, {"", {"a", 1}}, {"X:", {"a", 1}}};
	struct outcome outcome = {0};
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_echo, "", NULL);
	open_to(&f, &server, &usual);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct push_http_ask ask = ask_for(&f, &outcome);

		ask.request.headers = &bad[i];
		ask.request.header_count = 1;
		assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_INVALID);
	}
	for (int i = 0; i < 10; i++)
		turn(&f);
	assert_int_equal(outcome.count, 0);
	assert_int_equal(server.connections, 0);
	push_http_client_destroy(f.client);
	server_stop(&server);
}

static void
a_request_over_its_limit_is_refused(void **state)
{
	char *body = calloc(1, PUSH_HTTP_REQUEST_BYTES_MAX);
	struct outcome outcome = {0};
	struct push_http_ask ask;
	struct fixture f;

	(void)state;
	open_client(&f, "http://127.0.0.1:1/", &usual, NULL);
	ask = ask_for(&f, &outcome);
	ask.request.is_post = true;
	ask.request.body = (struct push_str){body, PUSH_HTTP_REQUEST_BYTES_MAX};
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_TOO_LARGE);
	push_http_client_destroy(f.client);
	free(body);
}

/* --- connections --- */

static void
a_connection_is_used_again(void **state)
{
	struct outcome outcome = {0};
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NULL);
	open_to(&f, &server, &usual);
	for (int i = 0; i < 5; i++) {
		call(&f, &outcome);
		assert_string_equal(outcome.body, "ok");
	}
	assert_int_equal(server.connections, 1);
	assert_int_equal(server.requests, 5);
	/* not for ever */
	f.now_us += PUSH_HTTP_IDLE_US;
	push_http_client_tick(f.client, f.now_us);
	call(&f, &outcome);
	assert_int_equal(server.connections, 2);
	push_http_client_destroy(f.client);
	server_stop(&server);
}

/* One that says it closes, one with bytes that nobody has asked for. */
static void
serve_unfit(struct peer *peer)
{
	if (!peer_hear(peer))
		return;
	if (peer->number == 0)
		peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
	else
		peer_say(peer,
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: "
			"4\r\n\r\nevil");
	peer_wait(peer);
}

static void
a_connection_that_is_unfit_is_not_used_again(void **state)
{
	struct outcome outcome = {0};
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_unfit, "", NULL);
	open_to(&f, &server, &usual);
	for (unsigned int i = 0; i < 3; i++) {
		call(&f, &outcome);
		assert_int_equal(outcome.status, PUSH_OK);
		assert_string_equal(outcome.body, "ok");
		assert_int_equal(server.connections, i + 1);
	}
	push_http_client_destroy(f.client);
	server_stop(&server);
}

/* The first connection closes after one answer, without having said so, when the second request has come. */
static void
serve_once(struct peer *peer)
{
	if (!peer_hear(peer))
		return;
	peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	if (peer->number == 0)
		(void)peer_hear(peer);
	else
		serve_text(peer);
}

static void
a_request_that_meets_a_closing_connection_is_repeated_only_if_it_may_be(void **state)
{
	(void)state;
	for (int is_repeatable = 0; is_repeatable < 2; is_repeatable++) {
		struct outcome outcome = {0};
		struct push_http_ask ask;
		struct server server;
		struct fixture f;

		server_start(&server, serve_once, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain", NULL);
		open_to(&f, &server, &usual);
		call(&f, &outcome);
		ask = ask_for(&f, &outcome);
		ask.is_repeatable = is_repeatable;
		assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
		wait_for(&f, &outcome, 2);
		assert_int_equal(outcome.status, is_repeatable ? PUSH_OK : PUSH_UNAVAILABLE);
		assert_int_equal(server.connections, is_repeatable ? 2 : 1);
		push_http_client_destroy(f.client);
		server_stop(&server);
	}
}

static void
serve_and_close(struct peer *peer)
{
	if (peer_hear(peer))
		peer_say(peer, peer->server->text);
}

static void
an_idle_connection_that_the_server_closes_is_forgotten(void **state)
{
	struct outcome outcome = {0};
	struct pollfd one;
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_and_close, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NULL);
	open_to(&f, &server, &usual);
	one = (struct pollfd){.fd = push_http_client_fd(f.client), .events = POLLIN};
	for (unsigned int i = 0; i < 3; i++) {
		call(&f, &outcome);
		assert_int_equal(outcome.status, PUSH_OK);
		assert_int_equal(poll(&one, 1, 30000), 1);
		push_http_client_ready(f.client, f.now_us);
	}
	push_http_client_destroy(f.client);
	server_stop(&server);
}

static void
nobody_listens(void **state)
{
	struct outcome outcome = {0};
	struct fixture f;
	char url[64];
	uint16_t port;

	(void)state;
	close(listen_somewhere(&port));
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
	open_client(&f, url, &usual, NULL);
	call(&f, &outcome);
	assert_int_equal(outcome.status, PUSH_UNAVAILABLE);
	assert_string_equal(outcome.error, strerror(ECONNREFUSED));
	push_http_client_destroy(f.client);
}

static void
a_name_without_an_address_is_said(void **state)
{
	struct outcome outcome = {0};
	struct fixture f;

	(void)state;
	open_client(&f, "http://no_such..name/", &usual, NULL);
	call(&f, &outcome);
	assert_int_equal(outcome.status, PUSH_UNAVAILABLE);
	assert_true(strlen(outcome.error) > 0);
	push_http_client_destroy(f.client);
}

int
__real_getaddrinfo(
	const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
int
__wrap_getaddrinfo(
	const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret);

/* A name with three addresses, of which only the last one is the server's. */
int
__wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	static const char *const addresses[] = {"127.0.0.3", "127.0.0.2", "127.0.0.1"};

	if (strcmp(name, "several.example.com") != 0)
		return __real_getaddrinfo(name, service, hints, ret);
	for (size_t i = 0; i < COUNT(addresses); i++) {
		int result = __real_getaddrinfo(addresses[i], service, hints, ret);

		if (result)
			return result;
		while (*ret)
			ret = &(*ret)->ai_next;
	}
	return 0;
}

static void
each_address_of_a_name_is_tried_and_the_good_one_remembered(void **state)
{
	const struct push_http_limits each_anew = {.calls_max = 1};
	struct outcome outcome = {0};
	struct server server;
	struct fixture f;
	char url[64];
	int deaf;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};

	(void)state;
	server_start(&server, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NULL);
	snprintf(url, sizeof(url), "http://several.example.com:%u/", server.port);
	open_client(&f, url, &each_anew, NULL);
	call(&f, &outcome);
	assert_string_equal(outcome.error, "");
	assert_int_equal(server.connections, 1);
	/* another one listens by now, but never answers: nobody asks it */
	deaf = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	address.sin_port = htons(server.port);
	assert_int_equal(bind(deaf, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(deaf, 8), 0);
	call(&f, &outcome);
	assert_int_equal(outcome.status, PUSH_OK);
	assert_int_equal(accept(deaf, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	close(deaf);
	push_http_client_destroy(f.client);
	server_stop(&server);
}

/* The first address is deaf (its queue is full, so that the kernel answers no SYN): the next one has its turn. */
static void
an_address_that_does_not_answer_has_its_share_of_the_time(void **state)
{
	int fd, fillers[8];
	struct outcome outcome = {0};
	struct push_http_ask ask;
	struct server server;
	struct fixture f;
	struct pollfd one;
	char url[64];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 2)};

	(void)state;
	server_start(&server, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NULL);
	address.sin_port = htons(server.port);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	for (size_t i = 0; i < COUNT(fillers); i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (const struct sockaddr *)&address, sizeof(address));
	}
	snprintf(url, sizeof(url), "http://several.example.com:%u/", server.port);
	open_client(&f, url, &usual, NULL);
	ask = ask_for(&f, &outcome);
	ask.deadline_us = f.now_us + 3 * SECOND_US;
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
	/* nothing else becomes ready until the name is looked up and the first address is tried */
	one = (struct pollfd){.fd = push_http_client_fd(f.client), .events = POLLIN};
	assert_int_equal(poll(&one, 1, 30000), 1);
	push_http_client_ready(f.client, f.now_us);
	push_http_client_tick(f.client, f.now_us + SECOND_US - 1);
	assert_int_equal(server.connections, 0);
	f.now_us += SECOND_US;
	wait_for(&f, &outcome, 1);
	assert_string_equal(outcome.error, "");
	assert_string_equal(outcome.body, "ok");
	push_http_client_destroy(f.client);
	for (size_t i = 0; i < COUNT(fillers); i++)
		close(fillers[i]);
	close(fd);
	server_stop(&server);
}

/* --- time, limits, the end --- */

static void
serve_never(struct peer *peer)
{
	while (peer_hear(peer))
		;
}

static void
a_call_ends_by_its_deadline(void **state)
{
	struct outcome outcome = {0};
	struct push_http_ask ask;
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_never, "", NULL);
	open_to(&f, &server, &usual);
	ask = ask_for(&f, &outcome);
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
	wait_for_requests(&f, &server, 1);
	push_http_client_tick(f.client, ask.deadline_us - 1);
	assert_int_equal(outcome.count, 0);
	push_http_client_tick(f.client, ask.deadline_us);
	assert_int_equal(outcome.count, 1);
	assert_int_equal(outcome.status, PUSH_UNAVAILABLE);
	assert_string_equal(outcome.error, "no answer in time");
	push_http_client_destroy(f.client);
	server_stop(&server);
}

/* Its queue is full, so that the kernel answers no SYN. */
static void
a_connection_that_does_not_come_ends_by_the_deadline(void **state)
{
	int fd, fillers[8];
	struct outcome outcome = {0};
	struct push_http_ask ask;
	struct fixture f;
	char url[64];
	uint16_t port;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	(void)state;
	fd = listen_somewhere(&port);
	listen(fd, 1);
	address.sin_port = htons(port);
	for (size_t i = 0; i < COUNT(fillers); i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (const struct sockaddr *)&address, sizeof(address));
	}
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
	open_client(&f, url, &usual, NULL);
	ask = ask_for(&f, &outcome);
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
	for (int i = 0; i < 5; i++)
		turn(&f);
	assert_int_equal(outcome.count, 0);
	for (int i = 0; !outcome.count && i < 3000; i++) {
		f.now_us = ask.deadline_us;
		push_http_client_tick(f.client, f.now_us);
	}
	assert_int_equal(outcome.status, PUSH_UNAVAILABLE);
	assert_non_null(strstr(outcome.error, "in time"));
	push_http_client_destroy(f.client);
	for (size_t i = 0; i < COUNT(fillers); i++)
		close(fillers[i]);
	close(fd);
}

static void
calls_over_the_limit_wait_and_those_over_the_queue_are_refused(void **state)
{
	const struct push_http_limits few = {.calls_max = 2, .waiting_max = 3, .idle_max = 2};
	struct outcome outcomes[5] = {{0}}, one_more = {0};
	struct push_http_ask ask;
	unsigned int under_way, waiting;
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NULL);
	open_to(&f, &server, &few);
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		ask = ask_for(&f, &outcomes[i]);
		assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
	}
	ask = ask_for(&f, &one_more);
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_TOO_MANY);
	push_http_origin_count(f.origin, &under_way, &waiting);
	assert_int_equal(under_way, 2);
	assert_int_equal(waiting, 3);
	for (size_t i = 0; i < COUNT(outcomes); i++)
		wait_for(&f, &outcomes[i], 1);
	assert_int_equal(server.requests, 5);
	assert_true(server.at_once_most <= 2);
	assert_int_equal(one_more.count, 0);
	push_http_client_destroy(f.client);
	server_stop(&server);
}

static void
a_call_that_waits_ends_by_its_deadline(void **state)
{
	const struct push_http_limits one = {.calls_max = 1, .waiting_max = 1};
	struct outcome first = {0}, second = {0};
	struct push_http_ask ask;
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_never, "", NULL);
	open_to(&f, &server, &one);
	ask = ask_for(&f, &first);
	ask.deadline_us += 10 * SECOND_US;
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
	ask = ask_for(&f, &second);
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
	push_http_client_tick(f.client, ask.deadline_us);
	assert_int_equal(second.count, 1);
	assert_string_equal(second.error, "too many calls are under way");
	assert_int_equal(first.count, 0);
	push_http_client_destroy(f.client);
	assert_int_equal(first.count, 1);
	assert_int_equal(first.status, PUSH_CLOSED);
	server_stop(&server);
}

static void
a_call_that_is_cancelled_is_not_reported(void **state)
{
	const struct push_http_limits one = {.calls_max = 1, .waiting_max = 2};
	struct outcome outcomes[3] = {{0}};
	struct push_http_call *calls[3];
	struct push_http_ask ask;
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_never, "", NULL);
	open_to(&f, &server, &one);
	for (size_t i = 0; i < COUNT(calls); i++) {
		ask = ask_for(&f, &outcomes[i]);
		assert_int_equal(push_http_call(f.origin, &ask, f.now_us, &calls[i]), PUSH_OK);
	}
	wait_for_requests(&f, &server, 1);
	push_http_call_cancel(calls[1]); /* waits */
	push_http_call_cancel(calls[0]); /* is under way: the next one begins */
	wait_for_requests(&f, &server, 2);
	push_http_client_tick(f.client, ask.deadline_us);
	assert_int_equal(outcomes[0].count, 0);
	assert_int_equal(outcomes[1].count, 0);
	assert_int_equal(outcomes[2].count, 1);
	push_http_client_destroy(f.client);
	server_stop(&server);
}

struct chain {
	struct fixture *f;
	unsigned int left, count;
};

static void
on_done_again(void *context, const struct push_http_result *result)
{
	struct chain *chain = context;
	struct push_http_ask ask = ask_for(chain->f, NULL);

	(void)result;
	chain->count++;
	if (!chain->left--)
		return;
	ask.done = on_done_again;
	ask.context = chain;
	assert_int_equal(push_http_call(chain->f->origin, &ask, chain->f->now_us, NULL), PUSH_OK);
}

static void
an_end_may_begin_another_call(void **state)
{
	struct chain chain = {.left = 3};
	struct push_http_ask ask;
	struct server server;
	struct fixture f;

	(void)state;
	server_start(&server, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL);
	open_to(&f, &server, &usual);
	chain.f = &f;
	ask = ask_for(&f, NULL);
	ask.done = on_done_again;
	ask.context = &chain;
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
	while (chain.count < 4)
		turn(&f);
	assert_int_equal(server.connections, 1);
	push_http_client_destroy(f.client);
	server_stop(&server);
}

/* --- TLS --- */

static void
only_the_right_certificate_is_accepted(void **state)
{
	static const struct {
		const char *host, *presented;
		long from_s, to_s;
		bool is_known;
		const char *error; /* NULL: accepted */
	} rows[] = {
		{"localhost", "DNS:localhost", -60, 3600, true, NULL},
		{"127.0.0.1", "IP:127.0.0.1", -60, 3600, true, NULL},
		{"localhost", "DNS:other.example.com", -60, 3600, true,
			"certificate verify failed: hostname mismatch"},
		{"127.0.0.1", "IP:127.0.0.2", -60, 3600, true,
			"certificate verify failed: IP address mismatch"},
		{"127.0.0.1", "DNS:127.0.0.1", -60, 3600, true,
			"certificate verify failed: IP address mismatch"},
		{"localhost", "DNS:localhost", -3600, -60, true,
			"certificate verify failed: certificate has expired"},
		{"localhost", "DNS:localhost", 60, 3600, true,
			"certificate verify failed: certificate is not yet valid"},
		{"localhost", "DNS:localhost", -60, 3600, false, "certificate verify failed: "},
	};
	struct authority known, unknown;

	(void)state;
	authority_make(&known, "known");
	authority_make(&unknown, "unknown");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct outcome outcome = {0};
		struct server server;
		struct fixture f;
		char url[64];

		server_start(&server, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret",
			present(rows[i].is_known ? &known : &unknown, rows[i].presented, rows[i].from_s,
				rows[i].to_s));
		snprintf(url, sizeof(url), "https://%s:%u/", rows[i].host, server.port);
		open_client(&f, url, &usual, known.file);
		call(&f, &outcome);
		if (rows[i].error) {
			assert_int_equal(outcome.status, PUSH_UNAVAILABLE);
			if (!strstr(outcome.error, rows[i].error) && !strstr(outcome.error, "refused"))
				fail_msg("row %zu: %s", i, outcome.error);
			assert_int_equal(server.requests, 0);
		} else {
			assert_string_equal(outcome.error, "");
			assert_string_equal(outcome.body, "secret");
			call(&f, &outcome);
			assert_int_equal(server.connections, 1);
		}
		push_http_client_destroy(f.client);
		server_stop(&server);
	}
	authority_free(&known);
	authority_free(&unknown);
}

/* More than a record of TLS, and more than is read in one turn. */
static void
serve_much(struct peer *peer)
{
	static char bytes[300000];

	memset(bytes, 'x', sizeof(bytes));
	while (peer_hear(peer)) {
		peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
		peer_send(peer, bytes, sizeof(bytes));
	}
}

static void
on_much(void *context, const struct push_http_result *result)
{
	unsigned int *count = context;

	assert_int_equal(result->status, PUSH_OK);
	assert_int_equal(result->body.size, 300000);
	++*count;
}

static void
a_long_answer_comes_whole_over_tls(void **state)
{
	struct authority known;
	struct push_http_ask ask;
	struct server server;
	struct fixture f;
	unsigned int count = 0;
	char url[64];

	(void)state;
	authority_make(&known, "known");
	server_start(&server, serve_much, "", present(&known, "DNS:localhost", -60, 3600));
	snprintf(url, sizeof(url), "https://localhost:%u/", server.port);
	open_client(&f, url, &usual, known.file);
	ask = ask_for(&f, NULL);
	ask.body_max = 300000;
	ask.done = on_much;
	ask.context = &count;
	assert_int_equal(push_http_call(f.origin, &ask, f.now_us, NULL), PUSH_OK);
	for (int i = 0; !count && i < 3000; i++)
		turn(&f);
	assert_int_equal(count, 1);
	push_http_client_destroy(f.client);
	server_stop(&server);
	authority_free(&known);
}

static void
serve_cut(struct peer *peer)
{
	if (!peer_hear(peer))
		return;
	peer_say(peer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it");
	SSL_set_quiet_shutdown(peer->tls, 1);
}

/* Whoever cuts the line must not be able to make a short answer of a long one. */
static void
an_answer_over_tls_that_is_cut_is_no_answer(void **state)
{
	struct outcome outcome = {0};
	struct authority known;
	struct server server;
	struct fixture f;
	char url[64];

	(void)state;
	authority_make(&known, "known");
	server_start(&server, serve_cut, "", present(&known, "DNS:localhost", -60, 3600));
	snprintf(url, sizeof(url), "https://localhost:%u/", server.port);
	open_client(&f, url, &usual, known.file);
	call(&f, &outcome);
	assert_int_equal(outcome.status, PUSH_UNAVAILABLE);
	assert_non_null(strstr(outcome.error, "TLS: "));
	push_http_client_destroy(f.client);
	server_stop(&server);
	authority_free(&known);
}

static void
serve_greeting(struct peer *peer)
{
	peer_say(peer, "220 mail.example.com ESMTP\r\n");
	peer_wait(peer);
}

static void
a_server_without_tls_is_said(void **state)
{
	struct outcome outcome = {0};
	struct authority known;
	struct server server;
	struct fixture f;
	char url[64];

	(void)state;
	authority_make(&known, "known");
	server_start(&server, serve_greeting, "", NULL);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", server.port);
	open_client(&f, url, &usual, known.file);
	call(&f, &outcome);
	assert_int_equal(outcome.status, PUSH_UNAVAILABLE);
	assert_string_equal(outcome.error, "TLS: wrong version number");
	push_http_client_destroy(f.client);
	server_stop(&server);
	authority_free(&known);
}

static void
a_file_without_certificates_is_named(void **state)
{
	struct push_http_client *client = push_http_client_create();
	struct push_error error = {""};

	(void)state;
	assert_int_equal(
		push_http_client_trust(client, "push.auth.tls.ca", "/no/such/file", &error), PUSH_INVALID);
	assert_string_equal(error.text, "push.auth.tls.ca=/no/such/file: No such file or directory");
	assert_int_equal(push_http_client_trust(client, "push.auth.tls.ca", "", &error), PUSH_OK);
	push_http_client_destroy(client);
}

/* --- memory --- */

static void
without_memory_a_call_fails_and_nothing_is_lost(void **state)
{
	struct server server;
	bool was_whole = false;

	(void)state;
	server_start(&server, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NULL);
	for (long i = 0; !was_whole; i++) {
		struct outcome outcome = {0};
		struct push_http_ask ask;
		enum push_status status;
		struct fixture f = {.now_us = SECOND_US};
		struct push_error error = {""};
		char url[64];

		assert_true(i < 40);
		snprintf(url, sizeof(url), "http://127.0.0.1:%u/", server.port);
		assert_int_equal(push_http_url_parse(&f.url, "url", url, &error), PUSH_OK);
		allocations_left = i;
		f.client = push_http_client_create();
		f.origin = f.client ? push_http_client_add(f.client, &f.url, &usual) : NULL;
		if (f.origin) {
			ask = ask_for(&f, &outcome);
			status = push_http_call(f.origin, &ask, f.now_us, NULL);
			assert_true(status == PUSH_OK || status == PUSH_OUT_OF_MEMORY);
			if (status == PUSH_OK)
				wait_for(&f, &outcome, 1);
			was_whole = status == PUSH_OK && outcome.status == PUSH_OK;
		}
		push_http_client_destroy(f.client);
		allocations_left = -1;
	}
	server_stop(&server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read_in_every_form),
		cmocka_unit_test(headers_that_matter_are_handed_on),
		cmocka_unit_test(only_whole_seconds_are_a_retry_after),
		cmocka_unit_test(a_body_is_taken_up_to_its_limit),
		cmocka_unit_test(an_answer_without_an_end_is_not_read_for_ever),
		cmocka_unit_test(a_request_is_what_was_asked_for),
		cmocka_unit_test(a_header_cannot_end_the_head),
		cmocka_unit_test(a_request_over_its_limit_is_refused),
		cmocka_unit_test(a_connection_is_used_again),
		cmocka_unit_test(a_connection_that_is_unfit_is_not_used_again),
		cmocka_unit_test(a_request_that_meets_a_closing_connection_is_repeated_only_if_it_may_be),
		cmocka_unit_test(an_idle_connection_that_the_server_closes_is_forgotten),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(a_name_without_an_address_is_said),
		cmocka_unit_test(each_address_of_a_name_is_tried_and_the_good_one_remembered),
		cmocka_unit_test(an_address_that_does_not_answer_has_its_share_of_the_time),
		cmocka_unit_test(a_call_ends_by_its_deadline),
		cmocka_unit_test(a_connection_that_does_not_come_ends_by_the_deadline),
		cmocka_unit_test(calls_over_the_limit_wait_and_those_over_the_queue_are_refused),
		cmocka_unit_test(a_call_that_waits_ends_by_its_deadline),
		cmocka_unit_test(a_call_that_is_cancelled_is_not_reported),
		cmocka_unit_test(an_end_may_begin_another_call),
		cmocka_unit_test(only_the_right_certificate_is_accepted),
		cmocka_unit_test(a_long_answer_comes_whole_over_tls),
		cmocka_unit_test(an_answer_over_tls_that_is_cut_is_no_answer),
		cmocka_unit_test(a_server_without_tls_is_said),
		cmocka_unit_test(a_file_without_certificates_is_named),
		cmocka_unit_test(without_memory_a_call_fails_and_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
