/*
 * shared_private.h - the engine's struct, and what its files ask of each other.
 *
 *   engine_shared.c  publish, flush, sleep; life
 *   deliver.c        the log to the hub
 *   interest.c       which channels, how many clients; where history stands
 *   receipts.c, calls.c, notices.c, values.c, reading.c, figures.c
 */
#ifndef PUSH_SHARED_SHARED_PRIVATE_H
#define PUSH_SHARED_SHARED_PRIVATE_H

#include "core/buf.h"
#include "core/channel.h"
#include "core/history.h"
#include "core/hub.h"
#include "core/limits.h"
#include "core/list.h"
#include "core/push_assert.h"
#include "core/receipt.h"
#include "core/tracker.h"
#include "segment/channels.h"
#include "segment/history.h"
#include "segment/lock.h"
#include "segment/log.h"
#include "segment/segment.h"
#include "segment/slots.h"
#include "segment/values.h"
#include "shared/engine_shared.h"
#include "shared/limits.h"

/* channel->upstream, where nothing is kept: 8 bytes, for there may be a channel for each client. */
struct shared_channel {
	uint32_t hint;        /* where it was in the segment */
	uint32_t said : 31;   /* the count that the segment has */
	uint32_t is_held : 1; /* it has clients here, or is about to lose its last one */
};

/* channel->upstream, where there are channels with history. */
struct shared_kept {
	struct shared_channel shared; /* first: the two are cast into each other */
	uint32_t place;               /* the oldest message that was read of it */
	bool is_lost;                 /* messages of it may be missing: the hub holds all of them back */
	bool is_doubtful;             /* the segment was repaired since it was settled */
	struct push_channel *channel;
	struct push_list fetch;     /* in engine->to_fetch, or alone */
	struct push_fetch_end *end; /* owned: to be given to the hub; NULL: nothing */
};

struct shared_engine {
	struct push_engine engine; /* first: the two are cast into each other */
	const struct push_options *options;
	struct push_hub *hub;
	struct push_engine_host host;
	struct push_segment *segment;
	unsigned int slot;
	char node[24];
	uint64_t now_us;
	uint64_t epoch, incarnation;
	bool is_awake;   /* the host was asked for a flush */
	bool is_asleep;  /* others wake this worker for what comes */
	bool is_reading; /* the log: nothing else may read it meanwhile */
	bool has_history;
	bool is_leaving;

	/* the lock */
	bool is_locked; /* by this worker */
	bool is_unavailable;
	uint64_t unavailable_since_us, retry_us;

	/* deliver.c */
	struct push_buf item; /* what was read */
	uint64_t overruns;

	/* interest.c */
	struct push_list changed;  /* channels, by the link of the hub's list, which they have left */
	struct push_list to_fetch; /* struct shared_kept */
	uint32_t lost_count;
	bool is_full; /* the segment has no room for another channel */
	struct push_buf scratch;

	/* receipts.c */
	struct push_list tracked[PUSH_SHARED_TRACKED_BUCKETS];
	struct push_list waiting, written; /* publishes, by deadline; and those that are over */
	struct push_receipts receipts;
	uint32_t tracked_count;
	uint64_t last_number;
	uint64_t attached; /* when the waiting were last looked at */

	/* calls.c */
	struct push_list calls, answered, called;
	uint32_t call_count;
	push_serve_fn serve;
	void *serve_context;

	/* notices.c */
	push_notice_fn notice;
	void *notice_context;
	bool has_notices;

	/* figures.c */
	uint64_t figures_us, history_share, values_share, dropped;
	bool is_reporter; /* of those that have the segment the first */
	uint32_t expire_bucket;
};

static inline struct shared_engine *
shared_of(struct push_engine *engine)
{
	return (struct shared_engine *)engine;
}

static inline uint64_t
shared_time(const struct shared_engine *engine)
{
	return push_segment_time(engine->segment, engine->now_us);
}

/* --- engine_shared.c --- */

void
shared_wake(struct shared_engine *engine);

