/*
 * hub_history.c - what the hub does where a server keeps the history (hub.h, "history upstream").
 *
 * A channel is settled when it is known where it stands; what is published before that is pending.  A
 * partition is held when something of it may have been missed: its messages are kept and not delivered, and
 * its head, up to which sessions read, stays where it was.  When all of its channels are settled again the
 * head moves on, and every client that was there reads on from where it stood, as one that comes back does.
 */
#include <stdlib.h>

#include "hub_private.h"
#include "limits.h"
#include "session.h"
#include "tracker.h"

void
push_hub_set_upstream(struct push_hub *hub, unsigned int partition_count,
	void (*fetch)(void *context, struct push_channel *channel), void *context)
{
	PUSH_ASSERT(hub->history && partition_count <= PUSH_PARTITIONS_MAX && !hub->subscriber_count);
	hub->history->partition_count = partition_count;
	hub->fetch = fetch;
	hub->fetch_context = context;
}

enum push_status
push_hub_cache_history(
	struct push_hub *hub, uint64_t bytes_max, size_t (*relieve)(void *context, size_t max), void *context)
{
	PUSH_ASSERT(hub->fetch);
	hub->relieve = relieve;
	hub->relieve_context = context;
	return push_history_store_cache(hub->history, bytes_max);
}

void
push_hub_trim_history(struct push_hub *hub)
{
	if (hub->history)
		push_history_store_trim(hub->history);
}

void
push_hub_set_history_figures(struct push_hub *hub, uint64_t messages, uint64_t bytes, uint64_t dropped)
{
	hub->stats->history_messages = messages;
	hub->stats->history_bytes = bytes;
	hub->stats->history_dropped += dropped;
}

/* The channel's clients, each once; any of them may be closed for it. */
static void
wake_sessions(struct push_channel *channel)
{
	for (uint32_t i = channel->count; i-- > 0;) {
		struct push_subscriber *subscriber = channel->entries[i].subscriber;

		if (subscriber->is_behind && subscriber->state == SUBSCRIBER_OPEN)
			hub_mark_dirty(subscriber);
	}
}

static void
move_head(struct push_hub *hub, unsigned int partition, struct push_position at)
{
	struct push_history_store *store = hub->history;
	bool is_held = store->held & (1u << partition);
	struct push_position *head = is_held ? &store->held_heads[partition] : &store->heads.at[partition];

	if (push_position_compare(*head, at) >= 0)
		return;
	*head = at;
	if (is_held)
		return;
	store->heads.partitions |= 1u << partition;
	hub_moved(hub);
}

static void
wake_cursors(const struct push_list *list)
{
	for (struct push_list *item = list->next; item != list; item = item->next)
		hub_mark_dirty(push_container_of(item, struct session_cursor, waiting)->subscriber);
}

void
push_hub_move_head(struct push_hub *hub, unsigned int partition, struct push_position at)
{
	move_head(hub, partition, at);
	wake_cursors(&hub->ahead);
	wake_cursors(&hub->behind_head);
}

uint32_t
push_hub_ask_head(struct push_hub *hub)
{
	return ++hub->head_questions;
}

void
push_hub_head_is(struct push_hub *hub, unsigned int partition, struct push_position at, uint32_t question)
{
	for (struct push_list *item = hub->ahead.next; item != &hub->ahead; item = item->next) {
		struct session_cursor *cursor = push_container_of(item, struct session_cursor, waiting);

		/* modulo 2^32 */
		if ((int32_t)(question - cursor->questions_before) <= 0 ||
			!(session_partitions(cursor->subscriber) & (1u << partition)) ||
			push_position_compare(cursor->at.at[partition], at) <= 0)
			continue;
		cursor->is_refuted = true;
		hub_mark_dirty(cursor->subscriber);
	}
}

/* A tracked message will be read later. */
static void
owe(struct push_hub *hub, uint32_t count)
{
	if (hub->tracker)
		hub->tracker->owed += count;
}

/*
 * The entry's frame for one who reads live, borrowed.  Where there are several partitions it depends on those
 * of the reader: `last` is that of the one before, who may get the same.
 */
