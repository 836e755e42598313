/* publish_conn.c - see publish_conn.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/limits.h"
#include "core/mediatype.h"
#include "core/paths.h"
#include "core/push_assert.h"
#include "core/tokens.h"
#include "http/publish_conn.h"
#include "lwsio/claim.h"
#include "lwsio/find_broker.h"
#include "lwsio/request.h"

#define CONTENT_TYPE_BYTES_MAX 128
#define LENGTH_BYTES_MAX       32

/* A body that brings nothing for so long has stalled: below lws' own 5 s, which close without a word. */
#define BODY_STALL_US 4000000
/* However little by little it comes, this is the end. */
#define BODY_TOTAL_US 30000000ull

/* How long, and for how much, the rest of a refused body is read. */
#define LINGER_S         2
#define LINGER_BYTES_MAX (4 * 1024 * 1024)

#define RETRY_AFTER_S 1

enum publish_state {
	PUBLISH_READING,
	PUBLISH_WAITING,  /* for the broker */
	PUBLISH_ANSWERED, /* what still comes is thrown away */
};

struct publish {
	struct lws *wsi; /* NULL: gone while the broker was asked */
	const struct push_broker_ops *ops;
	struct push_broker *broker;
	enum publish_state state;
	bool in_call; /* the broker is being called: its answer is picked up behind the call */
	bool ended;   /* all of the body has come */
	bool behind_another, skip_stale; /* see head_before_body() */
	size_t length;                   /* of the body; SIZE_MAX: unknown */
	size_t received_size, discarded;
	uint64_t started_us;
	struct push_buf body;
	struct push_reply reply; /* what every answer has, and an error that waits for the body's end */
	const char *error;       /* its text; static */
	char origin[PUSH_REQUEST_ORIGIN_BYTES_MAX];
	struct push_error refusal; /* of its origin; no text: it is admitted */
	bool is_lines, wait_written;
	bool is_read;                     /* a request for history, not a publish */
	char token[PUSH_TOKEN_BYTES + 1]; /* whose channels are to be changed; empty: it is a publish */
	bool has_key;                     /* Idempotency-Key: */
	struct push_buf key;
	bool has_parent; /* a traceparent came, and something is traced: */
	struct push_trace parent;
	bool done; /* the broker has answered: */
	unsigned int done_status;
	const char *done_type;
	struct push_buf done_body;
};

static bool
is_mux(struct lws *wsi)
{
	return lws_get_network_wsi(wsi) != wsi;
}

static void
count(struct publish *publish, unsigned int status)
{
	if (!publish->is_read && !publish->token[0])
		publish->ops->count_publish(publish->broker, status, publish->body.size);
}

static int
answer_error(struct publish *publish, unsigned int status, const char *text)
{
	struct push_reply reply = publish->reply;

	count(publish, status);
	publish->state = PUBLISH_ANSWERED;
	lws_set_timer_usecs(publish->wsi, LWS_SET_TIMER_USEC_CANCEL);
	reply.status = status;
	if (status == 503)
		reply.retry_after_s = RETRY_AFTER_S;
	return push_reply_error(publish->wsi, reply, text);
}

/* Answers while a body is still coming, says that the connection ends, and lingers. */
static int
refuse_body(struct publish *publish, unsigned int status, const char *text)
{
	publish->reply.close = true;
	if (answer_error(publish, status, text) == 0 || is_mux(publish->wsi))
		return 0;
	if (lws_partial_buffered(publish->wsi) || shutdown((int)lws_get_socket_fd(publish->wsi), SHUT_WR))
		return -1;
	lws_set_timeout(publish->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LINGER_S);
	return 0;
}

/* `29`, but not `29,  30`, which is how lws shows two headers (RFC 9112, 6.3). */
static bool
parse_length(const char *text, size_t *ret)
{
	char *end;
	unsigned long long value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || value > SIZE_MAX)
		return false;
	*ret = (size_t)value;
	return true;
}

