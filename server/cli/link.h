/*
 * link.h - one connection of a subscription, by WebSocket or as an event stream: it brings events, and it
 * ends.
 *
 *   link.c        what both have in common: opening, silence, the end
 *   ws_link.c     frames of lws' WebSocket client -> events; acks out
 *   sse_link.c    bytes of lws' HTTP client -> events (sse_parser.h)
 *
 * A link belongs to its session, which decides what events mean.  lws may still call back for a link that the
 * session has let go: link_close() marks it, and the link frees itself with the last callback.
 */
#ifndef PUSH_CLI_LINK_H
#define PUSH_CLI_LINK_H

#include <libwebsockets.h>
#include <stdbool.h>

#include "core/buf.h"
#include "cli_limits.h"
#include "loop.h"
#include "sse_parser.h"
#include "url.h"

struct link;

/* Borrowed until the handler returns; `data` is the JSON text of an object, or empty. */
struct link_event {
	const char *name; /* "" of a frame that is no event, such as {"error":"..."} */
	const char *data;
	size_t data_size;
	char id[CLI_ID_BYTES_MAX + 1]; /* "": it brings none */
};

/* Why a link has ended. */
struct link_end {
	bool is_unreachable;        /* there was no connection */
	bool is_broken;             /* what answered does not speak the protocol */
	bool is_silent;             /* nothing came for too long */
	unsigned int status;        /* of an HTTP answer that is no success; 0: none */
	unsigned int code;          /* of a WebSocket's close; 0: none */
	unsigned int retry_after_s; /* asked for by the server */
	char why[256];
};

struct link_handlers {
	void (*on_event)(void *owner, struct link *link, const struct link_event *event);
	void (*on_end)(void *owner, struct link *link,
		const struct link_end *end); /* once, not after link_close() */
	void (*on_gone)(void *owner);        /* a link that was closed has ended, too */
};

struct link {
	struct loop *loop;
	struct lws *wsi; /* NULL: before it is made, and after its end */
	bool is_sse, is_alive, is_moved;
	bool is_opening, is_sent, is_closed, is_ended; /* is_sent: the request */
	const struct link_handlers *handlers;
	void *owner;
	const char *const *headers;
	uint64_t opened_us, beat_us; /* when it was opened, when the last heartbeat came */
	lws_sorted_usec_list_t silence;
	unsigned int login; /* its token: the session's count of changes */
	struct push_buf in; /* a frame in pieces; of an event stream the text of an error */
	struct link_end end;
	struct sse_parser sse;
	const char *token;              /* to be sent, borrowed; NULL: none */
	char ack[CLI_ID_BYTES_MAX + 1]; /* to be sent; "": none */
};

/* link_open - NULL when out of memory.  `path`: behind the URL's own.  The URL and headers are borrowed. */
struct link *
link_open(struct loop *loop, const struct url *url, const char *path, bool is_sse, const char *const *headers,
	const struct link_handlers *handlers, void *owner);

/* link_close - let it go: no handler is called any more, and the link frees itself. */
void
link_close(struct link *link);

/* link_ack - acknowledge everything up to this id, soon. */
void
link_ack(struct link *link, const char *id);

/* link_auth - show another token; borrowed until the link ends.  Not for an event stream. */
void
link_auth(struct link *link, const char *token);

/* link_watch - it ends as silent unless it is watched again within this time. */
void
link_watch(struct link *link, uint64_t us);

/* For ws_link.c and sse_link.c. */

/* link_is_over - the connection has ended: tell the session, unless it has let go.  Frees a link that is
 * closed. */
void
link_is_over(struct link *link);

/* link_fail_text - what lws says of a failed connection, unless something is said already. */
void
link_fail_text(struct link *link, const char *text);

/* link_send_head - the request goes out now, with these headers; lws' buffer.  Returns what a callback
 * returns. */
int
link_send_head(struct link *link, struct lws *wsi, unsigned char **at, size_t room);

/* link_has_failed - before there was an answer; `text` is lws'. */
void
link_has_failed(struct link *link, struct lws *wsi, const char *text);

#endif
