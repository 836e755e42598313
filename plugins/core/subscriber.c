/*
 * subscriber.c - see subscriber.h.
 *
 * One timer per subscriber, armed for whatever comes first: the next heartbeat, the end of the time to answer
 * one, the request to reconnect, the end, and what acks have to do (acks_next_due).  An answer does not move
 * the timer, which would cost something with every message; it fires, finds that nothing is due, and is armed
 * again.
 */
#include <stdlib.h>
#include <string.h>

#include "acks.h"
#include "limiter.h"
#include "hub_private.h"
#include "identified.h"
#include "intake.h"
#include "limits.h"
#include "live.h"
#include "pressure.h"
#include "session.h"

struct push_subscriber *
push_subscriber_create(struct push_hub *hub, enum push_encoding encoding,
	const struct push_transport *transport, void *connection)
{
	struct push_subscriber *subscriber = calloc(1, sizeof(*subscriber));

	if (!subscriber)
		return NULL;
	subscriber->magic = SUBSCRIBER_MAGIC;
	subscriber->encoding = (unsigned int)encoding & 3u;
	subscriber->state = SUBSCRIBER_NEW;
	subscriber->reason = PUSH_CLOSE_CLIENT;
	subscriber->hub = hub;
	subscriber->transport = transport;
	subscriber->connection = connection;
	push_outbox_init(&subscriber->outbox);
	push_list_init(&subscriber->dirty);
	push_timer_init(&subscriber->timer);
	hub->subscriber_count++;
	hub->stats->by_encoding[encoding].connections++;
	hub->stats->by_encoding[encoding].connections_total++;
	return subscriber;
}

/* Where an entry of a channel says that the subscriber's position in it is kept. */
static uint32_t *
position_of(struct push_subscriber *subscriber, uint32_t index)
{
	return subscriber->has_list ? &subscriber->list->items[index].position : &subscriber->position;
}

/* The last entry of the channel takes the place of the one that leaves. */
void
subscriber_leave(struct push_subscriber *subscriber, struct push_channel *channel, uint32_t position)
{
	struct push_hub *hub = subscriber->hub;
	struct push_channel_entry last = channel->entries[--channel->count];

	if (position < channel->count) {
		channel->entries[position] = last;
		*position_of(last.subscriber, last.index) = position;
	}
	channel->count_by_encoding[subscriber->encoding]--;
	hub->stats->subscriptions--;
	hub_mark_changed(hub, channel);
	if (!channel->count)
		hub->stats->channels--;
	push_channel_map_release(&hub->channels, channel);
}

static void
unsubscribe_all(struct push_subscriber *subscriber)
{
	struct subscription item;

	for (uint32_t i = 0; subscriber_item(subscriber, i, &item); i++)
		subscriber_leave(subscriber, item.channel, item.position);
	if (subscriber->has_list) {
		session_destroy(subscriber->list->session);
		live_destroy(subscriber->list->live);
		free(subscriber->list);
	}
	subscriber->has_list = false;
	subscriber->has_acks = false;
	subscriber->is_behind = false;
	subscriber->channel = NULL;
	subscriber->subscription_count = 0;
}

static bool
has_clients(struct push_hub *hub, const struct push_channel_name *name)
{
	const struct push_channel *channel = push_hub_find(hub, name->text, name->size);

	return channel && channel->count;
}

/* There are as many as there may be.  Returns false, unless nothing is refused. */
static bool
refuse_channel(struct push_hub *hub)
{
	if (hub->options->limit_dry_run) {
		hub->stats->limits_dry[PUSH_LIMIT_CHANNELS_TOTAL]++;
		return true;
	}
	hub->stats->limited[PUSH_LIMIT_CHANNELS_TOTAL]++;
	hub->stats->channels_refused++;
	return false;
}

enum push_status
subscriber_join(struct push_subscriber *subscriber, const struct push_channel_name *name, uint32_t index,
	struct subscription *ret)
{
	struct push_hub *hub = subscriber->hub;
	struct push_channel *channel;

	if (hub->stats->channels >= hub->options->channels_total_max && !has_clients(hub, name) &&
		!refuse_channel(hub))
		return PUSH_TOO_MANY;
	channel = hub_obtain(hub, name->text, name->size);
	if (!channel)
		return PUSH_OUT_OF_MEMORY;
	if (push_channel_reserve(&hub->channels, channel) != PUSH_OK) {
		push_channel_map_release(&hub->channels, channel);
		return PUSH_OUT_OF_MEMORY;
	}
	*ret = (struct subscription){.channel = channel, .position = channel->count};
	channel->entries[channel->count++] = (struct push_channel_entry){subscriber, index};
	channel->count_by_encoding[subscriber->encoding]++;
	hub->stats->subscriptions++;
	hub_mark_changed(hub, channel);
	if (channel->count == 1)
		hub->stats->channels++;
	return PUSH_OK;
}

