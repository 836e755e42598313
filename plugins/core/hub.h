/*
 * hub.h - who is subscribed to what, and the way of a message from a channel to the transports.
 *
 *   push_hub_deliver()                              push_hub_flush()
 *     channel ─▶ each subscriber's outbox ─▶ dirty list ─▶ one write per subscriber ─▶ transport
 *
 * A delivery only appends references to one shared frame and puts the subscriber on the dirty list.  Once the
 * turn's input is used up, the owner flushes: what waits for a subscriber goes out in one write, so a burst
 * of ten messages costs one system call per subscriber, not ten.  The flush works in slices, so that other
 * sockets are served in between.  The only call that goes up is `ready`: "there is something to flush".
 *
 * Order: per channel, each subscriber sees messages in the order of push_hub_deliver(), and nothing is left
 * out while it stays connected: one whose outbox is full is closed, never skipped.
 *
 * A connection is never freed in here.  It is marked, its transport is told to close, and the transport's
 * owner destroys the subscriber when its socket is gone, from the event loop.
 *
 * There is one thread, and time comes in as an argument, in microseconds of a monotonic clock.
 */
#ifndef PUSH_CORE_HUB_H
#define PUSH_CORE_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "position.h"
#include "stats.h"
#include "status.h"

struct push_buf;
struct push_memory;
struct push_channel;
struct push_history_rule;
struct push_hub;
struct push_grant;
struct push_identity;
struct push_tracker;

/*
 * push_hub_create - an empty hub.
 *
 * @options: borrowed, must outlive the hub and not change.
 * @stats: the hub's share of it is kept up to date; borrowed likewise.
 * @seed: random; for lifetimes and for the hash of channel names.
 * @ready: called, with `context`, when the first subscriber becomes dirty; it may neither write nor free,
 *   and has to see to it that push_hub_flush() is called soon.
 * Returns NULL when memory is out.
 */
struct push_hub *
push_hub_create(const struct push_options *options, struct push_stats *stats, uint64_t seed, uint64_t now_us,
	void (*ready)(void *context), void *context);

/* push_hub_destroy - free the hub; every subscriber must have been destroyed before. */
void
push_hub_destroy(struct push_hub *hub);

/*
 * push_hub_number - number the messages of channels with history from now on, in a new epoch (position.h).
 *
 * For an engine that is all there is; any other brings the positions with the messages.
 */
void
push_hub_number(struct push_hub *hub, uint64_t epoch);

/*
 * push_hub_deliver - give a message to all subscribers of a channel.
 *
 * @value: the message as compact JSON text (json.h).  @ttl_us: how long it may be kept; 0: as long as others.
 * Sets *ret_subscribers to their number.  Errors: PUSH_OUT_OF_MEMORY; nobody has been given anything then.
 */
enum push_status PUSH_MUST_USE
push_hub_deliver(struct push_hub *hub, const char *channel, size_t channel_size, const char *value,
	size_t value_size, uint64_t ttl_us, uint64_t now_us, uint64_t *ret_subscribers);

/* push_hub_track - let a tracker (tracker.h) follow what is delivered from now on; NULL: nobody. */
void
push_hub_track(struct push_hub *hub, struct push_tracker *tracker);

/* push_hub_is_tracked - whether somebody does. */
bool
push_hub_is_tracked(const struct push_hub *hub);

struct push_limiter;
struct push_command;
struct push_subscriber;

/* push_hub_limit - what clients send and subscribe to is limited from now on; borrowed; NULL: it is not. */
void
push_hub_limit(struct push_hub *hub, struct push_limiter *limiter);

/*
 * push_hub_let_publish - WebSocket clients may publish from now on.
 *
 * @publish: called with each command; push_subscriber_tell() answers, then or later.
 */
void
push_hub_let_publish(struct push_hub *hub,
	void (*publish)(
		void *context, struct push_subscriber *subscriber, const struct push_command *command),
	void *context);

/* What is asked of the history of a channel.  All texts are borrowed. */
struct push_reading {
	const char *channel; /* a valid name */
	size_t channel_size;
	const char *since; /* an id; NULL: all that there is */
	size_t since_size;
	unsigned int limit; /* 1 to PUSH_READ_MESSAGES_MAX */
};

