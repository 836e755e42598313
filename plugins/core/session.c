/* session.c - see session.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "session.h"

/* An EventSource waits so long before it connects again, so that thousands do not come at once. */
#define RETRY_MS_MIN 500
#define RETRY_MS_MAX 2500

/* How long a client that has read more than is known here is waited for to be right, or one that may read
 * more for the head to move: nodes hear of each other's messages within this time, or of nothing. */
#define SESSION_WAIT_US 6000000ull

struct push_session *
session_create(const struct push_hub *hub)
{
	return calloc(1,
		sizeof(struct push_session) + hub->history->partition_count * sizeof(struct push_position));
}

static void
drop_cursor(struct push_session *session)
{
	if (session->cursor)
		push_list_remove(&session->cursor->waiting);
	free(session->cursor);
	session->cursor = NULL;
}

void
session_destroy(struct push_session *session)
{
	if (!session)
		return;
	drop_cursor(session);
	free(session);
}

static struct session_cursor *
create_cursor(struct push_subscriber *subscriber)
{
	struct push_session *session = subscriber->list->session;
	struct session_cursor *cursor =
		calloc(1, sizeof(*cursor) + subscriber->subscription_count * sizeof(cursor->marks[0]));

	if (!cursor)
		return NULL;
	cursor->subscriber = subscriber;
	push_list_init(&cursor->waiting);
	drop_cursor(session);
	session->cursor = cursor;
	return cursor;
}

enum push_status
session_ask(struct push_subscriber *subscriber, const char *id, size_t size)
{
	struct session_cursor *cursor = create_cursor(subscriber);

	if (!cursor)
		return PUSH_OUT_OF_MEMORY;
	cursor->is_readable = push_positions_parse(&cursor->at, id, size) == PUSH_OK;
	return PUSH_OK;
}

static struct push_history *
history_of(const struct push_subscriber *subscriber, uint32_t index)
{
	return subscriber->list->items[index].channel->history;
}

static void
enqueue(struct push_subscriber *subscriber, struct push_frame *frame, uint64_t now_us)
{
	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
	push_frame_unref(frame);
}

void
session_tell_gap(struct push_subscriber *subscriber, const struct push_channel *channel, uint64_t missed,
	uint64_t now_us)
{
	struct push_frame *frame;
	struct push_buf data;

	subscriber->hub->stats->gaps++;
	push_buf_init(&data, PUSH_EVENT_BYTES_MAX);
	push_buf_append_text(&data, "{\"channel\":");
	push_json_append_string(&data, channel->name, channel->name_size);
	if (missed == UINT64_MAX)
		push_buf_append_text(&data, ",\"missed\":\"unknown\"}");
	else
		push_buf_printf(&data, ",\"missed\":%" PRIu64 "}", missed);
	frame = data.status == PUSH_OK ? push_encoding_event((enum push_encoding)subscriber->encoding, "gap",
						 data.bytes, data.size, NULL, 0)
				       : NULL;
	/* who cannot be told must not go on as if there were none */
	if (frame)
		enqueue(subscriber, frame, now_us);
	else
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
	push_buf_fini(&data);
}

static void
tell_gap(struct push_subscriber *subscriber, uint32_t index, uint64_t missed, uint64_t now_us)
{
	subscriber->list->session->cursor->is_gap_told = true;
	session_tell_gap(subscriber, subscriber->list->items[index].channel, missed, now_us);
}

/* How many a reader at `position` misses of what has left; 0: nothing, or it was told before. */
static uint64_t
missed(const struct push_history *history, const struct session_mark *mark, struct push_position position)
{
	if (push_position_compare(mark->after, position) <= 0)
		return push_history_missed(history, position);
	if (push_position_compare(mark->after, history->after) >= 0)
		return 0;
	/* of a window it is not known what was between two of its states */
	return history->complete.epoch ? UINT64_MAX : history->dropped - mark->dropped;
}

static void
set_mark(struct session_mark *mark, const struct push_history *history)
{
	mark->after = history->after;
	mark->dropped = history->dropped;
}