/* Nothing of it is visible before all of it is done. */
static enum push_status
join_all(
	struct push_subscriber *subscriber, const struct push_channels *channels, struct subscription *places)
{
	for (uint32_t i = 0; i < channels->count; i++) {
		enum push_status status = subscriber_join(subscriber, &channels->names[i], i, &places[i]);

		if (status == PUSH_OK)
			continue;
		while (i-- > 0)
			subscriber_leave(subscriber, places[i].channel, places[i].position);
		return status;
	}
	return PUSH_OK;
}

static struct subscription_list *
create_list(size_t capacity)
{
	struct subscription_list *list = calloc(1, sizeof(*list) + capacity * sizeof(list->items[0]));

	if (list)
		list->capacity = (uint32_t)capacity;
	return list;
}

/* Makes a list of the one channel, or none. */
static enum push_status
need_list(struct push_subscriber *subscriber, uint32_t capacity)
{
	struct subscription_list *list = create_list(capacity);

	if (!list)
		return PUSH_OUT_OF_MEMORY;
	(void)subscriber_item(subscriber, 0, &list->items[0]);
	subscriber->list = list;
	subscriber->has_list = true;
	return PUSH_OK;
}

enum push_status
subscriber_reserve(struct push_subscriber *subscriber, uint32_t count)
{
	struct subscription_list *list;
	uint32_t capacity;

	if (!subscriber->has_list)
		return need_list(subscriber, count);
	capacity = subscriber->list->capacity;
	if (count <= capacity)
		return PUSH_OK;
	capacity = count > 2 * capacity ? count : 2 * capacity;
	if (subscriber->list->session && session_reserve(subscriber, capacity) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	list = realloc(subscriber->list, sizeof(*list) + capacity * sizeof(list->items[0]));
	if (!list)
		return PUSH_OUT_OF_MEMORY;
	list->capacity = capacity;
	subscriber->list = list;
	return PUSH_OK;
}

enum push_status
subscriber_need_session(struct push_subscriber *subscriber)
{
	struct subscription_list *list;

	if (!subscriber->has_list && need_list(subscriber, 1) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	list = subscriber->list;
	if (!list->session)
		list->session = session_create(subscriber->hub);
	return list->session ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

static bool
has_history(const struct push_subscriber *subscriber)
{
	struct subscription item;

	for (uint32_t i = 0; subscriber_item(subscriber, i, &item); i++)
		if (item.channel->history)
			return true;
	return false;
}

enum push_status
push_subscriber_subscribe(struct push_subscriber *subscriber, const struct push_channels *channels)
{
	struct subscription only;
	struct subscription_list *list = NULL;
	enum push_status status;

	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC && subscriber->state == SUBSCRIBER_NEW);
	PUSH_ASSERT(!subscriber->subscription_count && channels->count > 0);
	if (channels->count > 1 && !(list = create_list(channels->count)))
		return PUSH_OUT_OF_MEMORY;
	/* the channels' entries say where in the list they stand, so that it has to be known by then */
	subscriber->has_list = list;
	if (list)
		subscriber->list = list;
	status = join_all(subscriber, channels, list ? list->items : &only);
	if (status != PUSH_OK) {
		free(list);
		subscriber->has_list = false;
		subscriber->channel = NULL;
		return status;
	}
	subscriber->subscription_count = (uint32_t)channels->count;
	if (!list) {
		subscriber->channel = only.channel;
		subscriber->position = only.position;
	}
	if (has_history(subscriber) && subscriber_need_session(subscriber) != PUSH_OK) {
		unsubscribe_all(subscriber);
		return PUSH_OUT_OF_MEMORY;
	}
	/* it gets nothing before it starts */
	hub_joined(subscriber->hub);
	return PUSH_OK;
}

enum push_status
push_subscriber_resume(struct push_subscriber *subscriber, const char *id, size_t size)
{
	enum push_status status;

	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC && subscriber->state == SUBSCRIBER_NEW);
	if (!subscriber->hub->history || !subscriber->subscription_count)
		return PUSH_OK;
	status = subscriber_need_session(subscriber);
	return status == PUSH_OK ? session_ask(subscriber, id, size) : status;
}

enum push_status
push_subscriber_acknowledge(struct push_subscriber *subscriber, const struct push_acks_request *request)
{
	struct push_session *session;

	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC && subscriber->state == SUBSCRIBER_NEW);
	if (!request->is_wanted || !subscriber->hub->history || !subscriber->subscription_count)
		return PUSH_OK;
	if (subscriber_need_session(subscriber) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	session = subscriber->list->session;
	PUSH_ASSERT(!session->acks);
	session->acks = acks_create(subscriber, request->client);
	subscriber->has_acks = session->acks;
	return session->acks ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

void
subscriber_arm(struct push_subscriber *subscriber)
{
	uint32_t due = subscriber->end;

	if (subscriber->state == SUBSCRIBER_OPEN) {
		if (!subscriber->asked_to_reconnect && push_tick_is_before(subscriber->reconnect, due))
			due = subscriber->reconnect;
		if (push_tick_is_before(subscriber->heartbeat, due))
			due = subscriber->heartbeat;
		if (subscriber->awaits_pong && push_tick_is_before(subscriber->pong, due))
			due = subscriber->pong;
		if (subscriber->has_acks)
			due = acks_next_due(subscriber, due);
		if (subscriber->has_identity)
			due = identified_next_due(subscriber, due);
	}
	push_wheel_arm_tick(&subscriber->hub->wheel, &subscriber->timer, due);
}

static bool
is_due(uint32_t tick, uint64_t now_us)
{
	return !push_tick_is_before(push_tick_now(now_us), tick);
}

static void
send_control(struct push_subscriber *subscriber, enum push_control control, uint64_t now_us)
{
	struct push_frame *frame = subscriber->hub->controls[subscriber->encoding][control];

	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
}

/* Of several pings the first that is not answered counts, so that a short interval does not excuse silence.
 */
static void
send_heartbeat(struct push_subscriber *subscriber, uint64_t now_us)
{
	uint64_t interval_us = subscriber->hub->options->heartbeat_us;
	struct push_frame *frame;

	if (subscriber->beats < BEATS_MAX)
		subscriber->beats++;
	/* from when it was due, or the ticks' delays would add up; after a halt it is not caught up on */
	subscriber->heartbeat += push_tick_at(interval_us);
	if (is_due(subscriber->heartbeat, now_us))
		subscriber->heartbeat = push_tick_at(now_us + interval_us);
	if (push_encoding_has_answers((enum push_encoding)subscriber->encoding) && !subscriber->awaits_pong) {
		subscriber->awaits_pong = true;
		subscriber->pong = push_tick_at(now_us + subscriber->hub->options->grace_us);
	}
	frame = subscriber_session(subscriber) ? session_heartbeat(subscriber) : NULL;
	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
	else if (subscriber_session(subscriber) && !subscriber_session(subscriber)->is_announced)
		/* without its first position it would come back as one that has missed nothing */
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
	else
		send_control(subscriber, PUSH_CONTROL_HEARTBEAT, now_us);
	push_frame_unref(frame);
}

uint64_t
subscriber_began_us(const struct push_subscriber *subscriber, uint64_t now_us)
{
	uint64_t age_us = (uint64_t)(push_tick_now(now_us) - subscriber->timer.mark) * PUSH_TICK_US;

	return age_us < now_us ? now_us - age_us : 0;
}

/* Each heartbeat has moved the next one by an interval; after a halt it seems to have come later than it has.
 */
bool
subscriber_has_come_within(const struct push_subscriber *subscriber, uint64_t us, uint64_t now_us)
{
	uint32_t interval = push_tick_at(subscriber->hub->options->heartbeat_us);
	uint32_t came = subscriber->heartbeat - subscriber->beats * interval;
	uint32_t from = push_tick_now(now_us > us ? now_us - us : 0);

	if (subscriber->state != SUBSCRIBER_OPEN)
		return false;
	/* it may have come at any time before so many intervals */
	if (subscriber->beats == BEATS_MAX)
		return us >= (BEATS_MAX - 1) * subscriber->hub->options->heartbeat_us;
	return !push_tick_is_before(came, from);
}

enum push_status
push_subscriber_greet(struct push_subscriber *subscriber, const void *bytes, size_t size)
{
	struct push_frame *frame = push_frame_create(size, 0);
	enum push_status status;

	PUSH_ASSERT(subscriber->state == SUBSCRIBER_NEW && push_outbox_is_empty(&subscriber->outbox));
	if (!frame)
		return PUSH_OUT_OF_MEMORY;
	push_frame_charge(frame, &subscriber->hub->memory.accounts[PUSH_MEMORY_QUEUES]);
	memcpy(frame->bytes, bytes, size);
	status = push_outbox_push(&subscriber->outbox, frame, SIZE_MAX);
	push_frame_unref(frame);
	if (status != PUSH_OK)
		return status;
	hub_account(subscriber, 0);
	hub_mark_dirty(subscriber);
	return PUSH_OK;
}

static void
start(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_hub *hub = subscriber->hub;
	const struct push_options *options = hub->options;
	uint64_t end_us;

	subscriber->state = SUBSCRIBER_OPEN;
	subscriber->is_behind = false;
	if (subscriber->has_identity && identified_has_ended(subscriber, now_us))
		return;
	end_us = now_us + options->lifetime_min_us +
		 hub_random_upto(hub, options->lifetime_max_us - options->lifetime_min_us);
	subscriber->end = push_tick_at(end_us);
	subscriber->reconnect = push_tick_at(end_us - options->grace_us);
	subscriber->heartbeat = push_tick_at(now_us);
	/* the first heartbeat tells the client where it stands, so that comes first; what it missed, behind
	 */
	if (subscriber_session(subscriber))
		session_start(subscriber, now_us);
	live_greet(subscriber, now_us);
	send_heartbeat(subscriber, now_us);
	if (subscriber->has_missed)
		subscriber_gap(subscriber, now_us);
	subscriber->has_missed = false;
	if (subscriber->is_behind && subscriber->state == SUBSCRIBER_OPEN)
		session_begin(subscriber, now_us);
	if (hub->drain_end_us)
		subscriber_drain(subscriber, now_us);
	else if (subscriber->state == SUBSCRIBER_OPEN)
		subscriber_arm(subscriber);
	live_start(subscriber, now_us);
	session_resume_next(subscriber, now_us);
}

static uint32_t
count_unconfirmed(const struct push_subscriber *subscriber)
{
	struct subscription item;
	uint32_t count = 0;

	for (uint32_t i = 0; subscriber_item(subscriber, i, &item); i++)
		count += !item.channel->confirmed;
	return count;
}

/* What is published of channels with history until it starts is read from there, or is before its position:
 * given now it would come twice. */
static void
wait_for_start(struct push_subscriber *subscriber)
{
	subscriber->state = SUBSCRIBER_WAITING;
	subscriber->is_behind = subscriber_session(subscriber);
}

static void
tell_opened(struct push_subscriber *subscriber)
{
	const struct push_hub_observer *observer = subscriber->hub->observer;

	subscriber->is_told = true;
	if (observer)
		observer->opened(observer->context, subscriber);
}

void
push_subscriber_gone(struct push_subscriber *subscriber)
{
	const struct push_hub_observer *observer = subscriber->hub->observer;

	if (!subscriber->is_told)
		return;
	subscriber->is_told = false;
	if (observer)
		observer->closed(observer->context, subscriber);
}

bool
push_subscriber_will_wait(const struct push_subscriber *subscriber)
{
	PUSH_ASSERT(subscriber->state == SUBSCRIBER_NEW);
	return (subscriber->has_acks && subscriber->list->session->acks->durable) ||
	       count_unconfirmed(subscriber);
}

/* While it waits its timer is armed for the end of that. */
static bool
is_head_kept(const struct push_subscriber *subscriber)
{
	return subscriber->state == SUBSCRIBER_WAITING && push_timer_is_armed(&subscriber->timer);
}

/*
 * A client takes the head of its response for the moment from which on it misses nothing, so that goes out
 * when that is true, with the first heartbeat.  A WebSocket that has been greeted by somebody else keeps
 * nothing.
 */
static void
keep_head(struct push_subscriber *subscriber, uint64_t now_us)
{
	if (subscriber->encoding != PUSH_ENCODING_SSE && push_outbox_is_empty(&subscriber->outbox))
		return;
	push_wheel_arm_tick(&subscriber->hub->wheel, &subscriber->timer,
		push_tick_at(now_us + subscriber->hub->options->redis_timeout_us));
}

/* A client that has its head counts as one that is there; with history it reads what it missed. */
void
subscriber_withhold(struct push_subscriber *subscriber)
{
	if (subscriber->state == SUBSCRIBER_WAITING && !is_head_kept(subscriber))
		subscriber->has_missed = true;
}

/* The broker does not answer: the client is not to wait for its head any longer. */
static void
let_head_go(struct push_subscriber *subscriber)
{
	push_timer_disarm(&subscriber->timer);
	if (subscriber->transport->begin)
		subscriber->transport->begin(subscriber->connection);
	hub_mark_dirty(subscriber);
}

void
push_subscriber_start(struct push_subscriber *subscriber, uint64_t now_us)
{
	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC && subscriber->state == SUBSCRIBER_NEW);
	tell_opened(subscriber);
	subscriber->timer.mark = push_tick_now(now_us);
	subscriber->unconfirmed = count_unconfirmed(subscriber);
	if (subscriber->has_acks && subscriber->list->session->acks->durable) {
		wait_for_start(subscriber);
		subscriber->unconfirmed++;
		durable_fetch(subscriber->list->session->acks->durable, now_us);
	} else if (subscriber->unconfirmed) {
		wait_for_start(subscriber);
	} else {
		start(subscriber, now_us);
	}
	if (subscriber->state != SUBSCRIBER_WAITING)
		return;
	/* what comes in meanwhile is read from history with the rest, not given to it twice */
	subscriber->is_behind = subscriber_session(subscriber) && subscriber_session(subscriber)->cursor;
	keep_head(subscriber, now_us);
}

void
subscriber_confirmed(struct push_subscriber *subscriber, uint64_t now_us)
{
	PUSH_ASSERT(subscriber->state == SUBSCRIBER_WAITING && subscriber->unconfirmed > 0);
	if (--subscriber->unconfirmed == 0)
		start(subscriber, now_us);
}

void
subscriber_gap(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_frame *gap = subscriber->hub->controls[subscriber->encoding][PUSH_CONTROL_GAP];

	if (gap && push_outbox_last(&subscriber->outbox) != gap)
		subscriber_enqueue(subscriber, gap, now_us);
}

void
subscriber_drain(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_hub *hub = subscriber->hub;
	uint64_t grace_us = hub->options->grace_us, spread_us = 0, end_us;

	if (subscriber->state != SUBSCRIBER_OPEN)
		return;
	if (hub->drain_end_us > now_us + grace_us)
		spread_us = hub->drain_end_us - grace_us - now_us;
	end_us = now_us + hub_random_upto(hub, spread_us) + grace_us;
	if (push_tick_is_before(push_tick_at(end_us), subscriber->end)) {
		subscriber->reconnect = push_tick_at(end_us - grace_us);
		subscriber->end = push_tick_at(end_us);
	}
	subscriber_arm(subscriber);
}

/* From here on nothing happens to it but its destruction. */
static void
retire(struct push_subscriber *subscriber)
{
	subscriber->state = SUBSCRIBER_CLOSED;
	intake_forget(subscriber);
	unsubscribe_all(subscriber);
	push_timer_disarm(&subscriber->timer);
	pressure_unblock(subscriber);
	hub_mark_clean(subscriber);
}

static void
finish(struct push_subscriber *subscriber, bool at_once)
{
	retire(subscriber);
	subscriber->transport->close(subscriber->connection, at_once);
}

/*
 * What a slow client has not read by now it may never read, and a Close frame behind it would come too late:
 * everything but the rest of a frame that has begun gives way to the Close frame.  A slow event stream has
 * none, and is cut off.
 */
void
push_subscriber_close(struct push_subscriber *subscriber, enum push_close_reason reason, uint64_t now_us)
{
	struct push_frame *close_frame = subscriber->hub->closes[subscriber->encoding][reason];
	bool is_slow = reason == PUSH_CLOSE_SLOW || reason == PUSH_CLOSE_MEMORY;
	uint32_t before = subscriber->outbox.bytes;
	enum push_status status = PUSH_OK;

	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC);
	if (subscriber->state >= SUBSCRIBER_CLOSING)
		return;
	subscriber->state = SUBSCRIBER_CLOSING;
	subscriber->reason = (unsigned int)reason & 31u;
	pressure_unblock(subscriber);
	intake_end(subscriber);
	unsubscribe_all(subscriber);
	if (is_slow)
		push_outbox_drop_unsent(&subscriber->outbox);
	if (close_frame)
		status = push_outbox_push(&subscriber->outbox, close_frame, SIZE_MAX);
	hub_account(subscriber, before);

	if (status != PUSH_OK || (is_slow && !close_frame)) {
		finish(subscriber, true);
		return;
	}
	subscriber->end = push_tick_at(now_us + subscriber->hub->options->grace_us);
	subscriber_arm(subscriber);
	hub_mark_dirty(subscriber);
}

