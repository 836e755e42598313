/* HTTP/2 without sockets: a client's frames in, the handler's calls and our frames out, and each limit. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "failing_alloc.h"
#include "h2/limits.h"
#include "h2/session.h"
#include "h2_frames.h"

#define STREAMS 1200

struct owner {
	struct push_h2_stream *stream;
	struct push_h2_head *head;
	struct push_buf body;
	bool is_last, is_closed;
	unsigned int writable;
	size_t to_write; /* pulled when it is writable */
};

struct world {
	struct push_h2_session *session;
	struct push_buf in;
	uint64_t now_us;
	struct owner owners[STREAMS];
	size_t count;
	bool consumes;
};

static void
on_request(void *context, struct push_h2_stream *stream, struct push_h2_head *head)
{
	struct world *world = context;
	struct owner *owner;

	assert_true(world->count < STREAMS);
	owner = &world->owners[world->count++];
	*owner = (struct owner){.stream = stream, .head = head};
	push_buf_init(&owner->body, 1 << 20);
	stream->owner = owner;
}

static struct world *
world_of(const struct owner *owner)
{
	return push_h2_session_context(owner->stream->session);
}

static void
on_body(void *context, const char *bytes, size_t size, bool is_last)
{
	struct owner *owner = context;

	assert_false(owner->is_last);
	push_buf_append(&owner->body, bytes, size);
	owner->is_last = is_last;
	if (world_of(owner)->consumes)
		push_h2_stream_consume(owner->stream, size);
}

static size_t
fill(void *context, char *to, size_t max)
{
	struct owner *owner = context;
	size_t size = owner->to_write < max ? owner->to_write : max;

	memset(to, 'x', size);
	owner->to_write -= size;
	return size;
}

static void
pull(struct owner *owner)
{
	assert_true(push_h2_stream_pull(owner->stream, owner->to_write, fill, owner));
	if (owner->to_write)
		push_h2_stream_wait(owner->stream);
}

static void
on_writable(void *context)
{
	struct owner *owner = context;

	owner->writable++;
	if (!push_h2_stream_is_answered(owner->stream))
		pull(owner);
}

static void
on_closed(void *context)
{
	struct owner *owner = context;

	owner->is_closed = true;
	owner->stream = NULL;
}

static const struct push_h2_handler handler = {on_request, on_body, on_writable, on_closed};

static void
begin_bare(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->now_us = 1000000000;
	world->consumes = true;
	world->session = push_h2_session_create(&handler, world, NULL);
	push_buf_init(&world->in, 64u << 20);
}

static bool
send_in(struct world *world)
{
	bool lives = push_h2_session_receive(world->session, world->in.bytes, world->in.size, world->now_us);

	push_buf_clear(&world->in);
	return lives;
}

static void
begin(struct world *world)
{
	begin_bare(world);
	assert_non_null(world->session);
	push_buf_append_text(&world->in, H2_PREFACE);
	h2_frame(&world->in, NGHTTP2_SETTINGS, 0, 0, "", 0);
	assert_false(push_h2_session_has_begun(world->session));
	assert_true(send_in(world));
	assert_true(push_h2_session_has_begun(world->session));
	push_buf_clear(push_h2_session_out(world->session));
}

static void
end(struct world *world)
{
	for (size_t i = 0; i < world->count; i++) {
		push_h2_head_destroy(world->owners[i].head);
		push_buf_fini(&world->owners[i].body);
	}
	push_h2_session_destroy(world->session);
	push_buf_fini(&world->in);
}

/* The block of a request, with more fields behind; NULL ends them. */
static void
put_block(struct push_buf *block, const char *method, const char *const *fields)
{
	push_buf_init(block, 1 << 20);
	h2_field(block, ":method", method);
	h2_field(block, ":scheme", "https");
	h2_field(block, ":path", "/messages?a=b");
	h2_field(block, ":authority", "a.b:1");
	for (; fields && fields[0]; fields += 2)
		h2_field(block, fields[0], fields[1]);
}

static void
put_request(
	struct world *world, uint32_t id, const char *method, unsigned int flags, const char *const *fields)
{
	struct push_buf block;

	put_block(&block, method, fields);
	h2_frame(&world->in, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, id, block.bytes, block.size);
	push_buf_fini(&block);
}

static struct owner *
get(struct world *world, uint32_t id)
{
	put_request(world, id, "GET", NGHTTP2_FLAG_END_STREAM, NULL);
	assert_true(send_in(world));
	return &world->owners[world->count - 1];
}