static struct push_frame *
live_frame(const struct push_subscriber *subscriber, struct push_history_entry *entry,
	struct push_frame **last, uint32_t *last_partitions)
{
	uint32_t partitions;

	if (subscriber->hub->history->partition_count <= 1)
		return push_history_frame(entry->history, entry, (enum push_encoding)subscriber->encoding);
	partitions = session_partitions(subscriber);
	if (!*last || *last_partitions != partitions) {
		push_frame_unref(*last);
		*last = session_frame(subscriber, entry, &subscriber->hub->history->heads);
		*last_partitions = partitions;
	}
	return *last;
}

/* Gives an entry that is in the ring to those who read live. */
static void
deliver_entry(
	struct push_hub *hub, struct push_channel *channel, struct push_history_entry *entry, uint64_t now_us)
{
	struct push_frame *frames[PUSH_ENCODING_COUNT] = {NULL};
	uint32_t partitions[PUSH_ENCODING_COUNT] = {0};
	struct push_tracker *tracker = session_tracker(entry);

	hub->unflushed_deliveries += channel->count;
	for (uint32_t i = channel->count; i-- > 0;) {
		struct push_subscriber *subscriber = channel->entries[i].subscriber;
		unsigned int e = subscriber->encoding;
		struct push_frame *frame;

		if (subscriber->is_behind)
			hub_mark_dirty(subscriber);
		if (subscriber->is_behind && subscriber->state == SUBSCRIBER_OPEN)
			owe(hub, 1);
		/* who waits for another channel begins when that is settled: at what is the head by then, or
		 * where its id says */
		if (subscriber->is_behind || !hub_hears(channel, i))
			continue;
		frame = live_frame(subscriber, entry, &frames[e], &partitions[e]);
		if (frame)
			session_track(tracker, frame);
		if (!frame)
			push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		else if (!subscriber->has_acks ||
			 acks_admit(subscriber, channel->history->partition, entry->at, frame, now_us))
			subscriber_enqueue(subscriber, frame, now_us);
		else
			owe(hub, 1);
	}
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		push_frame_unref(frames[e]);
}

/* It will be read from what is kept, by those who listen now. */
static void
owe_all(struct push_hub *hub, const struct push_channel *channel)
{
	for (uint32_t i = 0; hub->tracker && i < channel->count; i++)
		if (channel->entries[i].subscriber->state == SUBSCRIBER_OPEN)
			owe(hub, 1);
}

/* In all forms in which it will be read, now or later. */
static enum push_status
track(struct push_hub *hub, struct push_channel *channel, struct push_history_entry *entry)
{
	for (int e = 0; hub->tracker && e < PUSH_ENCODING_COUNT; e++) {
		struct push_frame *frame = entry->frames[e];

		if (!frame && channel->count_by_encoding[e])
			frame = push_history_frame(channel->history, entry, (enum push_encoding)e);
		if (!frame && !channel->count_by_encoding[e])
			continue;
		if (!frame || push_tracker_attach(hub->tracker, frame) != PUSH_OK)
			return PUSH_OUT_OF_MEMORY;
	}
	return PUSH_OK;
}

/* An entry with the message as it is kept, in one form. */
static struct push_history_entry *
create_entry(
	struct push_hub *hub, struct push_channel *channel, const struct push_kept *kept, uint64_t now_us)
{
	struct push_history *history = channel->history;
	struct push_positions positions = {.partitions = 1u << history->partition};
	enum push_encoding encoding =
		channel->count_by_encoding[PUSH_ENCODING_WS] ? PUSH_ENCODING_WS : PUSH_ENCODING_SSE;
	struct push_history_entry *entry;
	char id[PUSH_ID_BYTES_MAX];

	positions.at[history->partition] = kept->at;
	if (hub_compose(hub, channel, kept->value, kept->value_size) != PUSH_OK)
		return NULL;
	entry = push_history_entry_create(history, kept->at, kept->ttl_us, kept->age_us, now_us);
	if (!entry)
		return NULL;
	entry->frames[encoding] = push_encoding_message(
		encoding, &hub->composed, id, push_positions_format(&positions, UINT32_MAX, id), now_us);
	if (entry->frames[encoding]) {
		push_frame_charge(entry->frames[encoding], &hub->memory.accounts[PUSH_MEMORY_QUEUES]);
		return entry;
	}
	push_history_entry_destroy(entry);
	return NULL;
}