void
subscriber_enqueue(struct push_subscriber *subscriber, struct push_frame *frame, uint64_t now_us)
{
	size_t bytes_max = subscriber->hub->options->queue_bytes_max;
	uint32_t before = subscriber->outbox.bytes;
	enum push_status status;

	if (subscriber->state == SUBSCRIBER_NEW || subscriber->state >= SUBSCRIBER_CLOSING)
		return;
	if (!frame->account)
		push_frame_charge(frame, &subscriber->hub->memory.accounts[PUSH_MEMORY_QUEUES]);
	status = push_outbox_push(&subscriber->outbox, frame, bytes_max);
	if (status == PUSH_TOO_LARGE && is_head_kept(subscriber))
		let_head_go(subscriber); /* its early frames have more answers than may wait */
	/* slow is who does not read, not who was not written to in a turn full of publishes */
	while (status == PUSH_TOO_LARGE && !subscriber->blocked) {
		subscriber_flush(subscriber, now_us);
		if (subscriber->state >= SUBSCRIBER_CLOSING)
			return;
		before = subscriber->outbox.bytes;
		status = push_outbox_push(&subscriber->outbox, frame, bytes_max);
	}
	if (status == PUSH_OK) {
		hub_account(subscriber, before);
		hub_mark_dirty(subscriber);
		return;
	}
	push_subscriber_close(
		subscriber, status == PUSH_TOO_LARGE ? PUSH_CLOSE_SLOW : PUSH_CLOSE_FAULT, now_us);
}

