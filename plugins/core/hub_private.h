/*
 * hub_private.h - the structs that hub.c (many subscribers) and subscriber.c (one of them) share.
 *
 * Nobody else includes this.
 */
#ifndef PUSH_CORE_HUB_PRIVATE_H
#define PUSH_CORE_HUB_PRIVATE_H

#include "channel.h"
#include "hub.h"
#include "list.h"
#include "outbox.h"
#include "push_assert.h"
#include "subscriber.h"
#include "wheel.h"

#define SUBSCRIBER_MAGIC 0x50755362u /* "PuSb" */

enum subscriber_state { SUBSCRIBER_NEW, SUBSCRIBER_OPEN, SUBSCRIBER_CLOSING, SUBSCRIBER_CLOSED };

struct subscription {
	struct push_channel *channel;
	uint32_t position; /* in the channel's entries */
};

/* About 200 bytes, in the order in which a delivery and its flush touch them. */
struct push_subscriber {
	uint32_t magic;
	uint8_t encoding; /* enum push_encoding */
	uint8_t state;    /* enum subscriber_state */
	uint8_t reason;   /* enum push_close_reason, from CLOSING on */
	bool blocked : 1; /* the transport calls push_subscriber_writable() */
	bool awaits_pong : 1;
	bool pong_overdue : 1; /* the grace period is over, the second look is not */
	bool asked_to_reconnect : 1;
	struct push_hub *hub;
	struct push_outbox outbox;
	struct push_list dirty; /* in hub->dirty while it has something to write and is not blocked */
	const struct push_transport *transport;
	void *connection;
	struct subscription *subscriptions;
	uint32_t subscription_count;
	struct push_timer timer; /* armed for the first of the times below */
	uint64_t heartbeat_us, pong_us, reconnect_us, end_us;
	struct push_list all; /* in hub->all */
};

struct push_hub {
	const struct push_options *options;
	struct push_stats *stats;
	void (*ready)(void *context);
	void *context;
	struct push_channel_map channels;
	struct push_list all, dirty;
	size_t subscriber_count;
	struct push_wheel wheel;
	uint64_t random;
	uint64_t drain_end_us; /* 0: not draining */
	struct push_frame *controls[PUSH_ENCODING_COUNT][PUSH_CONTROL_COUNT];
	struct push_frame *closes[PUSH_ENCODING_COUNT][PUSH_CLOSE_REASON_COUNT];
	struct push_buf scratch; /* the JSON of the message that is being delivered */
};

/* hub_random_below - uniform in [0, limit]; not for secrets. */
uint64_t
hub_random_upto(struct push_hub *hub, uint64_t limit);

/* hub_mark_dirty - let the next flush write what waits for a subscriber. */
void
hub_mark_dirty(struct push_subscriber *subscriber);

/* subscriber_enqueue - queue a frame for an open subscriber; one that is full is closed as slow. */
void
subscriber_enqueue(struct push_subscriber *subscriber, struct push_frame *frame, uint64_t now_us);

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
