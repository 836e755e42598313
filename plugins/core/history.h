/*
 * history.h - what was published lately, kept for clients that come back.
 *
 * Of a channel with history (history_rules.h) the last messages are kept as the frames that were written to
 * its subscribers: a reference more, not a copy.  A channel's window is a ring in order of position:
 *
 *        after                                    head of the partition
 *   ───────┼──[ e5 ][ e6 ][ e9 ]──────────────────────┤
 *   gone   all of the channel's messages from here on
 *
 * `after` makes the promise: every message of the channel behind it is in the ring.  Whoever has read up to a
 * position at or behind `after` can be given everything that he missed; to anyone else a gap must be told.
 *
 * Messages leave when there are too many of a channel, when they are too old, and when all that is kept takes
 * too much: then the oldest of all go first, whatever their channel, but one of a channel in use as if it had
 * come PUSH_HISTORY_SAFE_US later.  `after` moves with each.  A channel
 * that keeps nothing and has no subscribers is freed; where it was is remembered by a hash of its name, in a
 * table of fixed size.  Two names that share a place may make a gap be told that is none, never the other way
 * round.
 */
#ifndef PUSH_CORE_HISTORY_H
#define PUSH_CORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "encoding.h"
#include "frame.h"
#include "history_rules.h"
#include "list.h"
#include "position.h"
#include "push_assert.h"
#include "stats.h"
#include "wheel.h"

/* Names of which one remembers what they lost after they are gone; 64 KB. */
#define PUSH_HISTORY_FORGOTTEN_COUNT 4096

struct push_history_entry {
	struct push_list age; /* in store->by_age */
	struct push_history *history;
	struct push_position at;
	uint64_t kept_until_us; /* by the rule */
	uint64_t expires_us;    /* by the message's own ttl: no longer delivered, and not missed either */
	struct push_frame *frames[PUSH_ENCODING_COUNT]; /* one at least; the others are made when needed */
};

/* Of one channel. */
struct push_history {
	struct push_history_store *store;
	struct push_channel *channel;
	struct push_timer expiry;
	struct push_history_entry **entries; /* a ring; owned */
	uint32_t head, count, capacity;
	uint32_t size_max;
	uint64_t ttl_us;
	uint64_t kept_since_us; /* since when it has always kept something */
	uint8_t partition;
	struct push_position after;
	uint64_t dropped; /* messages, since it began */
	uint32_t losses;  /* how often nobody knows what was dropped */
	/* It began at created; and between known_since and then there were none of the channel. */
	struct push_position known_since, created;

	/* Where a server keeps the history, this is a part of it; see "upstream" below. */
	struct push_list fetched;      /* entries of an answer that is being read */
	struct push_list pending;      /* what was published while it is not settled */
	struct push_position complete; /* what was published up to here and is not in the ring is older */
	struct push_position upstream; /* the server has nothing more up to here */
	struct push_position pending_before, pending_last; /* before the first one, and the last one */
	uint32_t pending_count;
	uint32_t
		short_until; /* memory was short: until the cache is trimmed so often, older ones cannot be had */
	bool is_settled;     /* it is known where it stands: messages may be delivered */
	bool is_fetching; /* an answer is to come */
	bool is_overrun;  /* more was pending than may be, or not all that there was */
};

struct push_history_store {
	struct push_history_rules rules;
	struct push_channel_map *channels; /* borrowed */
	/* All entries, the oldest first: of channels that were new by then, and of those that were in use. */
	struct push_list by_age[2];
	struct push_wheel wheel;
	uint64_t bytes_max;             /* of frames and their entries */
	struct push_memory *memory;     /* borrowed: what is kept is charged to it */
	struct push_stats *stats;       /* borrowed: what is kept now is counted there */
	struct push_stats *cache_stats; /* owned; where a cache is counted instead; NULL: it is none */
	uint64_t cache_bytes;           /* that it may have while nothing is replayed from upstream, and */
	uint8_t replays;                /* for so many trims yet something is */
	uint32_t trims;
	unsigned int partition_count;
	struct push_positions heads; /* the last position of each partition that was delivered */
	/* Partitions whose messages are kept and not delivered, since older ones may be missing (bits), and
	 * the last position of these that is known. */
	uint32_t held;
	struct push_position held_heads[PUSH_PARTITIONS_MAX];
	struct push_position forgotten[PUSH_HISTORY_FORGOTTEN_COUNT];
};

/*
 * push_history_store_create - nothing is kept yet.
 *
 * @options: checked.  @channels: whose histories these are.  All are borrowed.
 * Returns NULL when memory is out.
 */
struct push_history_store *
push_history_store_create(const struct push_options *options, struct push_channel_map *channels,
	struct push_memory *memory, struct push_stats *stats, uint64_t now_us);

/* push_history_store_destroy - free it, with everything that is kept and the channels that stay for that. */
void
push_history_store_destroy(struct push_history_store *store);

/*
 * push_history_store_cache - it is a cache of `bytes_max` from now on; nothing is kept yet.
 *
 * While messages are replayed it may have twice what history may, or it would drop what it fetches.
 * Errors: PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_history_store_cache(struct push_history_store *store, uint64_t bytes_max);

/* push_history_store_trim - of a cache, from time to time: what was fetched for replays is dropped in the end. */
void
push_history_store_trim(struct push_history_store *store);

/* push_history_has_older - whether what is before the window can be asked for. */
bool
push_history_has_older(const struct push_history *history);

/* push_history_store_tick - drop what is too old, of at most `max` channels.  Returns true if more is due. */
bool
push_history_store_tick(struct push_history_store *store, uint64_t now_us, unsigned int max);

