/* session.c - see session.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "live.h"
#include "session.h"
#include "tracker.h"

/* An EventSource waits so long before it connects again, so that thousands do not come at once. */
#define RETRY_MS_MIN 500
#define RETRY_MS_MAX 2500

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
	free(session->starts);
	free(session->wish);
	acks_destroy(session->acks);
	free(session);
}

static struct session_cursor *
create_cursor(struct push_subscriber *subscriber)
{
	struct push_session *session = subscriber->list->session;
	struct session_cursor *cursor =
		calloc(1, sizeof(*cursor) + subscriber->list->capacity * sizeof(cursor->marks[0]));

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

/* NULL also while nothing of the channel may be sent. */
static struct push_history *
history_of(const struct push_subscriber *subscriber, uint32_t index)
{
	const struct subscription *item = &subscriber->list->items[index];

	return item->is_pending ? NULL : item->channel->history;
}

static struct push_position
later(struct push_position a, struct push_position b)
{
	return push_position_compare(a, b) < 0 ? b : a;
}

static struct push_position
earlier(struct push_position a, struct push_position b)
{
	return push_position_compare(a, b) < 0 ? a : b;
}

/* Behind it the channel is to be read. */
static struct push_position
read_upto(const struct session_cursor *cursor, uint32_t index, const struct push_history *history)
{
	return later(cursor->at.at[history->partition], cursor->marks[index].after);
}

uint32_t
session_partitions(const struct push_subscriber *subscriber)
{
	struct push_session *session = subscriber->list->session;

	if (subscriber->hub->history->partition_count <= 1)
		return 1;
	if (session->partitions)
		return session->partitions;
	for (uint32_t i = 0; i < subscriber->subscription_count; i++)
		if (history_of(subscriber, i))
			session->partitions |= 1u << history_of(subscriber, i)->partition;
	return session->partitions;
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

/* Where the messages of a channel began. */
static struct push_position
start_of(const struct push_session *session, uint32_t index, const struct push_history *history)
{
	return session->starts ? session->starts[index] : session->start[history->partition];
}

static enum push_status
reserve_starts(struct push_subscriber *subscriber, uint32_t capacity)
{
	struct push_session *session = subscriber->list->session;
	struct push_position *starts = realloc(session->starts, capacity * sizeof(*starts));
	struct subscription item;

	if (!starts)
		return PUSH_OUT_OF_MEMORY;
	for (uint32_t i = 0; !session->starts && subscriber_item(subscriber, i, &item); i++)
		starts[i] = item.channel->history ? session->start[item.channel->history->partition]
						  : (struct push_position){0};
	session->starts = starts;
	return PUSH_OK;
}

/*
 * The channel's messages begin behind a gap now.  A later resume reads up to there: what is still kept of the
 * gap is replayed, and what is not is told as a gap in its place.  Returns false when the subscriber has been
 * closed, since memory is out.
 */
static bool
begin_behind(struct push_subscriber *subscriber, uint32_t index, struct push_position gap, uint64_t now_us)
{
	struct push_session *session = subscriber->list->session;
	const struct push_history *history = subscriber->list->items[index].channel->history;

	if (push_position_compare(gap, start_of(session, index, history)) <= 0)
		return true;
	if (!session->starts && reserve_starts(subscriber, subscriber->list->capacity) != PUSH_OK) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return false;
	}
	session->starts[index] = gap;
	return true;
}

void
session_lose(struct push_subscriber *subscriber, uint32_t index, uint64_t now_us)
{
	const struct push_channel *channel = subscriber->list->items[index].channel;

	if (begin_behind(subscriber, index, channel->history->after, now_us))
		session_tell_gap(subscriber, channel, UINT64_MAX, now_us);
}

/* The end of a gap that is told now, behind which the cursor reads on. */
static struct push_position
end_of_gap(const struct session_cursor *cursor, uint32_t index, const struct push_history *history)
{
	struct push_position mark = cursor->marks[index].after;

	if (!cursor->is_bounded)
		return read_upto(cursor, index, history);
	/* the client has what came up to `then` */
	return push_position_compare(mark, cursor->then.at[history->partition]) > 0
		       ? mark
		       : (struct push_position){0, 0};
}

static void
tell_gap(struct push_subscriber *subscriber, uint32_t index, uint64_t missed, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;
	const struct push_channel *channel = subscriber->list->items[index].channel;

	cursor->is_gap_told = true;
	if (channel->history &&
		!begin_behind(subscriber, index, end_of_gap(cursor, index, channel->history), now_us))
		return;
	session_tell_gap(subscriber, channel, missed, now_us);
}

/* How many a reader at `position` misses of what has left; 0: nothing, or it was told before. */
static uint64_t
missed(const struct push_history *history, const struct session_mark *mark, struct push_position position)
{
	if (push_position_compare(mark->after, position) <= 0)
		return push_history_missed(history, position);
	if (push_position_compare(mark->after, history->after) >= 0)
		return 0;
	/* of a window it is not known what was between two of its states, unless it is a cache */
	if ((history->complete.epoch && !history->store->cache_stats) || mark->losses != history->losses)
		return UINT64_MAX;
	return history->dropped - mark->dropped;
}

static void
set_mark(struct session_mark *mark, const struct push_history *history)
{
	mark->after = history->after;
	mark->dropped = history->dropped;
	mark->losses = history->losses;
}

/* It has everything of the channel up to a position. */
static void
raise_mark(struct session_mark *mark, const struct push_history *history, struct push_position position)
{
	if (push_position_compare(position, history->after) <= 0)
		position = history->after;
	if (push_position_compare(position, mark->after) <= 0)
		return;
	mark->after = position;
	mark->dropped = history->dropped + push_history_find(history, position);
	mark->losses = history->losses;
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
			push_history_find(history, read_upto(cursor, i, history)) & INT32_MAX; /* 31 bits */
	}
	return true;
}

