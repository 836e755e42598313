/* history.c - see history.h. */
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "push_assert.h"
#include "redis_slot.h"

#define RING_FIRST_CAPACITY 4

/* What one more channel takes beside its entries: it may exist for its history alone. */
#define CHANNEL_BYTES (sizeof(struct push_history) + sizeof(struct push_channel) + 64)

/* An entry and its place in the ring. */
#define ENTRY_BYTES (sizeof(struct push_history_entry) + sizeof(struct push_history_entry *))

struct push_history_store *
push_history_store_create(const struct push_options *options, struct push_channel_map *channels,
	struct push_memory *memory, struct push_stats *stats, uint64_t now_us)
{
	struct push_history_store *store = calloc(1, sizeof(*store));
	struct push_error error = {""};
	enum push_status status;

	if (!store)
		return NULL;
	status = push_history_rules_parse(&store->rules, options, &error);
	PUSH_ASSERT(status == PUSH_OK);
	store->channels = channels;
	store->memory = memory;
	store->stats = stats;
	store->bytes_max = options->history_bytes_max;
	store->partition_count = 1;
	push_list_init(&store->by_age[0]);
	push_list_init(&store->by_age[1]);
	push_wheel_init(&store->wheel, now_us);
	return store;
}

static struct push_position *
forgotten(struct push_history_store *store, const struct push_channel *channel)
{
	return &store->forgotten[channel->hash % PUSH_HISTORY_FORGOTTEN_COUNT];
}

unsigned int
push_history_partition(const struct push_history_store *store, const char *channel, size_t size)
{
	return store->partition_count > 1
		       ? push_redis_slot(channel, size) * store->partition_count / PUSH_REDIS_SLOT_COUNT
		       : 0;
}

struct push_history *
push_history_of(struct push_history_store *store, struct push_channel *channel)
{
	const struct push_history_rule *rule;
	struct push_history *history;

	if (channel->history)
		return channel->history;
	rule = push_history_rules_find(&store->rules, channel->name, channel->name_size);
	history = rule->size ? calloc(1, sizeof(*history)) : NULL;
	if (!history)
		return NULL;
	history->store = store;
	history->channel = channel;
	history->size_max = rule->size;
	history->ttl_us = rule->ttl_us;
	history->after = history->known_since = *forgotten(store, channel);
	push_timer_init(&history->expiry);
	push_list_init(&history->fetched);
	push_list_init(&history->pending);
	history->partition = (uint8_t)push_history_partition(store, channel->name, channel->name_size);
	history->created = store->heads.at[history->partition];
	channel->history = history;
	return history;
}

static struct push_account *
account_of(struct push_history_store *store, enum push_memory_use use)
{
	return &store->memory->accounts[use];
}

/* A text may be kept by several: it is history's until the last of them has left. */
static void
keep_frame(struct push_history_store *store, struct push_frame *frame)
{
	push_frame_charge(frame, account_of(store, PUSH_MEMORY_HISTORY));
	if (frame->text && !frame->text->kept++)
		push_frame_charge(frame->text, account_of(store, PUSH_MEMORY_HISTORY));
}

static void
let_go_of_frame(struct push_history_store *store, struct push_frame *frame)
{
	push_frame_charge(frame, account_of(store, PUSH_MEMORY_QUEUES));
	if (frame->text && !--frame->text->kept)
		push_frame_charge(frame->text, account_of(store, PUSH_MEMORY_QUEUES));
}

/* The frames of an entry belong to history as long as that keeps them, and then to the queues that do. */
static void
charge_entry(struct push_history_entry *entry)
{
	struct push_history_store *store = entry->history->store;

	push_account_add(account_of(store, PUSH_MEMORY_HISTORY), ENTRY_BYTES);
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		if (entry->frames[e])
			keep_frame(store, entry->frames[e]);
}

static void
uncharge_entry(struct push_history_entry *entry)
{
	struct push_history_store *store = entry->history->store;

	push_account_take(account_of(store, PUSH_MEMORY_HISTORY), ENTRY_BYTES);
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		if (entry->frames[e])
			let_go_of_frame(store, entry->frames[e]);
}

static uint64_t
entry_bytes(const struct push_history_entry *entry)
{
	uint64_t bytes = ENTRY_BYTES;

	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		if (entry->frames[e])
			bytes += sizeof(struct push_frame) + entry->frames[e]->size;
	return bytes;
}

/* The channel stays while anything is kept of it. */
static void
set_kept(struct push_history *history, bool kept)
{
	if (history->channel->kept == kept)
		return;
	history->channel->kept = kept;
	if (kept) {
		history->store->stats->history_bytes += CHANNEL_BYTES;
		push_account_add(account_of(history->store, PUSH_MEMORY_HISTORY), CHANNEL_BYTES);
	} else {
		history->store->stats->history_bytes -= CHANNEL_BYTES;
		push_account_take(account_of(history->store, PUSH_MEMORY_HISTORY), CHANNEL_BYTES);
		push_timer_disarm(&history->expiry);
	}
}