/* Returns false where it is no type that is published. */
static bool
read_type(struct publish *publish)
{
	char type[CONTENT_TYPE_BYTES_MAX];

	if (!push_request_header(publish->wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, type, sizeof(type)))
		return false;
	publish->is_lines = push_media_type_is_lines(type, strlen(type));
	return publish->is_lines || push_media_type_is_json(type, strlen(type));
}

/*
 * Of a header that lws has no token for; -1: there is none.  One that is too long is told by its size, and
 * not copied.
 */
static int
custom_header(const struct publish *publish, const char *name, char *to, size_t size)
{
	int length = lws_hdr_custom_length(publish->wsi, name, (int)strlen(name));

	if (length > 0 && (size_t)length < size &&
		lws_hdr_custom_copy(publish->wsi, to, (int)size, name, (int)strlen(name)) <= 0)
		return 0;
	return length;
}

/* From the header, or from the query: lws 4.3 tells nobody of headers that it does not know where they came
 * by HTTP/2 (lib/roles/h2/hpack.c, unknown_header). */
static void
read_key(struct publish *publish)
{
	char key[PUSH_IDEMPOTENCY_KEY_BYTES_MAX + 2];
	int size = custom_header(publish, "idempotency-key:", key, sizeof(key));

	if (size < 0) {
		publish->has_key = push_request_query(publish->wsi, "idempotency_key", &publish->key);
		return;
	}
	publish->has_key = true;
	/* one that is too long stays empty, which is as wrong */
	if ((size_t)size < sizeof(key))
		push_buf_append(&publish->key, key, (size_t)size);
}

/* Not by HTTP/2, for the same reason; there a message may bring it. */
static void
read_parent(struct publish *publish)
{
	char text[PUSH_TRACEPARENT_BYTES * 2];
	int size;

	if (!publish->ops->options(publish->broker)->trace_url[0])
		return;
	size = custom_header(publish, "traceparent:", text, sizeof(text));
	publish->has_parent = size > 0 && (size_t)size < sizeof(text) &&
			      push_traceparent_parse(&publish->parent, text, (size_t)size);
}

/* Returns false where it is wrong. */
static bool
read_wait(struct publish *publish)
{
	struct push_buf value;
	bool right = true;

	push_buf_init(&value, PUSH_QUERY_BYTES_MAX);
	if (push_request_query(publish->wsi, "wait", &value)) {
		static const char written[] = "written";

		publish->wait_written = right =
			value.size == sizeof(written) - 1 && !memcmp(value.bytes, written, value.size);
	}
	push_buf_fini(&value);
	return right;
}

/* What there is beside the body.  What is wrong is told when that has come. */
static void
read_arguments(struct publish *publish)
{
	unsigned int status = 400;

	read_key(publish);
	read_parent(publish);
	if (publish->token[0] && (!read_type(publish) || publish->is_lines)) {
		status = 415;
		publish->error = "Content-Type must be application/json";
	} else if (publish->token[0]) {
		return;
	} else if (!read_type(publish)) {
		status = 415;
		publish->error = "Content-Type must be application/json or application/x-ndjson";
	} else if (!read_wait(publish)) {
		publish->error = "'wait' must be 'written'";
	} else if (publish->is_lines && (publish->has_key || publish->wait_written)) {
		publish->error = "Idempotency-Key and wait are not supported with application/x-ndjson";
	}
	if (publish->error)
		publish->reply.status = status;
}

/* lws never answers it (RFC 9110, 10.1.1). */
static int
answer_expect(struct lws *wsi)
{
	unsigned char text[LWS_PRE + 32];
	int size;

	if (is_mux(wsi) || lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_EXPECT) <= 0)
		return 0;
	size = lws_snprintf((char *)text + LWS_PRE, sizeof(text) - LWS_PRE, "HTTP/1.1 100 Continue\r\n\r\n");
	return lws_write(wsi, text + LWS_PRE, (size_t)size, LWS_WRITE_RAW) < 0 ? -1 : 0;
}

static bool
reads_history(const struct publish *publish)
{
	return !publish->token[0] && publish->ops->reads_history(publish->broker);
}