/*
 * Looks up where each channel is to be read on, and tells of what has gone.
 * Returns false when the subscriber has been closed for it.
 */
static bool
look_up(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	for (uint32_t i = 0; i < subscriber->subscription_count; i++) {
		struct push_history *history = history_of(subscriber, i);
		uint64_t count;

		if (!history)
			continue;
		push_history_expire(history, now_us);
		count = missed(history, &cursor->marks[i], cursor->at.at[history->partition]);
		if (count) {
			set_mark(&cursor->marks[i], history);
			tell_gap(subscriber, i, count, now_us);
			if (subscriber->state != SUBSCRIBER_OPEN)
				return false;
		}
		subscriber->list->items[i].next =
			push_history_find(history, cursor->at.at[history->partition]);
	}
	return true;
}

/* The channel whose next message comes first.  Positions of different partitions may come in any order. */
static struct push_history_entry *
next_entry(const struct push_subscriber *subscriber, uint32_t *ret_index, uint64_t now_us)
{
	const struct session_cursor *cursor = subscriber->list->session->cursor;
	const struct push_position *heads = subscriber->hub->history->heads.at;
	struct push_history_entry *first = NULL;

	for (uint32_t i = 0; i < subscriber->subscription_count; i++) {
		struct push_history *history = history_of(subscriber, i);
		struct subscription *item = &subscriber->list->items[i];
		struct push_history_entry *entry = NULL;

		for (; history && item->next < history->count; item->next++) {
			entry = push_history_at(history, item->next);
			if (entry->expires_us > now_us)
				break;
			entry = NULL;
		}
		if (!entry || push_position_compare(entry->at, heads[history->partition]) > 0 ||
			(cursor->is_bounded &&
				push_position_compare(entry->at, cursor->until.at[history->partition]) > 0))
			continue;
		if (first && push_position_compare(first->at, entry->at) <= 0)
			continue;
		first = entry;
		*ret_index = i;
	}
	return first;
}

static bool
has_room(const struct push_subscriber *subscriber, const struct push_frame *frame)
{
	uint64_t max = subscriber->hub->options->queue_bytes_max;

	if (max > SESSION_OUTBOX_BYTES)
		max = SESSION_OUTBOX_BYTES;
	return push_outbox_is_empty(&subscriber->outbox) ||
	       (uint64_t)subscriber->outbox.bytes + frame->size <= max;
}

/* Nothing is left to read: from here on it is given what is published. */
static void
catch_up(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_session *session = subscriber->list->session;
	struct session_cursor *cursor = session->cursor;
	char data[64], id[PUSH_ID_BYTES_MAX];
	size_t id_size = push_positions_format(&subscriber->hub->history->heads, UINT32_MAX, id);
	int size = snprintf(data, sizeof(data), "{\"replayed\":%" PRIu64 "}", cursor->replayed);
	bool is_quiet = cursor->is_gap_told || cursor->is_silent;

	drop_cursor(session);
	subscriber->is_behind = false;
	if (!is_quiet)
		enqueue(subscriber,
			push_encoding_event((enum push_encoding)subscriber->encoding, "resumed", data,
				(size_t)size, id, id_size),
			now_us);
}

struct push_frame *
session_frame(const struct push_subscriber *subscriber, struct push_history_entry *entry,
	const struct push_positions *at)
{
	enum push_encoding encoding = (enum push_encoding)subscriber->encoding;
	uint32_t partitions = subscriber->list->session->partitions;
	char id[PUSH_ID_BYTES_MAX], known[PUSH_ID_BYTES_MAX];
	struct push_positions all;
	struct push_frame *frame;
	size_t id_size;

	if (!(partitions & (partitions - 1))) {
		frame = push_history_frame(entry->history, entry, encoding);
		return frame ? push_frame_ref(frame) : NULL;
	}
	/* of one that nothing is known of yet it has read nothing, and that must be told, too */
	all = *at;
	all.partitions |= partitions;
	id_size = push_positions_format(&all, partitions, id);
	return push_history_frame_with(entry, push_history_id(entry, known), encoding, id, id_size);
}

