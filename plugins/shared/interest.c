/*
 * interest.c - which channels have clients here, and where their history stands.
 *
 *   a client comes ─▶ changed ─▶ [ all is read; the lock: its count is set, history says where it stands ] ─▶ settled,
 *                                confirmed: its first heartbeat
 *
 * What the segment is asked under the lock, with nothing left unread, is true when the hub gets it: no message can be
 * in between.  So a channel is settled in one step, and everything that is pending is in the answer.
 *
 * A channel whose clients may have missed something is `lost` until it is settled again; as long as there is one the
 * hub holds back what has history (core/hub.h), and then every client reads on from where it stood.
 */
#include <stdlib.h>
#include <string.h>

#include "shared/shared_private.h"

/* While the log is read so often in vain, others publish: then it is read under the lock. */
#define READS_WITHOUT_LOCK 2

static struct shared_channel *
shared_of_channel(const struct push_channel *channel)
{
	return channel->upstream;
}

/* Of a channel with history. */
static struct shared_kept *
kept_of(const struct push_channel *channel)
{
	PUSH_ASSERT(channel->history);
	return channel->upstream;
}

static void
adopt(struct shared_engine *engine, struct push_channel *channel)
{
	struct shared_kept *kept = channel->upstream;

	if (kept->shared.is_held)
		return;
	kept->shared.is_held = true;
	channel->held = true;
	if (!engine->has_history)
		return;
	kept->channel = channel;
	push_list_init(&kept->fetch);
}

/* By the link of the hub's own list: while it is here the hub does not announce it again. */
static void
want_work(struct shared_engine *engine, struct push_channel *channel)
{
	push_list_remove(&channel->changed);
	push_list_append(&engine->changed, &channel->changed);
}

static bool
is_up_to_date(const struct push_channel *channel)
{
	return channel->count && shared_of_channel(channel)->said == channel->count && channel->confirmed &&
	       (!channel->history || channel->history->is_settled);
}

static void
take_changed(struct shared_engine *engine)
{
	struct push_channel *channel;

	while ((channel = push_hub_next_changed(engine->hub))) {
		/* what is only kept of it is nobody's business */
		if (!channel->count && !shared_of_channel(channel)->is_held)
			continue;
		adopt(engine, channel);
		if (!is_up_to_date(channel))
			want_work(engine, channel);
	}
}

bool
shared_interest_is_pending(struct shared_engine *engine)
{
	take_changed(engine);
	return !push_list_is_empty(&engine->changed);
}

/* --- lost and found --- */

static void
forget_fetch(struct push_channel *channel)
{
	push_list_remove(&kept_of(channel)->fetch);
	push_hub_fetch_lost(channel);
}

static void
lose(struct shared_engine *engine, struct push_channel *channel)
{
	struct shared_kept *kept = kept_of(channel);

	if (!kept->is_lost)
		engine->lost_count++;
	kept->is_lost = true;
	push_hub_hold_back(engine->hub, 0);
	push_hub_unsettle(channel);
	forget_fetch(channel);
	want_work(engine, channel);
}

static void
found(struct shared_engine *engine, struct push_channel *channel)
{
	if (!kept_of(channel)->is_lost)
		return;
	kept_of(channel)->is_lost = false;
	PUSH_ASSERT(engine->lost_count > 0);
	if (!--engine->lost_count)
		push_hub_catch_up(engine->hub, 0, engine->now_us);
}

void
shared_interest_check(struct shared_engine *engine, struct push_channel *channel)
{
	lose(engine, channel);
	shared_wake(engine);
}

static struct push_position
head_of(const struct shared_engine *engine)
{
	return (struct push_position){engine->epoch, push_segment_head(engine->segment)};
}

static void
miss(void *context, struct push_channel *channel)
{
	struct shared_engine *engine = context;

	if (!shared_of_channel(channel)->is_held)
		return;
	if (channel->history)
		lose(engine, channel);
	else if (channel->confirmed)
		push_hub_confirm(engine->hub, channel, true, engine->now_us);
}