static const char *
wrong_method(const struct publish *publish, enum push_method method)
{
	if (reads_history(publish))
		return "method not allowed, use GET or POST";
	return method == PUSH_METHOD_GET && !publish->token[0]
		       ? "method not allowed, use POST; " PUSH_PATH_SUBSCRIBE_HINT
		       : "method not allowed, use POST";
}

static int
answer_not_found(struct publish *publish, struct push_reply reply)
{
	char path[PUSH_PATH_BYTES_MAX];
	struct push_error error;

	push_request_path(publish->wsi, path, sizeof(path));
	(void)push_path_not_found(PUSH_PORT_CLIENTS, path, &error);
	reply.status = 404;
	return push_reply_error(publish->wsi, reply, error.text);
}

/* Answers whatever is no publish; returns true where it is one. */
static bool
is_publish(struct publish *publish, const char *rest, int *ret)
{
	struct push_reply reply = publish->reply;
	enum push_method method = push_request_method(publish->wsi);
	const char *methods = reads_history(publish) ? "GET, HEAD, POST, OPTIONS" : "POST, OPTIONS";

	if (method == PUSH_METHOD_POST && !*rest)
		return true;
	/* any other request may bring a body, too, and nobody would read it */
	reply.close = reply.close || (method != PUSH_METHOD_GET && method != PUSH_METHOD_OPTIONS);
	if (*rest) {
		*ret = answer_not_found(publish, reply);
	} else if (method == PUSH_METHOD_OPTIONS) {
		reply.status = 204;
		reply.allow = reply.allow_methods = methods;
		reply.allow_traceparent = publish->ops->options(publish->broker)->trace_url[0];
		*ret = push_reply_send(publish->wsi, &reply);
	} else {
		reply.status = 405;
		reply.allow = methods;
		count(publish, 405);
		*ret = push_reply_error(publish->wsi, reply, wrong_method(publish, method));
	}
	return false;
}

static const char *
too_large(const struct publish *publish)
{
	return publish->token[0] ? "the body is over push.client.message.max.size"
				 : "the body is over push.message.max.size";
}

/*
 * Decides by the head.  Returns 0 where a body is to be read, and then sets publish->error where it will be
 * refused all the same.
 */
static int
check_head(struct publish *publish)
{
	char length[LENGTH_BYTES_MAX];
	struct lws *wsi = publish->wsi;

	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
		return refuse_body(publish, 411, "a chunked body is not accepted, send Content-Length");
	/* HTTP/2 does not ask for it, but lws 4.3 does not always tell of the end of such a body */
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
		return refuse_body(publish, 411, "Content-Length is missing");
	if (!push_request_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, length, sizeof(length)) ||
		!parse_length(length, &publish->length))
		return refuse_body(publish, 400, "bad Content-Length");
	if (publish->length > publish->body.max)
		return refuse_body(publish, 413, too_large(publish));
	read_arguments(publish);
	return answer_expect(wsi);
}

static struct publish *
create(struct lws *wsi, const struct push_broker_link *link)
{
	struct publish *publish = calloc(1, sizeof(*publish));
	const struct push_options *options = link->ops->options(link->broker);

	if (!publish)
		return NULL;
	publish->wsi = wsi;
	publish->ops = link->ops;
	publish->broker = link->broker;
	publish->length = SIZE_MAX;
	publish->started_us = link->ops->now_us();
	publish->reply.close = link->ops->is_draining(link->broker);
	(void)push_request_origin(wsi, link, publish->origin, &publish->reply.cors, &publish->refusal);
	push_buf_init(&publish->body, options->message_bytes_max);
	push_buf_init(&publish->key, PUSH_IDEMPOTENCY_KEY_BYTES_MAX + 1);
	push_buf_init(&publish->done_body, SIZE_MAX);
	push_buf_charge(&publish->body, &link->ops->memory(link->broker)->accounts[PUSH_MEMORY_REQUESTS]);
	push_buf_charge(&publish->done_body, publish->body.account);
	return publish;
}