/*
 * push_hub_read - append what is kept of a channel, behind the message with an id, as
 *   {"channel":c,"messages":[{"message":m,"id":i},...],"missed":0,"id":i,"more":false}
 *
 * `missed`: how many messages behind `since` are gone, or "unknown", where it is not known, or `since` is no
 * id of this broker's; all that there is follows then.  `id` is where to read on, `more`: whether there is
 * something yet.  For a hub that numbers messages itself.
 * Errors: PUSH_NOT_FOUND: the channel has no history; PUSH_INVALID: `since` is no id; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_hub_read(struct push_hub *hub, const struct push_reading *reading, uint64_t now_us, struct push_buf *to);

/* push_hub_flush - write what waits, for at most `max` subscribers.  Returns true if more wait. */
bool
push_hub_flush(struct push_hub *hub, uint64_t now_us, unsigned int max);

/*
 * push_hub_is_behind - whether messages come faster than they can be written.
 *
 * Publishers should wait then, as far as they can be made to; nobody whose socket takes what it is given is
 * closed for it (subscriber_enqueue).  Holds until push_hub_flush() has caught up.
 */
bool
push_hub_is_behind(const struct push_hub *hub);

/* push_hub_tick - do what is due by the clock, for at most `max` subscribers.  Returns true if more is due.
 */
bool
push_hub_tick(struct push_hub *hub, uint64_t now_us, unsigned int max);

/* push_hub_memory - what is charged by the hub and by all around it; borrowed.  Its budget is for the owner
 * to set. */
struct push_memory *
push_hub_memory(struct push_hub *hub);

/*
 * push_hub_relieve_queues - while memory is short, close the slow clients with the largest queues: at most
 * `max`.  Returns their number.
 */
size_t
push_hub_relieve_queues(struct push_hub *hub, uint64_t now_us, size_t max);

/* push_hub_relieve_history - likewise drop the oldest messages that are kept.  Returns their number. */
size_t
push_hub_relieve_history(struct push_hub *hub, size_t max);

/*
 * push_hub_drain - ask every client to reconnect elsewhere, each at a random moment, and close it a grace
 * period later; all of it within push.drain.duration, or within the grace period where that is longer.
 *
 * Subscribers that still come are asked at once.
 */
void
push_hub_drain(struct push_hub *hub, uint64_t now_us);

/*
 * What an engine with a server behind it needs (broker/engine.h).
 *
 * push_hub_watch - from now on keep account of channels whose number of subscribers changes, and let a
 * subscriber of a new channel wait for push_hub_confirm(): its first heartbeat says that it misses nothing
 * from then on.  `ready` of push_hub_create() is called for changes, too.  To be called before the first
 * subscriber comes.
 *
 * @upstream_bytes: what channel->upstream points to, for each channel; 0 at first.
 */
void
push_hub_watch(struct push_hub *hub, size_t upstream_bytes);

/*
 * push_hub_set_joining - for an engine that can count clients at once.
 *
 * @before: called before a client of others joins a channel that is confirmed: what was published until then is to be
 * delivered, since it is not for that.  @after: called behind that, and before a client that is new starts: whoever is
 * confirmed now need not wait.
 */
void
push_hub_set_joining(struct push_hub *hub, void (*before)(void *context, struct push_channel *channel),
	void (*after)(void *context), void *context);

/*
 * push_hub_next_changed - a channel that has changed since it was last taken; NULL: no more.
 *
 * Borrowed.  Unless channel->held is set it is gone with its last subscriber.
 */
struct push_channel *
push_hub_next_changed(struct push_hub *hub);

/* push_hub_hold - a channel of the engine's own, without subscribers.  NULL when memory is out. */
struct push_channel *
push_hub_hold(struct push_hub *hub, const char *name, size_t size);

/* push_hub_release - no longer hold a channel. */
void
push_hub_release(struct push_hub *hub, struct push_channel *channel);

/* push_hub_each_channel - call for each channel that there is; it may close clients, and must neither hold nor release
 * channels.  O(channels); rare. */
void
push_hub_each_channel(
	struct push_hub *hub, void (*step)(void *context, struct push_channel *channel), void *context);

/* push_hub_find - a channel by name, borrowed; NULL if there is none. */
struct push_channel *
push_hub_find(struct push_hub *hub, const char *name, size_t size);

/* push_hub_deliver_to - as push_hub_deliver(), to a channel that was found. */
enum push_status PUSH_MUST_USE
push_hub_deliver_to(struct push_hub *hub, struct push_channel *channel, const char *value, size_t value_size,
	uint64_t now_us);

/*
 * push_hub_confirm - messages of the channel come in from now on, or nobody shall wait for that.
 *
 * @gap: some may have been missed before; those who listened are told, in front of whatever comes next.
 */
void
push_hub_confirm(struct push_hub *hub, struct push_channel *channel, bool gap, uint64_t now_us);

/*
 * push_hub_missed_elsewhere - another node may have missed messages, for the last `us`.
 *
 * Clients that have come here since then may have been its own before, and are told a gap where one of their
 * channels has no history.  O(subscriptions); rare.
 */
