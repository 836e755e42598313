/*
 * hub_private.h - the structs that hub.c (many subscribers) and subscriber.c (one of them) share.
 *
 * Nobody else includes this.
 */
#ifndef PUSH_CORE_HUB_PRIVATE_H
#define PUSH_CORE_HUB_PRIVATE_H

#include "channel.h"
#include "describe.h"
#include "disconnect.h"
#include "history.h"
#include "hub.h"
#include "identities.h"
#include "list.h"
#include "outbox.h"
#include "question.h"
#include "memory.h"
#include "push_assert.h"
#include "subscriber.h"
#include "tokens.h"
#include "wheel.h"

#define SUBSCRIBER_MAGIC 0x50755362u /* "PuSb" */

enum subscriber_state {
	SUBSCRIBER_NEW,
	SUBSCRIBER_UNIDENTIFIED,
	SUBSCRIBER_WAITING,
	SUBSCRIBER_OPEN,
	SUBSCRIBER_CLOSING,
	SUBSCRIBER_CLOSED
};

struct subscription {
	struct push_channel *channel;
	uint32_t position;  /* in the channel's entries */
	uint32_t next : 31; /* in its history, while session.c looks for what to replay */
	/* added while the client was open, and it has not been told that messages come in (live.h) */
	uint32_t is_pending : 1;
};

/* Of several channels, or of one with history. */
struct subscription_list {
	struct push_session *session; /* owned; NULL: no channel has history */
	struct live *live;            /* owned; NULL: its channels never changed */
	uint32_t capacity;
	struct subscription items[];
};

/*
 * 120 bytes on a 64-bit machine.  The first 64, a cache line, are what a delivery and its flush touch:
 *
 *     0  magic 4, encoding, state and flags, reason and beats, flags 4, hub 8
 *    16  outbox: what waits 8, how much of it is sent 4, how much is left 4
 *    32  dirty: its place among those that have something to write 16
 *    48  transport 8, connection 8
 *    64  channels: the one, or an array of several 8, position in the one 4, how many 4
 *    80  when: heartbeat 4, pong 4, reconnect 4, end 4 (ticks of the wheel)
 *    96  timer: its place in the wheel 16, tick 4, when it began 4
 *
 * With the 64 of a direct socket's stream and 16 to 32 in the channel's array an idle client takes some 220.
 */
struct push_subscriber {
	uint32_t magic;
	uint8_t encoding : 2;  /* enum push_encoding */
	bool has_missed : 1;   /* something came in while it waited with its head out */
	uint8_t state : 4;     /* enum subscriber_state */
	bool is_told : 1;      /* the observer has been told of it, and not of its end */
	bool has_acks : 1;     /* its session has some (acks.h) */
	bool is_paused : 1;    /* the transport does not read from it (intake.h) */
	bool is_held : 1;      /* somebody has work of the client's to do (push_subscriber_hold) */
	uint8_t reason : 5;    /* enum push_close_reason, from CLOSING on */
	uint8_t beats : 3;     /* heartbeats that it was sent; BEATS_MAX: so many, or more */
	bool fills_socket : 1; /* what the kernel buffers for it is charged (pressure.h) */
	bool blocked : 1;      /* the transport calls push_subscriber_writable() */
	bool awaits_pong : 1;
	bool pong_overdue : 1; /* the grace period is over, the second look is not */
	bool asked_to_reconnect : 1;
	bool peer_closed : 1;  /* nothing of the client's is awaited any more */
	bool has_list : 1;     /* else it has one channel, or none */
	bool is_behind : 1;    /* messages of channels with history come from there (session.h) */
	bool is_replayed : 1;  /* so did some that wait */
	bool has_identity : 1; /* hub->identities knows it */
	bool is_warned : 1;    /* that its identity expires (identified.h) */
	struct push_hub *hub;
	struct push_outbox outbox;
	struct push_list dirty; /* in hub->dirty while it has something to write; blocked: see pressure.h */
	const struct push_transport *transport;
	void *connection;
	union {
		struct push_channel *channel;   /* of the only one */
		struct subscription_list *list; /* owned */
	};
	uint32_t position; /* of the only one, in the channel's entries */
	uint32_t subscription_count;
	union {
		uint32_t heartbeat;   /* a tick, as are the next three */
		uint32_t unconfirmed; /* while WAITING: how many of its channels */
	};
	uint32_t pong, reconnect, end;
	struct push_timer
		timer; /* armed for the first of them while it is open; its mark: subscriber_began_us() */
};

#define BEATS_MAX 7

