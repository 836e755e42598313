/* hub.c - see hub.h. */
#include <stdlib.h>
#include <string.h>

#include "hub_private.h"
#include "limits.h"
#include "live.h"
#include "pressure.h"
#include "random.h"
#include "session.h"
#include "tracker.h"

/* A body's text, with the channel's name escaped at worst six times as long, and the braces around. */
#define SCRATCH_BYTES_MAX (PUSH_SIZE_MAX + 6 * PUSH_QUERY_BYTES_MAX + 64)

static enum push_status
create_frames(struct push_hub *hub)
{
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++) {
		enum push_encoding encoding = (enum push_encoding)e;

		for (int i = 0; i < PUSH_CONTROL_COUNT; i++)
			hub->controls[e][i] = push_encoding_control(encoding, (enum push_control)i);
		for (int i = 0; i < PUSH_CLOSE_REASON_COUNT; i++)
			hub->closes[e][i] = push_encoding_close(encoding, (enum push_close_reason)i);
		if (!hub->controls[e][PUSH_CONTROL_HEARTBEAT] || !hub->controls[e][PUSH_CONTROL_RECONNECT])
			return PUSH_OUT_OF_MEMORY;
	}
	return PUSH_OK;
}

static void
destroy_frames(struct push_hub *hub)
{
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++) {
		for (int i = 0; i < PUSH_CONTROL_COUNT; i++)
			push_frame_unref(hub->controls[e][i]);
		for (int i = 0; i < PUSH_CLOSE_REASON_COUNT; i++)
			push_frame_unref(hub->closes[e][i]);
	}
}

struct push_hub *
push_hub_create(const struct push_options *options, struct push_stats *stats, uint64_t seed, uint64_t now_us,
	void (*ready)(void *context), void *context)
{
	struct push_hub *hub = calloc(1, sizeof(*hub));

	if (!hub)
		return NULL;
	hub->options = options;
	hub->stats = stats;
	hub->ready = ready;
	hub->context = context;
	push_tokens_init(&hub->tokens, seed);
	hub->random = seed | 1; /* xorshift must not start at 0 */
	push_list_init(&hub->dirty);
	for (size_t i = 0; i < PUSH_QUEUE_SIZE_CLASSES; i++) {
		push_list_init(&hub->blocked[i]);
		push_list_init(&hub->windows[i]);
	}
	push_memory_init(&hub->memory);
	push_list_init(&hub->changed);
	push_list_init(&hub->unconfirmed);
	push_list_init(&hub->overtaken);
	push_list_init(&hub->ahead);
	push_list_init(&hub->behind_head);
	push_list_init(&hub->durables);
	push_disconnects_init(&hub->disconnects);
	identities_init(&hub->identities, &hub->memory);
	push_wheel_init(&hub->wheel, now_us);
	push_buf_init(&hub->scratch, SCRATCH_BYTES_MAX);
	if (push_channel_map_init(&hub->channels, seed) != PUSH_OK)
		goto fail_map;
	hub->channels.memory = &hub->memory;
	if (create_frames(hub) != PUSH_OK)
		goto fail_frames;
	if (push_history_is_kept(options)) {
		hub->history =
			push_history_store_create(options, &hub->channels, &hub->memory, stats, now_us);
		if (!hub->history)
			goto fail_frames;
	}
	return hub;

fail_frames:
	destroy_frames(hub);
	push_channel_map_fini(&hub->channels);
fail_map:
	free(hub);
	return NULL;
}

static void
forget_text(struct push_hub *hub)
{
	push_frame_unref(hub->text);
	hub->text = NULL;
}

void
hub_forget_idle_text(struct push_hub *hub)
{
	if (hub->text && hub->text->refs == 1)
		forget_text(hub);
}

/* By the hub; others may still have something. */
static void
assert_nothing_is_charged(const struct push_memory *memory)
{
	PUSH_ASSERT(!memory->accounts[PUSH_MEMORY_QUEUES].bytes);
	PUSH_ASSERT(!memory->accounts[PUSH_MEMORY_SOCKETS].bytes);
	PUSH_ASSERT(!memory->accounts[PUSH_MEMORY_HISTORY].bytes);
	PUSH_ASSERT(!memory->accounts[PUSH_MEMORY_CHANNELS].bytes);
	PUSH_ASSERT(!memory->accounts[PUSH_MEMORY_IDENTITIES].bytes);
}