bool
shared_interest_missed(struct shared_engine *engine)
{
	bool was_locked = engine->is_locked;
	struct push_position head;

	if (!was_locked && !shared_lock(engine))
		return false;
	push_segment_catch_up(engine->segment);
	head = head_of(engine);
	if (!was_locked)
		shared_unlock(engine);
	if (!engine->overruns++)
		shared_log(engine, PUSH_LOG_WARN,
			"this worker was too slow for what the others publish: clients of channels without "
			"history "
			"get a gap event");
	engine->has_notices = !engine->notice;
	push_hub_each_channel(engine->hub, miss, engine);
	if (engine->has_history)
		push_hub_move_head(engine->hub, 0, head);
	shared_wake(engine);
	return true;
}

static void
doubt(void *context, struct push_channel *channel)
{
	struct shared_engine *engine = context;
	struct shared_channel *shared = shared_of_channel(channel);

	if (!shared->is_held)
		return;
	shared->said = 0;
	shared->hint = 0;
	if (channel->history) {
		kept_of(channel)->is_doubtful = true;
		lose(engine, channel);
	} else {
		want_work(engine, channel);
	}
}

void
shared_interest_repaired(struct shared_engine *engine)
{
	shared_log(
		engine, PUSH_LOG_WARN, "the broker's memory was repaired, as a worker ended while it wrote");
	push_hub_each_channel(engine->hub, doubt, engine);
}

/* --- what history has --- */

/* Messages of a channel, the newest first, on their way to the hub. */
struct reading {
	struct shared_engine *engine;
	struct push_channel *channel;
	uint64_t oldest; /* that was taken; 0: none */
	uint64_t gone;   /* that is too old, with all before it; 0: none */
	bool is_failed;
};

static bool
take_message(void *context, const struct push_segment_item *item)
{
	struct reading *reading = context;
	const struct shared_engine *engine = reading->engine;
	uint64_t time_us = shared_time(engine);
	const struct push_kept kept = {
		.at = {engine->epoch, item->number},
		.value = item->value,
		.value_size = item->value_size,
		.ttl_us = item->expires_us == UINT64_MAX ? 0 : item->expires_us - item->time_us,
		.age_us = item->time_us < time_us ? time_us - item->time_us : 0,
	};

	if (kept.age_us >= reading->channel->history->ttl_us) {
		reading->gone = item->number;
		return false;
	}
	reading->is_failed =
		push_hub_fetched(engine->hub, reading->channel, &kept, engine->now_us) != PUSH_OK;
	if (reading->is_failed)
		return false;
	reading->oldest = item->number;
	return true;
}

/* Under the lock: the messages behind `low`, up to `high`, and where the channel stands.  False: memory is out.
 * @place: where the last answer ended, or NULL. */
static bool
read_history(struct shared_engine *engine, struct push_channel *channel, uint64_t low, uint64_t high,
	uint32_t *place, struct push_fetch_end *ret)
{
	struct shared_channel *shared = shared_of_channel(channel);
	struct push_segment *segment = engine->segment;
	uint64_t hash = push_segment_hash(segment, channel->name, channel->name_size);
	struct reading reading = {.engine = engine, .channel = channel};
	struct push_segment_kept kept;
	bool is_all = true;
	uint64_t after;

	shared->hint =
		push_segment_channel_find(segment, channel->name, channel->name_size, hash, shared->hint);
	/* this frees what is too old, so that comes first */
	if (shared->hint)
		is_all = push_segment_history_read(segment, shared->hint, low, high, true,
			PUSH_SHARED_FETCH_MESSAGES, PUSH_SHARED_FETCH_BYTES, place, &engine->scratch,
			shared_time(engine), take_message, &reading);
	push_segment_kept(segment, shared->hint, hash, &kept);
	if (reading.gone > kept.after)
		kept.after = reading.gone;
	after = is_all || !reading.oldest ? low : reading.oldest - 1;
	*ret = (struct push_fetch_end){
		.after = {engine->epoch, after > kept.after ? after : kept.after},
		.upstream = {engine->epoch, kept.after},
		.head = head_of(engine),
		.before = channel->history->after,
		.known_since = {engine->epoch, kept.known_since},
		.created = {engine->epoch, kept.created},
		.total = kept.dropped + kept.count,
		.is_doubtful = kept_of(channel)->is_doubtful,
	};
	return !reading.is_failed;
}

/* For as long as the lock is released and the hub has not been given it: most channels never have one. */
static void
forget_end(struct push_channel *channel)
{
	struct shared_kept *kept = kept_of(channel);

	free(kept->end);
	kept->end = NULL;
}