/* Counts what a write has taken; `skip` bytes of the first frame were taken before. */
static void
count_written(struct push_subscriber *subscriber, struct push_frame *const *frames, size_t skip, size_t taken,
	uint64_t now_us)
{
	struct push_stats *stats = subscriber->hub->stats;

	stats->by_encoding[subscriber->encoding].bytes_out += taken;
	/* what is replayed says nothing of how long a message takes */
	if (subscriber->is_replayed) {
		for (taken += skip; taken > 0 && taken >= (*frames)->size; frames++) {
			taken -= (*frames)->size;
			stats->by_encoding[subscriber->encoding].messages_out += (*frames)->accepted_us != 0;
		}
		return;
	}
	for (taken += skip; taken > 0 && taken >= (*frames)->size; frames++) {
		taken -= (*frames)->size;
		if (!(*frames)->accepted_us)
			continue;
		stats->by_encoding[subscriber->encoding].messages_out++;
		push_stats_latency(stats, now_us - (*frames)->accepted_us);
	}
}

/* Returns false when the connection is beyond use. */
static bool
write_once(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_frame *frames[PUSH_WRITE_FRAMES_MAX];
	struct push_outbox *outbox = &subscriber->outbox;
	size_t count = push_outbox_peek(outbox, frames, PUSH_WRITE_FRAMES_MAX), offered = 0;
	uint32_t before;
	ssize_t taken;

	for (size_t i = 0; i < count; i++)
		offered += frames[i]->size;
	offered -= outbox->sent;
	taken = subscriber->transport->write(subscriber->connection, frames, count, outbox->sent);
	if (taken < 0)
		return false;
	PUSH_ASSERT((size_t)taken <= offered);

	if (subscriber->is_paused && taken)
		push_subscriber_heard(subscriber);
	count_written(subscriber, frames, outbox->sent, (size_t)taken, now_us);
	before = outbox->bytes;
	push_outbox_advance(outbox, (size_t)taken);
	hub_account(subscriber, before);
	if ((size_t)taken < offered)
		pressure_block(subscriber, subscriber->transport->fills_socket);
	return true;
}

