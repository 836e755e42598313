/*
 * layout.h - what lies where in the shared segment.  For the files of this folder and their tests.
 *
 *   ┌ header ─┬ slots ──────┬ cells ─────────────┬ channel buckets ─┬ value buckets ┬ blocks ─ ─ ─ ─ ─▶ grows
 *   │ lock    │ one for     │ the log: what was  │ lists of         │               │ 128 bytes each
 *   │ ends    │ each worker │ published, in order│ channels by hash │               │
 *   └─────────┴─────────────┴────────────────────┴──────────────────┴───────────────┴───────
 *
 * Everything that varies in size lies in a chain of blocks.  A chain's first block says what it is: a record
 * (a message, a value, a notice), or a channel.  Records are the truth: each says by itself what it is, under a
 * checksum.  All that leads to them (buckets, lists, free blocks) can be made again from them alone, and is,
 * whenever a process ended while it had the lock (repair.h).
 *
 * Who may write: the owner of the lock, and nobody else; but for a slot's `position`, `asleep` and `process`, which
 * are its worker's.  Who reads without the lock reads the log (log.h).
 *
 * Trust: another process may have written anything anywhere.  A number from here is an index that is checked
 * (segment_block), a length that is bounded, or a figure that is only shown; no pointer lies in here.  Loops end
 * after as many steps as there are blocks.
 */
#ifndef PUSH_SEGMENT_LAYOUT_H
#define PUSH_SEGMENT_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/push_assert.h"
#include "segment/limits.h"

#define SEGMENT_MAGIC 0x3167655368737550ull /* "PushSeg1" */

/* Another one for each change of anything in here. */
#define SEGMENT_LAYOUT 1u

/* Index of a block; 0: none, for block 0 is never used. */
typedef uint32_t segment_index;

enum segment_kind {
	SEGMENT_FREE,
	SEGMENT_MORE,    /* of a chain, not its first */
	SEGMENT_MESSAGE, /* a record; in the log, in history, or both */
	SEGMENT_SENT,    /* a record: a call, an answer, a receipt, a notice on its way; in the log only */
	SEGMENT_VALUE,   /* a record */
	SEGMENT_NOTICE,  /* a record that is remembered */
	SEGMENT_CHANNEL,
	SEGMENT_COUNTS, /* of a channel, what does not fit into it */
};

/* DRAFT: being written; a process that ends now leaves nothing.  LIVE: whole. */
enum segment_state { SEGMENT_UNUSED, SEGMENT_DRAFT, SEGMENT_LIVE };

enum {
	SEGMENT_IN_LOG = 1,     /* a reader may come yet */
	SEGMENT_IN_HISTORY = 2, /* its channel's */
};

/* A record's first block.  Of a MESSAGE the name is its channel's. */
struct segment_record {
	segment_index next; /* of the chain */
	uint8_t kind;
	_Atomic uint8_t state;
	uint8_t flags;
	uint8_t verb; /* of SENT: enum push_segment_verb */
	uint16_t name_size;
	uint16_t slot; /* of SENT and of a MESSAGE: who sent it */
	uint32_t value_size;
	uint64_t
		checksum; /* of what does not change: sizes, kind, verb, slot, seq to expires_us, name, value */
	uint64_t seq;     /* its place in the log; of VALUE and NOTICE: a number that grows */
	uint64_t
		number; /* of a position; 0: not of a channel with history.  Of SENT: of a call.  Of VALUE: its
			     name's hash */
	uint64_t before;  /* the number of its channel's message before it */
	uint64_t receipt; /* of a MESSAGE: the sender waits for receipts with this number; 0: it does not */
	uint64_t time_us; /* when it was published, put or sent */
	uint64_t expires_us; /* by its own ttl; UINT64_MAX: none */
	/* newer and older of its channel, or of its bucket (VALUE: next only); of all by age */
	segment_index newer, older, age_newer, age_older;
	segment_index channel; /* of a MESSAGE in history */
	uint8_t age_class;     /* which list by age */
	uint8_t spare[3];
	unsigned char bytes[32]; /* name, then value; goes on in the chain */
};

/* The rest of a chain. */
struct segment_more {
	segment_index next;
	uint8_t kind;
	uint8_t spare[3];
	unsigned char bytes[120];
};

/* How many subscribers a channel has on one worker: a word of its own, written at once. */
#define SEGMENT_COUNT_BITS  24
#define SEGMENT_COUNT_MAX   ((1u << SEGMENT_COUNT_BITS) - 1)
#define SEGMENT_COUNTS_HERE 6u  /* in a channel's block; 0: free, else (slot + 1) << 24 | count */
#define SEGMENT_COUNTS_MORE 30u /* in one block of COUNTS */

