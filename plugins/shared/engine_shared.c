/* engine_shared.c - see engine_shared.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/json.h"
#include "core/random.h"
#include "shared/shared_private.h"
#include "trace/tracer.h"

#define LOG_BYTES_MAX 256

void
shared_wake(struct shared_engine *engine)
{
	if (engine->is_awake || engine->is_leaving)
		return;
	engine->is_awake = true;
	engine->host.wake(engine->host.context);
}

void
shared_log(struct shared_engine *engine, enum push_log_level level, const char *format, ...)
{
	char line[LOG_BYTES_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	engine->host.log(engine->host.context, level, line);
}

/* --- the lock --- */

static void
note_unavailable(struct shared_engine *engine)
{
	if (engine->is_unavailable)
		return;
	engine->is_unavailable = true;
	engine->unavailable_since_us = engine->now_us;
	shared_log(engine, PUSH_LOG_ERROR,
		"another worker keeps the broker's memory locked: publishes are answered 503 until it is "
		"released");
}

static void
note_available(struct shared_engine *engine)
{
	if (!engine->is_unavailable)
		return;
	engine->is_unavailable = false;
	shared_log(engine, PUSH_LOG_INFO, "the broker's memory can be used again, after %" PRIu64 " ms",
		(engine->now_us - engine->unavailable_since_us) / 1000);
	shared_wake(engine);
}

bool
shared_lock(struct shared_engine *engine)
{
	/* nobody waits again for what has just been waited for in vain */
	uint64_t wait_us = engine->is_unavailable ? 0 : PUSH_SEGMENT_LOCK_WAIT_US;

	/* out of memory while it is locked, a client may be let go on that publishes */
	if (engine->is_locked)
		return false;
	engine->is_locked = push_segment_lock(engine->segment, wait_us) == PUSH_OK;
	if (engine->is_locked)
		note_available(engine);
	else
		note_unavailable(engine);
	return engine->is_locked;
}

void
shared_unlock(struct shared_engine *engine)
{
	PUSH_ASSERT(engine->is_locked);
	engine->is_locked = false;
	push_segment_unlock(engine->segment);
}

enum push_status
shared_send(struct shared_engine *engine, const struct push_segment_letter *letter)
{
	uint64_t mask = 0;
	enum push_status status;

	if (!shared_lock(engine))
		return PUSH_UNAVAILABLE;
	status = push_segment_send(engine->segment, letter, shared_time(engine), &mask);
	shared_unlock(engine);
	if (status == PUSH_OK)
		push_segment_wake(engine->segment, mask);
	return status;
}

/* --- publishing --- */

/* What a publish is about, between its steps. */
struct publishing {
	const struct push_publication *publication;
	push_publish_done_fn done;
	void *context;
	struct shared_tracking *tracking; /* NULL: it waits for nobody */
	struct push_segment_published published;
	bool is_repeat;   /* of a publish that was carried out */
	bool is_followed; /* its own clients have it, and their writes are counted with the others' */
};

static bool
is_alone(const struct shared_engine *engine)
{
	return push_segment_attached(engine->segment) == 1ull << engine->slot;
}

static struct push_kept
kept_of(const struct shared_engine *engine, const struct publishing *publishing)
{
	const struct push_publication *publication = publishing->publication;
	const struct push_segment_published *published = &publishing->published;

	return (struct push_kept){
		.at = {engine->epoch, published->number},
		.before = {engine->epoch, published->before},
		.value = publication->value,
		.value_size = publication->value_size,
		.ttl_us = publication->ttl_us,
	};
}

/* Without history, and nobody else is there: as an engine in memory does it.  @channel: NULL: there is none. */
static void
publish_here(struct shared_engine *engine, struct push_channel *channel,
	const struct push_publication *publication, push_publish_done_fn done, void *context)
{
	uint64_t subscribers = channel ? channel->count : 0;
	struct push_delivery *delivery = NULL;
	enum push_status status = PUSH_OK;

	push_hub_track(engine->hub, publication->tracker);
	if (publication->trace)
		delivery = push_tracer_deliver(engine->engine.tracer, engine->hub, channel,
			publication->trace, publication->value_size);
	if (subscribers)
		status = push_hub_deliver_to(
			engine->hub, channel, publication->value, publication->value_size, engine->now_us);
	push_tracer_delivered(engine->engine.tracer, engine->hub, delivery);
	push_hub_track(engine->hub, NULL);
	done(context, status, status == PUSH_OK ? subscribers : 0);
}