static void
drop_oldest(struct push_history *history)
{
	struct push_history_entry *entry = push_history_at(history, 0);
	struct push_stats *stats = history->store->stats;

	stats->history_bytes -= entry_bytes(entry);
	uncharge_entry(entry);
	stats->history_messages--;
	history->after = entry->at;
	history->dropped++;
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		push_frame_unref(entry->frames[e]);
	push_list_remove(&entry->age);
	free(entry);
	history->head = (history->head + 1) & (history->capacity - 1);
	if (--history->count)
		return;
	free(history->entries);
	history->entries = NULL;
	history->capacity = history->head = 0;
	set_kept(history, false);
}

void
push_history_expire(struct push_history *history, uint64_t now_us)
{
	while (history->count && push_history_at(history, 0)->kept_until_us <= now_us)
		drop_oldest(history);
}

static void
on_expiry(struct push_timer *timer, uint64_t now_us)
{
	struct push_history *history = push_container_of(timer, struct push_history, expiry);
	uint64_t due_us;

	push_history_expire(history, now_us);
	if (!history->count) {
		push_channel_map_release(history->store->channels, history->channel);
		return;
	}
	/* not for each message by itself: reading looks at the time, this only frees */
	due_us = push_history_at(history, 0)->kept_until_us;
	if (due_us < now_us + PUSH_HISTORY_TTL_US_MIN)
		due_us = now_us + PUSH_HISTORY_TTL_US_MIN;
	push_wheel_arm(&history->store->wheel, timer, due_us);
}

bool
push_history_store_tick(struct push_history_store *store, uint64_t now_us, unsigned int max)
{
	return push_wheel_advance(&store->wheel, now_us, max, on_expiry);
}

/* When it was published. */
static uint64_t
time_of(const struct push_history_entry *entry)
{
	return entry->kept_until_us - entry->history->ttl_us;
}

static bool
is_in_use(const struct push_history *history, uint64_t now_us)
{
	return now_us >= history->kept_since_us + PUSH_HISTORY_SAFE_US;
}

/* Ever new names would push out all others: what they bring goes before what is a minute older. */
static struct push_history_entry *
next_to_go(const struct push_history_store *store)
{
	const struct push_list *young = &store->by_age[0], *old = &store->by_age[1];
	struct push_history_entry *first, *used;

	if (push_list_is_empty(young))
		return push_container_of(old->next, struct push_history_entry, age);
	first = push_container_of(young->next, struct push_history_entry, age);
	if (push_list_is_empty(old))
		return first;
	used = push_container_of(old->next, struct push_history_entry, age);
	return time_of(used) + PUSH_HISTORY_SAFE_US < time_of(first) ? used : first;
}

/* The channel may go with its oldest message. */
static void
drop_oldest_of_all(struct push_history_store *store)
{
	struct push_history *history = next_to_go(store)->history;

	drop_oldest(history);
	if (!history->count)
		push_channel_map_release(store->channels, history->channel);
}

static void
drop_above(struct push_history_store *store, uint64_t bytes_max)
{
	while (store->stats->history_bytes > bytes_max && store->stats->history_messages > 1) {
		store->stats->history_dropped++;
		drop_oldest_of_all(store);
	}
}

/* The newest stays whatever it takes. */
static void
make_room(struct push_history_store *store)
{
	drop_above(store, store->cache_stats && !store->replays ? store->cache_bytes : store->bytes_max);
}

enum push_status
push_history_store_cache(struct push_history_store *store, uint64_t bytes_max)
{
	store->cache_stats = calloc(1, sizeof(*store->cache_stats));
	if (!store->cache_stats)
		return PUSH_OUT_OF_MEMORY;
	store->stats = store->cache_stats;
	store->cache_bytes = bytes_max < store->bytes_max ? bytes_max : store->bytes_max;
	store->bytes_max *= 2;
	return PUSH_OK;
}

void
push_history_store_trim(struct push_history_store *store)
{
	store->trims++;
	if (store->replays && --store->replays == 0)
		make_room(store);
}

bool
push_history_has_older(const struct push_history *history)
{
	return push_position_compare(history->upstream, history->after) < 0 &&
	       history->short_until != history->store->trims + 1;
}

size_t
push_history_store_relieve(struct push_history_store *store, size_t max)
{
	size_t count = 0;

	while (count < max && store->stats->history_messages > 1 &&
		push_memory_gives(store->memory, 1u << PUSH_MEMORY_HISTORY)) {
		/* of a cache it could be fetched again, to be dropped again */
		next_to_go(store)->history->short_until = store->cache_stats ? store->trims + 1 : 0;
		drop_oldest_of_all(store);
		count++;
	}
	store->stats->history_dropped += count;
	return count;
}

