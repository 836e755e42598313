/*
 * h2_foreign.c - a request on a stream of HTTP/2 that is lws': files, passwords, mounts of others (lws_request.h).
 *
 * Neither side is read further than the other takes: a stream's window is opened by what is with lws, and lws is read as far
 * as the stream has a window and the connection room.
 */
#include <stdlib.h>

#include "direct/h2_conn.h"
#include "direct/lws_request.h"
#include "h2/limits.h"
#include "request/fields.h"

struct foreign {
	struct direct_h2_owner owner;
	struct direct_h2_conn *conn;
	struct push_h2_stream *stream;
	struct direct_lws_request *request; /* owned; NULL: it is over */
	bool is_head;                       /* the method is HEAD */
	bool has_begun;                     /* the answer */
	bool is_drained;                    /* nothing of it is left to be read now */
};

static void
end_request(struct foreign *self)
{
	if (!self->request)
		return;
	direct_lws_request_close(self->request);
	self->request = NULL;
	self->conn->foreign_count--;
}

static void
reset(struct foreign *self)
{
	end_request(self);
	push_h2_stream_reset(self->stream, NGHTTP2_INTERNAL_ERROR);
	direct_h2_touch(self->conn);
}

/* --- the answer --- */

static void
on_head(void *context, unsigned int status, struct push_str fields, bool is_last)
{
	struct foreign *self = context;
	struct push_buf lines;

	push_buf_init(&lines, fields.size + sizeof(":status: 999\r\n"));
	push_buf_printf(&lines, ":status: %u\r\n", status);
	push_buf_append(&lines, fields.bytes, fields.size);
	self->has_begun = true;
	if (is_last) {
		(void)push_h2_stream_answer(self->stream, &lines, (struct push_str){NULL, 0});
		end_request(self);
	} else {
		(void)push_h2_stream_begin(self->stream, &lines);
	}
	push_buf_fini(&lines);
	direct_h2_touch(self->conn);
}

static size_t
fill(void *context, char *to, size_t max)
{
	struct foreign *self = context;
	size_t size = direct_lws_request_read(self->request, to, max);

	self->is_drained = size < max;
	return size;
}

static void
pull(struct foreign *self)
{
	if (!self->request || !self->has_begun)
		return;
	self->is_drained = false;
	if (!push_h2_stream_pull(self->stream, PUSH_H2_OUT_BYTES_MAX, fill, self))
		return;
	direct_h2_touch(self->conn);
	if (direct_lws_request_is_over(self->request)) {
		push_h2_stream_finish(self->stream);
		end_request(self);
	} else if (!self->is_drained) {
		push_h2_stream_wait(self->stream);
	}
}

static void
on_readable(void *context)
{
	struct foreign *self = context;

	if (!push_h2_stream_is_waiting(self->stream))
		pull(self);
}

static void
on_taken(void *context, size_t size)
{
	struct foreign *self = context;

	push_h2_stream_consume(self->stream, size);
	direct_h2_touch(self->conn);
}

static void
on_failed(void *context, unsigned int status)
{
	struct foreign *self = context;

	if (self->has_begun) {
		reset(self);
		return;
	}
	end_request(self);
	direct_h2_refuse(self->stream, self->is_head, status, "the server has ended the request");
	direct_h2_touch(self->conn);
}

static const struct direct_lws_handler handler = {on_head, on_readable, on_taken, on_failed};

/* --- the stream --- */

static void
on_body(struct direct_h2_owner *owner, const char *bytes, size_t size, bool is_last)
{
	struct foreign *self = push_container_of(owner, struct foreign, owner);
	ssize_t taken = self->request ? direct_lws_request_write(self->request, bytes, size) : (ssize_t)size;

	if (taken < 0) {
		reset(self);
		return;
	}
	push_h2_stream_consume(self->stream, (size_t)taken);
	if (is_last && self->request && !direct_lws_request_end(self->request))
		reset(self);
}

static void
on_writable(struct direct_h2_owner *owner)
{
	pull(push_container_of(owner, struct foreign, owner));
}

static void
on_closed(struct direct_h2_owner *owner)
{
	struct foreign *self = push_container_of(owner, struct foreign, owner);

	end_request(self);
	free(self);
}

static void
on_gone(struct direct_h2_owner *owner)
{
	end_request(push_container_of(owner, struct foreign, owner));
}

static const struct direct_h2_kind kind = {on_body, on_writable, on_closed, on_gone};

/* The crumbs of a cookie are one field again. */
static void
read_head(const struct push_h2_head *head, struct direct_lws_head *ret, struct direct_lws_field *fields)
{
	const struct push_request *request = &head->request;
	struct push_str name, value;
	size_t at = 0;

	*ret = (struct direct_lws_head){.authority = request->host,
		.fields = fields,
		.has_body = request->has_body,
		.has_length = request->has_length,
		.length = request->length};
	while (push_h2_head_next(head, &at, &name, &value)) {
		if (PUSH_FIELD_IS(name, ":method"))
			ret->method = value;
		else if (PUSH_FIELD_IS(name, ":path"))
			ret->target = value;
		else if (!PUSH_FIELD_IS(name, "cookie"))
			fields[ret->field_count++] = (struct direct_lws_field){name, value};
	}
	if (request->cookie.bytes)
		fields[ret->field_count++] =
			(struct direct_lws_field){{"cookie", sizeof("cookie") - 1}, request->cookie};
}

unsigned int
direct_h2_foreign_open(
	struct direct_h2_conn *conn, struct push_h2_stream *stream, const struct push_h2_head *head)
{
	const struct direct_end_client client = {conn->source.fd, &conn->bytes, true};
	struct direct_lws_field fields[PUSH_H2_FIELDS_MAX + 1];
	struct direct_lws_head lws_head;
	struct foreign *self;
	unsigned int status;

	if (head->request.wants_websocket)
		return 404;
	self = calloc(1, sizeof(*self));
	if (!self)
		return 503;
	read_head(head, &lws_head, fields);
	self->owner.kind = &kind;
	self->conn = conn;
	self->stream = stream;
	self->is_head = head->request.method == PUSH_METHOD_HEAD;
	status = direct_lws_request_open(
		conn->direct, &client, conn->port, &lws_head, &handler, self, &self->request);
	if (status) {
		free(self);
		return status;
	}
	stream->owner = &self->owner;
	push_h2_stream_linger(stream, false);
	conn->foreign_count++;
	return 0;
}