/* Whether the message is none for a late resume: its client has it, or will be given it from `then` on. */
static bool
is_beyond_bound(const struct push_session *session, uint32_t index, const struct push_history_entry *entry)
{
	const struct session_cursor *cursor = session->cursor;
	const struct push_history *history = entry->history;

	return cursor->is_bounded &&
	       (push_position_compare(entry->at, start_of(session, index, history)) > 0 ||
		       push_position_compare(entry->at, cursor->then.at[history->partition]) > 0);
}

/* The channel whose next message comes first.  Positions of different partitions may come in any order. */
static struct push_history_entry *
next_entry(const struct push_subscriber *subscriber, uint32_t *ret_index, uint64_t now_us)
{
	const struct push_session *session = subscriber->list->session;
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
			is_beyond_bound(session, i, entry))
			continue;
		if (first && push_position_compare(first->at, entry->at) <= 0)
			continue;
		first = entry;
		*ret_index = i;
	}
	return first;
}

bool
session_has_room(const struct push_subscriber *subscriber, const struct push_frame *frame)
{
	uint64_t max = subscriber->hub->options->queue_bytes_max;

	if (max > SESSION_OUTBOX_BYTES)
		max = SESSION_OUTBOX_BYTES;
	return push_outbox_is_empty(&subscriber->outbox) ||
	       (uint64_t)subscriber->outbox.bytes + frame->size <= max;
}

/* With all partitions of its channels: of one that nothing is known of yet it has read nothing, and that must
 * be told, too. */
static size_t
format_position(const struct push_subscriber *subscriber, const struct push_positions *at, char *to)
{
	uint32_t partitions = session_partitions(subscriber);
	struct push_positions all = *at;

	all.partitions |= partitions;
	return push_positions_format(&all, partitions, to);
}

/* Nothing is left to read: from here on it is given what is published. */
static void
catch_up(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_session *session = subscriber->list->session;
	struct session_cursor *cursor = session->cursor;
	char data[64], id[PUSH_ID_BYTES_MAX];
	size_t id_size = format_position(subscriber, &subscriber->hub->history->heads, id);
	int size = snprintf(data, sizeof(data), "{\"replayed\":%" PRIu64 "}", cursor->replayed);
	bool is_quiet = cursor->is_gap_told || cursor->is_silent;
	struct push_frame *frame;

	drop_cursor(session);
	subscriber->is_behind = false;
	if (is_quiet)
		return;
	frame = push_encoding_event(
		(enum push_encoding)subscriber->encoding, "resumed", data, (size_t)size, id, id_size);
	/* a client that asks is answered, or comes back and asks again */
	if (frame)
		enqueue(subscriber, frame, now_us);
	else
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
}