static struct push_history_rule
rule_of(const struct shared_engine *engine, const struct push_publication *publication,
	const struct push_channel *channel)
{
	const struct push_history_rule *rule = NULL;

	if (channel && channel->history)
		return (struct push_history_rule){
			.size = channel->history->size_max, .ttl_us = channel->history->ttl_us};
	if (!channel && engine->has_history)
		rule = push_hub_keeps(engine->hub, publication->channel, publication->channel_size);
	return rule ? *rule : (struct push_history_rule){.size = 0};
}

/* Its place in the broker's order.  Errors: those of push_publish_done_fn. */
static enum push_status
append(struct shared_engine *engine, struct publishing *publishing, const struct push_channel *channel)
{
	const struct push_publication *publication = publishing->publication;
	const struct push_history_rule rule = rule_of(engine, publication, channel);
	struct shared_channel *shared = channel ? channel->upstream : NULL;
	const struct push_segment_message message = {
		.name = publication->channel,
		.name_size = publication->channel_size,
		.value = publication->value,
		.value_size = publication->value_size,
		.hash = push_segment_hash(engine->segment, publication->channel, publication->channel_size),
		.hint = shared ? shared->hint : 0,
		.ttl_us = publication->ttl_us,
		.receipt = publishing->tracking ? shared_tracking_number(publishing->tracking) : 0,
		.history_size = rule.size,
		.history_ttl_us = rule.ttl_us,
	};
	enum push_status status;

	if (!shared_lock(engine))
		return PUSH_UNAVAILABLE;
	publishing->is_repeat = publication->once &&
				shared_once_find(engine, publication, &publishing->published.subscribers);
	if (publishing->is_repeat) {
		shared_unlock(engine);
		return PUSH_OK;
	}
	status = push_segment_publish(engine->segment, &message, shared_time(engine), &publishing->published);
	if (status == PUSH_OK && publication->once)
		shared_once_note(engine, publication, publishing->published.subscribers);
	shared_unlock(engine);
	return status;
}

/* To the clients of this worker; then its place in the log is behind. */
static void
deliver_here(struct shared_engine *engine, struct publishing *publishing)
{
	const struct push_publication *publication = publishing->publication;
	const struct push_segment_published *published = &publishing->published;
	const struct push_kept kept = kept_of(engine, publishing);
	struct shared_receipt *receipt = NULL;
	struct push_channel *channel;
	bool was_reading = engine->is_reading;
	uint64_t position;

	/* it is read later, where the log is being read; or with what was missed, from history */
	(void)shared_read(engine, published->upto, UINT32_MAX);
	position = push_segment_position(engine->segment);
	if (published->in_log &&
		(position < published->seq || (position > published->seq && published->number)))
		return;
	if (published->in_log && position == published->seq)
		push_segment_skip_own(engine->segment);
	channel = push_hub_find(engine->hub, publication->channel, publication->channel_size);
	if (channel && channel->count) {
		engine->is_reading = true;
		if (publishing->tracking)
			receipt = shared_receipt_begin(
				engine, engine->slot, shared_tracking_number(publishing->tracking));
		else
			push_hub_track(engine->hub, publication->tracker);
		publishing->is_followed = receipt;
		shared_deliver(engine, channel, &kept, publication->trace);
		shared_receipt_end(engine, receipt);
		push_hub_track(engine->hub, NULL);
		engine->is_reading = was_reading;
	}
	if (published->number)
		push_hub_move_head(engine->hub, 0, kept.at);
}

static void
finish(struct shared_engine *engine, struct publishing *publishing)
{
	const struct push_segment_published *published = &publishing->published;
	uint64_t mask;

	if (!publishing->tracking) {
		publishing->done(publishing->context, PUSH_OK, published->subscribers);
		return;
	}
	mask = published->others | (uint64_t)publishing->is_followed << engine->slot;
	shared_tracking_wait(engine, publishing->tracking, mask, published->subscribers,
		publishing->publication->tracker, publishing->done, publishing->context);
}

static void
publish_to_all(
	struct shared_engine *engine, struct publishing *publishing, const struct push_channel *channel)
{
	const struct push_publication *publication = publishing->publication;
	enum push_status status;

	if (publication->tracker && !is_alone(engine))
		publishing->tracking = shared_tracking_create(engine);
	status = append(engine, publishing, channel);
	/* its own clients' writes it sees itself */
	if (status != PUSH_OK || !publishing->published.others) {
		shared_tracking_destroy(engine, publishing->tracking);
		publishing->tracking = NULL;
	}
	if (status != PUSH_OK) {
		publishing->done(publishing->context, status, 0);
		return;
	}
	if (!publishing->is_repeat) {
		push_segment_wake(engine->segment, publishing->published.others);
		deliver_here(engine, publishing);
	}
	finish(engine, publishing);
}