void
push_hub_destroy(struct push_hub *hub)
{
	PUSH_ASSERT(hub->subscriber_count == 0);
	durable_abandon_all(hub);
	push_history_store_destroy(hub->history);
	hub_moved(hub); /* no heartbeats either */
	destroy_frames(hub);
	forget_text(hub);
	push_channel_map_fini(&hub->channels);
	identities_fini(&hub->identities);
	assert_nothing_is_charged(&hub->memory);
	push_buf_fini(&hub->scratch);
	push_disconnects_fini(&hub->disconnects);
	free(hub);
}

uint64_t
hub_random_upto(struct push_hub *hub, uint64_t limit)
{
	return push_random_upto(&hub->random, limit);
}

void
hub_mark_dirty(struct push_subscriber *subscriber)
{
	struct push_hub *hub = subscriber->hub;
	bool first = push_list_is_empty(&hub->dirty);

	if (subscriber->blocked || !push_list_is_empty(&subscriber->dirty))
		return;
	push_list_append(&hub->dirty, &subscriber->dirty);
	hub->dirty_count++;
	hub->dirty_bytes += subscriber->outbox.bytes;
	if (first)
		hub->ready(hub->context);
}

void
hub_mark_clean(struct push_subscriber *subscriber)
{
	struct push_hub *hub = subscriber->hub;

	if (subscriber->blocked || push_list_is_empty(&subscriber->dirty))
		return;
	push_list_remove(&subscriber->dirty);
	hub->dirty_count--;
	hub->dirty_bytes -= subscriber->outbox.bytes;
}

void
hub_account(struct push_subscriber *subscriber, uint32_t bytes_before)
{
	struct push_hub *hub = subscriber->hub;
	uint64_t more = (uint64_t)subscriber->outbox.bytes - bytes_before; /* modulo 2^64 */

	hub->stats->outbox_bytes += more;
	if (subscriber->blocked)
		pressure_resize(subscriber, bytes_before);
	else if (!push_list_is_empty(&subscriber->dirty))
		hub->dirty_bytes += more;
}

/*
 * What is published to many channels comes here channel by channel, with Redis in between even as messages of
 * their own: one whose text is that of the last one shares it.  NULL: memory is out, or it has none to
 * itself.
 */
static struct push_frame *
share_text(struct push_hub *hub, const char *value, size_t size)
{
	if (hub->text && hub->text->size == size && !memcmp(hub->text->bytes, value, size))
		return hub->text;
	forget_text(hub);
	hub->text = push_frame_create(size, 0);
	if (!hub->text)
		return NULL;
	push_frame_charge(hub->text, &hub->memory.accounts[PUSH_MEMORY_QUEUES]);
	memcpy(hub->text->bytes, value, size);
	return hub->text;
}

enum push_status
hub_compose(struct push_hub *hub, const struct push_channel *channel, const char *value, size_t value_size)
{
	struct push_buf *to = &hub->scratch;
	struct push_frame *text;

	push_buf_clear(to);
	push_buf_append_text(to, "{\"channel\":");
	push_json_append_string(to, channel->name, channel->name_size);
	push_buf_append_text(to, ",\"message\":");
	text = value_size < PUSH_SHARED_TEXT_BYTES_MIN ? NULL : share_text(hub, value, value_size);
	if (!text)
		push_buf_append(to, value, value_size);
	hub->composed = (struct push_message_data){to->bytes, to->size, text};
	return to->status;
}

/* All that are needed are made before anyone is given one: all get the message or none does. */
static enum push_status
encode(struct push_hub *hub, const struct push_channel *channel, const char *id, size_t id_size,
	uint64_t now_us, struct push_frame *frames[PUSH_ENCODING_COUNT])
{
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++) {
		/* what nobody reads now is kept in one form, too: any can be made of any */
		if (!channel->count_by_encoding[e] && (channel->count || !id_size || e > 0))
			continue;
		frames[e] = push_encoding_message((enum push_encoding)e, &hub->composed, id, id_size, now_us);
		if (frames[e])
			push_frame_charge(frames[e], &hub->memory.accounts[PUSH_MEMORY_QUEUES]);
		if (!frames[e] || (hub->tracker && push_tracker_attach(hub->tracker, frames[e]) != PUSH_OK))
			return PUSH_OUT_OF_MEMORY;
	}
	return PUSH_OK;
}