/* Behind what is known; of a channel that is new here, nothing: replays ask for it. */
static bool
read_newer(struct shared_engine *engine, struct push_channel *channel)
{
	const struct push_history *history = channel->history;
	struct shared_kept *kept = kept_of(channel);
	uint64_t head = push_segment_head(engine->segment);
	uint64_t low = history->complete.epoch == engine->epoch ? push_history_known(history).number : head;

	forget_end(channel);
	if (history->is_settled)
		return true;
	kept->end = malloc(sizeof(*kept->end));
	if (kept->end && read_history(engine, channel, low, head, NULL, kept->end))
		return true;
	forget_end(channel);
	return false;
}

static void
on_hub_fetch(void *context, struct push_channel *channel)
{
	struct shared_engine *engine = context;
	struct shared_kept *kept = kept_of(channel);

	PUSH_ASSERT(kept->shared.is_held);
	push_list_remove(&kept->fetch);
	push_list_append(&engine->to_fetch, &kept->fetch);
	shared_wake(engine);
}

/* Before what the cache has.  False: no lock. */
static bool
fetch_older(struct shared_engine *engine, struct push_channel *channel)
{
	struct shared_kept *kept = kept_of(channel);
	struct push_fetch_end end;
	bool is_read;

	if (!shared_lock(engine))
		return false;
	is_read = read_history(engine, channel, 0, channel->history->after.number, &kept->place, &end);
	shared_unlock(engine);
	push_list_remove(&kept->fetch);
	if (is_read)
		push_hub_extend(channel, &end);
	else
		push_hub_fetch_lost(channel);
	return true;
}

void
shared_interest_fetch(struct shared_engine *engine)
{
	for (unsigned int pages = 0; !push_list_is_empty(&engine->to_fetch); pages++) {
		const struct shared_kept *kept =
			push_container_of(engine->to_fetch.next, const struct shared_kept, fetch);

		if (pages == PUSH_SHARED_FETCH_PAGES) {
			shared_wake(engine);
			return;
		}
		if (!fetch_older(engine, kept->channel))
			return; /* the next tick comes here again */
	}
}

/* --- counts --- */

/* Has the lock, with nothing left to read. */
static bool
lock_at_tail(struct shared_engine *engine)
{
	PUSH_ASSERT(!engine->is_reading);
	for (int i = 0;; i++) {
		(void)shared_read(engine, UINT64_MAX, UINT32_MAX);
		if (!shared_lock(engine))
			return false;
		if (push_segment_position(engine->segment) == push_segment_tail(engine->segment))
			return true;
		if (i == READS_WITHOUT_LOCK) {
			(void)shared_read(engine, UINT64_MAX, UINT32_MAX);
			return true;
		}
		shared_unlock(engine);
	}
}

static bool
set_count(struct shared_engine *engine, const struct push_channel *channel, uint32_t count)
{
	struct shared_channel *shared = shared_of_channel(channel);
	uint32_t hint = shared->hint;
	enum push_status status;

	if (shared->said == count)
		return true;
	status = push_segment_set_count(engine->segment, channel->name, channel->name_size,
		push_segment_hash(engine->segment, channel->name, channel->name_size), count, &hint);
	shared->hint = hint;
	if (status == PUSH_OK)
		shared->said = count & INT32_MAX;
	return status == PUSH_OK;
}

/* Under the lock.  False: there is no room for it. */
static bool
say(struct shared_engine *engine, struct push_channel *channel)
{
	if (!set_count(engine, channel, channel->count))
		return false;
	return !channel->count || !channel->history || read_newer(engine, channel);
}

static void
release(struct shared_engine *engine, struct push_channel *channel)
{
	if (channel->history) {
		forget_fetch(channel);
		forget_end(channel);
		push_hub_unsettle(channel);
		found(engine, channel);
	}
	push_list_remove(&channel->changed);
	channel->confirmed = false; /* it may stay for what is kept of it */
	memset(channel->upstream, 0,
		engine->has_history ? sizeof(struct shared_kept) : sizeof(struct shared_channel));
	push_hub_release(engine->hub, channel);
}