static void
engine_publish(struct push_engine *base, const struct push_publication *publication, uint64_t now_us,
	push_publish_done_fn done, void *context)
{
	struct shared_engine *engine = shared_of(base);
	struct publishing publishing = {.publication = publication, .done = done, .context = context};
	struct push_channel *channel;

	engine->now_us = now_us;
	if (shared_interest_is_pending(engine))
		shared_interest_say(engine);
	if (engine->is_unavailable && shared_interest_is_pending(engine)) {
		done(context, PUSH_UNAVAILABLE, 0);
		return;
	}
	channel = push_hub_find(engine->hub, publication->channel, publication->channel_size);
	if (is_alone(engine) && !publication->once && !engine->is_reading &&
		push_segment_position(engine->segment) == push_segment_tail(engine->segment) &&
		!(channel ? channel->history != NULL
			  : engine->has_history && push_hub_keeps(engine->hub, publication->channel,
							   publication->channel_size)))
		publish_here(engine, channel, publication, done, context);
	else
		publish_to_all(engine, &publishing, channel);
}

/* --- turns --- */

/* It still sleeps for others, and nothing has come up since. */
static bool
has_nothing_to_do(struct shared_engine *engine)
{
	return engine->is_asleep &&
	       push_segment_position(engine->segment) == push_segment_tail(engine->segment) &&
	       push_segment_incarnation(engine->segment) == engine->incarnation &&
	       !shared_interest_is_pending(engine) && push_list_is_empty(&engine->to_fetch) &&
	       push_list_is_empty(&engine->receipts.over) && push_list_is_empty(&engine->written) &&
	       push_list_is_empty(&engine->called) && push_list_is_empty(&engine->answered) &&
	       !(engine->has_history && push_hub_awaits_head(engine->hub));
}

/* Who may have had an id that is none finds that out when all is read. */
static void
settle_heads(struct shared_engine *engine)
{
	uint32_t question;

	if (!engine->has_history || !push_hub_awaits_head(engine->hub))
		return;
	question = push_hub_ask_head(engine->hub);
	if (!shared_lock(engine))
		return;
	if (push_segment_position(engine->segment) == push_segment_tail(engine->segment)) {
		const struct push_position head = {engine->epoch, push_segment_head(engine->segment)};

		shared_unlock(engine);
		push_hub_move_head(engine->hub, 0, head);
		push_hub_head_is(engine->hub, 0, head, question);
		return;
	}
	shared_unlock(engine);
	shared_wake(engine);
}

/* Either it is woken for what comes from now on, or it looks again soon. */
static void
sleep_if_done(struct shared_engine *engine, bool is_all_read)
{
	engine->is_asleep = is_all_read && push_segment_sleep(engine->segment);
	if (!engine->is_asleep)
		shared_wake(engine);
}

static void
check_incarnation(struct shared_engine *engine)
{
	uint64_t incarnation = push_segment_incarnation(engine->segment);

	if (incarnation == engine->incarnation)
		return;
	engine->incarnation = incarnation;
	shared_interest_repaired(engine);
}

static void
engine_flush(struct push_engine *base, uint64_t now_us)
{
	struct shared_engine *engine = shared_of(base);
	bool is_all_read;

	engine->now_us = now_us;
	engine->is_awake = false;
	if (has_nothing_to_do(engine))
		return;
	push_segment_awake(engine->segment);
	check_incarnation(engine);
	is_all_read = shared_read(engine, UINT64_MAX, PUSH_SHARED_READ_MESSAGES);
	shared_calls_flush(engine);
	shared_receipts_flush(engine);
	if (is_all_read && shared_interest_is_pending(engine))
		shared_interest_say(engine);
	shared_interest_fetch(engine);
	if (is_all_read)
		settle_heads(engine);
	sleep_if_done(engine, is_all_read);
}

static void
engine_ready(struct push_engine *base, uint64_t now_us)
{
	struct shared_engine *engine = shared_of(base);
	uint64_t count;

	engine->now_us = now_us;
	(void)!read(push_segment_wake_fd(engine->segment), &count, sizeof(count));
	push_segment_awake(engine->segment);
	sleep_if_done(engine, shared_read(engine, UINT64_MAX, PUSH_SHARED_READ_MESSAGES));
}

static void
try_again(struct shared_engine *engine)
{
	if (!engine->is_unavailable || engine->now_us < engine->retry_us)
		return;
	engine->retry_us = engine->now_us + PUSH_SHARED_RETRY_US;
	if (shared_lock(engine))
		shared_unlock(engine);
}

static void
engine_tick(struct push_engine *base, uint64_t now_us)
{
	struct shared_engine *engine = shared_of(base);

	engine->now_us = now_us;
	try_again(engine);
	shared_calls_tick(engine);
	shared_receipts_tick(engine);
	shared_notices_read(engine);
	shared_figures_tick(engine);
	engine_flush(base, now_us);
}