void
push_hub_missed_elsewhere(struct push_hub *hub, uint64_t us, uint64_t now_us);

/*
 * History upstream: a server keeps it, and its engine tells the hub what the server says (history.h).
 *
 *   push_hub_set_upstream     once, before the first subscriber
 *   push_hub_unsettle         a channel's subscription begins, or begins again
 *   push_hub_deliver_kept     a message with its position
 *   push_hub_fetched ...      the messages of an answer, the newest first, then one of
 *   push_hub_settle             ... where the channel stands: those behind the last one that was known
 *   push_hub_extend             ... those before the first one
 *   push_hub_extend_none        ... these cannot be had
 *   push_hub_fetch_lost         ... there is no answer
 *   push_hub_give_up            ... it cannot be known: a gap
 *   push_hub_hold_back        messages of a partition may have been missed
 *   push_hub_catch_up         all of its channels are settled again
 *   push_hub_move_head        everything that was published up to there has been delivered
 *
 * A message's value may be anything that a server brings, as long as it is compact JSON.
 */
struct push_kept {
	struct push_position at;
	struct push_position before; /* of the channel's message before it; used when it is delivered */
	const char *value;
	size_t value_size;
	uint64_t ttl_us; /* the message's own; 0: none */
	uint64_t age_us; /* since it was published */
};

/*
 * push_hub_set_upstream - let a server keep the history.
 *
 * @fetch: called for a channel of which a client needs older messages; push_hub_extend() or
 * push_hub_give_up() follows.  Not called again for it before that.
 */
void
push_hub_set_upstream(struct push_hub *hub, unsigned int partition_count,
	void (*fetch)(void *context, struct push_channel *channel), void *context);

/*
 * push_hub_cache_history - the server is memory of this machine: what the hub has of it is a cache.
 *
 * Behind push_hub_set_upstream().  The cache is no history in figures.  Each answer has exact figures
 * (push_fetch_end), so that it is known how many messages are missed, as where the hub keeps them itself.
 * @bytes_max: of the cache, but for what replays have asked for lately.
 * @relieve: drop up to `max` of the oldest messages while push_memory_gives(); returns how many.
 * Errors: PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_hub_cache_history(struct push_hub *hub, uint64_t bytes_max, size_t (*relieve)(void *context, size_t max),
	void *context);

/* push_hub_trim_history - of a cache, about once a second. */
void
push_hub_trim_history(struct push_hub *hub);

/* push_hub_set_history_figures - of a cached history, for metrics; `dropped` more have left it for want of room. */
void
push_hub_set_history_figures(struct push_hub *hub, uint64_t messages, uint64_t bytes, uint64_t dropped);

/* push_hub_keeps - whether a channel of that name has history; what holds for it is borrowed. */
const struct push_history_rule *
push_hub_keeps(const struct push_hub *hub, const char *channel, size_t size);

bool
push_hub_has_history(const struct push_hub *hub);

/* push_hub_partition - of a channel with history. */
unsigned int
push_hub_partition(const struct push_hub *hub, const char *channel, size_t size);

void
push_hub_unsettle(struct push_channel *channel);

/*
 * Errors: PUSH_UNCERTAIN when the channel has had messages in between that did not come here: nobody was
 * given this one, and the engine has to hold the partition back and to ask where the channel stands;
 * PUSH_OUT_OF_MEMORY: likewise.
 */
enum push_status PUSH_MUST_USE
push_hub_deliver_kept(
	struct push_hub *hub, struct push_channel *channel, const struct push_kept *kept, uint64_t now_us);

/* Errors: PUSH_OUT_OF_MEMORY; the answer is no use then. */
enum push_status PUSH_MUST_USE
push_hub_fetched(
	struct push_hub *hub, struct push_channel *channel, const struct push_kept *kept, uint64_t now_us);

/* What an answer says beside messages (history.h, "upstream"). */
struct push_fetch_end {
	struct push_position after, upstream, head; /* head: the newest of the partition */
	struct push_position
		before; /* of those before the first one: the window's `after` when it was asked */
	/* Where the history is cached: since when it is known, and how many messages there were since. */
	struct push_position known_since, created;
	uint64_t total;
	bool is_doubtful; /* some may have been lost that nobody has counted */
};

/*
 * Returns false where the server has to be asked again, since not all that was published meanwhile has come.
 */
bool
push_hub_settle(struct push_hub *hub, struct push_channel *channel, const struct push_fetch_end *end,
	uint64_t now_us);

void
push_hub_extend(struct push_channel *channel, const struct push_fetch_end *end);

