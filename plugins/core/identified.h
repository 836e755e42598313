/*
 * identified.h - a subscriber's identity (identity.h) over its life: before it is known, while it is valid, and at
 * its end.
 *
 *   create ─▶ UNIDENTIFIED ──identify──▶ as without (subscriber.h), until the identity expires
 *                 │   ▲                       │ 30 s before: `expiring`
 *                 │   └ the first message     │ renew: `authenticated`, and channels that are not granted any
 *                 ▼     may be `auth`         │        more are left
 *            closed with 4401                 ▼ the end: an error, 4401
 *
 * Only in a guarded hub (push_hub_guard); otherwise all of this costs one branch.
 */
#ifndef PUSH_CORE_IDENTIFIED_H
#define PUSH_CORE_IDENTIFIED_H

#include "disconnect.h"
#include "identity.h"
#include "json.h"

struct push_hub;
struct push_subscriber;

/* How long before its identity's end a client is warned, so that it can get another token. */
#define PUSH_EXPIRING_US 30000000ull

/*
 * push_hub_guard - from now on each subscriber has an identity.
 *
 * @authenticate: called with each `auth` command of a WebSocket's client; the answer comes then or later, by
 * push_subscriber_identify() and start, push_subscriber_renew() or push_subscriber_tell().
 */
void
push_hub_guard(struct push_hub *hub,
	void (*authenticate)(
		void *context, struct push_subscriber *subscriber, const struct push_command *command),
	void *context);

/* push_hub_disconnect - begin to end connections (disconnect.h).  Returns false if too many such orders wait. */
bool
push_hub_disconnect(struct push_hub *hub, const struct push_disconnect *what);

/* push_subscriber_identify - set the identity, before start.  Errors: PUSH_OUT_OF_MEMORY; PUSH_TOO_LARGE: the
 * budget has no room for it; those of push_user_limit_text(). */
enum push_status PUSH_MUST_USE
push_subscriber_identify(
	struct push_subscriber *subscriber, const struct push_identity *identity, uint64_t now_us);

/*
 * push_subscriber_await_identity - before start: the identity is not known yet.
 *
 * Its first events are sent.  Of its messages, only `auth` and pings are handled.
 * @for_token: it has shown no credentials, and is closed after a grace period; otherwise it is not read from until
 * the caller has the answer.
 */
void
push_subscriber_await_identity(struct push_subscriber *subscriber, bool for_token, uint64_t now_us);

/* push_subscriber_is_unidentified - whether its identity is awaited. */
bool
push_subscriber_is_unidentified(const struct push_subscriber *subscriber);

/* push_subscriber_identity - borrowed; in a hub that is not guarded everybody's; NULL: it is not known. */
const struct push_identity *
push_subscriber_identity(const struct push_subscriber *subscriber);

/*
 * push_subscriber_renew - another token of the same user came in time, or a first one of a user's on a connection that
 * is nobody's (its name space is empty, push_identity_space()): the user's it is from then on, in the token's channels.
 *
 * The client gets `authenticated`, and leaves the channels that are not granted any more, each with
 * `unsubscribed` and a reason.  Errors, with which nothing changes: PUSH_REFUSED: it is another user's; PUSH_INVALID: the
 * connection's positions are kept by a name, which is nobody's; those of push_user_limit_text();
 * PUSH_UNAVAILABLE: it has not started, or is being closed; PUSH_OUT_OF_MEMORY; PUSH_TOO_LARGE.
 */
enum push_status PUSH_MUST_USE
push_subscriber_renew(
	struct push_subscriber *subscriber, const struct push_identity *identity, uint64_t now_us);

/* --- for the hub's own files --- */

/* identified_next_due - `due`, or the tick at which its identity has something to do, if that is earlier. */
uint32_t
identified_next_due(const struct push_subscriber *subscriber, uint32_t due);

/* identified_on_timer - warn the client, or end it.  Returns false where it has been closed. */
bool
identified_on_timer(struct push_subscriber *subscriber, uint64_t now_us);

/* identified_has_ended - end it where its identity has expired while it waited for the engine.  Returns whether that
 * is so. */
bool
identified_has_ended(struct push_subscriber *subscriber, uint64_t now_us);

/* identified_is_late - no token came within the grace period. */
void
identified_is_late(struct push_subscriber *subscriber, uint64_t now_us);

/* identified_receive - a command of a client that is not known yet. */
void
identified_receive(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us);

/* identified_forget - it is being destroyed. */
void
identified_forget(struct push_subscriber *subscriber);

#endif
