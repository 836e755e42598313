/*
 * limits.h - the fixed limits of the link to Redis, with their units, their reasons and what happens there.
 */
#ifndef PUSH_REDIS_LIMITS_H
#define PUSH_REDIS_LIMITS_H

#include "core/limits.h"

/* What one answer or message of Redis may be; a server that sends more is left, as one that sends garbage. */
#define PUSH_REDIS_ANSWER_BYTES_MAX (PUSH_SIZE_MAX + 65536)

/* Commands that wait to be written to one server.  Past it publishes are refused, and subscriptions wait. */
#define PUSH_REDIS_OUT_BYTES_MAX (16u * 1024 * 1024)

/* Commands of one connection that wait for an answer, 16 bytes each. */
#define PUSH_REDIS_AWAITED_MAX 262144u

/* Beyond its deadline at the server a publish with an id is not given up for so long: a turn of the loop,
 * whose begin is what all times in it are taken from. */
#define PUSH_REDIS_DEADLINE_SLACK_US 100000ull

/* The deadline is later by so much for each command that has no answer yet: twice what a script that keeps
 * and publishes takes Redis.  A server that works off a burst is not one that stands still. */
#define PUSH_REDIS_COMMAND_US 100ull

/* How often a publish is sent again that the server has refused for its deadline, each time with twice as
 * much, up to eight times; then it is refused with 503: the server's clock is not one. */
#define PUSH_REDIS_LATE_MAX       8
#define PUSH_REDIS_LATE_DOUBLINGS 3

/* Publishes that wait for an answer, or for Redis to come back, each with its bytes: past either they are
 * refused with 503 at once. */
#define PUSH_REDIS_PUBLISHES_MAX       65536u
#define PUSH_REDIS_PUBLISHES_BYTES_MAX (64u * 1024 * 1024)

/* Values that are asked for or put at a time; past it they are refused at once. */
#define PUSH_REDIS_VALUES_MAX 65536u

/* Notices to all nodes that wait for an answer; more fail at once. */
#define PUSH_REDIS_NOTICES_MAX 1024u

/* What one answer brings of those that are remembered: so much holds up Redis and this process for a
 * millisecond. */
#define PUSH_REDIS_NOTICES_PAGE 1000u

/* A notice is removed so long after it was over: a node whose clock is ahead, and that cannot ask Redis for its
 * time, removes none that others still need. */
#define PUSH_REDIS_NOTICE_SLACK_US 60000000ull

/* Ids of notices that a node remembers, up to twice as many, 8 bytes each and the room to grow: all that
 * Redis does, so that it handles none twice when it reads them again. */
#define PUSH_REDIS_SEEN_MAX PUSH_NOTICES_MAX

/* Calls of other nodes under way; more fail at once.  How long one is waited for: as long as somebody who has
 * asked for something waits without doubting; a node that is alive answers in the same turn. */
#define PUSH_REDIS_CALLS_MAX 1024
#define PUSH_REDIS_CALL_US   3000000ull

/* What is asked, and what is answered; longer ones fail. */
#define PUSH_REDIS_CALL_BYTES_MAX (1024u * 1024)

/* Publishes whose receipts are waited for, twice as many as one request may have; more are refused with 503.
 * They are found by the last bits of their number. */
#define PUSH_REDIS_TRACKED_MAX     32768u
#define PUSH_REDIS_TRACKED_BUCKETS 4096u

/* Messages that are being written and whose number is to be told, and their bytes; of more nothing is told,
 * and who asks waits until his time is over. */
#define PUSH_REDIS_RECEIPTS_MAX       65536u
#define PUSH_REDIS_RECEIPTS_BYTES_MAX (64ull * 1024 * 1024)

/* Reads of history that are under way, each a few hundred bytes and a channel's name; past it they are
 * refused at once, since each may hold up Redis for a millisecond. */
#define PUSH_REDIS_READINGS_MAX 1024u

/* Reads of 16 KB from one connection before everybody else in the process has a turn. */
#define PUSH_REDIS_READS_MAX 16

/* Channels of one SUBSCRIBE: long enough to be cheap, short enough not to hold up Redis. */
#define PUSH_REDIS_BATCH_CHANNELS 512

/* Bytes of subscriptions written at a time; the next batches follow when these are on their way. */
#define PUSH_REDIS_BATCH_BYTES 262144u

/* How long a subscription outlives its last client, who may only be reconnecting. */
#define PUSH_REDIS_LINGER_US 5000000ull

/* Reconnecting: the pause doubles from the first to the last, each drawn from its half to its whole. */
#define PUSH_REDIS_BACKOFF_FIRST_US 50000ull
#define PUSH_REDIS_BACKOFF_LAST_US  2000000ull

/* One line of what is wrong with a connection. */
#define PUSH_REDIS_ERROR_BYTES 256

/* Channel names from Redis, which anybody may have subscribed us to; ours are options.channel_name_bytes_max.
 */