static bool
reserve(struct push_history *history)
{
	uint32_t capacity = history->capacity ? history->capacity * 2 : RING_FIRST_CAPACITY;
	struct push_history_entry **entries;

	if (history->count < history->capacity)
		return true;
	entries = malloc(capacity * sizeof(struct push_history_entry *));
	if (!entries)
		return false;
	for (uint32_t i = 0; i < history->count; i++)
		entries[i] = push_history_at(history, i);
	free(history->entries);
	history->entries = entries;
	history->head = 0;
	history->capacity = capacity;
	return true;
}

/* A message that could not be kept: whoever needs it finds that it is gone, and all before it. */
static void
skip(struct push_history *history, struct push_position at)
{
	while (history->count)
		drop_oldest(history);
	history->after = at;
	history->dropped++;
}

struct push_history_entry *
push_history_entry_create(struct push_history *history, struct push_position at, uint64_t ttl_us,
	uint64_t age_us, uint64_t now_us)
{
	struct push_history_entry *entry = malloc(sizeof(*entry));
	uint64_t left_us = history->ttl_us > age_us ? history->ttl_us - age_us : 0;

	if (!entry)
		return NULL;
	*entry = (struct push_history_entry){.history = history, .at = at, .kept_until_us = now_us + left_us};
	entry->expires_us = !ttl_us ? UINT64_MAX : ttl_us > age_us ? now_us + ttl_us - age_us : 0;
	push_list_init(&entry->age);
	return entry;
}

void
push_history_entry_destroy(struct push_history_entry *entry)
{
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		push_frame_unref(entry->frames[e]);
	push_list_remove(&entry->age);
	free(entry);
}

static void
count_in(struct push_history *history, struct push_history_entry *entry)
{
	struct push_history_store *store = history->store;

	if (!history->channel->kept)
		history->kept_since_us = time_of(entry);
	push_list_append(&store->by_age[is_in_use(history, time_of(entry))], &entry->age);
	store->stats->history_messages++;
	store->stats->history_bytes += entry_bytes(entry);
	charge_entry(entry);
	set_kept(history, true);
	if (!push_timer_is_armed(&history->expiry))
		push_wheel_arm(&store->wheel, &history->expiry, entry->kept_until_us);
}

bool
push_history_put(struct push_history *history, struct push_history_entry *entry)
{
	PUSH_ASSERT(push_position_compare(push_history_last(history), entry->at) < 0);
	while (history->count && history->count >= history->size_max)
		drop_oldest(history);
	if (!reserve(history)) {
		skip(history, entry->at);
		push_history_entry_destroy(entry);
		return false;
	}
	history->entries[(history->head + history->count++) & (history->capacity - 1)] = entry;
	count_in(history, entry);
	make_room(history->store);
	return true;
}

void
push_history_discard(struct push_history *history)
{
	struct push_list *item = history->fetched.next, *next;

	for (; item != &history->fetched; item = next) {
		next = item->next;
		push_history_entry_destroy(push_container_of(item, struct push_history_entry, age));
	}
}

void
push_history_restart(struct push_history *history, struct push_position at)
{
	while (history->count)
		drop_oldest(history);
	if (push_position_compare(history->after, at) >= 0)
		return;
	history->after = at;
	history->losses++;
}

/* What was before the epoch may have been lost when it began: the window never reaches back beyond that. */
static struct push_position
limit_to_epoch(struct push_position after, struct push_position head)
{
	struct push_position start = {head.epoch, 0};

	return push_position_compare(after, start) < 0 ? start : after;
}

void
push_history_forward(struct push_history *history, struct push_position after, struct push_position upstream,
	struct push_position head)
{
	struct push_list *item, *next;

	after = limit_to_epoch(after, head);
	if (!history->complete.epoch) {
		history->after = history->known_since = head;
		history->created = (struct push_position){0, 0}; /* how many have left is never known */
	} else if (push_position_compare(push_history_last(history), after) < 0 ||
		   push_position_compare(head, push_history_last(history)) < 0) {
		push_history_restart(history, after);
	}
	for (item = history->fetched.next; item != &history->fetched; item = next) {
		struct push_history_entry *entry = push_container_of(item, struct push_history_entry, age);

		next = item->next;
		push_list_remove(item);
		if (push_position_compare(push_history_last(history), entry->at) < 0)
			(void)push_history_put(history, entry);
		else
			push_history_entry_destroy(entry);
	}
	history->complete = head;
	history->upstream = limit_to_epoch(upstream, head);
	history->is_settled = true;
}