/* Returns false when the outbox or the window is full, or the subscriber closed. */
static bool
may_replay(struct push_subscriber *subscriber, const struct push_history_entry *entry,
	const struct push_history *history, struct push_frame *frame, uint64_t now_us)
{
	if (!frame) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return false;
	}
	if (!session_has_room(subscriber, frame))
		return false;
	return !subscriber->has_acks ||
	       (acks_have_room(subscriber, frame) &&
		       acks_keep(subscriber, history->partition, entry->at, frame, now_us));
}

struct push_frame *
session_frame(const struct push_subscriber *subscriber, struct push_history_entry *entry,
	const struct push_positions *at)
{
	enum push_encoding encoding = (enum push_encoding)subscriber->encoding;
	uint32_t partitions = session_partitions(subscriber);
	char id[PUSH_ID_BYTES_MAX], known[PUSH_ID_BYTES_MAX];
	struct push_frame *frame;
	size_t id_size;

	if (!(partitions & (partitions - 1))) {
		frame = push_history_frame(entry->history, entry, encoding);
		return frame ? push_frame_ref(frame) : NULL;
	}
	id_size = format_position(subscriber, at, id);
	return push_history_frame_with(entry, push_history_id(entry, known), encoding, id, id_size);
}

struct push_tracker *
session_tracker(const struct push_history_entry *entry)
{
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		if (entry->frames[e] && entry->frames[e]->tracker)
			return entry->frames[e]->tracker;
	return NULL;
}

void
session_track(struct push_tracker *tracker, struct push_frame *frame)
{
	/* one that is not tracked is counted as not written */
	if (tracker && !frame->tracker)
		(void)!push_tracker_attach(tracker, frame);
}

/* Returns false when it is not to go on. */
static bool
replay(struct push_subscriber *subscriber, struct push_history_entry *entry, uint32_t index, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;
	struct push_history *history = history_of(subscriber, index);
	struct push_positions at = cursor->at;
	struct push_frame *frame;
	bool may;

	at.at[history->partition] = entry->at;
	frame = session_frame(subscriber, entry, &at);
	may = may_replay(subscriber, entry, history, frame, now_us);
	if (may) {
		cursor->at = at;
		cursor->replayed++;
		subscriber->hub->stats->replayed++;
		subscriber->list->items[index].next++;
		subscriber->is_replayed = true;
		session_track(session_tracker(entry), frame);
		subscriber_enqueue(subscriber, frame, now_us);
	}
	push_frame_unref(frame);
	return may && subscriber->state == SUBSCRIBER_OPEN;
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
			push_position_compare(read_upto(cursor, i, history), history->after) < 0 &&
			push_history_has_older(history)) {
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
	uint32_t partitions = session_partitions(subscriber) & ~store->held;

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
	cursor->questions_before = hub->head_questions;
	push_list_append(list, &cursor->waiting);
	hub->ready(hub->context); /* the engine is to see that it moves */
	return true;
}

static bool
is_unsaid(const struct session_cursor *cursor, const struct push_history *history)
{
	return cursor->unsaid & (1u << history->partition);
}

/* Where nothing can be replayed at all, that is what there is to be said. */
static void
tell_gaps(struct push_subscriber *subscriber, bool of_those_without_history, bool of_those_with_history,
	uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	for (uint32_t i = 0; i < subscriber->subscription_count && subscriber->state == SUBSCRIBER_OPEN;
		i++) {
		struct push_history *history = history_of(subscriber, i);

		if (subscriber_is_pending(subscriber, i) ||
			!(history ? of_those_with_history || is_unsaid(cursor, history)
				  : of_those_without_history))
			continue;
		if (history && cursor->marks[i].after.epoch)
			continue; /* it is read from there */
		if (history)
			set_mark(&cursor->marks[i], history);
		tell_gap(subscriber, i, UINT64_MAX, now_us);
	}
}