/* Clients that are up to date have lost messages of the channel: for them it begins anew, with a gap. */
static void
tell_lost(struct push_channel *channel, uint64_t now_us)
{
	for (uint32_t i = channel->count; i-- > 0;) {
		struct push_subscriber *subscriber = channel->entries[i].subscriber;

		if (!subscriber->is_behind && subscriber->state == SUBSCRIBER_OPEN &&
			!subscriber_is_pending(subscriber, channel->entries[i].index))
			session_lose(subscriber, channel->entries[i].index, now_us);
	}
}

/* The channel begins anew for all, with a gap. */
static void
lose(struct push_channel *channel, struct push_position at, uint64_t now_us)
{
	push_history_restart(channel->history, at);
	tell_lost(channel, now_us);
}

const struct push_history_rule *
push_hub_keeps(const struct push_hub *hub, const char *channel, size_t size)
{
	const struct push_history_rule *rule =
		hub->history ? push_history_rules_find(&hub->history->rules, channel, size) : NULL;

	return rule && rule->size ? rule : NULL;
}

bool
push_hub_has_history(const struct push_hub *hub)
{
	return hub->history;
}

unsigned int
push_hub_partition(const struct push_hub *hub, const char *channel, size_t size)
{
	return push_history_partition(hub->history, channel, size);
}

/* Whether messages of the channel are missing in front of one.  One of another epoch comes from a server that
 * has forgotten what it numbered: nobody knows what else. */
static bool
is_behind_hole(const struct push_history *history, struct push_position at, struct push_position before)
{
	struct push_position known = push_history_known(history);

	if (push_position_compare(at, known) <= 0)
		return false;
	return at.epoch != history->complete.epoch || push_position_compare(before, known) > 0;
}

static void
accept(struct push_hub *hub, struct push_channel *channel, struct push_history_entry *entry, uint64_t now_us)
{
	struct push_history *history = channel->history;
	unsigned int partition = history->partition;
	struct push_position at = entry->at;
	bool is_held = hub->history->held & (1u << partition);

	if (push_position_compare(at, push_history_known(history)) <= 0) {
		push_history_entry_destroy(entry); /* it came with an answer already */
		return;
	}
	move_head(hub, partition, at);
	if (!push_history_put(history, entry)) {
		if (!is_held)
			lose(channel, at, now_us);
	} else if (is_held) {
		owe_all(hub, channel);
	} else {
		deliver_entry(hub, channel, entry, now_us);
	}
}

static void
let_pend(struct push_history *history, struct push_history_entry *entry, struct push_position before)
{
	bool is_next = !history->pending_count || push_position_compare(before, history->pending_last) <= 0;

	if (history->pending_count >= PUSH_HISTORY_PENDING_MAX || !is_next ||
		push_position_compare(entry->at, history->pending_last) <= 0) {
		/* what is asked for now may not have it: ask again */
		history->is_overrun = true;
		push_history_entry_destroy(entry);
		return;
	}
	if (!history->pending_count++)
		history->pending_before = before;
	history->pending_last = entry->at;
	push_list_append(&history->pending, &entry->age);
}

enum push_status
push_hub_deliver_kept(
	struct push_hub *hub, struct push_channel *channel, const struct push_kept *kept, uint64_t now_us)
{
	struct push_history *history = channel->history;
	struct push_history_entry *entry;

	if (history->is_settled && is_behind_hole(history, kept->at, kept->before))
		return PUSH_UNCERTAIN;
	entry = create_entry(hub, channel, kept, now_us);
	if (!entry)
		return PUSH_OUT_OF_MEMORY;
	if (track(hub, channel, entry) != PUSH_OK) {
		push_history_entry_destroy(entry);
		return PUSH_OUT_OF_MEMORY;
	}
	if (history->is_settled) {
		accept(hub, channel, entry, now_us);
		return PUSH_OK;
	}
	owe_all(hub, channel);
	let_pend(history, entry, kept->before);
	return PUSH_OK;
}