static int
answer_done(struct publish *publish)
{
	struct push_reply reply = publish->reply;

	if (publish->done_body.status != PUSH_OK)
		return answer_error(publish, 503, push_status_text(publish->done_body.status));
	count(publish, publish->done_status);
	publish->state = PUBLISH_ANSWERED;
	reply.status = publish->done_status;
	if (reply.status == 503)
		reply.retry_after_s = RETRY_AFTER_S;
	reply.content_type = publish->done_type;
	reply.body = publish->done_body.bytes;
	reply.body_size = publish->done_body.size;
	return push_reply_send(publish->wsi, &reply);
}

static void
on_answer(void *context, const struct push_answer *answer)
{
	struct publish *publish = context;

	publish->done = true;
	publish->done_status = answer->status;
	publish->done_type = answer->content_type;
	push_buf_append(&publish->done_body, answer->body, answer->size);
	if (!publish->wsi)
		publish_conn_close(publish);
	else if (!publish->in_call)
		lws_callback_on_writable(publish->wsi);
}

/* GET and HEAD where there is history, or somebody asks for it. */
static bool
is_read(struct publish *publish, const char *rest)
{
	enum push_method method = push_request_method(publish->wsi);
	struct push_buf channel;
	bool asks;

	if (*rest || (method != PUSH_METHOD_GET && method != PUSH_METHOD_HEAD))
		return false;
	push_buf_init(&channel, PUSH_QUERY_BYTES_MAX);
	asks = push_request_query(publish->wsi, "channel", &channel);
	push_buf_fini(&channel);
	return asks || publish->ops->reads_history(publish->broker);
}

static int
read_history(struct publish *publish)
{
	struct push_read_request request = {.channel = NULL};
	struct push_buf channel, since, limit;

	publish->is_read = true;
	if (!push_request_is_whole(publish->wsi)) {
		publish->reply.close = true; /* what lws took for headers is not */
		return answer_error(publish, 400, "the query has a control character");
	}
	push_buf_init(&channel, PUSH_QUERY_BYTES_MAX);
	push_buf_init(&since, PUSH_QUERY_BYTES_MAX);
	push_buf_init(&limit, PUSH_QUERY_BYTES_MAX);
	if (push_request_query(publish->wsi, "channel", &channel))
		request.channel = &channel;
	if (push_request_query(publish->wsi, "since", &since))
		request.since = &since;
	if (push_request_query(publish->wsi, "limit", &limit))
		request.limit = &limit;
	publish->ended = true;
	publish->state = PUBLISH_WAITING;
	publish->in_call = true;
	publish->ops->read_request(publish->broker, &request, on_answer, publish);
	publish->in_call = false;
	push_buf_fini(&channel);
	push_buf_fini(&since);
	push_buf_fini(&limit);
	return publish->done ? answer_done(publish) : 0;
}

static int
reply_none(struct lws *wsi, const struct push_broker_link *link)
{
	return push_reply_error(wsi,
		(struct push_reply){.status = 503, .retry_after_s = RETRY_AFTER_S, .close = true},
		link ? "out of memory" : push_find_broker_trouble(wsi));
}

/* The head is right, or answered. */
static int
begin(struct publish *publish, int result, struct publish **ret_publish)
{
	if (result) {
		publish_conn_close(publish);
		return result;
	}
	if (publish->state == PUBLISH_READING)
		lws_set_timer_usecs(publish->wsi, BODY_STALL_US);
	*ret_publish = publish;
	return 0;
}

/* Whatever a page that is not allowed asks for. */
static int
refuse_origin(struct publish *publish, struct publish **ret_publish)
{
	int result;

	if (push_request_method(publish->wsi) == PUSH_METHOD_POST)
		return begin(publish, refuse_body(publish, 403, publish->refusal.text), ret_publish);
	publish->is_read = true; /* no publish to count */
	publish->reply.close = push_request_method(publish->wsi) != PUSH_METHOD_GET;
	result = answer_error(publish, 403, publish->refusal.text);
	publish_conn_close(publish);
	return result;
}

int
publish_conn_control(struct lws *wsi, const char *token, struct publish **ret_publish)
{
	struct push_broker_link *link = push_find_broker(wsi);
	struct publish *publish = link ? create(wsi, link) : NULL;
	int result = 0;

	if (!publish)
		return reply_none(wsi, link);
	memcpy(publish->token, token, PUSH_TOKEN_BYTES);
	publish->body.max = link->ops->options(link->broker)->client_message_bytes_max;
	if (publish->refusal.text[0])
		return refuse_origin(publish, ret_publish);
	if (!is_publish(publish, "", &result)) {
		publish_conn_close(publish);
		return result;
	}
	return begin(publish, check_head(publish), ret_publish);
}