/* Whether the client is to say that it has seen our Close frame, if there is one. */
static bool
awaits_answer(const struct push_subscriber *subscriber)
{
	return push_encoding_has_answers((enum push_encoding)subscriber->encoding) &&
	       !subscriber->peer_closed && subscriber->hub->closes[subscriber->encoding][subscriber->reason];
}

void
subscriber_flush(struct push_subscriber *subscriber, uint64_t now_us)
{
	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC);
	hub_mark_clean(subscriber);
	if (subscriber->state == SUBSCRIBER_CLOSED || is_head_kept(subscriber))
		return;
	if (subscriber->transport->is_blocked(subscriber->connection)) {
		pressure_block(subscriber, false);
		return;
	}
	if (!push_outbox_is_empty(&subscriber->outbox) && !write_once(subscriber, now_us)) {
		finish(subscriber, true);
		return;
	}
	if (subscriber->is_behind && !subscriber->blocked && subscriber->state == SUBSCRIBER_OPEN)
		session_advance(subscriber, now_us);
	if (push_outbox_is_empty(&subscriber->outbox) && !subscriber->is_behind)
		subscriber->is_replayed = false;
	if (subscriber->is_paused)
		intake_resume(subscriber);
	if (!push_outbox_is_empty(&subscriber->outbox))
		hub_mark_dirty(subscriber); /* behind the others; does nothing when blocked */
	else if (subscriber->state == SUBSCRIBER_CLOSING && !awaits_answer(subscriber))
		finish(subscriber, false);
}