enum push_status
push_hub_fetched(
	struct push_hub *hub, struct push_channel *channel, const struct push_kept *kept, uint64_t now_us)
{
	struct push_history *history = channel->history;
	struct push_history_entry *entry = create_entry(hub, channel, kept, now_us);

	if (!entry)
		return PUSH_OUT_OF_MEMORY;
	push_list_insert(&history->fetched, &entry->age);
	return PUSH_OK;
}

void
push_hub_unsettle(struct push_channel *channel)
{
	channel->history->is_settled = false;
}

static void
drop_pending(struct push_history *history)
{
	struct push_list *pending = &history->pending;

	while (!push_list_is_empty(pending))
		push_history_entry_destroy(push_container_of(pending->next, struct push_history_entry, age));
	history->pending_count = 0;
	history->pending_last = (struct push_position){0, 0};
	history->is_overrun = false;
}

static void
accept_pending(struct push_hub *hub, struct push_channel *channel, uint64_t now_us)
{
	struct push_history *history = channel->history;
	struct push_list pending;

	push_list_take_all(&pending, &history->pending);
	drop_pending(history);
	while (!push_list_is_empty(&pending)) {
		struct push_history_entry *entry =
			push_container_of(pending.next, struct push_history_entry, age);

		push_list_remove(&entry->age);
		accept(hub, channel, entry, now_us);
	}
}

/* What the server says of the channel holds for the window, too. */
static void
count_cached(struct push_history *history, const struct push_fetch_end *end)
{
	history->known_since = end->known_since;
	history->created = end->created;
	history->losses += end->is_doubtful;
	push_history_count(history, end->total);
}

bool
push_hub_settle(
	struct push_hub *hub, struct push_channel *channel, const struct push_fetch_end *end, uint64_t now_us)
{
	struct push_history *history = channel->history;
	bool is_first = !history->complete.epoch && !push_hub_knows_head(hub, history->partition);

	push_history_forward(history, end->after, end->upstream, end->head);
	if (hub->history->cache_stats)
		count_cached(history, end);
	/* clients that were opened before have no position, and may have missed what came since */
	if (is_first)
		tell_lost(channel, now_us);
	if (history->is_overrun || (history->pending_count && is_behind_hole(history, history->pending_last,
								      history->pending_before))) {
		history->is_settled = false;
		drop_pending(history);
		return false;
	}
	accept_pending(hub, channel, now_us);
	wake_sessions(channel);
	return true;
}

void
push_hub_extend_none(struct push_channel *channel)
{
	struct push_history *history = channel->history;

	push_history_discard(history);
	history->upstream = history->after;
	history->is_fetching = false;
	wake_sessions(channel);
}

void
push_hub_extend(struct push_channel *channel, const struct push_fetch_end *end)
{
	/* what has left the window since it was asked for is in neither of the two */
	if (push_position_compare(end->before, channel->history->after) != 0) {
		push_hub_extend_none(channel);
		return;
	}
	push_history_backward(channel->history, end->after, end->upstream);
	channel->history->is_fetching = false;
	wake_sessions(channel);
}

void
push_hub_fetch_lost(struct push_channel *channel)
{
	push_history_discard(channel->history);
	channel->history->is_fetching = false;
	wake_sessions(channel);
}

void
push_hub_give_up(struct push_hub *hub, struct push_channel *channel, uint64_t now_us)
{
	struct push_history *history = channel->history;
	struct push_position known = push_history_known(history);
	const struct push_history_store *store = hub->history;
	struct push_position head = store->held & (1u << history->partition)
					    ? store->held_heads[history->partition]
					    : store->heads.at[history->partition];

	/* what is pending is not lost: behind the gap it is the beginning of what is known */
	push_history_discard(history);
	if (history->is_overrun)
		drop_pending(history);
	if (!push_list_is_empty(&history->pending)) {
		struct push_position first =
			push_container_of(history->pending.next, struct push_history_entry, age)->at;

		first.number -= first.number > 0;
		if (push_position_compare(known, first) < 0)
			history->complete = known = first;
	}
	/* nobody knows what it has had up to the head, which is where its clients' positions go */
	if (push_position_compare(known, head) < 0)
		known = head;
	history->is_settled = true;
	history->is_fetching = false;
	lose(channel, known, now_us);
	history->upstream = history->after;
	accept_pending(hub, channel, now_us);
	wake_sessions(channel);
}