/* --- state --- */

static bool
engine_is_ready(const struct push_engine *base)
{
	const struct shared_engine *engine = (const struct shared_engine *)base;

	return !engine->is_unavailable && shared_has_notices(base);
}

static bool
engine_accepts(const struct push_engine *base, char *why, size_t size)
{
	const struct shared_engine *engine = (const struct shared_engine *)base;

	if (!engine->is_unavailable)
		return true;
	snprintf(why, size, "another worker keeps the broker's memory locked");
	return false;
}

static bool
engine_is_busy(const struct push_engine *base)
{
	const struct shared_engine *engine = (const struct shared_engine *)base;

	return engine->tracked_count || engine->call_count;
}

/* --- its life --- */

static void
engine_destroy(struct push_engine *base)
{
	struct shared_engine *engine = shared_of(base);

	engine->is_leaving = true;
	shared_calls_fini(engine);
	shared_receipts_fini(engine);
	shared_interest_fini(engine);
	shared_figures_fini(engine);
	push_segment_leave(engine->segment);
	push_segment_detach(engine->segment);
	push_buf_fini(&engine->item);
	push_buf_fini(&engine->scratch);
	free(engine);
}

static enum push_status
join(struct shared_engine *engine, struct push_error *error)
{
	enum push_status status;

	push_segment_be(engine->segment, engine->slot);
	status = push_segment_lock(engine->segment, 4 * PUSH_SEGMENT_LOCK_HELD_US_MAX);
	if (status != PUSH_OK) {
		snprintf(error->text, sizeof(error->text), "another worker keeps the broker's memory locked");
		return status;
	}
	status = push_segment_join(engine->segment, engine->slot, engine->node, engine->now_us);
	engine->epoch = push_segment_epoch(engine->segment);
	engine->incarnation = push_segment_incarnation(engine->segment);
	if (status == PUSH_OK && engine->has_history)
		push_hub_move_head(engine->hub, 0,
			(struct push_position){engine->epoch, push_segment_head(engine->segment)});
	push_segment_unlock(engine->segment);
	if (status != PUSH_OK)
		snprintf(error->text, sizeof(error->text),
			"place %u of the broker's memory is taken by another worker", engine->slot);
	return status;
}

/* No secret; the seed is one. */
static void
name_node(struct shared_engine *engine, uint64_t seed)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != (ssize_t)sizeof(number))
		number = push_random_upto(&seed, UINT64_MAX - 1);
	snprintf(engine->node, sizeof(engine->node), "%016" PRIx64, number);
	engine->engine.node = engine->node;
	engine->last_number = number >> 32; /* of calls and receipts */
}

static const struct push_engine interface = {
	.publish = engine_publish,
	.value_get = shared_value_get,
	.value_put = shared_value_put,
	.read = shared_history_read,
	.call = shared_call,
	.serve = shared_serve,
	.notify = shared_notify,
	.on_notice = shared_on_notice,
	.has_notices = shared_has_notices,
	.can_track = true,
	.can_publish_once = true,
	.is_ready = engine_is_ready,
	.accepts = engine_accepts,
	.destroy = engine_destroy,
	.ready = engine_ready,
	.flush = engine_flush,
	.tick = engine_tick,
	.is_busy = engine_is_busy,
	.update_stats = shared_figures_update,
	.render_state = shared_figures_render,
};

struct push_engine *
push_engine_shared_create(const struct push_options *options, struct push_hub *hub,
	struct push_segment *segment, unsigned int slot, const struct push_engine_host *host, uint64_t seed,
	uint64_t now_us, struct push_error *error)
{
	struct shared_engine *engine = calloc(1, sizeof(*engine));

	snprintf(error->text, sizeof(error->text), "out of memory");
	if (!engine) {
		push_segment_detach(segment);
		return NULL;
	}
	engine->engine = interface;
	engine->options = options;
	engine->hub = hub;
	engine->host = *host;
	engine->segment = segment;
	engine->slot = slot;
	engine->now_us = now_us;
	engine->has_history = push_hub_has_history(hub);
	name_node(engine, seed);
	push_buf_init(&engine->item, PUSH_SHARED_ITEM_BYTES_MAX);
	push_buf_init(&engine->scratch, PUSH_SHARED_ITEM_BYTES_MAX);
	shared_receipts_init(engine);
	shared_calls_init(engine);
	if (shared_interest_init(engine) != PUSH_OK || join(engine, error) != PUSH_OK) {
		push_segment_detach(segment);
		free(engine);
		return NULL;
	}
	engine->engine.fd = push_segment_wake_fd(segment);
	return &engine->engine;
}