/* push_history_store_relieve - while memory is short, drop the oldest messages, at most `max`; returns how
 * many. */
size_t
push_history_store_relieve(struct push_history_store *store, size_t max);

/*
 * push_history_of - the channel's history; NULL where its rule keeps none, or memory is out.
 *
 * A new one begins where nothing of it can have been forgotten.
 */
struct push_history *
push_history_of(struct push_history_store *store, struct push_channel *channel);

/* push_history_partition - the partition of a channel of that name, below partition_count. */
unsigned int
push_history_partition(const struct push_history_store *store, const char *channel, size_t size);

/* push_history_free - a channel goes away that keeps nothing; where it was is remembered. */
void
push_history_free(struct push_history *history);

/*
 * push_history_append - keep a message, the newest of its channel.
 *
 * @frames: references are taken.  @ttl_us: the message's own; 0: none.
 * When memory is out it is not kept, and counts as one that has left.
 */
void
push_history_append(struct push_history *history, struct push_position at,
	struct push_frame *const frames[PUSH_ENCODING_COUNT], uint64_t ttl_us, uint64_t now_us);

/* push_history_expire - drop what is too old now. */
void
push_history_expire(struct push_history *history, uint64_t now_us);

/* push_history_find - the index of the first entry behind a position; history->count: there is none. */
uint32_t
push_history_find(const struct push_history *history, struct push_position position);

static inline struct push_history_entry *
push_history_at(const struct push_history *history, uint32_t index)
{
	PUSH_ASSERT(history->entries && index < history->count);
	return history->entries[(history->head + index) & (history->capacity - 1)];
}

/* push_history_make_frame - make an entry's frame that it has not got yet; as below. */
struct push_frame *
push_history_make_frame(
	struct push_history *history, struct push_history_entry *entry, enum push_encoding encoding);

/* push_history_frame - an entry's frame, borrowed; NULL when memory is out.  It is there for all readers but
 * the first of a kind, and this is asked for each delivery. */
static inline struct push_frame *
push_history_frame(
	struct push_history *history, struct push_history_entry *entry, enum push_encoding encoding)
{
	struct push_frame *frame = entry->frames[encoding];

	return frame ? frame : push_history_make_frame(history, entry, encoding);
}

/* push_history_id - write the id that an entry's frames have to PUSH_ID_BYTES_MAX bytes.  Returns its size.
 */
size_t
push_history_id(const struct push_history_entry *entry, char *to);

/*
 * push_history_frame_with - an entry's message with another id, with a reference for the caller.
 *
 * @known_id_size: of its own one (push_history_id).  NULL when memory is out.
 */
struct push_frame *
push_history_frame_with(const struct push_history_entry *entry, size_t known_id_size,
	enum push_encoding encoding, const char *id, size_t id_size);

/*
 * Upstream: a server keeps the history, and this process a window of it, for the channels that it is
 * subscribed to.  A new window is empty.  The server is asked (push_history_forward) where the channel stands
 * when its subscription has begun and whenever it may have missed something; until the answer has come what
 * is published is pending.  It is asked for what is older when a client needs that (push_history_backward).
 *
 * An answer is a list of `fetched` entries in order; `after`: all behind that are in it; and `upstream`: up
 * to there the server has nothing.  Between the two there is more than fitted into the answer.
 *
 * push_history_entry_create - an entry that is not in the ring yet; NULL when memory is out.
 */
struct push_history_entry *
push_history_entry_create(struct push_history *history, struct push_position at, uint64_t ttl_us,
	uint64_t age_us, uint64_t now_us);

/* push_history_entry_destroy - one that is in no ring and in no list. */
void
push_history_entry_destroy(struct push_history_entry *entry);

/* push_history_put - append an entry, which is the newest; false: memory is out, and it is gone. */
bool
push_history_put(struct push_history *history, struct push_history_entry *entry);

/* push_history_discard - drop what was fetched. */
void
push_history_discard(struct push_history *history);

/*
 * push_history_forward - take over what was fetched behind the newest message.
 *
 * @head: where the channel's partition stood when the server answered.
 * What the window has is dropped where the answer does not reach back to it, or the server knows less.
 */
void
push_history_forward(struct push_history *history, struct push_position after, struct push_position upstream,
	struct push_position head);

/* push_history_backward - take over what was fetched before the oldest message. */
void
push_history_backward(
	struct push_history *history, struct push_position after, struct push_position upstream);

/* push_history_count - of a cache: `total` messages there were, this window included. */
static inline void
push_history_count(struct push_history *history, uint64_t total)
{
	history->dropped = total - history->count; /* modulo 2^64 */
}

/* push_history_restart - what it has is not the beginning of what comes: drop it; `after` moves to `at`. */
void
push_history_restart(struct push_history *history, struct push_position at);

/* push_history_last - the newest position that it knows of. */
static inline struct push_position
push_history_last(const struct push_history *history)
{
	return history->count ? push_history_at(history, history->count - 1)->at : history->after;
}

/* push_history_known - up to where it is known which messages the channel has had. */
static inline struct push_position
push_history_known(const struct push_history *history)
{
	struct push_position last = push_history_last(history);

	return push_position_compare(last, history->complete) < 0 ? history->complete : last;
}

/*
 * push_history_missed - how many messages behind `position` have left, as far as that can be known.
 *
 * Returns UINT64_MAX: some, nobody knows how many.
 */
uint64_t
push_history_missed(const struct push_history *history, struct push_position position);

#endif