/* Returns false when the outbox is full, or the subscriber closed. */
static bool
replay(struct push_subscriber *subscriber, struct push_history_entry *entry, uint32_t index, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;
	unsigned int partition = history_of(subscriber, index)->partition;
	struct push_positions at = cursor->at;
	struct push_frame *frame;
	bool is_taken;

	at.at[partition] = entry->at;
	frame = session_frame(subscriber, entry, &at);
	if (!frame) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return false;
	}
	is_taken = has_room(subscriber, frame);
	if (is_taken) {
		cursor->at = at;
		cursor->replayed++;
		subscriber->hub->stats->replayed++;
		subscriber->list->items[index].next++;
		subscriber->is_replayed = true;
		subscriber_enqueue(subscriber, frame, now_us);
	}
	push_frame_unref(frame);
	return is_taken && subscriber->state == SUBSCRIBER_OPEN;
}

/*
 * Whether the server has to say something first: where a channel stands, or what is older than the window.
 * Whoever brings that wakes the subscriber.
 */
static bool
awaits_upstream(struct push_subscriber *subscriber)
{
	const struct session_cursor *cursor = subscriber->list->session->cursor;
	struct push_hub *hub = subscriber->hub;
	bool awaits = false;

	for (uint32_t i = 0; i < subscriber->subscription_count; i++) {
		struct push_history *history = history_of(subscriber, i);

		if (!history)
			continue;
		if (history->is_settled && !history->is_fetching &&
			push_position_compare(cursor->at.at[history->partition], history->after) < 0 &&
			push_position_compare(history->upstream, history->after) < 0) {
			history->is_fetching = true;
			hub->fetch(hub->fetch_context, history->channel);
		}
		awaits = awaits || !history->is_settled || history->is_fetching;
	}
	return awaits;
}

/* Whether the client has read more than this server knows to have been written: another one was faster.  Its
 * id may tell of partitions in which it has no channel, and this server none either. */
static bool
is_ahead(const struct push_subscriber *subscriber)
{
	const struct push_session *session = subscriber->list->session;
	const struct push_history_store *store = subscriber->hub->history;
	uint32_t partitions = session->partitions & ~store->held;

	for (unsigned int p = 0; p < store->partition_count; p++)
		if ((partitions & (1u << p)) &&
			push_position_compare(session->cursor->at.at[p], store->heads.at[p]) > 0)
			return true;
	return false;
}

/*
 * Whether the server has said more of a channel than has come in of the others: what was published before
 * that is on its way, and must not come behind.
 */
static bool
is_behind_head(const struct push_subscriber *subscriber)
{
	const struct push_position *heads = subscriber->hub->history->heads.at;

	for (uint32_t i = 0; i < subscriber->subscription_count; i++) {
		const struct push_history *history = history_of(subscriber, i);

		if (history && push_position_compare(history->complete, heads[history->partition]) > 0)
			return true;
	}
	return false;
}

/* Whether the head has to move before it can read on; whoever moves it wakes the subscriber. */
static bool
awaits_head(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;
	struct push_hub *hub = subscriber->hub;
	struct push_list *list = is_ahead(subscriber)         ? &hub->ahead
				 : is_behind_head(subscriber) ? &hub->behind_head
							      : NULL;

	if (list && cursor->waits_in == list)
		return true;
	push_list_remove(&cursor->waiting);
	cursor->waits_in = list;
	if (!list)
		return false;
	cursor->waits_since_us = now_us;
	push_list_append(list, &cursor->waiting);
	hub->ready(hub->context); /* the engine is to see that it moves */
	return true;
}

/* Whether a partition of its channels is held back.  It may have read more than came here before that, and
 * would get it again if it were taken for one that has read up to there. */
static bool
is_held_back(const struct push_subscriber *subscriber)
{
	return subscriber->hub->history->held & subscriber->list->session->partitions;
}