static void
answer(struct owner *owner, const char *status, size_t body_size)
{
	char *body = calloc(1, body_size + 1);
	struct push_buf lines;

	assert_non_null(body);
	push_buf_init(&lines, 4096);
	push_buf_printf(&lines, ":status: %s\r\nX-Some: y\r\nConnection: close\r\n", status);
	assert_true(push_h2_stream_answer(owner->stream, &lines, (struct push_str){body, body_size}));
	push_buf_fini(&lines);
	free(body);
}

static void
begin_events(struct owner *owner)
{
	struct push_buf lines;

	push_buf_init(&lines, 4096);
	push_buf_append_text(&lines, ":status: 200\r\n");
	assert_true(push_h2_stream_begin_pulled(owner->stream, &lines));
	push_buf_fini(&lines);
}

/* What has come out: of each frame its type, flags, stream and size, and of some their number. */
static const char *
read_out(struct world *world)
{
	static const char *const names[] = {"data", "headers", "priority", "reset", "settings", "push",
		"ping", "goaway", "window", "continuation"};
	static char text[65536];
	struct push_buf *out = push_h2_session_out(world->session);
	const unsigned char *at = (const unsigned char *)out->bytes, *stop = at + out->size;
	size_t used = 0;

	text[0] = '\0';
	while (at < stop) {
		size_t size = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
		const unsigned char *payload = at + 9;

		assert_true(stop - payload >= (ssize_t)size);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %d", used ? "; " : "",
			names[at[3]], at[7] << 8 | at[8]);
		if (at[3] == NGHTTP2_DATA)
			used += (size_t)snprintf(text + used, sizeof(text) - used, " %zu", size);
		if (at[3] == NGHTTP2_RST_STREAM || at[3] == NGHTTP2_WINDOW_UPDATE || at[3] == NGHTTP2_GOAWAY)
			used += (size_t)snprintf(text + used, sizeof(text) - used, " %d",
				payload[size >= 8 ? 6 : 2] << 8 | payload[size >= 8 ? 7 : 3]);
		if (at[3] <= NGHTTP2_HEADERS && at[4] & NGHTTP2_FLAG_END_STREAM)
			used += (size_t)snprintf(text + used, sizeof(text) - used, " end");
		at = payload + size;
	}
	push_buf_reset(out);
	return text;
}

static const char *
run(struct world *world)
{
	(void)push_h2_session_run(world->session);
	return read_out(world);
}

static void
assert_span(struct push_str span, const char *text)
{
	assert_non_null(span.bytes);
	assert_int_equal(span.size, strlen(text));
	assert_memory_equal(span.bytes, text, span.size);
}

/* --- requests --- */

static void
a_request_comes_with_its_head_and_body_and_is_answered(void **state)
{
	static const char *const fields[] = {"content-type", "application/json", "content-length", "5",
		"last-event-id", "i", "idempotency-key", "k", "traceparent", "t", "push-key", "p",
		"sec-websocket-protocol", "push.v1, push.token.abc", NULL};
	struct world world;
	struct push_request *request;

	(void)state;
	begin(&world);
	put_request(&world, 1, "POST", 0, fields);
	h2_frame(&world.in, NGHTTP2_DATA, 0, 1, "he", 2);
	h2_frame(&world.in, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "llo", 3);
	assert_true(send_in(&world));
	assert_int_equal(world.count, 1);
	request = &world.owners[0].head->request;
	assert_int_equal(world.owners[0].head->status, 0);
	assert_int_equal(request->method, PUSH_METHOD_POST);
	assert_span(request->path, "/messages");
	assert_span(request->query, "a=b");
	assert_span(request->host, "a.b:1");
	assert_span(request->content_type, "application/json");
	assert_span(request->last_event_id, "i");
	assert_span(request->idempotency_key, "k");
	assert_span(request->traceparent, "t");
	assert_span(request->push_key, "p");
	assert_span(request->ws_token, "abc");
	assert_true(
		request->is_http_2 && request->has_length && request->has_body && request->offers_push_v1);
	assert_int_equal(request->length, 5);
	assert_true(world.owners[0].is_last);
	assert_memory_equal(world.owners[0].body.bytes, "hello", 5);
	answer(&world.owners[0], "202", 7);
	assert_string_equal(run(&world), "headers 1; data 1 7 end");
	assert_true(world.owners[0].is_closed);
	assert_int_equal(push_h2_session_stream_count(world.session), 0);
	end(&world);
}