/* Once for each silence.  Returns false where that was done already. */
static bool
look_again(struct push_subscriber *subscriber, uint64_t now_us)
{
	if (subscriber->pong_overdue)
		return false;
	subscriber->pong_overdue = true;
	subscriber->pong =
		2 * push_tick_now(now_us) + push_tick_at(PUSH_PONG_SECOND_LOOK_US) - subscriber->pong;
	return true;
}

void
subscriber_on_timer(struct push_timer *timer, uint64_t now_us)
{
	struct push_subscriber *subscriber = push_container_of(timer, struct push_subscriber, timer);

	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC);
	if (subscriber->state == SUBSCRIBER_CLOSING) {
		finish(subscriber, true);
		return;
	}
	if (subscriber->state == SUBSCRIBER_WAITING) {
		let_head_go(subscriber);
		return;
	}
	if (subscriber->state == SUBSCRIBER_UNIDENTIFIED) {
		identified_is_late(subscriber, now_us);
		return;
	}
	if (is_due(subscriber->end, now_us)) {
		push_subscriber_close(subscriber,
			subscriber->hub->drain_end_us ? PUSH_CLOSE_DRAIN : PUSH_CLOSE_LIFETIME, now_us);
		return;
	}
	if (subscriber->awaits_pong && is_due(subscriber->pong, now_us) && !look_again(subscriber, now_us)) {
		push_subscriber_close(subscriber, PUSH_CLOSE_NO_PONG, now_us);
		return;
	}
	if (!subscriber->asked_to_reconnect && is_due(subscriber->reconnect, now_us)) {
		subscriber->asked_to_reconnect = true;
		send_control(subscriber, PUSH_CONTROL_RECONNECT, now_us);
	}
	if (is_due(subscriber->heartbeat, now_us))
		send_heartbeat(subscriber, now_us);
	if (subscriber->has_acks)
		acks_on_timer(subscriber, now_us);
	if (subscriber->has_identity && subscriber->state == SUBSCRIBER_OPEN &&
		!identified_on_timer(subscriber, now_us))
		return;
	if (subscriber->state == SUBSCRIBER_OPEN)
		subscriber_arm(subscriber);
}