_Static_assert(PUSH_CLOSE_REASON_COUNT <= 32 && PUSH_ENCODING_COUNT <= 4, "five bits, and two");
_Static_assert(sizeof(void *) != 8 || sizeof(struct push_subscriber) == 120, "the bytes above");
_Static_assert(sizeof(void *) != 8 || offsetof(struct push_subscriber, channel) == 64, "the cache line");

struct push_hub {
	const struct push_options *options;
	struct push_stats *stats;
	void (*ready)(void *context);
	void *context;
	struct push_limiter *limiter; /* NULL: nothing is limited */
	struct push_channel_map channels;
	struct push_list changed;     /* channels; used when watched */
	struct push_list unconfirmed; /* channels, as they came; used when watched */
	uint64_t change_count;        /* of those, ever */
	struct push_list
		overtaken; /* clients whose changes are ahead of that (live.h), as they were stopped */
	bool watched;
	struct push_list dirty;
	struct push_list blocked[PUSH_QUEUE_SIZE_CLASSES]; /* see pressure.h */
	struct push_list windows[PUSH_QUEUE_SIZE_CLASSES]; /* likewise */
	struct push_memory memory;
	size_t dirty_count;
	uint64_t dirty_bytes;          /* what waits for those that are dirty */
	uint64_t unflushed_deliveries; /* since the flush had its last turn */
	size_t subscriber_count;
	struct push_tokens tokens; /* of those whose channels may be changed from outside */
	struct push_wheel wheel;
	uint64_t random;
	uint64_t drain_end_us;              /* 0: not draining */
	struct push_history_store *history; /* NULL: no channel has any */
	bool numbers;                       /* it gives positions to messages itself */
	void (*fetch)(void *context, struct push_channel *channel); /* NULL: no server keeps history */
	void *fetch_context;
	size_t (*relieve)(void *context, size_t max); /* of the cached history; NULL: it is no cache */
	void *relieve_context;
	/* a client is about to join, or has joined (push_hub_set_joining); NULL: nobody has to know */
	void (*joining)(void *context, struct push_channel *channel);
	void (*joined)(void *context);
	void *joining_context;
	struct push_list ahead;        /* cursors that are ahead of what is known here, and */
	struct push_list behind_head;  /* such that may read on when the head has moved */
	uint32_t head_questions;       /* how often a server was asked for a head */
	uint32_t unanswered;           /* partitions whose head no server tells (bits) */
	struct push_hub_values values; /* of none: all are NULL */
	struct push_list durables;     /* of clients with a name (durable.h) */
	struct push_frame *heartbeats[PUSH_ENCODING_COUNT]; /* with the newest position; NULL: not made yet */
	struct push_frame *controls[PUSH_ENCODING_COUNT][PUSH_CONTROL_COUNT];
	struct push_frame *closes[PUSH_ENCODING_COUNT][PUSH_CLOSE_REASON_COUNT];
	/* NULL: clients do not publish */
	void (*publish)(
		void *context, struct push_subscriber *subscriber, const struct push_command *command);
	void *publish_context;
	/* NULL: nobody has to show who he is */
	void (*authenticate)(
		void *context, struct push_subscriber *subscriber, const struct push_command *command);
	void *authenticate_context;
	struct push_hub_asker asker; /* of channels that identities do not grant; ask is NULL: nobody */
	struct push_identities identities;
	struct push_disconnects disconnects;
	const struct push_hub_observer *observer; /* NULL: nobody */
	struct push_tracker *tracker;             /* of the message that is being delivered; NULL: none */
	struct push_buf scratch;           /* the JSON of the message that is being delivered, or its head */
	struct push_message_data composed; /* likewise, with its text (hub_compose) */
	struct push_frame *text; /* the last large one: the next message may have the same; or NULL */
};

/* hub_random_below - uniform in [0, limit]; not for secrets. */
uint64_t
hub_random_upto(struct push_hub *hub, uint64_t limit);

/* hub_obtain - the channel of that name with its history; a new one if there is none.  NULL: memory is out.
 */
struct push_channel *
hub_obtain(struct push_hub *hub, const char *name, size_t size);

/* hub_compose - make hub->composed of a message; valid until the next one. */
enum push_status PUSH_MUST_USE
hub_compose(struct push_hub *hub, const struct push_channel *channel, const char *value, size_t value_size);

/* hub_forget_idle_text - do not keep the last large text for the hub alone. */
void
hub_forget_idle_text(struct push_hub *hub);

/* hub_moved - the newest position has changed. */
void
hub_moved(struct push_hub *hub);

/* subscriber_item - one of its channels, and whether there is such a one. */
static inline bool
subscriber_item(const struct push_subscriber *subscriber, uint32_t index, struct subscription *ret)
{
	if (index >= subscriber->subscription_count)
		return false;
	*ret = subscriber->has_list ? subscriber->list->items[index]
				    : (struct subscription){.channel = subscriber->channel,
					      .position = subscriber->position};
	return true;
}

