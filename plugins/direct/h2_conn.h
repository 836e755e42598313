/*
 * h2_conn.h - a connection that speaks HTTP/2 (h2/session.h), on its socket, and what its streams are:
 *
 *   h2_conn.c         bytes from the socket to the session and back, and the connection's times
 *     ├ h2_request.c      a request and its answer: a wire below request/exchange.h
 *     ├ h2_foreign.c      a request that is lws'
 *     └ h2_subscriber.c   an event stream or a WebSocket: a transport below its subscriber
 *
 * Whatever streams write goes into one buffer.  A connection that has something in it is dirty, and is sent from once, when
 * the turn is over and the hub has flushed (direct_h2_flush): one system call for all of its streams.
 */
#ifndef PUSH_DIRECT_H2_CONN_H
#define PUSH_DIRECT_H2_CONN_H

#include "direct/bytes.h"
#include "direct/direct_private.h"
#include "h2/session.h"
#include "request/exchange.h"

struct direct_h2_owner;

struct direct_h2_kind {
	void (*body)(struct direct_h2_owner *owner, const char *bytes, size_t size, bool is_last);
	void (*writable)(struct direct_h2_owner *owner);
	void (*closed)(struct direct_h2_owner *owner); /* the stream is over: free it */
	void (*gone)(struct direct_h2_owner *owner);   /* the connection is about to be closed */
};

/* What stream->owner points to begins with this. */
struct direct_h2_owner {
	const struct direct_h2_kind *kind;
};

/* What the connection's timer is armed for. */
enum direct_h2_wait {
	DIRECT_H2_NOTHING,
	DIRECT_H2_BEGIN, /* the client's preface */
	DIRECT_H2_HEAD,  /* the end of a head */
	DIRECT_H2_IDLE,  /* a stream */
	DIRECT_H2_LINGER /* the client's end, behind ours */
};

struct direct_h2_request;

struct direct_h2_conn {
	struct push_source source;
	struct push_direct *direct;
	struct push_sources *set;        /* one of direct's */
	struct push_list link;           /* in direct->h2_conns */
	struct push_list dirty;          /* in direct->h2_dirty */
	struct direct_timer timer;       /* of: */
	struct direct_timer leave_timer; /* when GOAWAY follows its announcement */
	struct direct_bytes bytes;
	struct push_h2_session *session; /* owned */
	struct direct_h2_request *spare; /* owned; for the next request; NULL: none */
	size_t sent;                     /* of the session's bytes */
	int port;
	unsigned int subscriber_count, foreign_count; /* foreign: requests that are lws' */
	uint8_t wait;                                 /* enum direct_h2_wait */
	bool is_leaving;                              /* leave_timer is armed */
	bool is_blocked;                              /* its socket takes nothing */
	bool is_ended;                                /* ... and nothing more is given to it */
	bool has_published;                           /* an earlier request: it is a publisher's connection */
	bool is_over_limit;                           /* its requests are refused, by: */
	enum push_limit limit;
};

/* direct_h2_touch - something was written, or is to be looked at when the turn is over. */
void
direct_h2_touch(struct direct_h2_conn *conn);

/* direct_h2_send - send what there is, now.  Returns false if there is no room behind it. */
bool
direct_h2_send(struct direct_h2_conn *conn);

/* direct_h2_become - serve it with others of this kind from now on. */
void
direct_h2_become(struct direct_h2_conn *conn, enum push_direct_set set);

/* --- requests --- */

/* direct_h2_request_open - a head has come, which is owned from here on. */
void
direct_h2_request_open(struct direct_h2_conn *conn, struct push_h2_stream *stream, struct push_h2_head *head);

/* direct_h2_request_destroy - of conn->spare.  NULL is allowed. */
void
direct_h2_request_destroy(struct direct_h2_request *request);

/* direct_h2_refuse - answer with this error.  @is_head: and without a body. */
void
direct_h2_refuse(struct push_h2_stream *stream, bool is_head, unsigned int status, const char *text);

/* --- requests that are lws' --- */

/* direct_h2_foreign_open - ask lws.  Returns 0, or the status of an answer, and the stream is the caller's still. */
unsigned int PUSH_MUST_USE
direct_h2_foreign_open(
	struct direct_h2_conn *conn, struct push_h2_stream *stream, const struct push_h2_head *head);

/* --- subscribers --- */

/*
 * direct_h2_subscriber_open - make a subscriber of a request's stream, greet it with these lines, and start it.
 *
 * @entered: owned on success; it counts for its client until it ends; NULL: it does not.
 * Errors: as push_subscription_apply(); nothing has changed then.
 */
enum push_status PUSH_MUST_USE
direct_h2_subscriber_open(struct direct_h2_conn *conn, struct push_h2_stream *stream,
	const struct push_opening *opening, struct push_str greeting, struct push_address *entered);

#endif