/*
 * As push_hub_deliver_to(), to a channel with history: those who are behind read it from there when it is
 * their turn.
 */
static enum push_status
deliver_kept(struct push_hub *hub, struct push_channel *channel, struct push_position at, uint64_t ttl_us,
	uint64_t now_us)
{
	struct push_frame *frames[PUSH_ENCODING_COUNT] = {NULL};
	struct push_history *history = channel->history;
	struct push_positions positions = {.partitions = 1u << history->partition};
	char id[PUSH_ID_BYTES_MAX];
	size_t id_size;
	enum push_status status;

	positions.at[history->partition] = at;
	id_size = push_positions_format(&positions, UINT32_MAX, id);
	status = encode(hub, channel, id, id_size, now_us, frames);
	if (status == PUSH_OK) {
		hub->history->heads.at[history->partition] = at;
		hub_moved(hub);
		hub->unflushed_deliveries += channel->count;
		push_history_append(history, at, frames, ttl_us, now_us);
		for (uint32_t i = channel->count; i-- > 0;) {
			struct push_subscriber *subscriber = channel->entries[i].subscriber;
			struct push_frame *frame = frames[subscriber->encoding];

			if (subscriber->is_behind ||
				(subscriber->has_acks &&
					!acks_admit(subscriber, history->partition, at, frame, now_us))) {
				/* it reads the message later, from what is kept */
				if (hub->tracker)
					hub->tracker->owed++;
				continue;
			}
			subscriber_enqueue(subscriber, frame, now_us);
		}
	}
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		push_frame_unref(frames[e]);
	return status;
}

void
hub_moved(struct push_hub *hub)
{
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++) {
		push_frame_unref(hub->heartbeats[e]);
		hub->heartbeats[e] = NULL;
	}
}

void
push_hub_set_values(struct push_hub *hub, const struct push_hub_values *values)
{
	hub->values = *values;
}

void
push_hub_number(struct push_hub *hub, uint64_t epoch)
{
	struct push_history_store *store = hub->history;

	if (!store)
		return;
	hub->numbers = true;
	store->heads.partitions = 1;
	store->heads.at[0] = (struct push_position){epoch, 0};
	for (size_t i = 0; i < PUSH_HISTORY_FORGOTTEN_COUNT; i++)
		store->forgotten[i] = store->heads.at[0];
	hub_moved(hub);
}

enum push_status
push_hub_deliver_to(struct push_hub *hub, struct push_channel *channel, const char *value, size_t value_size,
	uint64_t now_us)
{
	struct push_frame *frames[PUSH_ENCODING_COUNT] = {NULL};
	enum push_status status = hub_compose(hub, channel, value, value_size);

	if (status == PUSH_OK)
		status = encode(hub, channel, NULL, 0, now_us, frames);
	if (status == PUSH_OK) {
		hub->unflushed_deliveries += channel->count;
		/* backwards: one that is closed as slow leaves the array, and its place is taken by one from
		 * behind, which has had its turn; the channel itself may go with the last one, at i == 0 */
		for (uint32_t i = channel->count; i-- > 0;) {
			struct push_subscriber *subscriber = channel->entries[i].subscriber;

			if (hub_hears(channel, i))
				subscriber_enqueue(subscriber, frames[subscriber->encoding], now_us);
			else
				subscriber_withhold(subscriber);
		}
	}
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		push_frame_unref(frames[e]);
	return status;
}

struct push_channel *
hub_obtain(struct push_hub *hub, const char *name, size_t size)
{
	struct push_channel *channel = push_channel_map_obtain(&hub->channels, name, size);

	if (!channel || !hub->history || push_history_of(hub->history, channel) ||
		!push_history_rules_find(&hub->history->rules, name, size)->size)
		return channel;
	push_channel_map_release(&hub->channels, channel);
	return NULL;
}

/* @channel: NULL if there is none; then there will be one if it has history. */
static enum push_status
number_and_deliver(struct push_hub *hub, struct push_channel *channel, const char *name, size_t name_size,
	const char *value, size_t value_size, uint64_t ttl_us, uint64_t now_us)
{
	struct push_position at = hub->history->heads.at[0];
	enum push_status status;
	bool was_held;

	if (!channel) {
		if (!push_history_rules_find(&hub->history->rules, name, name_size)->size)
			return PUSH_OK;
		channel = hub_obtain(hub, name, name_size);
		if (!channel)
			return PUSH_OUT_OF_MEMORY;
	}
	at.number++;
	/* its last subscriber may go, and what is kept of it, too */
	was_held = channel->held;
	channel->held = true;
	status = hub_compose(hub, channel, value, value_size);
	if (status == PUSH_OK)
		status = deliver_kept(hub, channel, at, ttl_us, now_us);
	channel->held = was_held;
	push_channel_map_release(&hub->channels, channel);
	return status;
}

