/*
 * live.h - channels that come and go while the client is open.  Part of the hub; nobody else includes this.
 *
 * A channel that is added is joined at once, so that its engine begins to listen, but it is `pending` until
 * the client has been told `subscribed`: that is said when messages come in from then on, and nothing of the
 * channel is sent before it.  It waits for one of two things:
 *
 *   the engine   the channel is new to this process: push_hub_confirm() comes, also where the server is away
 *   its turn     messages are to be replayed from an id on, and the client still reads older ones
 *
 * Nothing else is held up by it: other channels go on, and a replay begins when the last one is over.
 *
 * What is asked for before the first heartbeat is kept until then, so that a stream begins as it would have; so is
 * what comes behind a `subscribe` that somebody else is asked about (question.h).
 *
 * A WebSocket's client asks over its connection (live_command).  An event stream's client has a token, if it
 * asked for one, and whoever sends that with a request (push_hub_control) is answered there what was
 * accepted; `subscribed` and `unsubscribed` go out on the stream all the same, since they have a place among
 * its messages.
 *
 * The id that `subscribed` brings, of a channel with history, is the one from which on the client misses
 * nothing of any of its channels.  When older messages are replayed it is an older id than the client had: a
 * client that is lost in the middle of that, and comes back with it and all of its channels, may be given
 * messages of its other channels twice, and misses none.
 */
#ifndef PUSH_CORE_LIVE_H
#define PUSH_CORE_LIVE_H

#include "hub_private.h"

struct live;

/* live_destroy - NULL is allowed. */
void
live_destroy(struct live *live);

/*
 * live_command - a WebSocket's client asks for a change: `subscribe` or `unsubscribe`.
 *
 * Whatever is wrong with it is answered; the connection stays.  May close a subscriber that is slow.
 */
void
live_command(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us);

/* live_withdraw - take the client out of its `index`-th channel, and tell it `unsubscribed` with a reason.  May
 * close it. */
void
live_withdraw(struct push_subscriber *subscriber, uint32_t index, const char *why, uint64_t now_us);

/* live_bring - subscribe the client to these channels, joined by commas, as if it had asked for those that it is not
 * subscribed to; but for `except`, a list likewise.  May close it. */
void
live_bring(struct push_subscriber *subscriber, struct push_str channels, struct push_str except,
	uint64_t now_us);

/* live_is_full - what the client has asked for before its start, or behind a question, takes half of the room for that, or
 * push.channels.max channels that it has joined, left or not, were not confirmed by the engine. */
bool
live_is_full(const struct push_subscriber *subscriber);

/* live_catch_up - read on from clients whose changes have been confirmed since. */
void
live_catch_up(struct push_hub *hub);

/* live_place_of - the place of a channel among its own; subscription_count: it is none of them. */
uint32_t
live_place_of(const struct push_subscriber *subscriber, const char *name, size_t size);

/* live_end_us - when what answers have granted it (question.h) ends; UINT64_MAX: never. */
uint64_t
live_end_us(const struct push_subscriber *subscriber);

/* live_forget_end - its identity grants all that it has. */
void
live_forget_end(struct push_subscriber *subscriber);

/* live_greet - the subscriber is opening: tell it its token, if it has one. */
void
live_greet(struct push_subscriber *subscriber, uint64_t now_us);

/* live_start - the subscriber has become open: do what was asked for before.  May close it. */
void
live_start(struct push_subscriber *subscriber, uint64_t now_us);

/* live_confirmed - messages of its `index`-th channel, which is pending, come in from now on.  May close. */
void
live_confirmed(struct push_subscriber *subscriber, uint32_t index, uint64_t now_us);

/*
 * live_replay_next - it has caught up: begin the replay that waits next; nothing of it is read yet.
 *
 * Returns whether there is one, so that the subscriber is behind again.  May close it, and return false.
 */
bool
live_replay_next(struct push_subscriber *subscriber, uint64_t now_us);

#endif