int
publish_conn_request(struct lws *wsi, const char *rest, struct publish **ret_publish)
{
	struct push_broker_link *link = push_find_broker(wsi);
	struct publish *publish;
	int result = 0;

	if (link && push_claim(wsi, link, PUSH_PLACE_PUBLISH, rest))
		return -1;
	publish = link ? create(wsi, link) : NULL;
	if (!publish)
		return reply_none(wsi, link);
	if (publish->refusal.text[0])
		return refuse_origin(publish, ret_publish);
	if (push_path_is_end(rest))
		rest = "";
	if (is_read(publish, rest)) {
		result = read_history(publish);
		if (publish->state == PUBLISH_WAITING && !result)
			*ret_publish = publish;
		else
			publish_conn_close(publish);
		return result;
	}
	if (!is_publish(publish, rest, &result)) {
		publish_conn_close(publish);
		return result;
	}
	return begin(publish, check_head(publish), ret_publish);
}

static void
ask_to_publish(struct publish *publish)
{
	const struct push_publish_request request = {.body = publish->body.bytes ? publish->body.bytes : "",
		.size = publish->body.size,
		.is_lines = publish->is_lines,
		.wait_written = publish->wait_written,
		.key = publish->has_key ? (publish->key.bytes ? publish->key.bytes : "") : NULL,
		.key_size = publish->key.size,
		.parent = publish->has_parent ? &publish->parent : NULL};

	publish->ops->publish_request(publish->broker, &request, on_answer, publish);
}

static void
ask_to_change(struct publish *publish)
{
	const struct push_control_request request = {.token = publish->token,
		.token_size = PUSH_TOKEN_BYTES,
		.body = publish->body.bytes ? publish->body.bytes : "",
		.size = publish->body.size};

	publish->ops->control_request(publish->broker, &request, on_answer, publish);
}

static int
finish(struct publish *publish)
{
	lws_set_timer_usecs(publish->wsi, LWS_SET_TIMER_USEC_CANCEL);
	if (publish->error)
		return answer_error(publish, publish->reply.status, publish->error);
	if (publish->body.status == PUSH_OUT_OF_MEMORY)
		return answer_error(publish, 503, push_status_text(PUSH_OUT_OF_MEMORY));
	publish->state = PUBLISH_WAITING;
	publish->in_call = true;
	if (publish->token[0])
		ask_to_change(publish);
	else
		ask_to_publish(publish);
	publish->in_call = false;
	return publish->done ? answer_done(publish) : 0;
}

/* Throws away what comes behind an answer that ends the connection, or the stream. */
static int
discard(struct publish *publish, size_t size)
{
	publish->discarded += size;
	if (publish->received_size + publish->discarded >= publish->length)
		publish->ended = !push_request_on_body_end(publish->wsi);
	return publish->discarded > LINGER_BYTES_MAX ? -1 : 0;
}

/* The answer to the first of several pipelined requests: the others are lost, so the connection must end. */
static int
finish_pipelined(struct publish *publish)
{
	publish->reply.close = true;
	if (finish(publish) == 0)
		return 0;
	if (publish->state != PUBLISH_ANSWERED || lws_partial_buffered(publish->wsi) ||
		shutdown((int)lws_get_socket_fd(publish->wsi), SHUT_WR))
		return -1;
	lws_set_timeout(publish->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LINGER_S);
	return 0;
}

/* All bytes that have come are the body's: is it whole? */
static int
check_progress(struct publish *publish)
{
	uint64_t age_us = publish->ops->now_us() - publish->started_us;
	uint64_t left_us = age_us < BODY_TOTAL_US ? BODY_TOTAL_US - age_us : 1;

	if (publish->received_size < publish->length) {
		lws_set_timer_usecs(
			publish->wsi, (lws_usec_t)(left_us < BODY_STALL_US ? left_us : BODY_STALL_US));
		return 0;
	}
	if (publish->behind_another)
		return finish_pipelined(publish);
	/* lws 4.3 does not always see the end of a body that came in several DATA frames */
	return is_mux(publish->wsi) ? publish_conn_complete(publish) : 0;
}