enum push_status
push_hub_deliver(struct push_hub *hub, const char *channel_name, size_t channel_size, const char *value,
	size_t value_size, uint64_t ttl_us, uint64_t now_us, uint64_t *ret_subscribers)
{
	struct push_channel *channel = push_hub_find(hub, channel_name, channel_size);
	uint64_t count = channel ? channel->count : 0;
	enum push_status status = PUSH_OK;

	if (hub->numbers && (!channel || channel->history))
		status = number_and_deliver(
			hub, channel, channel_name, channel_size, value, value_size, ttl_us, now_us);
	else if (count)
		status = push_hub_deliver_to(hub, channel, value, value_size, now_us);
	if (status == PUSH_OK)
		*ret_subscribers = count;
	return status;
}

void
push_hub_track(struct push_hub *hub, struct push_tracker *tracker)
{
	hub->tracker = tracker;
}

bool
push_hub_is_tracked(const struct push_hub *hub)
{
	return hub->tracker != NULL;
}

void
push_hub_limit(struct push_hub *hub, struct push_limiter *limiter)
{
	hub->limiter = limiter;
}

void
push_hub_let_publish(struct push_hub *hub,
	void (*publish)(
		void *context, struct push_subscriber *subscriber, const struct push_command *command),
	void *context)
{
	hub->publish = publish;
	hub->publish_context = context;
}

bool
push_hub_flush(struct push_hub *hub, uint64_t now_us, unsigned int max)
{
	hub->unflushed_deliveries = 0;
	hub_forget_idle_text(hub);
	while (!push_list_is_empty(&hub->dirty) && max-- > 0)
		subscriber_flush(push_container_of(hub->dirty.next, struct push_subscriber, dirty), now_us);
	PUSH_ASSERT(!push_list_is_empty(&hub->dirty) || (!hub->dirty_count && !hub->dirty_bytes));
	return !push_list_is_empty(&hub->dirty);
}

void
push_hub_watch(struct push_hub *hub, size_t upstream_bytes)
{
	PUSH_ASSERT(!hub->subscriber_count);
	hub->watched = true;
	hub->channels.upstream_bytes = upstream_bytes;
}

void
hub_mark_changed(struct push_hub *hub, struct push_channel *channel)
{
	bool first = push_list_is_empty(&hub->changed);

	if (!hub->watched) {
		channel->confirmed = true;
		return;
	}
	if (!channel->confirmed && push_list_is_empty(&channel->unconfirmed)) {
		channel->change = ++hub->change_count;
		push_list_append(&hub->unconfirmed, &channel->unconfirmed);
	}
	if (!push_list_is_empty(&channel->changed))
		return;
	push_list_append(&hub->changed, &channel->changed);
	if (first)
		hub->ready(hub->context);
}

void
push_hub_set_joining(struct push_hub *hub, void (*before)(void *context, struct push_channel *channel),
	void (*after)(void *context), void *context)
{
	PUSH_ASSERT(hub->watched);
	hub->joining = before;
	hub->joined = after;
	hub->joining_context = context;
}

/* Of a channel that is not confirmed nothing comes in before the engine has seen the new client. */
void
hub_expect(struct push_hub *hub, const char *name, size_t size)
{
	struct push_channel *channel = hub->joining ? push_hub_find(hub, name, size) : NULL;

	if (channel && channel->confirmed)
		hub->joining(hub->joining_context, channel);
}

struct push_channel *
push_hub_next_changed(struct push_hub *hub)
{
	struct push_channel *channel;

	if (push_list_is_empty(&hub->changed))
		return NULL;
	channel = push_container_of(hub->changed.next, struct push_channel, changed);
	push_list_remove(&channel->changed);
	return channel;
}

struct push_channel *
push_hub_hold(struct push_hub *hub, const char *name, size_t size)
{
	struct push_channel *channel = push_channel_map_obtain(&hub->channels, name, size);

	if (channel)
		channel->held = true;
	return channel;
}

