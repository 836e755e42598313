/* limits.h - what the engine over the shared segment does at once, and how long it waits. */
#ifndef PUSH_SHARED_LIMITS_H
#define PUSH_SHARED_LIMITS_H

/* Messages that are read from the log before other sockets are served: some milliseconds with a few clients each. */
#define PUSH_SHARED_READ_MESSAGES 1024u

/* Bytes of one item that is read: a message or an answer of the largest size, and its name. */
#define PUSH_SHARED_ITEM_BYTES_MAX (130ull * 1024 * 1024)

/* Between two items the reader's buffer is given back, if one was larger. */
#define PUSH_SHARED_BUFFER_BYTES (256u * 1024)

/* Channels whose counts are set under one hold of the lock: a tenth of a millisecond. */
#define PUSH_SHARED_COUNT_CHANNELS 256u

/* ... and how often in one turn: as many as one publish waits for. */
#define PUSH_SHARED_COUNT_ROUNDS 64u

/* Of a channel's history under one hold of the lock, and in one turn: the lock is held for about a millisecond. */
#define PUSH_SHARED_FETCH_MESSAGES 512u
#define PUSH_SHARED_FETCH_BYTES    (1024u * 1024)
#define PUSH_SHARED_FETCH_PAGES    8u

/* Publishes that wait for receipts: beyond, one is counted without the other workers' clients. */
#define PUSH_SHARED_TRACKED_MAX     65536u
#define PUSH_SHARED_TRACKED_BUCKETS 1024u

/* Messages of other workers that are followed until they are written. */
#define PUSH_SHARED_RECEIPTS_MAX 65536u

/* Calls under way; beyond, one fails at once.  A worker that does not answer within the time stands still. */
#define PUSH_SHARED_CALLS_MAX 1024u
#define PUSH_SHARED_CALL_US   3000000ull

/* Notices that are read under one hold of the lock. */
#define PUSH_SHARED_NOTICES_PAGE 256u

/* How often the lock is tried again while somebody keeps it. */
#define PUSH_SHARED_RETRY_US 100000ull

/* How often figures are looked at, and what is too old is looked for. */
#define PUSH_SHARED_FIGURES_US 1000000ull

/* Messages that are dropped under one hold of the lock while memory is short. */
#define PUSH_SHARED_RELIEVE_MESSAGES 64u

/* What is freed in one tick of 10 ms: lists of channels, and values.  All lists once in half a minute. */
#define PUSH_SHARED_EXPIRE_BUCKETS 96u
#define PUSH_SHARED_EXPIRE_VALUES  64u

#endif
