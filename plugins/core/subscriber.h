/*
 * subscriber.h - one client's connection as the hub sees it, for the transport that carries it.
 *
 * Its life:
 *
 *   create ─▶ subscribe ─▶ start ─▶ OPEN ──(lifetime, no pong, slow, drain, bad data)──▶ CLOSING ─▶ CLOSED
 *                  │          └▶ WAITING ─┘                                                 ▲
 *                  └▶ refuse ───────────────────────────────────────────────────────────────┘
 *
 * WAITING: the engine has yet to confirm its channels (hub.h); not with the embedded one.  The head of the
 * response, and all that follows, stays in the outbox meanwhile, for push.redis.timeout at most.  OPEN:
 * messages and heartbeats go to the outbox.  CLOSING: what is in the outbox is written, for a WebSocket with
 * a Close frame at its end, and the client has the grace period to close by itself.  CLOSED: the transport
 * has been told to close.  In whatever state, the transport ends it with push_subscriber_destroy() when the
 * socket is gone.
 */
#ifndef PUSH_CORE_SUBSCRIBER_H
#define PUSH_CORE_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "acks_request.h"
#include "channels.h"
#include "encoding.h"
#include "hub.h"
#include "json.h"
#include "transport.h"

struct push_subscriber;

/*
 * push_subscriber_create - a connection without channels yet.
 *
 * @connection: handed to every function of `transport`; both are borrowed.
 * Returns NULL when memory is out.  The caller owes push_subscriber_destroy().
 */
struct push_subscriber *
push_subscriber_create(struct push_hub *hub, enum push_encoding encoding,
	const struct push_transport *transport, void *connection);

/*
 * push_subscriber_subscribe - add channels that it is not subscribed to.
 *
 * Errors: PUSH_OUT_OF_MEMORY; PUSH_TOO_MANY over push.channels.total.max; it is then subscribed to none of
 * the hub's channels.
 */
enum push_status PUSH_MUST_USE
push_subscriber_subscribe(struct push_subscriber *subscriber, const struct push_channels *channels);

/*
 * push_subscriber_resume - before start: the client has read up to the message with this id.
 *
 * What came after it is replayed when the subscriber starts, as far as it is kept; the client is told what is
 * not (session.h).  Without history the id is ignored.  @id: any bytes.  Errors: PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_subscriber_resume(struct push_subscriber *subscriber, const char *id, size_t size);

/*
 * push_subscriber_acknowledge - before start, behind subscribe and resume: what the client asks for of acks.
 *
 * Where it has a name and has not asked to resume, it begins where its name's position is (durable.h).
 * Without history nothing is done.  Errors: PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_subscriber_acknowledge(struct push_subscriber *subscriber, const struct push_acks_request *request);

/*
 * push_subscriber_greet - before start: bytes that go out in front of everything else, such as the head of a
 * response, so that they and the first heartbeat are one write.
 *
 * Errors: PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_subscriber_greet(struct push_subscriber *subscriber, const void *bytes, size_t size);

/*
 * push_subscriber_control - before start: let the channels of an event stream be changed by this token.
 *
 * It is told in front of the first heartbeat.  @token: push_token_write().  Errors: PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_subscriber_control(struct push_subscriber *subscriber, const char *token);

/*
 * push_subscriber_start - send the first heartbeat and let its lifetime begin; first wait for the engine.
 *
 * What it was greeted with goes out with that heartbeat, so that a client that has seen the head of its
 * response misses nothing from then on; where the engine does not answer, after push.redis.timeout.
 */
void
push_subscriber_start(struct push_subscriber *subscriber, uint64_t now_us);

/* push_subscriber_will_wait - before start: whether that will have to wait. */
bool
push_subscriber_will_wait(const struct push_subscriber *subscriber);

/* push_subscriber_refuse - instead of start: tell the client why, and close, with PUSH_CLOSE_REFUSED for good
 * or with PUSH_CLOSE_PUT_OFF if the client may try again later. */
void
push_subscriber_refuse(
	struct push_subscriber *subscriber, const char *text, enum push_close_reason reason, uint64_t now_us);

/* push_subscriber_end - tell a client that has started why, and close. */
void
push_subscriber_end(
	struct push_subscriber *subscriber, const char *text, enum push_close_reason reason, uint64_t now_us);

/* push_subscriber_pinged - the client has sent a protocol PING, which its PONG answers. */
void
push_subscriber_pinged(struct push_subscriber *subscriber, const void *payload, size_t size, uint64_t now_us);

/* push_subscriber_heard - the client has shown that it is alive. */
void
push_subscriber_heard(struct push_subscriber *subscriber);

/*
 * push_subscriber_receive - the client has sent a whole text message.
 *
 * Answers a ping; closes with an error frame when it is not a JSON object.
 */
void
push_subscriber_receive(struct push_subscriber *subscriber, const char *text, size_t size, uint64_t now_us);

/* push_subscriber_close - begin to close it; does nothing once that has begun. */
void
push_subscriber_close(struct push_subscriber *subscriber, enum push_close_reason reason, uint64_t now_us);

/*
 * push_subscriber_peer_closed - the client has sent a Close frame.
 *
 * Returns true if that answers ours, so that nothing more is to be sent.
 */
bool
push_subscriber_peer_closed(struct push_subscriber *subscriber);

/*
 * push_subscriber_answer_close - the same, where the transport has no answer of its own (RFC 6455, 5.5.1).
 *
 * What was queued before goes out first; of what a client does not take, only the frame that has begun.  Then
 * comes the answer, and the end, after a grace period at the latest.
 */
void
push_subscriber_answer_close(struct push_subscriber *subscriber, unsigned int code, uint64_t now_us);

/* push_subscriber_writable - the transport can take bytes again: one write follows at once. */
void
push_subscriber_writable(struct push_subscriber *subscriber, uint64_t now_us);

/* push_subscriber_gone - the socket is about to be closed, if the transport can tell; for whoever observes.
 */
void
push_subscriber_gone(struct push_subscriber *subscriber);

/* push_subscriber_destroy - the connection is gone: unsubscribe, count the reason, free.  NULL is allowed. */
void
push_subscriber_destroy(struct push_subscriber *subscriber);

/* push_subscriber_address - its client's address; false: it is not known. */
bool
push_subscriber_address(const struct push_subscriber *subscriber, struct push_address *ret);

/*
 * push_subscriber_hold - work that the client has asked for piles up elsewhere; false: it does not any more.
 *
 * The client is not read from meanwhile (intake.h).
 */
void
push_subscriber_hold(struct push_subscriber *subscriber, bool is_held);

bool
push_subscriber_is_held(const struct push_subscriber *subscriber);

/* push_subscriber_tell - an event of its own: `data` is a JSON object.  One that cannot be told is closed. */
void
push_subscriber_tell(struct push_subscriber *subscriber, const char *event, const char *data,
	size_t data_size, uint64_t now_us);

#endif