void
push_hub_release(struct push_hub *hub, struct push_channel *channel)
{
	channel->held = false;
	push_channel_map_release(&hub->channels, channel);
}

void
push_hub_each_channel(
	struct push_hub *hub, void (*step)(void *context, struct push_channel *channel), void *context)
{
	push_channel_map_each(&hub->channels, step, context);
}

struct push_channel *
push_hub_find(struct push_hub *hub, const char *name, size_t size)
{
	return push_channel_map_find(&hub->channels, name, size);
}

/* Backwards, as in push_hub_deliver(). */
void
push_hub_confirm(struct push_hub *hub, struct push_channel *channel, bool gap, uint64_t now_us)
{
	bool first = !channel->confirmed;

	PUSH_ASSERT(hub->watched);
	channel->confirmed = true;
	push_list_remove(&channel->unconfirmed);
	for (uint32_t i = channel->count; i-- > 0;) {
		struct push_subscriber *subscriber = channel->entries[i].subscriber;
		uint32_t index = channel->entries[i].index;

		if (gap && !channel->history)
			subscriber_withhold(subscriber);
		if (first && subscriber->state == SUBSCRIBER_WAITING)
			subscriber_confirmed(subscriber, now_us);
		else if (first && subscriber_is_pending(subscriber, index))
			live_confirmed(subscriber, index, now_us);
		else if (gap && !subscriber->is_behind && subscriber->state == SUBSCRIBER_OPEN)
			subscriber_gap(subscriber, now_us);
	}
	live_catch_up(hub);
}

struct missed {
	uint64_t us, now_us;
};

static void
tell_newcomers(void *context, struct push_channel *channel)
{
	const struct missed *missed = context;

	if (channel->history)
		return;
	for (uint32_t i = channel->count; i-- > 0;) {
		struct push_subscriber *subscriber = channel->entries[i].subscriber;

		if (hub_hears(channel, i) &&
			subscriber_has_come_within(subscriber, missed->us, missed->now_us))
			subscriber_gap(subscriber, missed->now_us);
	}
}

void
push_hub_missed_elsewhere(struct push_hub *hub, uint64_t us, uint64_t now_us)
{
	struct missed missed = {us, now_us};

	push_channel_map_each(&hub->channels, tell_newcomers, &missed);
}

bool
push_hub_is_behind(const struct push_hub *hub)
{
	return hub->unflushed_deliveries > PUSH_TURN_DELIVERIES_MAX ||
	       hub->dirty_bytes > hub->dirty_count * PUSH_BEHIND_BYTES;
}

bool
push_hub_tick(struct push_hub *hub, uint64_t now_us, unsigned int max)
{
	bool is_more = false;

	hub_forget_idle_text(hub);
	live_catch_up(hub);
	push_disconnects_tick(&hub->disconnects, hub, now_us);
	if (hub->history) {
		is_more = push_history_store_tick(hub->history, now_us, max);
		is_more = session_tick(hub, now_us, max) || is_more;
	}
	return push_wheel_advance(&hub->wheel, now_us, max, subscriber_on_timer) || is_more;
}

void
push_hub_drain(struct push_hub *hub, uint64_t now_us)
{
	const struct push_options *options = hub->options;
	struct push_list timers;

	if (hub->drain_end_us)
		return;
	hub->drain_end_us =
		now_us + (options->drain_us > options->grace_us ? options->drain_us : options->grace_us);
	/* everybody who is open or closing has a timer in the wheel */
	push_list_init(&timers);
	push_wheel_take_all(&hub->wheel, &timers);
	while (!push_list_is_empty(&timers)) {
		struct push_timer *timer = push_container_of(timers.next, struct push_timer, link);

		push_wheel_arm_tick(&hub->wheel, timer, timer->tick);
		subscriber_drain(push_container_of(timer, struct push_subscriber, timer), now_us);
	}
}

size_t
push_hub_subscriber_count(const struct push_hub *hub)
{
	return hub->subscriber_count;
}

size_t
push_hub_relieve_history(struct push_hub *hub, size_t max)
{
	size_t count = hub->history ? push_history_store_relieve(hub->history, max) : 0;

	if (hub->relieve && count < max)
		count += hub->relieve(hub->relieve_context, max - count);
	return count;
}

struct push_memory *
push_hub_memory(struct push_hub *hub)
{
	return &hub->memory;
}
