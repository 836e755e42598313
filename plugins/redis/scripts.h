/*
 * scripts.h - what happens in Redis in one step, in Lua (Redis docs, "Scripting with Lua").
 *
 * History lies in three kinds of keys, which share the hash tag of their partition (history.c):
 *
 *   push:history:{TAG}          a hash, of a partition:
 *     r           the replication id of the server that numbers
 *     e, n, t     the epoch, the last number, and when it was given
 *     o, w, wt    up to o anything may have left of a channel without `last`; w was the last number at wt,
 *                 and is the o of a day later
 *   push:history:{TAG}:CHANNEL  a stream of its messages, with ids EPOCH-NUMBER:
 *     m, t, x     the payload, when it was published, its own ttl (both in ms)
 *     a           the id of the last message of the channel that had left the stream by then
 *     b           when the first of the messages came of which one has always been kept since
 *   push:last:{TAG}:CHANNEL     a string, the id of its last message
 *
 * A server with another replication id than the one that numbered last has been promoted, or started anew:
 * it may lack what was numbered before, so an epoch begins.  It is told by INFO, inside of the script, since
 * a node that looked it up before would be wrong just then.  But a server that was up already when the last
 * number was given, and was never promoted, got the partition by a migration of its slot: nothing is lost.
 *
 * Nor may a master of before come back with its epoch when another one has numbered meanwhile: callers say
 * which epoch they know, and one that is older ends.
 *
 * The channels of a partition that have history are known, too, so that those that were quiet longest can
 * make room, for one too many and where the server has no memory:
 *
 *   push:channels:{TAG}         a sorted set, of channels by the time of their last message, and as much
 *                               later as they had been in use (b) by then
 *
 * Another kind of key is there for publishes that must happen once (Idempotency-Key), with or without
 * history:
 *
 *   push:once:{TAG}ID           a string, the receivers of the publish with that id
 *
 * Whoever publishes again with the same id, since an answer was lost, finds it, and so does a publish that a
 * stalled server carries out after its repeat.  What is not published leaves none.
 *
 * A server that stood still while its replica took over does not find it, and publishes to the whole cluster
 * what lies in its socket until somebody says that it was deposed.  So both scripts that publish have a
 * deadline, in milliseconds of the server's own clock (server_clock.h; 0: none), after which they publish
 * nothing ─▶ LATE seconds microseconds, an error, with what TIME is.  The caller does not give up before
 * that. A machine that is suspended with its clock is not covered.
 *
 * Streams expire with their last message, `last` three days after it.  So where there is no `last`, the
 * channel has had no message for three days, or was dropped, and what has left it is not behind o, which is
 * one to three days old, or the last message of those that were dropped.  Without it a quiet channel would
 * look like one whose messages are gone.
 */
#ifndef PUSH_REDIS_SCRIPTS_H
#define PUSH_REDIS_SCRIPTS_H

#define PUSH_REDIS_SHA_BYTES 41 /* with the NUL */

/* Each but ONCE and ROOM has one argument more, the newest epoch of the partition that the caller knows. */
enum push_redis_script {
	/* keys: partition, stream, last; PUBLISH or SPUBLISH, channel, payload, messages kept, their ttl, the
	 * message's own ttl (0: none), how many channels may be kept, the deadline
	 * ─▶ receivers, epoch, number, channels that were dropped for it
	 * What is published: 1E # id ' ' id before ' ' own ttl ' ' payload
	 * What cannot be kept is published all the same, as 1E ~ 1 ' ' payload, and what the channel had is
	 * gone (with 0 it stays: nothing can be written) ─▶ receivers, epoch, number, why not
	 * A fourth key is that of ONCE. */
	PUSH_REDIS_SCRIPT_PUBLISH,
	/* keys: once; PUBLISH or SPUBLISH, channel, payload, the deadline
	 * ─▶ receivers; or receivers, "again": an earlier one's */
	PUSH_REDIS_SCRIPT_ONCE,
	/* keys: partition, stream, last; from, to (ids as XRANGE takes them), ttl, how many at most, and
	 * bytes ─▶ epoch, number, now, then of each message, the newest first: id, t, x, payload; then the id
	 * up to which the answer has nothing, and that up to which the server has nothing */
	PUSH_REDIS_SCRIPT_FETCH,
	/* keys: partition; PUBLISH or SPUBLISH, channel ─▶ receivers; the head's id is published */
	PUSH_REDIS_SCRIPT_HEAD,
	/* keys: partition, stream, last; from (an id as XRANGE takes it), the epoch and the number before it
	 * (0 0: none; where these are not reached yet all is read), ttl, how many at most, and bytes
	 * ─▶ the head's id, the id up to which nothing of the channel is left; of each message, the oldest
	 * first: id, payload; then the id to read on from, which is the head's where nothing is behind it */
	PUSH_REDIS_SCRIPT_READ,
	/* keys: partition; how many channels at most (in steps of eight) ─▶ channels that were dropped, so
	 * that other commands find memory */
	PUSH_REDIS_SCRIPT_ROOM,
	PUSH_REDIS_SCRIPT_COUNT
};

struct push_redis_scripts {
	char sha[PUSH_REDIS_SCRIPT_COUNT][PUSH_REDIS_SHA_BYTES];
};

/* push_redis_scripts_init - compute their SHA-1, by which they are called. */
void
push_redis_scripts_init(struct push_redis_scripts *scripts);

/* push_redis_script_text - a script, for SCRIPT LOAD. */
const char *
push_redis_script_text(enum push_redis_script script);

#endif