struct segment_channel {
	segment_index next; /* of the chain: the rest of its name */
	uint8_t kind;
	_Atomic uint8_t state;
	uint16_t name_size;
	uint64_t hash;
	segment_index bucket_next;
	segment_index newest, oldest;  /* of its history */
	uint32_t kept;                 /* how many */
	uint64_t after;                /* all numbers behind that are in its history (core/history.h) */
	uint64_t known_since, created; /* likewise */
	uint64_t dropped;
	segment_index more_counts;
	uint32_t kept_since_s; /* since when it has always kept something */
	_Atomic uint32_t counts[SEGMENT_COUNTS_HERE];
	uint32_t ttl_s;         /* of its rule, as the last message was kept by */
	unsigned char name[28]; /* goes on in the chain */
};

struct segment_counts {
	segment_index next;
	uint8_t kind;
	uint8_t spare[3];
	_Atomic uint32_t counts[SEGMENT_COUNTS_MORE];
};

union segment_block {
	struct segment_record record;
	struct segment_more more;
	struct segment_channel channel;
	struct segment_counts counts;
	_Atomic uint64_t words[PUSH_SEGMENT_BLOCK_BYTES / 8];
};

_Static_assert(sizeof(struct segment_record) == PUSH_SEGMENT_BLOCK_BYTES, "one block");
_Static_assert(sizeof(struct segment_more) == PUSH_SEGMENT_BLOCK_BYTES, "one block");
_Static_assert(sizeof(struct segment_channel) == PUSH_SEGMENT_BLOCK_BYTES, "one block");
_Static_assert(sizeof(struct segment_counts) == PUSH_SEGMENT_BLOCK_BYTES, "one block");
_Static_assert(sizeof(union segment_block) == PUSH_SEGMENT_BLOCK_BYTES, "one block");
_Static_assert(
	offsetof(struct segment_record, kind) == offsetof(struct segment_channel, kind), "where it is found");
_Static_assert(offsetof(struct segment_record, state) == offsetof(struct segment_channel, state), "likewise");
_Static_assert(offsetof(struct segment_record, kind) == offsetof(struct segment_more, kind), "likewise");

/* One place of the log. */
struct segment_cell {
	_Atomic uint64_t mask;   /* bit s: for the worker in slot s */
	_Atomic uint64_t number; /* of the newest position with it, whosever it is */
	_Atomic segment_index block;
	_Atomic uint32_t bytes; /* of its chain */
};

enum segment_slot_state { SEGMENT_SLOT_FREE, SEGMENT_SLOT_ATTACHED, SEGMENT_SLOT_ENDED };

/* A process, told from a later one of the same number by when it was started. */
struct segment_process {
	_Atomic uint64_t started; /* in the kernel's ticks since boot; 0: unknown */
	_Atomic uint32_t pid;     /* 0: nobody; written last */
	uint32_t spare;
};

#define SEGMENT_NODE_WORDS (PUSH_SEGMENT_NODE_BYTES / 8)

/* One worker; 128 bytes, so that two never share a cache line nor the pair that is fetched. */
struct segment_slot {
	_Alignas(128) _Atomic uint64_t position; /* it has read all before that */
	_Atomic uint32_t asleep;                 /* odd: it is to be woken for what comes (slots.c) */
	_Atomic uint32_t state;                  /* enum segment_slot_state */
	struct segment_process process;
	_Atomic uint64_t node[SEGMENT_NODE_WORDS]; /* its name for calls; NUL behind it */
	_Atomic uint64_t joined_us;
	_Atomic uint32_t wakers; /* of which set its eventfd is (slots.h) */
};

struct segment_age_list {
	segment_index oldest, newest;
};

struct segment_position {
	uint64_t number;
};