/* subscriber_is_pending - whether its `index`-th channel is one that it has not been told of yet. */
static inline bool
subscriber_is_pending(const struct push_subscriber *subscriber, uint32_t index)
{
	return subscriber->has_list && subscriber->list->items[index].is_pending;
}

/*
 * hub_hears - whether the client of a channel's entry was told that messages of the channel come in.
 *
 * Not before its first heartbeat, and of a channel that was added, not before `subscribed`: messages may come
 * in that early, of a subscription that others have, or that was there a moment ago.  A channel that is
 * confirmed is pending for nobody but who is behind.
 */
static inline bool
hub_hears(const struct push_channel *channel, uint32_t position)
{
	const struct push_channel_entry *entry = &channel->entries[position];

	return entry->subscriber->state == SUBSCRIBER_OPEN &&
	       (channel->confirmed || !subscriber_is_pending(entry->subscriber, entry->index));
}

static inline struct push_session *
subscriber_session(const struct push_subscriber *subscriber)
{
	return subscriber->has_list ? subscriber->list->session : NULL;
}

/* subscriber_withhold - a message is not given to it, or a gap not told: see hub_hears(). */
void
subscriber_withhold(struct push_subscriber *subscriber);

/* subscriber_began_us - when it started, to within a tick, which it has. */
uint64_t
subscriber_began_us(const struct push_subscriber *subscriber, uint64_t now_us);

/* subscriber_has_come_within - whether it has been open for no longer than that, as far as that is known. */
bool
subscriber_has_come_within(const struct push_subscriber *subscriber, uint64_t us, uint64_t now_us);

/* subscriber_join - put it into a channel as the `index`-th of its own; writes where to `ret`. */
enum push_status PUSH_MUST_USE
subscriber_join(struct push_subscriber *subscriber, const struct push_channel_name *name, uint32_t index,
	struct subscription *ret);

/* subscriber_leave - take it out of a channel, which goes with its last one; its own list stays as it is. */
void
subscriber_leave(struct push_subscriber *subscriber, struct push_channel *channel, uint32_t position);

/* subscriber_reserve - from now on its channels stand in a list with room for `count`. */
enum push_status PUSH_MUST_USE
subscriber_reserve(struct push_subscriber *subscriber, uint32_t count);

/* subscriber_need_session - likewise, and there is a session. */
enum push_status PUSH_MUST_USE
subscriber_need_session(struct push_subscriber *subscriber);

/* hub_mark_dirty - let the next flush write what waits for a subscriber. */
void
hub_mark_dirty(struct push_subscriber *subscriber);

/* hub_mark_clean - it has been written to, or will not be. */
void
hub_mark_clean(struct push_subscriber *subscriber);

/* hub_account - what waits for a subscriber was `bytes_before`. */
void
hub_account(struct push_subscriber *subscriber, uint32_t bytes_before);

/* subscriber_enqueue - queue a frame for an open subscriber; one that is full is closed as slow. */
void
subscriber_enqueue(struct push_subscriber *subscriber, struct push_frame *frame, uint64_t now_us);

/* subscriber_confirmed - one of its channels is; the last one starts it. */
void
subscriber_confirmed(struct push_subscriber *subscriber, uint64_t now_us);

/* subscriber_gap - tell it that it may have missed something, unless that is the last that it will hear. */
void
subscriber_gap(struct push_subscriber *subscriber, uint64_t now_us);

/* subscriber_arm - its timer, for what comes first of what it has to do. */
void
subscriber_arm(struct push_subscriber *subscriber);

/* hub_expect - a client that is open is about to join that channel. */
void
hub_expect(struct push_hub *hub, const char *name, size_t size);

/* hub_joined - one has joined what it wants for now; other clients, and this one, may be closed for it. */
static inline void
hub_joined(const struct push_hub *hub)
{
	if (hub->joined)
		hub->joined(hub->joining_context);
}

/* hub_mark_changed - let the engine know of a channel's new count. */
void
hub_mark_changed(struct push_hub *hub, struct push_channel *channel);

/* subscriber_flush - write what waits, in one write. */
void
subscriber_flush(struct push_subscriber *subscriber, uint64_t now_us);

/* subscriber_drain - ask for a reconnect at a random moment before hub->drain_end_us, close a grace later. */
void
subscriber_drain(struct push_subscriber *subscriber, uint64_t now_us);

/* subscriber_on_timer - the wheel's callback. */
void
subscriber_on_timer(struct push_timer *timer, uint64_t now_us);

#endif