/* False: that has to be done again. */
static bool
settle(struct shared_engine *engine, struct push_channel *channel)
{
	struct shared_kept *kept = kept_of(channel);
	struct push_fetch_end end;

	if (!kept->end)
		return true;
	end = *kept->end;
	forget_end(channel);
	kept->is_doubtful = false;
	push_hub_move_head(engine->hub, 0, end.head);
	if (!push_hub_settle(engine->hub, channel, &end, engine->now_us))
		return false;
	found(engine, channel);
	return true;
}

/* What was said of it is true now.  Clients may begin, or come again, while they are told. */
static void
told(struct shared_engine *engine, struct push_channel *channel)
{
	/* meanwhile somebody has come or gone; the hub did not announce it, as it was still here */
	if (shared_of_channel(channel)->said != channel->count) {
		want_work(engine, channel);
		return;
	}
	if (!channel->count) {
		release(engine, channel);
		return;
	}
	if (channel->history && !settle(engine, channel))
		want_work(engine, channel);
	else if (!channel->confirmed)
		push_hub_confirm(engine->hub, channel, false, engine->now_us);
}

static void
note_room(struct shared_engine *engine, bool has_room)
{
	if (!has_room && !engine->is_full)
		shared_log(engine, PUSH_LOG_ERROR,
			"there is no room for another channel: its clients wait for their first heartbeat");
	engine->is_full = !has_room;
}

/* Returns false where it cannot go on now. */
static bool
say_some(struct shared_engine *engine)
{
	struct push_list said;
	bool has_room = true;

	push_list_init(&said);
	if (!lock_at_tail(engine))
		return false;
	for (unsigned int i = 0; i < PUSH_SHARED_COUNT_CHANNELS && !push_list_is_empty(&engine->changed);
		i++) {
		struct push_list *item = engine->changed.next;

		has_room = say(engine, push_container_of(item, struct push_channel, changed));
		if (!has_room)
			break;
		push_list_remove(item);
		push_list_append(&said, item);
	}
	shared_unlock(engine);
	note_room(engine, has_room);
	while (!push_list_is_empty(&said)) {
		struct push_list *item = said.next;

		push_list_remove(item);
		told(engine, push_container_of(item, struct push_channel, changed));
	}
	return has_room;
}

void
shared_interest_say(struct shared_engine *engine)
{
	unsigned int rounds = 0;

	if (engine->is_reading)
		return;
	/* clients that are told may change channels at once: those have their turn in the next one */
	while (shared_interest_is_pending(engine) && say_some(engine))
		if (++rounds == PUSH_SHARED_COUNT_ROUNDS) {
			shared_wake(engine);
			return;
		}
}

/* One that is open gets what comes in from now on: it has to count from now on, too. */
static void
on_joining(void *context, struct push_channel *channel)
{
	struct shared_engine *engine = context;

	if (engine->is_reading || engine->is_unavailable || !shared_of_channel(channel)->is_held ||
		push_segment_attached(engine->segment) == 1ull << engine->slot || !lock_at_tail(engine))
		return;
	(void)set_count(engine, channel, channel->count + 1);
	shared_unlock(engine);
}

static void
on_joined(void *context)
{
	struct shared_engine *engine = context;

	if (!engine->is_unavailable)
		shared_interest_say(engine);
}

/* --- its life --- */

enum push_status
shared_interest_init(struct shared_engine *engine)
{
	push_list_init(&engine->changed);
	push_list_init(&engine->to_fetch);
	push_hub_watch(engine->hub,
		engine->has_history ? sizeof(struct shared_kept) : sizeof(struct shared_channel));
	push_hub_set_joining(engine->hub, on_joining, on_joined, engine);
	if (!engine->has_history)
		return PUSH_OK;
	push_hub_set_upstream(engine->hub, 1, on_hub_fetch, engine);
	return push_hub_cache_history(engine->hub, PUSH_HISTORY_CACHE_BYTES, shared_figures_relieve, engine);
}

static void
collect(void *context, struct push_channel *channel)
{
	if (shared_of_channel(channel)->is_held)
		want_work(context, channel);
}

void
shared_interest_fini(struct shared_engine *engine)
{
	take_changed(engine);
	push_hub_each_channel(engine->hub, collect, engine);
	while (!push_list_is_empty(&engine->changed))
		release(engine, push_container_of(engine->changed.next, struct push_channel, changed));
}
