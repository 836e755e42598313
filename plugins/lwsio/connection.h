/*
 * connection.h - one client's connection on lws' own sockets: the transport below the outbox, and the object
 * that a WebSocket or SSE session points to.
 *
 * Three ways to write, chosen when it opens:
 *   plain  over TCP.  Frames go straight to the descriptor: lws' write path would copy and account
 *          for nothing that is needed here.  When the kernel takes only a part, lws is given the rest of the
 *          frame that was begun, since lws may answer a PING at any time and a PONG must not land inside it.
 *   copied lws_write() of many frames at once, raw, so that a burst makes one TLS record; likewise for an
 *          event stream of HTTP/1.0, which has no chunks (core/sse.h).
 *   mux    a stream of HTTP/2.  lws frames each piece itself, only in the writeable callback, as far as the
 *          peer's window allows; a WebSocket's frames are taken apart again for it.
 */
#ifndef PUSH_LWSIO_CONNECTION_H
#define PUSH_LWSIO_CONNECTION_H

#include <libwebsockets.h>

#include "broker/broker.h"
#include "lwsio/request.h"

enum push_connection_way { PUSH_WAY_PLAIN, PUSH_WAY_COPIED, PUSH_WAY_MUX };

struct push_connection {
	struct lws *wsi;
	const struct push_broker_ops *ops;
	struct push_broker *broker;
	struct push_subscriber *subscriber; /* owned */
	uint8_t encoding;                   /* enum push_encoding */
	uint8_t way;                        /* enum push_connection_way */
	bool chunked : 1;                   /* the frames go out as the chunks that they are */
	bool writing : 1;                   /* mux: inside the writeable callback */
	bool closing : 1;                   /* to be closed by the next writeable callback */
	bool told : 1;                      /* lws is to close; told twice, it awaits no Close */
	bool head_due : 1;                  /* `head` is to be sent by the next writeable callback */
	struct push_kept_response *head;    /* owned; NULL: it was sent, or lws does that */
	struct push_buf received;           /* what has come of it */
	struct push_address *entered;       /* owned; counted apart from its connection (client.h) */
	char *peer;                         /* owned; NULL: nobody has asked who it is */
};

/*
 * push_connection_open - a connection with its subscriber, which has no channels yet.
 *
 * Returns NULL when memory is out.  The caller owes push_connection_destroy().
 */
struct push_connection *
push_connection_open(struct lws *wsi, const struct push_broker_link *link, enum push_encoding encoding);

/* push_connection_keep_head - before start: the answer's head, sent when the subscriber has begun.  Copied.
 *
 * Errors: PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_connection_keep_head(struct push_connection *connection, const struct push_response *head);

/* push_connection_send_head - the head of an event stream, at once.  Returns what lws is to be told. */
int
push_connection_send_head(struct lws *wsi, const struct push_response *head);

/* push_connection_destroy - lws has let go of the socket.  NULL is allowed. */
void
push_connection_destroy(struct push_connection *connection);

/* push_connection_on_writeable - lws says that the socket takes bytes.  Returns what lws is to be told. */
int
push_connection_on_writeable(struct push_connection *connection);

#endif