static void
a_cookie_in_crumbs_is_one(void **state)
{
	static const char *const fields[] = {
		"cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3", NULL};
	struct world world;

	(void)state;
	begin(&world);
	put_request(&world, 1, "GET", NGHTTP2_FLAG_END_STREAM, fields);
	assert_true(send_in(&world));
	assert_span(world.owners[0].head->request.cookie, "a=1; b=2; c=3");
	end(&world);
}

static void
heads_that_are_wrong_are_refused_with_a_status(void **state)
{
	static const struct {
		unsigned int status;
		const char *fields[5];
	} rows[] = {
		{400, {"origin", "a", "origin", "b", NULL}},
		{400, {"host", "other", NULL}},
		{0, {"host", "A.B:1", NULL}},
		{0, {"x", "", "x", "", NULL}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world world;

		begin(&world);
		put_request(&world, 1, "GET", NGHTTP2_FLAG_END_STREAM, rows[i].fields);
		assert_true(send_in(&world));
		assert_int_equal(world.count, 1);
		assert_int_equal(world.owners[0].head->status, rows[i].status);
		end(&world);
	}
}

static void
a_head_over_the_limit_is_431_and_others_go_on(void **state)
{
	char value[PUSH_H2_HEAD_BYTES_MAX] = "";
	const char *fields[] = {"x", value, NULL};
	const char *many[2 * PUSH_H2_FIELDS_MAX + 2] = {NULL};
	struct push_buf block;
	struct world world;

	(void)state;
	for (size_t i = 0; i < PUSH_H2_FIELDS_MAX; i++) {
		many[2 * i] = "n";
		many[2 * i + 1] = "v";
	}
	memset(value, 'v', sizeof(value) - 1);
	begin(&world);
	put_block(&block, "GET", fields);
	h2_frame(&world.in, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, block.bytes, 16000);
	h2_frame(&world.in, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, block.bytes + 16000,
		block.size - 16000);
	push_buf_fini(&block);
	put_request(&world, 3, "HEAD", NGHTTP2_FLAG_END_STREAM, many);
	put_request(&world, 5, "GET", NGHTTP2_FLAG_END_STREAM, NULL);
	assert_true(send_in(&world));
	assert_int_equal(world.count, 3);
	assert_int_equal(world.owners[0].head->status, 431);
	assert_int_equal(world.owners[1].head->status, 431);
	assert_int_equal(world.owners[1].head->request.method, PUSH_METHOD_HEAD);
	assert_int_equal(world.owners[2].head->status, 0);
	end(&world);
}

static void
put_connect(struct world *world, uint32_t id, const char *protocol, const char *path)
{
	struct push_buf block;

	push_buf_init(&block, 4096);
	h2_field(&block, ":method", "CONNECT");
	if (protocol)
		h2_field(&block, ":protocol", protocol);
	if (path) {
		h2_field(&block, ":scheme", "https");
		h2_field(&block, ":path", path);
	}
	h2_field(&block, ":authority", "a.b");
	h2_frame(&world->in, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, block.bytes, block.size);
	push_buf_fini(&block);
}

static void
extended_connect_asks_for_a_websocket(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	put_connect(&world, 1, "websocket", "/ws/messages");
	put_connect(&world, 3, "other", "/ws/messages");
	put_connect(&world, 5, NULL, NULL);
	assert_true(send_in(&world));
	assert_int_equal(world.count, 3);
	assert_true(world.owners[0].head->request.wants_websocket && !world.owners[0].head->request.has_body);
	assert_int_equal(world.owners[0].head->status, 0);
	assert_int_equal(world.owners[1].head->status, 501);
	assert_int_equal(world.owners[2].head->status, 400);
	end(&world);
}

static void
trailers_end_a_body(void **state)
{
	struct push_buf block;
	struct world world;

	(void)state;
	begin(&world);
	put_request(&world, 1, "POST", 0, NULL);
	h2_frame(&world.in, NGHTTP2_DATA, 0, 1, "x", 1);
	push_buf_init(&block, 100);
	h2_field(&block, "trailer", "y");
	h2_frame(&world.in, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
		block.bytes, block.size);
	push_buf_fini(&block);
	assert_true(send_in(&world));
	assert_true(world.owners[0].is_last && world.owners[0].body.size == 1);
	end(&world);
}

static void
a_body_of_another_length_than_announced_never_ends(void **state)
{
	static const char *const fields[] = {"content-length", "3", NULL};
	struct world world;

	(void)state;
	for (size_t size = 2; size <= 4; size += 2) {
		begin(&world);
		put_request(&world, 1, "POST", 0, fields);
		h2_frame(&world.in, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "xxxx", size);
		assert_true(send_in(&world));
		assert_false(world.owners[0].is_last);
		assert_string_equal(run(&world), "reset 1 1");
		assert_true(world.owners[0].is_closed);
		end(&world);
	}
}

static void
an_answer_before_the_body_is_over_ends_the_request(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	put_request(&world, 1, "POST", 0, NULL);
	assert_true(send_in(&world));
	answer(&world.owners[0], "413", 3);
	assert_string_equal(run(&world), "headers 1; data 1 3 end; reset 1 0");
	assert_true(world.owners[0].is_closed);
	h2_frame(&world.in, NGHTTP2_DATA, 0, 1, "on its way", 10); /* let be, not held against it */
	assert_true(send_in(&world));
	end(&world);
}

static void
an_answer_before_the_body_is_over_may_leave_it_time(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	put_request(&world, 1, "POST", 0, NULL);
	assert_true(send_in(&world));
	push_h2_stream_linger(world.owners[0].stream, true);
	answer(&world.owners[0], "413", 3);
	assert_false(push_h2_stream_is_answered(world.owners[0].stream));
	assert_string_equal(run(&world), "headers 1; data 1 3 end");
	assert_true(push_h2_stream_is_answered(world.owners[0].stream));
	assert_int_equal(world.owners[0].writable, 1);
	world.consumes = false;
	h2_frame(&world.in, NGHTTP2_DATA, 0, 1, "some", 4);
	assert_true(send_in(&world));
	push_h2_stream_discard(world.owners[0].stream, 4);
	h2_frame(&world.in, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "rest", 4);
	assert_true(send_in(&world));
	assert_string_equal(run(&world), "");
	assert_true(world.owners[0].is_closed);
	end(&world);
}

static void
everything_works_byte_by_byte(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	put_request(&world, 1, "POST", 0, NULL);
	h2_frame(&world.in, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "hello", 5);
	for (size_t i = 0; i < world.in.size; i++) {
		bool was_in_head = push_h2_session_in_head(world.session);

		assert_true(push_h2_session_receive(world.session, world.in.bytes + i, 1, world.now_us));
		assert_true(!was_in_head || push_h2_session_in_head(world.session) || world.count == 1);
	}
	assert_true(world.count == 1 && world.owners[0].is_last);
	assert_memory_equal(world.owners[0].body.bytes, "hello", 5);
	end(&world);
}

/* --- windows --- */

static void
a_body_that_is_not_taken_keeps_its_window_shut(void **state)
{
	char *body = calloc(1, PUSH_H2_STREAM_WINDOW_BYTES);
	struct world world;

	(void)state;
	begin(&world);
	world.consumes = false;
	put_request(&world, 1, "POST", 0, NULL);
	for (size_t sent = 0, size; sent < PUSH_H2_STREAM_WINDOW_BYTES; sent += size) {
		size = PUSH_H2_STREAM_WINDOW_BYTES - sent < 16384 ? PUSH_H2_STREAM_WINDOW_BYTES - sent
								  : 16384;
		h2_frame(&world.in, NGHTTP2_DATA, 0, 1, body, size);
	}
	assert_true(send_in(&world));
	assert_string_equal(run(&world), "");
	push_h2_stream_consume(world.owners[0].stream, PUSH_H2_STREAM_WINDOW_BYTES);
	assert_string_equal(run(&world), "window 1 65535");
	world.owners[0].stream->owner = NULL;
	free(body);
	end(&world);
}

static void
an_answer_waits_for_its_window(void **state)
{
	struct world world;
	struct owner *owner;

	(void)state;
	begin(&world);
	h2_frame(&world.in, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\0\0\5", 6); /* SETTINGS_INITIAL_WINDOW_SIZE */
	owner = get(&world, 1);
	answer(owner, "200", 8);
	assert_string_equal(run(&world), "settings 0; headers 1; data 1 5");
	h2_number(&world.in, NGHTTP2_WINDOW_UPDATE, 0, 1, 2);
	assert_true(send_in(&world));
	assert_string_equal(run(&world), "data 1 2");
	h2_number(&world.in, NGHTTP2_WINDOW_UPDATE, 0, 1, 2);
	assert_true(send_in(&world));
	assert_string_equal(run(&world), "data 1 1 end");
	assert_true(owner->is_closed);
	end(&world);
}

static void
a_subscriber_without_a_window_waits_and_is_called(void **state)
{
	struct world world;
	struct owner *owner;

	(void)state;
	begin(&world);
	h2_frame(&world.in, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\0\0\5", 6);
	owner = get(&world, 1);
	begin_events(owner);
	owner->to_write = 9;
	pull(owner);
	assert_int_equal(owner->to_write, 4);
	assert_true(push_h2_stream_is_waiting(owner->stream));
	assert_false(push_h2_stream_has_window(owner->stream));
	assert_string_equal(run(&world), "settings 0; headers 1; data 1 5");
	assert_int_equal(owner->writable, 0);
	h2_number(&world.in, NGHTTP2_WINDOW_UPDATE, 0, 1, 100);
	assert_true(send_in(&world));
	assert_int_equal(owner->writable, 1);
	assert_string_equal(run(&world), "data 1 4");
	push_h2_stream_finish(owner->stream);
	assert_string_equal(run(&world), "data 1 0 end");
	assert_true(owner->is_closed);
	end(&world);
}

static void
streams_take_turns_with_the_window_of_their_connection(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	h2_frame(&world.in, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\xff\0\0", 6);
	for (uint32_t i = 0; i < 3; i++) {
		struct owner *owner = get(&world, 2 * i + 1);

		begin_events(owner);
		owner->to_write = i ? 1000 : 65535; /* the first takes all that there is at first */
		pull(owner);
		(void)run(&world);
		push_h2_session_resume(world.session); /* there was not room for all of it */
		(void)run(&world);
	}
	assert_int_equal(world.owners[0].to_write, 0);
	assert_int_equal(world.owners[1].to_write, 1000);
	h2_number(&world.in, NGHTTP2_WINDOW_UPDATE, 0, 0, 400);
	assert_true(send_in(&world));
	assert_int_equal(world.owners[1].to_write, 600);
	h2_number(&world.in, NGHTTP2_WINDOW_UPDATE, 0, 0, 400);
	assert_true(send_in(&world));
	assert_int_equal(world.owners[1].to_write, 600);
	assert_int_equal(world.owners[2].to_write, 600);
	end(&world);
}

static void
who_finds_no_room_waits_for_it(void **state)
{
	struct world world;
	struct owner *owner;

	(void)state;
	begin(&world);
	h2_number(&world.in, NGHTTP2_WINDOW_UPDATE, 0, 0, 1 << 20);
	h2_frame(&world.in, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\xff\0\0", 6);
	owner = get(&world, 1);
	begin_events(owner);
	owner->to_write = 3 * PUSH_H2_OUT_BYTES_MAX;
	pull(owner);
	assert_false(push_h2_stream_has_room(owner->stream));
	assert_true(push_h2_session_out(world.session)->size < 2 * PUSH_H2_OUT_BYTES_MAX);
	for (unsigned int i = 1; owner->to_write; i++) {
		assert_true(i < 10);
		push_buf_reset(push_h2_session_out(world.session));
		push_h2_session_resume(world.session);
		assert_int_equal(owner->writable, i);
	}
	end(&world);
}

static void
a_malformed_head_takes_nothing_from_the_next_one(void **state)
{
	static const char *const bad[] = {"Upper", "x", NULL};
	struct world world;
	struct push_buf block;

	(void)state;
	begin(&world);
	put_request(&world, 1, "GET", NGHTTP2_FLAG_END_STREAM, bad);
	put_block(&block, "GET", NULL);
	h2_frame(&world.in, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, block.bytes, block.size);
	assert_true(send_in(&world));
	assert_true(push_h2_session_in_head(world.session));
	assert_string_equal(read_out(&world), "reset 1 1");
	push_buf_clear(&block);
	h2_field(&block, "accept", "text/plain");
	h2_frame(&world.in, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 3, block.bytes, block.size);
	assert_true(send_in(&world));
	assert_false(push_h2_session_in_head(world.session));
	assert_int_equal(world.count, 1);
	assert_span(world.owners[0].head->request.path, "/messages");
	push_buf_fini(&block);
	end(&world);
}

static void
malformed_trailers_end_their_stream_and_nothing_else(void **state)
{
	struct world world;
	struct push_buf block;

	(void)state;
	begin(&world);
	put_request(&world, 1, "POST", 0, NULL);
	push_buf_init(&block, 100);
	h2_field(&block, "Upper", "x");
	h2_frame(&world.in, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1,
		block.bytes, block.size);
	assert_true(send_in(&world));
	assert_true(world.owners[0].is_closed);
	assert_false(push_h2_session_in_head(world.session)); /* nobody waits for its end */
	push_buf_fini(&block);
	end(&world);
}

/* --- floods --- */

/* One field of 4,000 bytes that the server has to remember, and then a byte for each time that it is meant. */
static void
a_field_cannot_be_repeated_for_a_byte_each(void **state)
{
	static char value[4001], references[16384];
	struct world world;
	struct push_buf block;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	memset(references, 0xbe, sizeof(references)); /* the newest one */
	begin(&world);
	put_block(&block, "GET", NULL);
	push_buf_append(&block, "\x40\1x", 3);
	h2_length(&block, sizeof(value) - 1);
	push_buf_append_text(&block, value);
	push_buf_append(&block, references, 12);
	h2_frame(&world.in, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1,
		block.bytes, block.size);
	assert_true(send_in(&world));
	assert_int_equal(world.owners[0].head->status, 431);
	push_buf_append(&block, references, 8192);
	h2_frame(&world.in, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 3,
		block.bytes, block.size);
	assert_false(send_in(&world));
	assert_non_null(strstr(read_out(&world), "goaway 0 11"));
	push_buf_fini(&block);
	end(&world);
}

/* Before it has seen our SETTINGS a client may open more streams than they allow. */
static void
refusals_that_are_not_read_are_bounded(void **state)
{
	struct world world;
	uint32_t i = 0;

	(void)state;
	begin(&world);
	for (; i < PUSH_H2_STREAMS_MAX; i++)
		(void)get(&world, 2 * i + 1);
	for (bool lives = true; lives; i++) {
		assert_true(i < 50000);
		put_request(&world, 2 * i + 1, "GET", NGHTTP2_FLAG_END_STREAM, NULL);
		lives = send_in(&world);
	}
	assert_true(i > PUSH_H2_QUEUE_MAX);
	end(&world);
}

enum flood {
	FLOOD_PING,
	FLOOD_SETTINGS,
	FLOOD_PRIORITY,
	FLOOD_UNKNOWN,
	FLOOD_EMPTY_DATA,
	FLOOD_UPDATES,
	FLOOD_CONTINUATION,
	FLOOD_RESETS,
	FLOOD_BAD_REQUESTS,
	FLOOD_COUNT
};

static void
put_flood(struct world *world, enum flood flood, uint32_t i)
{
	static const char *const bad[] = {"Upper", "x", NULL};
	struct push_buf block;

	switch (flood) {
	case FLOOD_PING: h2_frame(&world->in, NGHTTP2_PING, 0, 0, "12345678", 8); break;
	case FLOOD_SETTINGS: h2_frame(&world->in, NGHTTP2_SETTINGS, 0, 0, "", 0); break;
	case FLOOD_PRIORITY: h2_frame(&world->in, NGHTTP2_PRIORITY, 0, 5, "\0\0\0\0\1", 5); break;
	case FLOOD_UNKNOWN: h2_frame(&world->in, 0x77, 0, 1, "x", 1); break;
	case FLOOD_EMPTY_DATA:
		if (!i)
			put_request(world, 1, "POST", 0, NULL);
		h2_frame(&world->in, NGHTTP2_DATA, 0, 1, "", 0);
		break;
	case FLOOD_UPDATES: h2_number(&world->in, NGHTTP2_WINDOW_UPDATE, 0, 0, 1); break;
	case FLOOD_CONTINUATION:
		put_block(&block, "GET", NULL);
		if (!i)
			h2_frame(&world->in, NGHTTP2_HEADERS, 0, 1, block.bytes, block.size);
		push_buf_fini(&block);
		h2_frame(&world->in, NGHTTP2_CONTINUATION, 0, 1, "", 0);
		break;
	case FLOOD_RESETS:
		put_request(world, 2 * i + 1, "GET", NGHTTP2_FLAG_END_STREAM, NULL);
		h2_number(&world->in, NGHTTP2_RST_STREAM, 0, 2 * i + 1, 0);
		break;
	default: put_request(world, 2 * i + 1, "GET", NGHTTP2_FLAG_END_STREAM, bad); break;
	}
}

static void
floods_are_cut_at_their_limit_and_not_before(void **state)
{
	static const unsigned int limits[FLOOD_COUNT] = {[FLOOD_PING] = PUSH_H2_QUIET_BURST - 1,
		[FLOOD_SETTINGS] = PUSH_H2_QUIET_BURST - 1,
		[FLOOD_PRIORITY] = PUSH_H2_QUIET_BURST - 1,
		[FLOOD_UNKNOWN] = PUSH_H2_QUIET_BURST - 1,
		[FLOOD_EMPTY_DATA] = PUSH_H2_QUIET_BURST - 1,
		[FLOOD_UPDATES] = PUSH_H2_UPDATES_BURST,
		[FLOOD_CONTINUATION] = PUSH_H2_CONTINUATIONS_MAX,
		[FLOOD_RESETS] = PUSH_H2_RESETS_BURST,
		[FLOOD_BAD_REQUESTS] = PUSH_H2_RESETS_BURST};

	(void)state;
	for (int flood = 0; flood < FLOOD_COUNT; flood++) {
		struct world world;
		const char *text;

		begin(&world); /* whose SETTINGS were a quiet frame */
		for (uint32_t i = 0; i < limits[flood]; i++) {
			put_flood(&world, (enum flood)flood, i);
			assert_true(send_in(&world));
			(void)run(&world);
		}
		put_flood(&world, (enum flood)flood, limits[flood]);
		assert_false(send_in(&world));
		text = strstr(read_out(&world), "goaway");
		assert_non_null(text);
		assert_string_equal(text, "goaway 0 11"); /* ENHANCE_YOUR_CALM */
		assert_true(push_h2_session_is_over(world.session));
		end(&world);
	}
}

static void
what_comes_slowly_is_no_flood(void **state)
{
	struct world world;

	(void)state;
	for (int flood = 0; flood < FLOOD_COUNT; flood++) {
		if (flood == FLOOD_CONTINUATION)
			continue;
		begin(&world);
		for (uint32_t i = 0; i < STREAMS - 1; i++) {
			world.now_us += 1000000 / 20;
			put_flood(&world, (enum flood)flood, i);
			assert_true(send_in(&world));
			(void)run(&world);
		}
		end(&world);
	}
}

static void
updates_for_what_was_sent_are_no_flood(void **state)
{
	struct world world;
	struct owner *owner;

	(void)state;
	begin(&world);
	owner = get(&world, 1);
	begin_events(owner);
	for (int i = 0; i < 3 * PUSH_H2_UPDATES_BURST; i++) {
		owner->to_write = 10;
		pull(owner);
		h2_number(&world.in, NGHTTP2_WINDOW_UPDATE, 0, 0, 10);
		h2_number(&world.in, NGHTTP2_WINDOW_UPDATE, 0, 1, 10);
		assert_true(send_in(&world));
		(void)run(&world);
	}
	end(&world);
}

static void
acks_that_are_not_read_are_bounded(void **state)
{
	struct world world;
	bool lives = true;
	int count = 0;

	(void)state;
	begin(&world);
	for (; lives && count < 100000; count++) {
		world.now_us += 1000000;
		h2_frame(&world.in, NGHTTP2_PING, 0, 0, "12345678", 8);
		lives = send_in(&world);
	}
	assert_false(lives);
	assert_true(push_h2_session_out(world.session)->size <=
		    PUSH_H2_OUT_BYTES_MAX + PUSH_H2_OUT_CONTROL_BYTES_MAX + 100);
	end(&world);
}

static void
streams_over_the_limit_are_refused_and_others_go_on(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	for (uint32_t i = 0; i <= PUSH_H2_STREAMS_MAX; i++)
		put_request(&world, 2 * i + 1, "GET", NGHTTP2_FLAG_END_STREAM, NULL);
	assert_true(send_in(&world));
	assert_int_equal(world.count, PUSH_H2_STREAMS_MAX);
	assert_string_equal(read_out(&world), "reset 513 7"); /* REFUSED_STREAM */
	answer(&world.owners[0], "200", 0);
	(void)run(&world);
	(void)get(&world, 515);
	assert_int_equal(world.count, PUSH_H2_STREAMS_MAX + 1);
	end(&world);
}

static void
frames_on_streams_that_have_ended_end_the_connection(void **state)
{
	static const struct {
		uint32_t id;
		const char *text;
	} rows[] = {{3, "goaway 0 5"}, {1, "goaway 0 1"}}; /* STREAM_CLOSED, PROTOCOL_ERROR */

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world world;

		begin(&world);
		answer(get(&world, 3), "200", 0);
		(void)run(&world);
		put_request(&world, rows[i].id, "GET", NGHTTP2_FLAG_END_STREAM, NULL);
		assert_false(send_in(&world));
		assert_string_equal(read_out(&world), rows[i].text);
		end(&world);
	}
}

/* --- ends --- */

static void
a_connection_ends_in_two_steps_and_serves_who_is_there(void **state)
{
	struct world world;
	struct owner *first, *second;

	(void)state;
	begin(&world);
	first = get(&world, 1);
	push_h2_session_announce_end(world.session);
	assert_string_equal(run(&world), "goaway 0 0");
	second = get(&world, 3); /* had been on its way */
	push_h2_session_end(world.session);
	assert_string_equal(run(&world), "goaway 0 0");
	put_request(
		&world, 5, "GET", NGHTTP2_FLAG_END_STREAM, NULL); /* the client knows that it is not served */
	assert_true(send_in(&world));
	assert_int_equal(world.count, 2);
	assert_false(push_h2_session_is_over(world.session));
	answer(first, "200", 1);
	answer(second, "200", 1);
	assert_string_equal(run(&world), "headers 1; headers 3; data 1 1 end; data 3 1 end");
	assert_true(push_h2_session_is_over(world.session));
	end(&world);
}

static void
what_is_no_http_2_is_told_so(void **state)
{
	struct world world;

	(void)state;
	begin_bare(&world);
	push_buf_append_text(&world.in, "GET / HTTP/1.1\r\nHost: x\r\n\r\n........");
	assert_false(send_in(&world));
	assert_non_null(strstr(read_out(&world), "goaway 0 1"));
	end(&world);
}

static void
who_is_left_is_told_when_all_are_abandoned(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	(void)get(&world, 1);
	(void)get(&world, 3);
	push_h2_session_abandon(world.session);
	assert_true(world.owners[0].is_closed && world.owners[1].is_closed);
	end(&world);
}

static void
memory_that_is_out_ends_the_connection_and_nothing_else(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		struct world world;

		allocations_left = i;
		begin_bare(&world);
		if (world.session) {
			push_buf_append_text(&world.in, H2_PREFACE);
			h2_frame(&world.in, NGHTTP2_SETTINGS, 0, 0, "", 0);
			put_request(&world, 1, "POST", 0, NULL);
			h2_frame(&world.in, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "x", 1);
			if (world.in.status == PUSH_OK)
				(void)send_in(&world);
			(void)run(&world);
		}
		allocations_left = -1;
		end(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_comes_with_its_head_and_body_and_is_answered),
		cmocka_unit_test(a_cookie_in_crumbs_is_one),
		cmocka_unit_test(heads_that_are_wrong_are_refused_with_a_status),
		cmocka_unit_test(a_head_over_the_limit_is_431_and_others_go_on),
		cmocka_unit_test(extended_connect_asks_for_a_websocket),
		cmocka_unit_test(trailers_end_a_body),
		cmocka_unit_test(a_body_of_another_length_than_announced_never_ends),
		cmocka_unit_test(an_answer_before_the_body_is_over_ends_the_request),
		cmocka_unit_test(an_answer_before_the_body_is_over_may_leave_it_time),
		cmocka_unit_test(everything_works_byte_by_byte),
		cmocka_unit_test(a_body_that_is_not_taken_keeps_its_window_shut),
		cmocka_unit_test(an_answer_waits_for_its_window),
		cmocka_unit_test(a_subscriber_without_a_window_waits_and_is_called),
		cmocka_unit_test(streams_take_turns_with_the_window_of_their_connection),
		cmocka_unit_test(who_finds_no_room_waits_for_it),
		cmocka_unit_test(a_malformed_head_takes_nothing_from_the_next_one),
		cmocka_unit_test(malformed_trailers_end_their_stream_and_nothing_else),
		cmocka_unit_test(a_field_cannot_be_repeated_for_a_byte_each),
		cmocka_unit_test(refusals_that_are_not_read_are_bounded),
		cmocka_unit_test(floods_are_cut_at_their_limit_and_not_before),
		cmocka_unit_test(what_comes_slowly_is_no_flood),
		cmocka_unit_test(updates_for_what_was_sent_are_no_flood),
		cmocka_unit_test(acks_that_are_not_read_are_bounded),
		cmocka_unit_test(streams_over_the_limit_are_refused_and_others_go_on),
		cmocka_unit_test(frames_on_streams_that_have_ended_end_the_connection),
		cmocka_unit_test(a_connection_ends_in_two_steps_and_serves_who_is_there),
		cmocka_unit_test(what_is_no_http_2_is_told_so),
		cmocka_unit_test(who_is_left_is_told_when_all_are_abandoned),
		cmocka_unit_test(memory_that_is_out_ends_the_connection_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