void
push_hub_hold_back(struct push_hub *hub, unsigned int partition)
{
	struct push_history_store *store = hub->history;

	if (store->held & (1u << partition))
		return;
	store->held |= 1u << partition;
	store->held_heads[partition] = store->heads.at[partition];
}

static void
let_read(struct push_channel *channel, const struct push_positions *from, uint64_t now_us)
{
	for (uint32_t i = channel->count; i-- > 0;) {
		struct push_subscriber *subscriber = channel->entries[i].subscriber;

		if (subscriber->state != SUBSCRIBER_OPEN)
			continue;
		if (!subscriber->is_behind)
			session_go_on(subscriber, from, now_us);
		if (subscriber->state == SUBSCRIBER_OPEN)
			hub_mark_dirty(subscriber);
	}
}

/*
 * Up to where the server has told all that the partition's channels have had.  0-0: of one, nothing yet: that
 * may be given up, and what is on its way of it would come behind.
 */
static struct push_position
told_of_all(const struct push_hub *hub, unsigned int partition)
{
	const struct push_channel_map *map = &hub->channels;
	struct push_position told = {0, 0};
	bool is_first = true;

	for (size_t i = 0; i < map->bucket_count; i++)
		for (const struct push_channel *channel = map->buckets[i]; channel; channel = channel->next) {
			const struct push_history *history = channel->history;

			if (!history || history->partition != partition)
				continue;
			if (!history->is_settled && (channel->count || channel->held))
				return (struct push_position){0, 0};
			if (!history->is_settled) /* nobody is subscribed to it */
				continue;
			if (is_first || push_position_compare(history->complete, told) < 0)
				told = history->complete;
			is_first = false;
		}
	return told;
}

struct catching_up {
	unsigned int partition;
	struct push_positions from;
	uint64_t now_us;
};

static void
catch_up(void *context, struct push_channel *channel)
{
	const struct catching_up *up = context;

	if (channel->history && channel->history->partition == up->partition && channel->count)
		let_read(channel, &up->from, up->now_us);
}

void
push_hub_catch_up(struct push_hub *hub, unsigned int partition, uint64_t now_us)
{
	struct push_history_store *store = hub->history;
	struct catching_up up = {partition, store->heads, now_us};

	PUSH_ASSERT(store->held & (1u << partition));
	store->held &= ~(1u << partition);
	move_head(hub, partition, store->held_heads[partition]);
	move_head(hub, partition, told_of_all(hub, partition));
	push_channel_map_each(&hub->channels, catch_up, &up);
}

bool
push_hub_knows_head(const struct push_hub *hub, unsigned int partition)
{
	return hub->history->heads.partitions & (1u << partition);
}

bool
push_hub_is_at_head(const struct push_hub *hub, const struct push_channel *channel)
{
	const struct push_history *history = channel->history;

	return push_hub_knows_head(hub, history->partition) &&
	       push_position_compare(history->complete, hub->history->heads.at[history->partition]) <= 0;
}

bool
push_hub_awaits_head(const struct push_hub *hub)
{
	return !push_list_is_empty(&hub->ahead) || !push_list_is_empty(&hub->behind_head);
}

bool
push_hub_is_ahead(const struct push_hub *hub)
{
	return !push_list_is_empty(&hub->ahead);
}

bool
push_hub_waits_long(const struct push_hub *hub, unsigned int partition, uint64_t now_us)
{
	return session_waits_long(hub, partition, now_us);
}

void
push_hub_is_unanswered(struct push_hub *hub, unsigned int partition, bool is_unanswered)
{
	hub->unanswered &= ~(1u << partition);
	hub->unanswered |= (uint32_t)is_unanswered << partition;
}