/*
 * lws 4.3, given a publish behind another request in one segment, hands over all of it, head and body, then
 * the body again from memory that it has freed, and does not see the body's end.  So the body is taken from
 * the first call, and the second one's bytes are not looked at.  No JSON begins like a request.
 *
 * Returns the size of the head in front of the body, 0 where there is none.
 */
static size_t
head_before_body(const struct publish *publish, const char *bytes, size_t size)
{
	static const char start[] = "POST /", end[] = "\r\n\r\n";
	const char *found;

	if (publish->received_size || size < sizeof(start) || memcmp(bytes, start, sizeof(start) - 1) != 0)
		return 0;
	found = memmem(bytes, size, end, sizeof(end) - 1);
	return found ? (size_t)(found - bytes) + sizeof(end) - 1 : 0;
}

int
publish_conn_body(struct publish *publish, const char *bytes, size_t size)
{
	size_t wanted, head;

	if (publish->state != PUBLISH_READING)
		return discard(publish, size);
	if (publish->skip_stale) {
		publish->skip_stale = false;
		return 0;
	}
	head = head_before_body(publish, bytes, size);
	if (head)
		publish->behind_another = publish->skip_stale = true;
	bytes += head;
	wanted = size -= head;
	if (wanted > publish->length - publish->received_size)
		wanted = publish->length - publish->received_size;
	if (!push_memory_has_room(publish->ops->memory(publish->broker), wanted)) {
		publish->ops->count_relieved_publish(publish->broker);
		return refuse_body(publish, 503, PUSH_MEMORY_SHORT_TEXT);
	}
	push_buf_append(&publish->body, bytes, wanted);
	publish->received_size += wanted;
	if (publish->body.status == PUSH_TOO_LARGE)
		return refuse_body(publish, 413, too_large(publish));
	return wanted < size ? finish_pipelined(publish) : check_progress(publish);
}

/*
 * An HTTP/2 stream is answered and forgotten at one go, in publish_conn_writeable(): a client that had the
 * answer earlier would open another, one too many perhaps, for which lws 4.3 ends the connection, and so it
 * does for an empty frame with END_STREAM that follows in the same read.
 */
int
publish_conn_complete(struct publish *publish)
{
	publish->ended = publish->length > 0; /* else the frame that ends the stream may be on its way */
	push_request_on_body_end(publish->wsi);
	if (publish->state != PUBLISH_READING)
		return 0;
	return is_mux(publish->wsi) && publish->ended ? 0 : finish(publish);
}

int
publish_conn_timeout(struct publish *publish)
{
	if (publish->state == PUBLISH_ANSWERED)
		return push_request_give_up(publish->wsi);
	if (publish->state == PUBLISH_WAITING || publish->ended)
		return 0;
	publish->reply.close = true;
	(void)answer_error(publish, 408, "the body did not arrive in time");
	return -1;
}

int
publish_conn_writeable(struct publish *publish)
{
	struct lws *wsi = publish->wsi;
	int result = 0;

	if (publish->state == PUBLISH_READING && publish->ended)
		result = finish(publish);
	else if (publish->state == PUBLISH_WAITING && publish->done)
		result = answer_done(publish);
	/* the answer ends an exchange of HTTP/1.1, and with it `publish` */
	if (result || !is_mux(wsi))
		return result;
	return publish->state == PUBLISH_ANSWERED && publish->ended ? push_request_give_up(wsi) : 0;
}

void
publish_conn_close(struct publish *publish)
{
	if (!publish)
		return;
	if (publish->state == PUBLISH_WAITING && !publish->done) {
		publish->wsi = NULL; /* on_published() comes back here */
		return;
	}
	push_buf_fini(&publish->body);
	push_buf_fini(&publish->key);
	push_buf_fini(&publish->done_body);
	free(publish);
}