void
push_subscriber_refuse(
	struct push_subscriber *subscriber, const char *text, enum push_close_reason reason, uint64_t now_us)
{
	tell_opened(subscriber);
	if (subscriber->state == SUBSCRIBER_NEW || subscriber->state == SUBSCRIBER_UNIDENTIFIED)
		subscriber->state = SUBSCRIBER_OPEN;
	push_subscriber_end(subscriber, text, reason, now_us);
}

void
push_subscriber_end(
	struct push_subscriber *subscriber, const char *text, enum push_close_reason reason, uint64_t now_us)
{
	struct push_frame *frame = push_encoding_last_error((enum push_encoding)subscriber->encoding, text);

	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
	push_frame_unref(frame);
	push_subscriber_close(subscriber, reason, now_us);
}

void
push_subscriber_heard(struct push_subscriber *subscriber)
{
	subscriber->awaits_pong = false;
	subscriber->pong_overdue = false;
}

void
push_subscriber_pinged(struct push_subscriber *subscriber, const void *payload, size_t size, uint64_t now_us)
{
	struct push_frame *frame =
		push_encoding_pong((enum push_encoding)subscriber->encoding, payload, size);

	push_subscriber_heard(subscriber);
	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
	push_frame_unref(frame);
	intake_check(subscriber);
}

void
push_subscriber_tell(struct push_subscriber *subscriber, const char *event, const char *data,
	size_t data_size, uint64_t now_us)
{
	struct push_frame *frame = push_encoding_event(
		(enum push_encoding)subscriber->encoding, event, data, data_size, NULL, 0);

	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
	else
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
	push_frame_unref(frame);
}

static void
publish(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us)
{
	static const char off[] = "{\"error\":\"publishing is off here (push.ws.publish)\"}";

	if (subscriber->hub->publish)
		subscriber->hub->publish(subscriber->hub->publish_context, subscriber, command);
	else
		push_subscriber_tell(subscriber, "error", off, sizeof(off) - 1, now_us);
}

static void
obey(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us)
{
	const char *text;
	size_t size;

	if (subscriber->state == SUBSCRIBER_UNIDENTIFIED && command->kind != PUSH_COMMAND_PING) {
		identified_receive(subscriber, command, now_us);
		intake_check(subscriber);
		return;
	}
	switch (command->kind) {
	/* the clients count on it: a pong comes after what was published to this node before the ping */
	case PUSH_COMMAND_PING: send_control(subscriber, PUSH_CONTROL_PONG, now_us); break;
	case PUSH_COMMAND_ACK: acks_receive(subscriber, command, now_us); return; /* without an answer */
	case PUSH_COMMAND_RESUME:
		if (subscriber->has_acks)
			acks_refuse(subscriber, command, "'resume' is not supported with acks", now_us);
		else if (push_command_text(command, "id", &text, &size))
			session_resume(subscriber, text, size, now_us);
		else
			session_resume(subscriber, "", 0, now_us);
		break;
	case PUSH_COMMAND_SUBSCRIBE:
	case PUSH_COMMAND_UNSUBSCRIBE: live_command(subscriber, command, now_us); break;
	case PUSH_COMMAND_PUBLISH: publish(subscriber, command, now_us); break;
	case PUSH_COMMAND_AUTH:
		if (!subscriber->hub->authenticate)
			return; /* an event like any that is not known */
		subscriber->hub->authenticate(subscriber->hub->authenticate_context, subscriber, command);
		break;
	default: return;
	}
	intake_check(subscriber);
}

