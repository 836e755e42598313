/* limits.h - how much the shared segment takes, and how long anybody waits for it. */
#ifndef PUSH_SEGMENT_LIMITS_H
#define PUSH_SEGMENT_LIMITS_H

/* Processes that have a segment at a time: two generations of 32 workers, a bit of a word for each. */
#define PUSH_SEGMENT_SLOTS_MAX 64

/* What everything lies in.  Two cache lines: a message of 100 bytes takes two, and half of the last one is wasted
 * on average. */
#define PUSH_SEGMENT_BLOCK_BYTES 128u

/* Messages that a worker may be behind before it has missed some: a second of 130,000 a second. */
#define PUSH_SEGMENT_CELLS 131072u

/* What waits for workers that are behind, in bytes. */
#define PUSH_SEGMENT_LOG_BYTES_MAX (64ull * 1024 * 1024)

/* By these steps memory is taken from the kernel, or room from the file system. */
#define PUSH_SEGMENT_STEP_BYTES (1024u * 1024)

/* Lists of channels and values begin in so many places each; 4 bytes a place, touched when used. */
#define PUSH_SEGMENT_BUCKETS 262144u

/* Beside history, what the segment may grow to: channels, values, notices, what waits in the log.  It is an
 * address space, not memory. */
#define PUSH_SEGMENT_OTHER_BYTES_MAX (1024ull * 1024 * 1024)

/* Notices that are remembered, in bytes. */
#define PUSH_SEGMENT_NOTICES_BYTES_MAX (32ull * 1024 * 1024)

/* Who cannot have the lock after this goes on without; a publish is answered 503 then. */
#define PUSH_SEGMENT_LOCK_WAIT_US 250000ull

/* Who has had the lock for so long stands still, and pushd kills it.  A critical section takes microseconds; one
 * that frees a worker's channels or repairs, milliseconds. */
#define PUSH_SEGMENT_LOCK_HELD_US_MAX 1000000ull

/* Spins before it sleeps: a critical section is shorter than a system call. */
#define PUSH_SEGMENT_SPINS 200

/* So long it sleeps at a time; then it looks whether the owner is gone.  Sooner than a worker's tick. */
#define PUSH_SEGMENT_LOCK_SLEEP_US 4000ull

/* The counts of a worker that ended are taken back in so many buckets at a time: well below a millisecond of the
 * lock with a million channels. */
#define PUSH_SEGMENT_FORGET_BUCKETS 512u

/* A worker's name for calls, with its NUL. */
#define PUSH_SEGMENT_NODE_BYTES 32u

/* Names that one remembers what they lost after they are gone (core/history.h). */
#define PUSH_SEGMENT_FORGOTTEN_COUNT 4096u

/* Of a call between workers, an answer included. */
#define PUSH_SEGMENT_CALL_BYTES_MAX (1024u * 1024)

/* A name in the segment: a channel's or a value's.  More than any option allows. */
#define PUSH_SEGMENT_NAME_BYTES_MAX 16384u

#endif