/* The first that has waited so long, and now does not wait any more. */
static struct session_cursor *
take_overdue(struct push_list *list, uint64_t now_us)
{
	struct session_cursor *cursor = push_container_of(list->next, struct session_cursor, waiting);

	if (push_list_is_empty(list) || cursor->waits_since_us + SESSION_WAIT_US > now_us)
		return NULL;
	push_list_remove(&cursor->waiting);
	cursor->waits_in = NULL;
	return cursor;
}

void
session_tick(struct push_hub *hub, uint64_t now_us)
{
	struct session_cursor *cursor;

	while ((cursor = take_overdue(&hub->ahead, now_us))) {
		/* nobody knows what the client has read: it is an id like any other that is none of ours */
		cursor->at = hub->history->heads;
		cursor->is_readable = false;
		session_begin(cursor->subscriber, now_us);
	}
	while ((cursor = take_overdue(&hub->behind_head, now_us))) {
		/* the server may not announce its head to us; what was on its way has come by now */
		for (uint32_t i = 0; i < cursor->subscriber->subscription_count; i++) {
			const struct push_history *history = history_of(cursor->subscriber, i);

			if (history)
				push_hub_move_head(hub, history->partition, history->complete);
		}
		hub_mark_dirty(cursor->subscriber);
	}
}

/* Returns false when there is more to read than the outbox takes, or the subscriber is closed. */
static bool
read_on(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	if (subscriber->hub->fetch &&
		(awaits_upstream(subscriber) || is_held_back(subscriber) || awaits_head(subscriber, now_us)))
		return false;
	if (!look_up(subscriber, now_us))
		return false;
	for (;;) {
		uint32_t index = 0;
		struct push_history_entry *entry = next_entry(subscriber, &index, now_us);

		if (entry && !replay(subscriber, entry, index, now_us))
			return false;
		if (entry)
			continue;
		if (!cursor->is_bounded)
			return true;
		cursor->is_bounded = false;
		cursor->at = cursor->then;
		if (!look_up(subscriber, now_us))
			return false;
	}
}

void
session_advance(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	PUSH_ASSERT(subscriber->is_behind && cursor);
	/* what is enqueued may be flushed at once, which comes here again */
	if (subscriber->state != SUBSCRIBER_OPEN || cursor->is_busy)
		return;
	cursor->is_busy = true;
	if (read_on(subscriber, now_us))
		catch_up(subscriber, now_us);
	else if (subscriber->is_behind)
		cursor->is_busy = false;
}

/* Whether the position can be one of ours: nobody has read what has not been written. */
static bool
is_known(const struct push_history_store *store, const struct push_positions *positions)
{
	for (unsigned int p = 0; p < store->partition_count; p++)
		if ((positions->partitions & (1u << p)) &&
			push_position_compare(positions->at[p], store->heads.at[p]) > 0)
			return false;
	return true;
}

/* Of a partition that the id says nothing of, nothing is owed. */
static void
complete(struct push_positions *positions, const struct push_positions *heads)
{
	for (unsigned int p = 0; p < PUSH_PARTITIONS_MAX; p++)
		if (!(positions->partitions & (1u << p)))
			positions->at[p] = heads->at[p];
	positions->partitions |= heads->partitions;
}

/* Where nothing can be replayed at all, that is what there is to be said. */
static void
tell_gaps(struct push_subscriber *subscriber, bool of_those_with_history, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	for (uint32_t i = 0; i < subscriber->subscription_count; i++) {
		struct push_history *history = history_of(subscriber, i);

		if ((history && !of_those_with_history) || subscriber->state != SUBSCRIBER_OPEN)
			continue;
		if (history)
			set_mark(&cursor->marks[i], history);
		tell_gap(subscriber, i, UINT64_MAX, now_us);
	}
}

/* Decides where to begin: where the client has asked for, or now if that cannot be. */
static void
fall_behind(struct push_subscriber *subscriber)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;
	const struct push_history_store *store = subscriber->hub->history;

	cursor->is_readable = cursor->is_readable && (subscriber->hub->fetch || is_known(store, &cursor->at));
	if (!cursor->is_readable)
		cursor->at.partitions = 0;
	complete(&cursor->at, &store->heads);
	subscriber->is_behind = true;
	subscriber->hub->stats->resumes++;
}