void
shared_log(struct shared_engine *engine, enum push_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* shared_lock - false: somebody keeps it; it was noted. */
bool PUSH_MUST_USE
shared_lock(struct shared_engine *engine);

void
shared_unlock(struct shared_engine *engine);

/* shared_send - a letter, and wake those that get it.  Errors: PUSH_UNAVAILABLE, PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
shared_send(struct shared_engine *engine, const struct push_segment_letter *letter);

/* --- deliver.c --- */

/* shared_read - deliver up to `max` messages of the log, all before `upto` at most.  Returns whether that was
 * reached. */
bool
shared_read(struct shared_engine *engine, uint64_t upto, uint32_t max);

/* shared_deliver - a message to this worker's clients of a channel. */
void
shared_deliver(struct shared_engine *engine, struct push_channel *channel, const struct push_kept *kept,
	const struct push_trace *trace);

/* --- interest.c --- */

enum push_status PUSH_MUST_USE
shared_interest_init(struct shared_engine *engine);

void
shared_interest_fini(struct shared_engine *engine);

/* shared_interest_is_pending - whether counts have changed that the segment does not know. */
bool
shared_interest_is_pending(struct shared_engine *engine);

/* shared_interest_say - set counts, and settle what was not, as far as the lock can be had. */
void
shared_interest_say(struct shared_engine *engine);

/* shared_interest_fetch - what replays ask for, some pages of it. */
void
shared_interest_fetch(struct shared_engine *engine);

/* shared_interest_missed - this worker was too slow: from the log's end on.  False: no lock. */
bool PUSH_MUST_USE
shared_interest_missed(struct shared_engine *engine);

/* shared_interest_check - a message says that one before it has not come, or could not be kept. */
void
shared_interest_check(struct shared_engine *engine, struct push_channel *channel);

/* shared_interest_repaired - the segment has lost who counts what. */
void
shared_interest_repaired(struct shared_engine *engine);

/* --- receipts.c --- */

struct shared_receipt;
struct shared_tracking;

void
shared_receipts_init(struct shared_engine *engine);

/* shared_receipt_begin - the hub is tracked until shared_receipt_end(), for a message with that number. */
struct shared_receipt *
shared_receipt_begin(struct shared_engine *engine, unsigned int to, uint64_t number);

void
shared_receipt_end(struct shared_engine *engine, struct shared_receipt *receipt);

/* shared_tracking_create - a publish of which others are to tell what they have written; NULL: it cannot be. */
struct shared_tracking *
shared_tracking_create(struct shared_engine *engine);

uint64_t
shared_tracking_number(const struct shared_tracking *tracking);

void
shared_tracking_destroy(struct shared_engine *engine, struct shared_tracking *tracking);

/* shared_tracking_wait - for workers `mask`, with `subscribers` clients; `done` is called then. */
void
shared_tracking_wait(struct shared_engine *engine, struct shared_tracking *tracking, uint64_t mask,
	uint64_t subscribers, struct push_tracker *tracker, push_publish_done_fn done, void *context);

void
shared_receipt_came(struct shared_engine *engine, const struct push_segment_item *item);

void
shared_receipts_flush(struct shared_engine *engine);

void
shared_receipts_tick(struct shared_engine *engine);

void
shared_receipts_fini(struct shared_engine *engine);

/* --- calls.c --- */

void
shared_calls_init(struct shared_engine *engine);

void
shared_call(struct push_engine *engine, const char *node, size_t node_size, const char *verb,
	const char *text, size_t size, uint64_t now_us, push_value_done_fn done, void *context);

void
shared_serve(struct push_engine *engine, push_serve_fn serve, void *context);

void
shared_call_came(struct shared_engine *engine, const struct push_segment_item *item);

void
shared_answer_came(struct shared_engine *engine, const struct push_segment_item *item);

void
shared_calls_flush(struct shared_engine *engine);

void
shared_calls_tick(struct shared_engine *engine);

void
shared_calls_fini(struct shared_engine *engine);

/* --- notices.c --- */

void
shared_notify(struct push_engine *engine, const char *text, size_t size, uint64_t ttl_us, uint64_t now_us,
	push_notice_done_fn done, void *context);

void
shared_on_notice(struct push_engine *engine, push_notice_fn notice, void *context);

bool
shared_has_notices(const struct push_engine *engine);

void
shared_notice_came(struct shared_engine *engine, const struct push_segment_item *item);

/* shared_notices_read - those that are remembered, if it has not been done. */
void
shared_notices_read(struct shared_engine *engine);

/* --- values.c --- */

void
shared_value_get(struct push_engine *engine, const char *name, size_t name_size, uint64_t now_us,
	push_value_done_fn done, void *context);

void
shared_value_put(struct push_engine *engine, const char *name, size_t name_size, const char *value,
	size_t value_size, uint64_t ttl_us, bool only_if_new, uint64_t now_us, push_value_done_fn done,
	void *context);

/* shared_once_find - under the lock: whether a publish of this id was carried out, and for how many. */
bool
shared_once_find(
	struct shared_engine *engine, const struct push_publication *publication, uint64_t *ret_subscribers);

/* shared_once_note - likewise, that it was. */
void
shared_once_note(
	struct shared_engine *engine, const struct push_publication *publication, uint64_t subscribers);

/* --- reading.c --- */

void
shared_history_read(struct push_engine *engine, const struct push_reading *reading, uint64_t now_us,
	push_value_done_fn done, void *context);

/* --- figures.c --- */

void
shared_figures_tick(struct shared_engine *engine);

void
shared_figures_update(struct push_engine *engine);

size_t
shared_figures_relieve(void *context, size_t max);

void
shared_figures_fini(struct shared_engine *engine);

void
shared_figures_render(const struct push_engine *engine, struct push_buf *to);

#endif