struct segment_header {
	/* never changes */
	uint64_t magic;
	uint32_t layout, header_bytes;
	uint64_t cells_at, channel_buckets_at, value_buckets_at, blocks_at; /* bytes from the start */
	uint32_t cell_count, bucket_count;                                  /* powers of two */
	uint32_t block_limit;                                               /* may never be more */
	uint32_t block_bytes;
	uint64_t seed; /* of hashes */
	uint64_t epoch;
	/* what follows is read with every turn */
	_Alignas(128) _Atomic uint64_t tail; /* the next place; all before it is committed */
	_Atomic uint64_t first;              /* places before it may be overwritten */
	_Atomic uint64_t attached;           /* slots that read (bits) */
	_Atomic uint64_t incarnation;        /* counts another when workers must say again what they have */
	/* the lock */
	_Alignas(128) _Atomic uint32_t lock; /* lock.h */
	_Atomic uint32_t repairs;            /* how often, while in use (lock.c) */
	struct segment_process supervisor;   /* pushd, which has no slot */
	/* the owner of the lock's */
	_Alignas(128) _Atomic uint32_t block_count; /* that there is room for */
	uint32_t fresh;                             /* blocks from here on were never used */
	segment_index free_first;
	uint32_t free_count;
	uint64_t number; /* the last position */
	uint64_t serial; /* of values and notices */
	uint64_t low;    /* no attached worker was behind that when it was last looked */
	uint64_t log_bytes;
	uint64_t history_bytes_max, history_bytes, history_messages;
	uint64_t channels;
	struct segment_age_list by_age[2];
	segment_index value_oldest, value_newest;
	uint64_t value_count, value_bytes;
	segment_index notice_oldest, notice_newest;
	uint64_t notice_count, notice_bytes;
	/* time in here = CLOCK_MONOTONIC + shift_us; wall_us was read at time_us */
	int64_t shift_us;
	uint64_t time_us, wall_us;
	char boot_id[40];
	uint64_t
		dropped_messages; /* that history gave up for want of room, for metrics; so are the next two */
	_Atomic uint64_t overruns; /* workers that were too slow for the log */
	_Atomic uint64_t wakes;    /* that were asleep and are not */
	uint64_t forgotten[PUSH_SEGMENT_FORGOTTEN_COUNT];
	struct segment_slot slots[PUSH_SEGMENT_SLOTS_MAX];
};

/*
 * SEGMENT_SET - write a part of a block.
 *
 * A reader of the log that is overtaken reads words of whatever its blocks have become, and throws them away: a
 * race that is none only if both sides are atomic.  It costs nothing: on all of Push's machines it is the plain
 * store.  Who has the lock reads as usual.
 */
#define SEGMENT_SET(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)

/* SEGMENT_GET - read a part of a block once: what was checked is what is used, whoever writes there meanwhile. */
#define SEGMENT_GET(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)

static inline void
segment_set_bytes(unsigned char *to, const char *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		SEGMENT_SET(to[i], (unsigned char)from[i]);
}

struct push_segment_settings;

/* This process' view of it. */
struct push_segment {
	struct segment_header *header;
	struct segment_cell *cells;
	_Atomic segment_index *channel_buckets, *value_buckets;
	union segment_block *blocks;
	size_t mapped_bytes;
	uint32_t cell_mask, bucket_mask;   /* as they were when it was mapped: nothing is read twice */
	uint32_t block_limit, block_count; /* likewise; block_count: that are there for certain */
	uint64_t blocks_at, seed, epoch;
	uint32_t lock_word;    /* who we are to the lock: slot + 1; 0: nobody, may only read */
	uint32_t lock_taken;   /* the word as it is while we have it */
	uint32_t lock_refused; /* the word as it was when we last got nothing without waiting */
	uint64_t position;     /* of this worker in the log; the slot has it for others */
	unsigned int slot;     /* PUSH_SEGMENT_SLOTS_MAX: none */
	bool is_locked;        /* by us */
	bool is_file;          /* it has a name, and a lock of flock(2) that is pushd's */
	bool is_broken;        /* something in it cannot be: to be repaired before the lock is given back */
	int fd;
	int wake_fds[PUSH_SEGMENT_SLOTS_MAX]; /* eventfds, one for each slot; -1: unknown */
	uint32_t wakers;                      /* of which set they are */
	/* where this process goes on: which value and which notice is looked at next, and which notice it read last */
	segment_index value_looked, notice_looked, notice_read;
};

/* segment_grown - the block at an index behind those that were there, once the file has grown; or NULL. */
union segment_block *
segment_grown(struct push_segment *segment, segment_index index);

/* segment_grow - take PUSH_SEGMENT_STEP_BYTES more from the kernel.  False: there is no more.  Under the lock. */
bool
segment_grow(struct push_segment *segment);

/* segment_lengthen - a file, so that writing there cannot fail.  False: there is no room, by errno. */
bool
segment_lengthen(int fd, uint64_t from, uint64_t to);

/* segment_limit_of - blocks that one with these settings may ever have. */
uint32_t
segment_limit_of(const struct push_segment_settings *settings);

/* segment_block - a block; NULL: there is no such one.  In it anything may stand. */
static inline union segment_block *
segment_block(struct push_segment *segment, segment_index index)
{
	if (index && index < segment->block_count)
		return &segment->blocks[index];
	return index ? segment_grown(segment, index) : NULL;
}

/* segment_kind_of - what a block says that it is. */
static inline enum segment_kind
segment_kind_of(const union segment_block *block)
{
	return (enum segment_kind)block->more.kind;
}

/* segment_has_lock - for assertions. */
static inline bool
segment_has_lock(const struct push_segment *segment)
{
	return segment->is_locked;
}

/* segment_broken - something cannot be as it is: repair before the lock is released. */
static inline void
segment_broken(struct push_segment *segment)
{
	segment->is_broken = true;
}

#endif