#define PUSH_REDIS_CHANNEL_BYTES_MAX 65536u

/* Servers of a cluster that are known at a time. */
#define PUSH_REDIS_NODES_MAX 1024

/* Servers whose state is among the metrics, each by its name. */
#define PUSH_REDIS_SERVERS_SHOWN_MAX 256

/* Addresses of one name that are tried in turn. */
#define PUSH_REDIS_ADDRESSES_MAX 8

/* Push nodes that share a Redis. */
#define PUSH_REDIS_PEERS_MAX 1024

/* How often a node says that it lives; it is dead when it was not heard for so many beats of one's own. */
#define PUSH_REDIS_BEAT_US    2000000ull
#define PUSH_REDIS_BEATS_DEAD 3

/* What a node has left in Redis that has not been heard for so long since our own start is deleted. */
#define PUSH_REDIS_CLEAR_AFTER_US 10000000ull

/* What one answer brings of a channel's history: so much holds up Redis for less than a millisecond. */
#define PUSH_REDIS_FETCH_MESSAGES 256
#define PUSH_REDIS_FETCH_BYTES    (1024 * 1024)

/* Between two questions for a partition's head, while clients wait for it: at first, and twice as long each
 * time while no announcement comes, so that a connection that is late is not made later by them. */
#define PUSH_REDIS_HEAD_PAUSE_US     5000ull
#define PUSH_REDIS_HEAD_PAUSE_MAX_US 1000000ull

/* How long a client that comes waits for it at most. */
#define PUSH_REDIS_HEAD_WAIT_US 1000000ull

/* Where it cannot be announced: between two times that all channels of a partition are asked where they
 * stand, each a command. */
#define PUSH_REDIS_HEAD_CHECK_US 6000000ull

/* As long Linux sends again what nobody confirms (tcp_retries2); a connection that Redis holds longer is of
 * somebody else. */
#define PUSH_REDIS_GHOST_US 1000000000ull

/* After a SUBSCRIBE that somebody else should have got, before the next; and before a channel that we may not
 * subscribe to is asked for again. */
#define PUSH_REDIS_REDIRECTED_PAUSE_US 200000ull
#define PUSH_REDIS_REFUSED_PAUSE_US    2000000ull

/* Between two questions who is responsible: while all is well, and while something does not fit. */
#define PUSH_REDIS_ASK_US       5000000ull
#define PUSH_REDIS_ASK_AGAIN_US 100000ull

/* Between two lines of the log about refused commands. */
#define PUSH_REDIS_REFUSAL_LOG_US 10000000ull

/* Channels that are asked for and not confirmed: a millisecond's work for Redis, and a round trip for each so
 * many when all are subscribed again.  More wait. */
#define PUSH_REDIS_ASKED_MAX 2048u

/* Channels without clients that are dropped in one tick, each an UNSUBSCRIBE; more in the next. */
#define PUSH_REDIS_DROPS_MAX 256

/* Numbers of clients that are told or looked at and not answered: publishes stand behind them, for less than
 * a millisecond.  More wait. */
#define PUSH_REDIS_COUNTS_MAX 256u

/* Changes of these that are told at once, in a second; more are told so much later, if they are still true.
 */
#define PUSH_REDIS_COUNTS_A_SECOND 512
#define PUSH_REDIS_COUNT_LATER_US  1000000ull

/* A number that is used is looked at again so often. */
#define PUSH_REDIS_COUNT_CHECK_US 2000000ull

/* After a look that was refused, before the next one. */
#define PUSH_REDIS_COUNT_RECHECK_US 60000000ull

/* Between two times that a node asks all to look at their numbers of a channel; and between two such wishes
 * that it fulfils, whoever has them. */
#define PUSH_REDIS_COUNT_DOUBT_US 1000000ull
#define PUSH_REDIS_COUNT_ASKED_US 10000ull

/* After one that was refused for a reason that holds for all (no memory), before one is tried again. */
#define PUSH_REDIS_COUNT_REFUSED_US 3000000ull

/* Where a server has no memory for something else than history: between two times that history makes room
 * there, and how many channels of each partition it drops then at most, in steps of eight: less than a
 * millisecond's work, and who has filled the server with something else takes all history only slowly. */
#define PUSH_REDIS_ROOM_US       1000000ull
#define PUSH_REDIS_ROOM_CHANNELS 64

/* How long a channel's number of clients is kept in Redis without being refreshed, and how often it is.  One
 * that is used all the time is looked at instead, and kept longer with the first look after that time. */
#define PUSH_REDIS_COUNT_TTL_S       3600
#define PUSH_REDIS_COUNT_REFRESH_US  1200000000ull
#define PUSH_REDIS_COUNT_REFRESH_MAX 64 /* in one tick */
_Static_assert(2 * PUSH_REDIS_COUNT_REFRESH_US < PUSH_REDIS_COUNT_TTL_S * 1000000ull, "kept until the next");

#endif