void
session_begin(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	cursor->is_busy = true;
	tell_gaps(subscriber, !cursor->is_readable, now_us);
	if (subscriber->state != SUBSCRIBER_OPEN)
		return;
	cursor->is_busy = false;
	session_advance(subscriber, now_us);
}

/*
 * One that comes without an id begins at the head.  Where it has been said what a channel has had behind
 * that, it will not come again: it is to be read.
 */
void
session_start(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_session *session = subscriber->list->session;
	const struct push_history_store *store = subscriber->hub->history;

	memcpy(session->start, store->heads.at, store->partition_count * sizeof(session->start[0]));
	for (uint32_t i = 0; i < subscriber->subscription_count; i++)
		if (history_of(subscriber, i))
			session->partitions |= 1u << history_of(subscriber, i)->partition;
	if (session->cursor)
		fall_behind(subscriber);
	else if (subscriber->hub->fetch && is_behind_head(subscriber))
		session_fall_back(subscriber, &store->heads, now_us);
}

void
session_resume(struct push_subscriber *subscriber, const char *id, size_t size, uint64_t now_us)
{
	const struct push_history_store *store = subscriber->hub->history;
	struct push_session *session = subscriber_session(subscriber);
	struct session_cursor *cursor;

	if (!session || subscriber->is_behind || subscriber->state != SUBSCRIBER_OPEN)
		return;
	if (session_ask(subscriber, id, size) != PUSH_OK) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return;
	}
	cursor = session->cursor;
	cursor->is_bounded = true;
	memcpy(cursor->until.at, session->start, store->partition_count * sizeof(session->start[0]));
	cursor->then = store->heads;
	fall_behind(subscriber);
	session_begin(subscriber, now_us);
}

void
session_fall_back(struct push_subscriber *subscriber, const struct push_positions *from, uint64_t now_us)
{
	struct session_cursor *cursor = create_cursor(subscriber);

	if (!cursor) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return;
	}
	cursor->is_readable = cursor->is_silent = true;
	cursor->at = *from;
	complete(&cursor->at, &subscriber->hub->history->heads);
	subscriber->is_behind = true;
}

static struct push_frame *
newest_heartbeat(struct push_hub *hub, enum push_encoding encoding)
{
	char id[PUSH_ID_BYTES_MAX];

	if (!hub->heartbeats[encoding]) {
		size_t size = push_positions_format(&hub->history->heads, UINT32_MAX, id);

		if (size)
			hub->heartbeats[encoding] = push_encoding_heartbeat(encoding, id, size, 0);
	}
	return hub->heartbeats[encoding] ? push_frame_ref(hub->heartbeats[encoding]) : NULL;
}

struct push_frame *
session_heartbeat(struct push_subscriber *subscriber)
{
	struct push_session *session = subscriber->list->session;
	struct push_hub *hub = subscriber->hub;
	enum push_encoding encoding = (enum push_encoding)subscriber->encoding;
	const struct push_positions *at = &hub->history->heads;
	unsigned int retry_ms = 0;
	char id[PUSH_ID_BYTES_MAX];
	size_t id_size;

	if (subscriber->is_behind && session->cursor->is_bounded)
		return NULL; /* it has newer messages already */
	if (session->is_announced && !subscriber->is_behind)
		return newest_heartbeat(hub, encoding);
	if (subscriber->is_behind)
		at = &session->cursor->at;
	if (!session->is_announced)
		retry_ms = (unsigned int)(RETRY_MS_MIN + hub_random_upto(hub, RETRY_MS_MAX - RETRY_MS_MIN));
	session->is_announced = true;
	id_size = push_positions_format(at, UINT32_MAX, id);
	return id_size ? push_encoding_heartbeat(encoding, id, id_size, retry_ms) : NULL;
}
