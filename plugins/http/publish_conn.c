/* publish_conn.c - see publish_conn.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/cors.h"
#include "core/limits.h"
#include "core/mediatype.h"
#include "core/push_assert.h"
#include "http/publish_conn.h"
#include "lwsio/claim.h"
#include "lwsio/find_broker.h"
#include "lwsio/request.h"

#define ORIGIN_BYTES_MAX       256
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
	char origin[ORIGIN_BYTES_MAX];
	bool done; /* the broker has answered: */
	enum push_status done_status;
	uint64_t subscribers;
};

static bool
is_mux(struct lws *wsi)
{
	return lws_get_network_wsi(wsi) != wsi;
}

static void
count(struct publish *publish, unsigned int status)
{
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

static bool
is_json(struct lws *wsi)
{
	char type[CONTENT_TYPE_BYTES_MAX];

	return push_request_header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, type, sizeof(type)) &&
	       push_media_type_is_json(type, strlen(type));
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

/* Answers whatever is no publish; returns true where it is one. */
static bool
is_publish(struct publish *publish, const char *rest, int *ret)
{
	struct push_reply reply = publish->reply;
	enum push_method method = push_request_method(publish->wsi);

	if (method == PUSH_METHOD_POST && !*rest)
		return true;
	/* any other request may bring a body, too, and nobody would read it */
	reply.close = reply.close || (method != PUSH_METHOD_GET && method != PUSH_METHOD_OPTIONS);
	if (*rest) {
		reply.status = 404;
		*ret = push_reply_error(publish->wsi, reply, "not found");
	} else if (method == PUSH_METHOD_OPTIONS) {
		reply.status = 204;
		reply.allow = reply.allow_methods = "POST, OPTIONS";
		*ret = push_reply_send(publish->wsi, &reply);
	} else {
		reply.status = 405;
		reply.allow = "POST, OPTIONS";
		count(publish, 405);
		*ret = push_reply_error(publish->wsi, reply, "method not allowed, use POST");
	}
	return false;
}

/*
 * Decides by the head.  Returns 0 where a body is to be read, and then sets publish->error where it will be
 * refused all the same.
 */
static int
check_head(struct publish *publish)
{
	char length[LENGTH_BYTES_MAX];
	size_t max = publish->ops->options(publish->broker)->message_bytes_max;
	struct lws *wsi = publish->wsi;

	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
		return refuse_body(publish, 411, "a chunked body is not accepted, send Content-Length");
	/* HTTP/2 does not ask for it, but lws 4.3 does not always tell of the end of such a body */
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
		return refuse_body(publish, 411, "Content-Length is missing");
	if (!push_request_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, length, sizeof(length)) ||
		!parse_length(length, &publish->length))
		return refuse_body(publish, 400, "bad Content-Length");
	if (publish->length > max)
		return refuse_body(publish, 413, "the body is over push.message.max.size");
	if (!is_json(wsi)) {
		publish->reply.status = 415;
		publish->error = "Content-Type must be application/json";
	}
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
	publish->reply.allow_origin = push_cors_allowed_origin(options->cors_origins,
		push_request_header(wsi, WSI_TOKEN_ORIGIN, publish->origin, sizeof(publish->origin))
			? publish->origin
			: NULL);
	push_buf_init(&publish->body, options->message_bytes_max);
	return publish;
}

int
publish_conn_request(struct lws *wsi, const char *rest, struct publish **ret_publish)
{
	struct push_broker_link *link = push_find_broker(wsi);
	struct publish *publish = link ? create(wsi, link) : NULL;
	int result = 0;

	if (!publish)
		return push_reply_error(wsi,
			(struct push_reply){.status = 503, .retry_after_s = RETRY_AFTER_S, .close = true},
			link ? "out of memory" : "no broker");
	if (!is_publish(publish, rest, &result)) {
		publish_conn_close(publish);
		return result;
	}
	result = push_claim(wsi, link, PUSH_DIRECT_PUBLISH) ? -1 : check_head(publish);
	if (result) {
		publish_conn_close(publish);
		return result;
	}
	if (publish->state == PUBLISH_READING)
		lws_set_timer_usecs(wsi, BODY_STALL_US);
	*ret_publish = publish;
	return 0;
}

static int
answer_published(struct publish *publish)
{
	struct push_reply reply = publish->reply;
	char body[64];

	if (publish->done_status != PUSH_OK)
		return answer_error(publish, 503, push_status_text(publish->done_status));
	count(publish, 202);
	publish->state = PUBLISH_ANSWERED;
	reply.status = 202;
	reply.body = body;
	reply.body_size = (size_t)lws_snprintf(
		body, sizeof(body), "{\"subscribers\":%" PRIu64 "}", publish->subscribers);
	return push_reply_send(publish->wsi, &reply);
}

static void
on_published(void *context, enum push_status status, uint64_t subscribers)
{
	struct publish *publish = context;

	publish->done = true;
	publish->done_status = status;
	publish->subscribers = subscribers;
	if (!publish->wsi)
		publish_conn_close(publish);
	else if (!publish->in_call)
		lws_callback_on_writable(publish->wsi);
}

static int
finish(struct publish *publish)
{
	const struct push_options *options = publish->ops->options(publish->broker);
	const char *body = publish->body.bytes ? publish->body.bytes : "";
	struct push_publication publication;
	struct push_error error = {"out of memory"};
	enum push_status status;

	lws_set_timer_usecs(publish->wsi, LWS_SET_TIMER_USEC_CANCEL);
	if (publish->error)
		return answer_error(publish, publish->reply.status, publish->error);
	if (publish->body.status == PUSH_OUT_OF_MEMORY)
		return answer_error(publish, 503, error.text);
	status = push_publication_parse(&publication, body, publish->body.size, options, &error);
	if (status != PUSH_OK)
		return answer_error(publish, status == PUSH_INVALID ? 400 : 503, error.text);

	publish->state = PUBLISH_WAITING;
	publish->in_call = true;
	publish->ops->publish(publish->broker, &publication, on_published, publish);
	publish->in_call = false;
	push_publication_fini(&publication);
	return publish->done ? answer_published(publish) : 0;
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
	push_buf_append(&publish->body, bytes, wanted);
	publish->received_size += wanted;
	if (publish->body.status == PUSH_TOO_LARGE)
		return refuse_body(publish, 413, "the body is over push.message.max.size");
	return wanted < size ? finish_pipelined(publish) : check_progress(publish);
}

/*
 * An HTTP/2 stream is answered and forgotten at one go, in publish_conn_writeable(): a client that had the
 * answer earlier would open another, the 25th perhaps, for which lws 4.3 ends the connection, and so it does
 * for an empty frame with END_STREAM that follows in the same read.
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
	(void)answer_error(publish, 408, "the body did not come in time");
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
		result = answer_published(publish);
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
	free(publish);
}
