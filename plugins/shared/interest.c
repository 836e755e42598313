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
adopt(struct shared_engine *engine, struct push_channel *channel)
{
	struct shared_channel *shared = channel->upstream;

	if (shared->channel)
		return shared;
	shared->channel = channel;
	channel->held = true;
	push_list_init(&shared->work);
	push_list_init(&shared->fetch);
	push_list_append(&engine->held, &shared->held);
	return shared;
}

static void
want_work(struct shared_engine *engine, struct shared_channel *shared)
{
	push_list_remove(&shared->work);
	push_list_append(&engine->changed, &shared->work);
}

static bool
is_up_to_date(const struct shared_channel *shared)
{
	const struct push_channel *channel = shared->channel;

	return channel->count && shared->said == channel->count && channel->confirmed &&
	       (!channel->history || channel->history->is_settled);
}

static void
take_changed(struct shared_engine *engine)
{
	struct push_channel *channel;

	while ((channel = push_hub_next_changed(engine->hub))) {
		struct shared_channel *shared = channel->upstream;

		/* what is only kept of it is nobody's business */
		if (!channel->count && !shared->channel)
			continue;
		shared = adopt(engine, channel);
		if (!is_up_to_date(shared))
			want_work(engine, shared);
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
forget_fetch(struct shared_channel *shared)
{
	push_list_remove(&shared->fetch);
	push_hub_fetch_lost(shared->channel);
}

static void
lose(struct shared_engine *engine, struct shared_channel *shared)
{
	if (!shared->is_lost)
		engine->lost_count++;
	shared->is_lost = true;
	push_hub_hold_back(engine->hub, 0);
	push_hub_unsettle(shared->channel);
	forget_fetch(shared);
	want_work(engine, shared);
}

static void
found(struct shared_engine *engine, struct shared_channel *shared)
{
	if (!shared->is_lost)
		return;
	shared->is_lost = false;
	PUSH_ASSERT(engine->lost_count > 0);
	if (!--engine->lost_count)
		push_hub_catch_up(engine->hub, 0, engine->now_us);
}

void
shared_interest_check(struct shared_engine *engine, struct push_channel *channel)
{
	lose(engine, channel->upstream);
	shared_wake(engine);
}

static struct push_position
head_of(const struct shared_engine *engine)
{
	return (struct push_position){engine->epoch, push_segment_head(engine->segment)};
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
	for (struct push_list *item = engine->held.next; item != &engine->held; item = item->next) {
		struct shared_channel *shared = push_container_of(item, struct shared_channel, held);

		if (shared->channel->history)
			lose(engine, shared);
		else if (shared->channel->confirmed)
			push_hub_confirm(engine->hub, shared->channel, true, engine->now_us);
	}
	if (engine->has_history)
		push_hub_move_head(engine->hub, 0, head);
	shared_wake(engine);
	return true;
}

void
shared_interest_repaired(struct shared_engine *engine)
{
	shared_log(
		engine, PUSH_LOG_WARN, "the broker's memory was repaired, as a worker ended while it wrote");
	for (struct push_list *item = engine->held.next; item != &engine->held; item = item->next) {
		struct shared_channel *shared = push_container_of(item, struct shared_channel, held);

		shared->said = shared->hint = 0;
		shared->is_doubtful = true;
		if (shared->channel->history)
			lose(engine, shared);
		else
			want_work(engine, shared);
	}
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
read_history(struct shared_engine *engine, struct shared_channel *shared, uint64_t low, uint64_t high,
	uint32_t *place, struct push_fetch_end *ret)
{
	const struct push_channel *channel = shared->channel;
	struct push_segment *segment = engine->segment;
	uint64_t hash = push_segment_hash(segment, channel->name, channel->name_size);
	struct reading reading = {.engine = engine, .channel = shared->channel};
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
		.is_doubtful = shared->is_doubtful,
	};
	return !reading.is_failed;
}

/* For as long as the lock is released and the hub has not been given it: most channels never have one. */
static void
forget_end(struct shared_channel *shared)
{
	free(shared->end);
	shared->end = NULL;
}

/* Behind what is known; of a channel that is new here, nothing: replays ask for it. */
static bool
read_newer(struct shared_engine *engine, struct shared_channel *shared)
{
	const struct push_history *history = shared->channel->history;
	uint64_t head = push_segment_head(engine->segment);
	uint64_t low = history->complete.epoch == engine->epoch ? push_history_known(history).number : head;

	shared->end = malloc(sizeof(*shared->end));
	if (shared->end && read_history(engine, shared, low, head, NULL, shared->end))
		return true;
	forget_end(shared);
	return false;
}

static void
on_hub_fetch(void *context, struct push_channel *channel)
{
	struct shared_engine *engine = context;
	struct shared_channel *shared = channel->upstream;

	PUSH_ASSERT(shared->channel);
	push_list_remove(&shared->fetch);
	push_list_append(&engine->to_fetch, &shared->fetch);
	shared_wake(engine);
}

/* Before what the cache has.  False: no lock. */
static bool
fetch_older(struct shared_engine *engine, struct shared_channel *shared)
{
	struct push_fetch_end end;
	bool is_read;

	if (!shared_lock(engine))
		return false;
	is_read =
		read_history(engine, shared, 0, shared->channel->history->after.number, &shared->place, &end);
	shared_unlock(engine);
	push_list_remove(&shared->fetch);
	if (is_read)
		push_hub_extend(shared->channel, &end);
	else
		push_hub_fetch_lost(shared->channel);
	return true;
}

void
shared_interest_fetch(struct shared_engine *engine)
{
	for (unsigned int pages = 0; !push_list_is_empty(&engine->to_fetch); pages++) {
		struct shared_channel *shared =
			push_container_of(engine->to_fetch.next, struct shared_channel, fetch);

		if (pages == PUSH_SHARED_FETCH_PAGES) {
			shared_wake(engine);
			return;
		}
		if (!fetch_older(engine, shared))
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
set_count(struct shared_engine *engine, struct shared_channel *shared, uint32_t count)
{
	const struct push_channel *channel = shared->channel;
	enum push_status status;

	if (shared->said == count)
		return true;
	status = push_segment_set_count(engine->segment, channel->name, channel->name_size,
		push_segment_hash(engine->segment, channel->name, channel->name_size), count, &shared->hint);
	if (status == PUSH_OK)
		shared->said = count;
	return status == PUSH_OK;
}

/* Under the lock.  False: there is no room for it. */
static bool
say(struct shared_engine *engine, struct shared_channel *shared)
{
	const struct push_channel *channel = shared->channel;

	if (!set_count(engine, shared, channel->count))
		return false;
	forget_end(shared);
	return !channel->count || !channel->history || channel->history->is_settled ||
	       read_newer(engine, shared);
}

static void
release(struct shared_engine *engine, struct shared_channel *shared)
{
	struct push_channel *channel = shared->channel;

	if (channel->history) {
		forget_fetch(shared);
		push_hub_unsettle(channel);
		found(engine, shared);
	}
	push_list_remove(&shared->held);
	push_list_remove(&shared->work);
	forget_end(shared);
	channel->confirmed = false; /* it may stay for what is kept of it */
	memset(shared, 0, sizeof(*shared));
	push_hub_release(engine->hub, channel);
}

/* What was said of it is true now.  Clients may begin, or come again, while they are told. */
static void
told(struct shared_engine *engine, struct shared_channel *shared)
{
	struct push_channel *channel = shared->channel;

	if (!channel->count) {
		if (!shared->said)
			release(engine, shared);
		return;
	}
	if (shared->end) {
		const struct push_fetch_end end = *shared->end;

		forget_end(shared);
		shared->is_doubtful = false;
		push_hub_move_head(engine->hub, 0, end.head);
		if (!push_hub_settle(engine->hub, channel, &end, engine->now_us)) {
			want_work(engine, shared);
			return;
		}
		found(engine, shared);
	}
	if (!channel->confirmed)
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

		has_room = say(engine, push_container_of(item, struct shared_channel, work));
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
		told(engine, push_container_of(item, struct shared_channel, work));
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
	struct shared_channel *shared = channel->upstream;

	if (engine->is_reading || engine->is_unavailable || !shared->channel ||
		push_segment_attached(engine->segment) == 1ull << engine->slot || !lock_at_tail(engine))
		return;
	(void)set_count(engine, shared, channel->count + 1);
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
	push_list_init(&engine->held);
	push_list_init(&engine->changed);
	push_list_init(&engine->to_fetch);
	push_hub_watch(engine->hub, sizeof(struct shared_channel));
	push_hub_set_joining(engine->hub, on_joining, on_joined, engine);
	if (!engine->has_history)
		return PUSH_OK;
	push_hub_set_upstream(engine->hub, 1, on_hub_fetch, engine);
	return push_hub_cache_history(engine->hub, PUSH_HISTORY_CACHE_BYTES, shared_figures_relieve, engine);
}

void
shared_interest_fini(struct shared_engine *engine)
{
	take_changed(engine);
	while (!push_list_is_empty(&engine->held))
		release(engine, push_container_of(engine->held.next, struct shared_channel, held));
}