/* push_hub_extend_none - what is older cannot be had: who needs it has a gap. */
void
push_hub_extend_none(struct push_channel *channel);

/* push_hub_fetch_lost - what was asked for will not come: whoever needs it asks again. */
void
push_hub_fetch_lost(struct push_channel *channel);

/* push_hub_give_up - all that was before what is pending, or what comes, counts as missed. */
void
push_hub_give_up(struct push_hub *hub, struct push_channel *channel, uint64_t now_us);

void
push_hub_hold_back(struct push_hub *hub, unsigned int partition);

void
push_hub_catch_up(struct push_hub *hub, unsigned int partition, uint64_t now_us);

void
push_hub_move_head(struct push_hub *hub, unsigned int partition, struct push_position at);

/* push_hub_ask_head - a server is about to be asked where a partition's head is.  Returns the question's
 * number. */
uint32_t
push_hub_ask_head(struct push_hub *hub);

/*
 * push_hub_head_is - it has answered that question: no number behind `at` had been given out by then.
 *
 * A client that came before the question with an id behind that has an id that is none.
 */
void
push_hub_head_is(struct push_hub *hub, unsigned int partition, struct push_position at, uint32_t question);

/* push_hub_knows_head - whether anything is known of a partition: without it clients have no position. */
bool
push_hub_knows_head(const struct push_hub *hub, unsigned int partition);

/* push_hub_is_at_head - whether all that a channel is known to have had has come: who begins now misses
 * nothing of it, and is not given anything that was before. */
bool
push_hub_is_at_head(const struct push_hub *hub, const struct push_channel *channel);

/* push_hub_awaits_head - whether clients wait for the head to move. */
bool
push_hub_awaits_head(const struct push_hub *hub);

/* push_hub_is_ahead - whether some of them come with an id of more than is known here. */
bool
push_hub_is_ahead(const struct push_hub *hub);

/* push_hub_waits_long - whether clients have waited for this partition's head for seconds.  The engine knows
 * whether it is late or cannot come; then it holds the partition back, asks where each channel stands, and
 * catches up.  O(those that wait). */
bool
push_hub_waits_long(const struct push_hub *hub, unsigned int partition, uint64_t now_us);

/* push_hub_is_unanswered - whether no server tells the partition's head, and none will.  Clients that are
 * ahead then begin, after some seconds, as those with an id that is none. */
void
push_hub_is_unanswered(struct push_hub *hub, unsigned int partition, bool is_unanswered);

/*
 * Small values that a broker keeps by name, for positions of clients with a name (acks_request.h).
 *
 * `done` is called once for each, before the call returns or later, in the event loop's thread.
 * @status: PUSH_OK; PUSH_NOT_FOUND, of `get`; anything else: the broker cannot say, or may not have kept it.
 * @value: what was asked for, borrowed until the function returns.
 */
typedef void (*push_hub_value_fn)(
	void *done_context, enum push_status status, const char *value, size_t value_size);

struct push_hub_values {
	void (*get)(void *context, const char *name, size_t name_size, push_hub_value_fn done,
		void *done_context);
	/* @ttl_us: how long it is kept. */
	void (*put)(void *context, const char *name, size_t name_size, const char *value, size_t value_size,
		uint64_t ttl_us, push_hub_value_fn done, void *done_context);
	void *context;
};

/* push_hub_set_values - where they are kept; copied.  Without that a client with a name is refused. */
void
push_hub_set_values(struct push_hub *hub, const struct push_hub_values *values);

/*
 * push_hub_control - change the channels of the event stream that has this token.
 *
 * @body: `{"subscribe":["a"],"unsubscribe":["b"]}`, of which one may be missing; what is to be left is left
 * first, so that its place can be taken.  An `id` is where to begin, of channels with history (live.h).
 * Appends `{"subscribed":["a"],"unsubscribed":["b"],"errors":[{"channel":"c","error":"text"}]}`; the stream
 * itself says when messages of a channel come in.
 * @grant: what was answered where push_hub_control_asks(); NULL: nobody was asked.
 * Errors: PUSH_NOT_FOUND: nobody has that token; PUSH_INVALID, with what is wrong in `error`;
 * PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_hub_control(struct push_hub *hub, const char *token, size_t token_size, const char *body,
	size_t body_size, const struct push_grant *grant, uint64_t now_us, struct push_buf *answer,
	struct push_error *error);

/* push_hub_find_stream - the open event stream that has this token, borrowed; NULL: none has. */
struct push_subscriber *
push_hub_find_stream(struct push_hub *hub, const char *token, size_t token_size);

/* push_hub_subscriber_count - connections, those that are being closed included. */
size_t
push_hub_subscriber_count(const struct push_hub *hub);

#endif