/* What was to begin at an id that says nothing begins where it is read from. */
static void
correct_starts(struct push_subscriber *subscriber)
{
	struct push_session *session = subscriber->list->session;
	const struct session_cursor *cursor = session->cursor;

	for (unsigned int p = 0; p < subscriber->hub->history->partition_count; p++)
		session->start[p] = earlier(session->start[p], cursor->at.at[p]);
	for (uint32_t i = 0; session->starts && i < subscriber->subscription_count; i++) {
		const struct push_history *history = history_of(subscriber, i);

		/* those with a mark began before it */
		if (history && !cursor->marks[i].after.epoch)
			session->starts[i] = earlier(session->starts[i], cursor->at.at[history->partition]);
	}
}

/*
 * Nobody knows what the client has read: it is an id like any other that is none of ours.
 *
 * Returns false when the subscriber has been closed for it.
 */
static bool
doubt(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	push_list_remove(&cursor->waiting);
	cursor->waits_in = NULL;
	/* what was published since is given to it all the same, but for one that may have it */
	cursor->at = cursor->is_refuted ? cursor->began : subscriber->hub->history->heads;
	for (uint32_t i = 0; i < subscriber->subscription_count; i++) {
		const struct push_history *history = history_of(subscriber, i);
		struct push_position *at = history ? &cursor->at.at[history->partition] : NULL;

		if (at && cursor->marks[i].after.epoch &&
			push_position_compare(cursor->marks[i].after, *at) < 0)
			*at = cursor->marks[i].after;
	}
	cursor->is_refuted = cursor->is_overdue = cursor->is_readable = false;
	correct_starts(subscriber);
	if (subscriber->has_acks)
		acks_restart(subscriber);
	tell_gaps(subscriber, false, true, now_us);
	return subscriber->state == SUBSCRIBER_OPEN;
}

/* Whether a partition of its channels is held back.  It may have read more than came here before that, and
 * would get it again if it were taken for one that has read up to there. */
static bool
is_held_back(const struct push_subscriber *subscriber)
{
	return subscriber->hub->history->held & session_partitions(subscriber);
}

static bool
is_overdue(const struct session_cursor *cursor, uint64_t now_us)
{
	return cursor->waits_since_us + SESSION_WAIT_US <= now_us;
}

bool
session_waits_long(const struct push_hub *hub, unsigned int partition, uint64_t now_us)
{
	const struct push_list *const lists[] = {&hub->ahead, &hub->behind_head};

	for (int l = 0; l < 2; l++)
		for (struct push_list *item = lists[l]->next; item != lists[l]; item = item->next) {
			struct session_cursor *cursor =
				push_container_of(item, struct session_cursor, waiting);

			/* they stand in the order in which they came */
			if (!is_overdue(cursor, now_us))
				break;
			if (session_partitions(cursor->subscriber) & (1u << partition))
				return true;
		}
	return false;
}

/*
 * No head is moved by the clock, however late it is: what was published before may still be on its way, and
 * would come behind a position that says that it was read.  What each has to do is left to the flush, which
 * works in slices, too.
 */
bool
session_tick(struct push_hub *hub, uint64_t now_us, unsigned int max)
{
	for (; max > 0 && hub->unanswered && !push_list_is_empty(&hub->ahead); max--) {
		struct session_cursor *cursor =
			push_container_of(hub->ahead.next, struct session_cursor, waiting);

		if (!is_overdue(cursor, now_us))
			return false;
		push_list_remove(&cursor->waiting);
		if (session_partitions(cursor->subscriber) & hub->unanswered) {
			cursor->waits_in = NULL;
			cursor->is_overdue = true;
			hub_mark_dirty(cursor->subscriber);
		} else { /* of others an answer is to come */
			cursor->waits_since_us = now_us;
			push_list_append(&hub->ahead, &cursor->waiting);
		}
	}
	return !max;
}