/* Closes a client for what it has sent. */
static void
fail(struct push_subscriber *subscriber, const char *text, enum push_close_reason reason, uint64_t now_us)
{
	struct push_frame *frame = push_encoding_error((enum push_encoding)subscriber->encoding, text);

	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
	push_frame_unref(frame);
	push_subscriber_close(subscriber, reason, now_us);
}

/* Returns false where it has been closed for it. */
static bool
admit_message(struct push_subscriber *subscriber, uint64_t now_us)
{
	enum push_limit limit;

	/* what a client that is being closed sends may be its answer to that */
	if (subscriber->state >= SUBSCRIBER_CLOSING ||
		push_limiter_message(subscriber->hub->limiter, subscriber, now_us, &limit))
		return true;
	fail(subscriber, push_limit_text(limit), PUSH_CLOSE_REFUSED, now_us);
	return false;
}

void
push_subscriber_receive(struct push_subscriber *subscriber, const char *text, size_t size, uint64_t now_us)
{
	struct push_stats *stats = subscriber->hub->stats;
	struct push_command command;
	struct push_error error;
	enum push_status status;

	stats->by_encoding[subscriber->encoding].messages_in++;
	stats->by_encoding[subscriber->encoding].bytes_in += size;
	push_subscriber_heard(subscriber);
	if (subscriber->hub->limiter && !admit_message(subscriber, now_us))
		return;
	status = push_command_parse(&command, text, size, &error);
	/* the transport lets more come where it may be an `auth`, whose token may be longer */
	if (size > subscriber->hub->options->client_message_bytes_max && status != PUSH_OUT_OF_MEMORY &&
		(status != PUSH_OK || command.kind != PUSH_COMMAND_AUTH)) {
		push_subscriber_close(subscriber, PUSH_CLOSE_TOO_LARGE, now_us);
		return;
	}
	if (status == PUSH_OK) {
		obey(subscriber, &command, now_us);
		return;
	}
	if (status == PUSH_OUT_OF_MEMORY) { /* what it asks for must not be passed over in silence */
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return;
	}
	fail(subscriber, error.text, PUSH_CLOSE_BAD_DATA, now_us);
}

bool
push_subscriber_peer_closed(struct push_subscriber *subscriber)
{
	bool announced = subscriber->state >= SUBSCRIBER_CLOSING;

	retire(subscriber);
	return announced;
}

bool
push_subscriber_address(const struct push_subscriber *subscriber, struct push_address *ret)
{
	const struct push_transport *transport = subscriber->transport;

	return transport->address && transport->address(subscriber->connection, ret);
}

void
push_subscriber_answer_close(struct push_subscriber *subscriber, unsigned int code, uint64_t now_us)
{
	uint32_t before = subscriber->outbox.bytes;
	struct push_frame *answer;
	enum push_status status;

	subscriber->peer_closed = true;
	if (subscriber->state >= SUBSCRIBER_CLOSING) {
		/* our own may wait to be written still */
		if (subscriber->state == SUBSCRIBER_CLOSING && push_outbox_is_empty(&subscriber->outbox))
			finish(subscriber, false);
		return;
	}
	subscriber->state = SUBSCRIBER_CLOSING; /* with the reason that it was created with */
	pressure_unblock(subscriber);
	intake_end(subscriber);
	unsubscribe_all(subscriber);
	if (subscriber->blocked)
		push_outbox_drop_unsent(&subscriber->outbox);
	answer = push_encoding_close_code((enum push_encoding)subscriber->encoding, code);
	status = answer ? push_outbox_push(&subscriber->outbox, answer, SIZE_MAX) : PUSH_OUT_OF_MEMORY;
	push_frame_unref(answer);
	hub_account(subscriber, before);
	if (status != PUSH_OK) {
		finish(subscriber, true);
		return;
	}
	subscriber->end = push_tick_at(now_us + subscriber->hub->options->grace_us);
	subscriber_arm(subscriber);
	hub_mark_dirty(subscriber);
}

void
push_subscriber_writable(struct push_subscriber *subscriber, uint64_t now_us)
{
	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC);
	if (!subscriber->blocked)
		return;
	pressure_unblock(subscriber);
	subscriber->blocked = false;
	subscriber_flush(subscriber, now_us);
}

void
push_subscriber_destroy(struct push_subscriber *subscriber)
{
	struct push_hub *hub;

	if (!subscriber)
		return;
	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC);
	hub = subscriber->hub;
	push_subscriber_gone(subscriber);
	retire(subscriber);
	identified_forget(subscriber);
	hub->stats->outbox_bytes -= subscriber->outbox.bytes;
	push_outbox_fini(&subscriber->outbox);
	hub->subscriber_count--;
	hub->stats->by_encoding[subscriber->encoding].connections--;
	hub->stats->by_encoding[subscriber->encoding].closed[subscriber->reason]++;
	subscriber->magic = 0;
	free(subscriber);
}