/* In front of the oldest, from the back of the list to its start. */
static bool
put_first(struct push_history *history, struct push_history_entry *entry)
{
	if (history->count >= history->size_max || !reserve(history))
		return false;
	history->head = (history->head - 1) & (history->capacity - 1);
	history->entries[history->head] = entry;
	history->count++;
	history->dropped--; /* modulo 2^64; only of a cache it says anything */
	push_list_remove(&entry->age);
	count_in(history, entry);
	/* it is older than any other */
	push_list_remove(&entry->age);
	push_list_insert(&history->store->by_age[0], &entry->age);
	return true;
}

void
push_history_backward(struct push_history *history, struct push_position after, struct push_position upstream)
{
	struct push_position start = history->after;
	uint64_t dropped = history->store->stats->history_dropped;
	struct push_list *item = history->fetched.prev, *before;
	bool has_room = true;

	if (!history->store->replays)
		history->store->replays = PUSH_HISTORY_CACHE_REPLAYS;
	after = limit_to_epoch(after, history->complete);
	for (; has_room && item != &history->fetched; item = before) {
		struct push_history_entry *entry = push_container_of(item, struct push_history_entry, age);

		before = item->prev;
		if (push_position_compare(entry->at, start) > 0) {
			push_history_entry_destroy(entry); /* it is there, or it comes by itself */
			continue;
		}
		has_room = put_first(history, entry);
		if (!has_room)
			after = entry->at;
	}
	push_history_discard(history);
	if (push_position_compare(after, start) < 0)
		history->after = after;
	make_room(history->store);
	/* what there is no room for is not asked for again */
	has_room = has_room && dropped == history->store->stats->history_dropped;
	history->upstream = has_room ? limit_to_epoch(upstream, history->complete) : history->after;
}

void
push_history_append(struct push_history *history, struct push_position at,
	struct push_frame *const frames[PUSH_ENCODING_COUNT], uint64_t ttl_us, uint64_t now_us)
{
	struct push_history_entry *entry = push_history_entry_create(history, at, ttl_us, 0, now_us);

	if (!entry) {
		skip(history, at);
		return;
	}
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		entry->frames[e] = frames[e] ? push_frame_ref(frames[e]) : NULL;
	(void)push_history_put(history, entry);
}

void
push_history_free(struct push_history *history)
{
	struct push_position *place = forgotten(history->store, history->channel);

	PUSH_ASSERT(!history->count);
	push_list_splice(&history->fetched, &history->pending);
	push_history_discard(history);
	if (push_position_compare(*place, history->after) < 0)
		*place = history->after;
	history->channel->history = NULL;
	free(history);
}

void
push_history_store_destroy(struct push_history_store *store)
{
	if (!store)
		return;
	while (!push_list_is_empty(&store->by_age[0]) || !push_list_is_empty(&store->by_age[1]))
		drop_oldest_of_all(store);
	PUSH_ASSERT(!store->stats->history_bytes && !store->stats->history_messages);
	free(store->cache_stats);
	free(store);
}

uint32_t
push_history_find(const struct push_history *history, struct push_position position)
{
	uint32_t low = 0, high = history->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (push_position_compare(push_history_at(history, middle)->at, position) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct push_frame *
push_history_frame_with(const struct push_history_entry *entry, size_t known_id_size,
	enum push_encoding encoding, const char *id, size_t id_size)
{
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++) {
		const struct push_frame *known = entry->frames[e];
		struct push_message_data data;

		if (!known)
			continue;
		data = push_encoding_message_data((enum push_encoding)e, known, known_id_size);
		return push_encoding_message(encoding, &data, id, id_size, known->accepted_us);
	}
	return NULL;
}

size_t
push_history_id(const struct push_history_entry *entry, char *to)
{
	struct push_positions at = {.partitions = 1u << entry->history->partition};

	at.at[entry->history->partition] = entry->at;
	return push_positions_format(&at, UINT32_MAX, to);
}

struct push_frame *
push_history_make_frame(
	struct push_history *history, struct push_history_entry *entry, enum push_encoding encoding)
{
	char id[PUSH_ID_BYTES_MAX];
	size_t id_size = push_history_id(entry, id);

	PUSH_ASSERT(!entry->frames[encoding]);
	entry->frames[encoding] = push_history_frame_with(entry, id_size, encoding, id, id_size);
	/* one that is not kept yet is counted as a whole when it is */
	if (entry->frames[encoding] && !push_list_is_empty(&entry->age)) {
		history->store->stats->history_bytes +=
			sizeof(struct push_frame) + entry->frames[encoding]->size;
		keep_frame(history->store, entry->frames[encoding]);
	}
	return entry->frames[encoding];
}

uint64_t
push_history_missed(const struct push_history *history, struct push_position position)
{
	if (push_position_compare(position, history->after) >= 0)
		return 0;
	return push_position_compare(position, history->known_since) >= 0 &&
			       push_position_compare(position, history->created) <= 0
		       ? history->dropped
		       : UINT64_MAX;
}