/* Returns false when there is more to read than the outbox takes, or the subscriber is closed. */
static bool
read_on(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	if ((cursor->is_refuted || cursor->is_overdue) && !doubt(subscriber, now_us))
		return false;
	if (subscriber->has_acks && !acks_send_again(subscriber, now_us))
		return false;
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

/* Returns true when it has caught up. */
static bool
advance(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	PUSH_ASSERT(subscriber->is_behind && cursor);
	/* what is enqueued may be flushed at once, which comes here again */
	if (subscriber->state != SUBSCRIBER_OPEN || cursor->is_busy)
		return false;
	cursor->is_busy = true;
	if (read_on(subscriber, now_us)) {
		catch_up(subscriber, now_us);
		return subscriber->state == SUBSCRIBER_OPEN;
	}
	if (subscriber->is_behind)
		cursor->is_busy = false;
	return false;
}

static bool
begin_wish(struct push_subscriber *subscriber, uint64_t now_us);

void
session_advance(struct push_subscriber *subscriber, uint64_t now_us)
{
	while (advance(subscriber, now_us) &&
		(live_replay_next(subscriber, now_us) || begin_wish(subscriber, now_us)))
		;
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

/* Of a partition that the id says nothing of, nothing can be replayed. */
static void
complete(struct push_positions *positions, const struct push_positions *heads)
{
	for (unsigned int p = 0; p < PUSH_PARTITIONS_MAX; p++)
		if (!(positions->partitions & (1u << p)))
			positions->at[p] = heads->at[p];
	positions->partitions |= heads->partitions;
}

/* Decides where to begin: where the client has asked for, or now if that cannot be. */
static void
fall_behind(struct push_subscriber *subscriber)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;
	const struct push_history_store *store = subscriber->hub->history;

	/* of partitions that there are not: it comes from another broker */
	cursor->is_readable = cursor->is_readable && !(cursor->at.partitions >> store->partition_count) &&
			      (subscriber->hub->fetch || is_known(store, &cursor->at));
	if (!cursor->is_readable)
		cursor->at.partitions = 0;
	cursor->unsaid = ~cursor->at.partitions;
	cursor->began = store->heads;
	complete(&cursor->at, &store->heads);
	subscriber->is_behind = true;
	subscriber->hub->stats->resumes++;
}

/* Returns false when the subscriber has been closed for it. */
static bool
tell_what_is_gone(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	cursor->is_busy = true;
	tell_gaps(subscriber, true, !cursor->is_readable, now_us);
	if (subscriber->state != SUBSCRIBER_OPEN)
		return false;
	cursor->is_busy = false;
	return true;
}

void
session_begin(struct push_subscriber *subscriber, uint64_t now_us)
{
	if (tell_what_is_gone(subscriber, now_us))
		session_advance(subscriber, now_us);
}

void
session_open(struct push_subscriber *subscriber)
{
	struct push_session *session = subscriber->list->session;
	const struct push_history_store *store = subscriber->hub->history;

	memcpy(session->start, store->heads.at, store->partition_count * sizeof(session->start[0]));
}

/* Its id may be ahead of what is known here: another node was faster. */
static void
begin_at_id(struct push_session *session, const struct push_history_store *store)
{
	for (unsigned int p = 0; p < store->partition_count; p++)
		session->start[p] = later(session->start[p], session->cursor->at.at[p]);
}

/*
 * One that comes without an id begins at the head.  Where it has been said what a channel has had behind
 * that, it will not come again: it is to be read.
 */
void
session_start(struct push_subscriber *subscriber, uint64_t now_us)
{
	session_open(subscriber);
	if (subscriber->list->session->cursor) {
		fall_behind(subscriber);
		begin_at_id(subscriber->list->session, subscriber->hub->history);
	} else if (subscriber->hub->fetch && is_behind_head(subscriber)) {
		session_fall_back(subscriber, &subscriber->hub->history->heads, now_us);
	}
	if (subscriber->has_acks && subscriber->state == SUBSCRIBER_OPEN)
		acks_start(subscriber);
}

static enum push_status
reserve_marks(struct push_subscriber *subscriber, uint32_t capacity)
{
	struct push_session *session = subscriber->list->session;
	uint32_t count = subscriber->subscription_count;
	bool waits = !push_list_is_empty(&session->cursor->waiting);
	struct session_cursor *cursor =
		realloc(session->cursor, sizeof(*cursor) + capacity * sizeof(cursor->marks[0]));

	if (!cursor)
		return PUSH_OUT_OF_MEMORY;
	memset(&cursor->marks[count], 0, (capacity - count) * sizeof(cursor->marks[0]));
	session->cursor = cursor;
	if (waits)
		cursor->waiting.prev->next = cursor->waiting.next->prev = &cursor->waiting;
	else
		push_list_init(&cursor->waiting);
	return PUSH_OK;
}

enum push_status
session_reserve(struct push_subscriber *subscriber, uint32_t capacity)
{
	struct push_session *session = subscriber->list->session;

	PUSH_ASSERT(capacity >= subscriber->subscription_count && capacity > 0);
	if (reserve_starts(subscriber, capacity) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	return session->cursor ? reserve_marks(subscriber, capacity) : PUSH_OK;
}

void
session_add(struct push_subscriber *subscriber, uint32_t index)
{
	struct push_session *session = subscriber->list->session;
	const struct push_history *history = history_of(subscriber, index);
	struct push_position head = subscriber->hub->history->heads.at[history->partition];

	PUSH_ASSERT(session->starts);
	session->partitions = 0;
	session->starts[index] = head;
	if (!session->cursor)
		return;
	session->cursor->marks[index] = (struct session_mark){0};
	raise_mark(&session->cursor->marks[index], history, head);
}

void
session_move(struct push_subscriber *subscriber, uint32_t from, uint32_t to)
{
	struct push_session *session = subscriber->list->session;

	if (session->starts)
		session->starts[to] = session->starts[from];
	if (session->cursor)
		session->cursor->marks[to] = session->cursor->marks[from];
}

enum push_status
session_fork(struct push_subscriber *subscriber, const struct push_positions *at, bool is_readable)
{
	struct session_cursor *cursor = create_cursor(subscriber);
	const struct push_position *heads = subscriber->hub->history->heads.at;

	PUSH_ASSERT(!subscriber->is_behind);
	if (!cursor)
		return PUSH_OUT_OF_MEMORY;
	cursor->at = *at;
	cursor->is_readable = is_readable;
	fall_behind(subscriber);
	for (uint32_t i = 0; i < subscriber->subscription_count; i++) {
		const struct push_history *history = history_of(subscriber, i);

		if (history)
			raise_mark(&cursor->marks[i], history, heads[history->partition]);
	}
	/* what is enqueued until it is named may be flushed at once */
	cursor->is_busy = true;
	return PUSH_OK;
}

void
session_fork_channel(struct push_subscriber *subscriber, uint32_t index)
{
	struct push_session *session = subscriber->list->session;
	const struct push_history *history = history_of(subscriber, index);

	PUSH_ASSERT(session->starts);
	session->starts[index] = session->cursor->at.at[history->partition];
	session->cursor->marks[index] = (struct session_mark){0};
}

void
session_forked(struct push_subscriber *subscriber)
{
	subscriber->list->session->cursor->is_busy = false;
}

void
session_fork_gap(struct push_subscriber *subscriber, uint32_t index, uint64_t now_us)
{
	struct session_cursor *cursor = subscriber->list->session->cursor;

	if (cursor->is_readable && !is_unsaid(cursor, history_of(subscriber, index)))
		return;
	set_mark(&cursor->marks[index], history_of(subscriber, index));
	tell_gap(subscriber, index, UINT64_MAX, now_us);
}

/* Its channels may all be without history: then that is what it is told. */
static enum push_status
need_session(struct push_subscriber *subscriber)
{
	bool is_new = !subscriber_session(subscriber);
	enum push_status status = subscriber_need_session(subscriber);

	if (status == PUSH_OK && is_new)
		session_open(subscriber);
	return status;
}

static enum push_status
set_wish(struct push_session *session, const char *id, size_t size)
{
	struct session_wish *wish = malloc(sizeof(*wish) + size);

	if (!wish)
		return PUSH_OUT_OF_MEMORY;
	wish->size = size;
	if (size)
		memcpy(wish->id, id, size);
	free(session->wish);
	session->wish = wish;
	return PUSH_OK;
}

void
session_resume(struct push_subscriber *subscriber, const char *id, size_t size, uint64_t now_us)
{
	if (!subscriber->hub->history ||
		(subscriber->state != SUBSCRIBER_OPEN && subscriber->state != SUBSCRIBER_WAITING))
		return;
	if (need_session(subscriber) != PUSH_OK ||
		set_wish(subscriber_session(subscriber), id, size) != PUSH_OK)
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
	else if (!subscriber->is_behind)
		session_resume_next(subscriber, now_us);
}

/* Returns false where there is nothing to be done, or the subscriber was closed. */
static bool
begin_wish(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_session *session = subscriber_session(subscriber);
	struct session_wish *wish = session ? session->wish : NULL;
	struct session_cursor *cursor;
	enum push_status status;

	if (!wish || subscriber->is_behind || subscriber->state != SUBSCRIBER_OPEN)
		return false;
	session->wish = NULL;
	status = session_ask(subscriber, wish->id, wish->size);
	free(wish);
	if (status != PUSH_OK) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return false;
	}
	cursor = session->cursor;
	cursor->is_bounded = true;
	cursor->then = subscriber->hub->history->heads;
	fall_behind(subscriber);
	return tell_what_is_gone(subscriber, now_us);
}

void
session_resume_next(struct push_subscriber *subscriber, uint64_t now_us)
{
	if (begin_wish(subscriber, now_us))
		session_advance(subscriber, now_us);
}

/* Nothing has been delivered of a partition that was unknown: its channels are read from where they begin. */
static void
mark_starts(struct push_subscriber *subscriber, const struct push_positions *from)
{
	struct push_session *session = subscriber->list->session;

	for (uint32_t i = 0; i < subscriber->subscription_count; i++) {
		const struct push_history *history = history_of(subscriber, i);

		if (history && !from->at[history->partition].epoch)
			session->cursor->marks[i] = (struct session_mark){
				.after = start_of(session, i, history), .losses = history->losses};
	}
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
	/* not the heads, which may have moved since */
	cursor->at = *from;
	cursor->at.partitions |= subscriber->hub->history->heads.partitions;
	subscriber->is_behind = true;
}

void
session_go_on(struct push_subscriber *subscriber, const struct push_positions *from, uint64_t now_us)
{
	session_fall_back(subscriber, from, now_us);
	if (subscriber->state == SUBSCRIBER_OPEN)
		mark_starts(subscriber, from);
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

/* NULL: it has newer messages already than those that it is reading. */
static const struct push_positions *
position_of(const struct push_subscriber *subscriber)
{
	const struct session_cursor *cursor = subscriber->list->session->cursor;

	if (!subscriber->is_behind)
		return &subscriber->hub->history->heads;
	return cursor->is_bounded ? NULL : &cursor->at;
}

size_t
session_position(const struct push_subscriber *subscriber, char *to)
{
	const struct push_positions *at = position_of(subscriber);

	return at ? format_position(subscriber, at, to) : 0;
}

struct push_frame *
session_heartbeat(struct push_subscriber *subscriber)
{
	struct push_session *session = subscriber->list->session;
	struct push_hub *hub = subscriber->hub;
	enum push_encoding encoding = (enum push_encoding)subscriber->encoding;
	struct push_frame *frame = NULL;
	unsigned int retry_ms = 0;
	char id[PUSH_ID_BYTES_MAX];
	size_t id_size;

	if (!position_of(subscriber))
		return NULL;
	if (session->is_announced && !session->is_new && !subscriber->is_behind &&
		hub->history->partition_count <= 1)
		return newest_heartbeat(hub, encoding);
	if (!session->is_announced)
		retry_ms = (unsigned int)(RETRY_MS_MIN + hub_random_upto(hub, RETRY_MS_MAX - RETRY_MS_MIN));
	id_size = session_position(subscriber, id);
	if (session->is_new && encoding == PUSH_ENCODING_WS) {
		frame = push_encoding_new_ping(id, id_size);
		session->is_new = !frame;
	} else if (id_size) {
		frame = push_encoding_heartbeat(encoding, id, id_size, retry_ms);
	}
	session->is_announced = session->is_announced || frame || !id_size;
	return frame;
}
