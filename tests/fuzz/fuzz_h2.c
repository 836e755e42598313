/*
 * fuzz_h2.c - an HTTP/2 connection whose client sends whatever it wants, and whose handler does so, too.
 *
 * The first byte says whether what follows is sent as it is, or stands for frames: a kind, a stream and a size, and then that
 * many bytes.  A frame's kind also says what the handler does next.
 *
 * Whatever comes: each stream is told of in order, nothing is called for one that has ended, what is to be sent stays within
 * its bounds, and memory is given back.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/h2_frames.h"
#include "core/push_assert.h"
#include "h2/limits.h"
#include "h2/session.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct owner {
	struct push_h2_stream *stream;
	size_t unconsumed;
	bool is_last, has_begun;
};

struct world {
	struct push_h2_session *session;
	struct push_memory memory;
	unsigned int mood;
	size_t owners;
};

static void
check_head(const struct push_h2_head *head)
{
	const char *from = head->texts.bytes, *end = from + head->texts.size;

#define X(member, name)                                                                                      \
	PUSH_ASSERT(!head->request.member.size ||                                                            \
		    (head->request.member.bytes >= from &&                                                   \
			    head->request.member.bytes + head->request.member.size <= end));
	PUSH_REQUEST_FIELD_MAP(X)
#undef X
	PUSH_ASSERT(head->status || head->request.path.size);
	PUSH_ASSERT(head->status || head->request.host.size);
}

static void
on_request(void *context, struct push_h2_stream *stream, struct push_h2_head *head)
{
	struct world *world = context;
	struct owner *owner = calloc(1, sizeof(*owner));

	PUSH_ASSERT(owner && !stream->owner);
	check_head(head);
	push_h2_head_destroy(head);
	owner->stream = stream;
	stream->owner = owner;
	world->owners++;
}

static size_t
fill(void *context, char *to, size_t max)
{
	size_t *left = context, size = *left < max ? *left : max;

	memset(to, 'x', size);
	*left -= size;
	return size;
}

static void
act(struct world *world, struct owner *owner)
{
	size_t left = 1 + world->mood * 97u;
	struct push_buf lines;

	push_buf_init(&lines, 4096);
	push_buf_append_text(&lines, ":status: 200\r\nX: y\r\n");
	switch (world->mood++ % 8) {
	case 0: (void)push_h2_stream_answer(owner->stream, &lines, (struct push_str){"hello", 5}); break;
	case 1:
		if (!owner->has_begun)
			(void)push_h2_stream_begin(owner->stream, &lines);
		owner->has_begun = true;
		(void)push_h2_stream_append(owner->stream, "piece", 5);
		break;
	case 2:
		if (!owner->has_begun)
			(void)push_h2_stream_begin_pulled(owner->stream, &lines);
		owner->has_begun = true;
		if (push_h2_stream_pull(owner->stream, left, fill, &left) && left)
			push_h2_stream_wait(owner->stream);
		break;
	case 3: push_h2_stream_finish(owner->stream); break;
	case 4: push_h2_stream_reset(owner->stream, NGHTTP2_CANCEL); break;
	case 5: push_h2_stream_poke(owner->stream); break;
	default: push_h2_stream_consume(owner->stream, owner->unconsumed); owner->unconsumed = 0;
	}
	push_buf_fini(&lines);
}

static void
on_body(void *context, const char *bytes, size_t size, bool is_last)
{
	struct owner *owner = context;
	struct world *world = push_h2_session_context(owner->stream->session);

	(void)bytes;
	PUSH_ASSERT(!owner->is_last);
	owner->is_last = is_last;
	owner->unconsumed += size;
	PUSH_ASSERT(owner->unconsumed <= PUSH_H2_STREAM_WINDOW_BYTES);
	act(world, owner);
}

static void
on_writable(void *context)
{
	struct owner *owner = context;

	if (((struct world *)push_h2_session_context(owner->stream->session))->mood % 3)
		act(push_h2_session_context(owner->stream->session), owner);
}

static void
on_closed(void *context)
{
	struct owner *owner = context;

	((struct world *)push_h2_session_context(owner->stream->session))->owners--;
	free(owner);
}

static const struct push_h2_handler handler = {on_request, on_body, on_writable, on_closed};

static void
put_block(struct push_buf *block, unsigned int kind)
{
	push_buf_init(block, 4096);
	h2_field(block, ":method", kind & 1 ? "POST" : kind & 2 ? "CONNECT" : "GET");
	if (!(kind & 1) && kind & 2)
		h2_field(block, ":protocol", "websocket");
	h2_field(block, ":scheme", "http");
	h2_field(block, ":path", kind & 4 ? "/messages?a=b" : "*");
	h2_field(block, ":authority", kind & 8 ? "a.b" : "a.b:1");
	h2_field(block, "cookie", "a=1");
	h2_field(block, "cookie", "b=2");
}

/* Returns what has been used of the input. */
static size_t
put_frame(struct push_buf *to, const uint8_t *data, size_t size)
{
	uint32_t id = data[1] % 16;
	size_t length = data[2] % 64;
	struct push_buf block;

	if (data[0] >= 0x80) {
		put_block(&block, data[2]);
		h2_frame(to, NGHTTP2_HEADERS, data[0] & 5u, id, block.bytes, block.size);
		push_buf_fini(&block);
		return 3;
	}
	if (length > size - 3)
		length = size - 3;
	h2_frame(to, data[0] % 10, data[0] >> 4 & 5u, id, data + 3, length);
	return 3 + length;
}

static void
receive(struct world *world, const struct push_buf *in)
{
	struct push_buf *out = push_h2_session_out(world->session);

	(void)push_h2_session_receive(world->session, in->bytes, in->size, 1000000);
	PUSH_ASSERT(out->size <= PUSH_H2_OUT_BYTES_MAX + 2 * PUSH_H2_OUT_CONTROL_BYTES_MAX);
	if (world->mood++ % 4)
		return;
	push_buf_clear(out);
	push_h2_session_resume(world->session);
	(void)push_h2_session_run(world->session);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = {.mood = 0};
	struct push_buf in;

	if (!size)
		return 0;
	push_memory_init(&world.memory);
	world.session =
		push_h2_session_create(&handler, &world, &world.memory.accounts[PUSH_MEMORY_REQUESTS]);
	PUSH_ASSERT(world.session);
	push_buf_init(&in, 1 << 20);
	push_buf_append_text(&in, H2_PREFACE);
	h2_frame(&in, NGHTTP2_SETTINGS, 0, 0, "", 0);
	receive(&world, &in);
	push_buf_clear(&in);
	world.mood = data[0];
	for (size_t at = 1; at < size && data[0] & 1;) {
		if (size - at < 3)
			break;
		at += put_frame(&in, data + at, size - at);
		if (world.mood % 2)
			continue;
		receive(&world, &in);
		push_buf_clear(&in);
	}
	if (!(data[0] & 1))
		push_buf_append(&in, data + 1, size - 1);
	receive(&world, &in);
	push_buf_fini(&in);
	push_h2_session_abandon(world.session);
	PUSH_ASSERT(!world.owners);
	push_h2_session_destroy(world.session);
	PUSH_ASSERT(!world.memory.bytes);
	return 0;
}
