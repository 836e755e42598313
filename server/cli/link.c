/* link.c - see link.h. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "http.h"
#include "link.h"

static void
free_link(struct link *link)
{
	lws_sul_cancel(&link->silence);
	push_buf_fini(&link->in);
	sse_parser_fini(&link->sse);
	free(link);
}

void
link_fail_text(struct link *link, const char *text)
{
	if (!link->end.why[0])
		snprintf(link->end.why, sizeof(link->end.why), "%s", loop_failure_text(text));
}

/* The wsi is not to be used after this: lws closes it by itself. */
static void
drop_connection(struct link *link)
{
	if (link->wsi)
		lws_set_timeout(link->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static void
report_end(struct link *link)
{
	if (link->is_ended)
		return;
	link->is_ended = true;
	lws_sul_cancel(&link->silence);
	link->handlers->on_end(link->owner, link, &link->end);
}

static void
on_silence(lws_sorted_usec_list_t *timer)
{
	struct link *link = lws_container_of(timer, struct link, silence);

	link->end.is_silent = true;
	link->end.is_unreachable = !link->is_alive;
	snprintf(link->end.why, sizeof(link->end.why),
		link->is_alive ? "nothing arrived for too long" : "no answer in time");
	report_end(link);
}

static void
on_late_end(lws_sorted_usec_list_t *timer)
{
	report_end(lws_container_of(timer, struct link, silence));
}

/* What lws finds at once it reports from within lws_client_connect_via_info(), before the session knows the
 * link. */
static void
report_end_later(struct link *link)
{
	lws_sul_schedule(link->loop->context, 0, &link->silence, on_late_end, 1);
}

void
link_watch(struct link *link, uint64_t us)
{
	lws_sul_schedule(link->loop->context, 0, &link->silence, on_silence, (lws_usec_t)us);
}

struct link *
link_open(struct loop *loop, const struct url *url, const char *path, bool is_sse, const char *const *headers,
	const struct link_handlers *handlers, void *owner)
{
	struct lws_client_connect_info info = {.context = loop->context, .vhost = loop->vhost};
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->loop = loop;
	link->is_sse = is_sse;
	link->handlers = handlers;
	link->owner = owner;
	link->headers = headers;
	link->opened_us = (uint64_t)lws_now_usecs();
	push_buf_init(&link->in, CLI_MESSAGE_BYTES_MAX);
	sse_parser_init(&link->sse, CLI_MESSAGE_BYTES_MAX);
	url_fill(url, &info);
	info.path = path;
	info.method = is_sse ? "GET" : NULL;
	info.local_protocol_name = is_sse ? LOOP_SSE : LOOP_WS;
	info.opaque_user_data = link;
	info.pwsi = &link->wsi;
	link_watch(link, CLI_OPEN_US);
	link->is_opening = true;
	if (!lws_client_connect_via_info(&info)) {
		link->wsi = NULL;
		if (!link->end.why[0]) {
			link->end.is_unreachable = true;
			link_fail_text(link, NULL);
		}
		report_end_later(link);
	}
	link->is_opening = false;
	return link;
}

void
link_close(struct link *link)
{
	if (link->is_closed)
		return;
	link->is_closed = true;
	lws_sul_cancel(&link->silence);
	if (!link->wsi) {
		free_link(link);
		return;
	}
	/* a WebSocket writes its last ack and its close first */
	if (!link->is_sse && link->is_alive && !link->is_ended)
		lws_callback_on_writable(link->wsi);
	else
		drop_connection(link);
}

void
link_auth(struct link *link, const char *token)
{
	if (link->is_sse || link->is_ended || !link->wsi)
		return;
	link->token = token;
	lws_callback_on_writable(link->wsi);
}

void
link_ack(struct link *link, const char *id)
{
	if (link->is_sse || link->is_ended || !link->wsi)
		return;
	snprintf(link->ack, sizeof(link->ack), "%s", id);
	lws_callback_on_writable(link->wsi);
}

void
link_is_over(struct link *link)
{
	link->wsi = NULL;
	if (link->is_closed) {
		link->handlers->on_gone(link->owner);
		free_link(link);
		return;
	}
	if (!link->is_opening)
		report_end(link);
}

int
link_send_head(struct link *link, struct lws *wsi, unsigned char **at, size_t room)
{
	link->is_sent = true;
	return http_append_headers(wsi, link->headers, at, *at + room) ? -1 : 0;
}

void
link_has_failed(struct link *link, struct lws *wsi, const char *text)
{
	if (!link->is_sent)
		link->end.is_unreachable = true;
	else if (!link->end.status && !link->end.why[0] && !http_is_no_answer(wsi))
		link->end.is_broken = true;
	link_fail_text(link, link->end.is_broken ? HTTP_TEXT_NO_HTTP
			     : link->is_sent     ? HTTP_TEXT_NO_ANSWER
						 : text);
	link_is_over(link);
}
