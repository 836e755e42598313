/*
 * position.h - how far a client has read, as the id of a message and back.
 *
 * Messages of channels with history are numbered.  There is one growing number for each of a few partitions,
 * not for each channel: a channel belongs to the partition that its name hashes to, so that one short id
 * tells the position in all channels of a connection.  The embedded broker and a single Redis have one
 * partition, a cluster has PUSH_PARTITIONS_MAX, or one server would have to number everybody's messages.
 *
 * A number means nothing without the epoch that it was given in: whoever numbers begins a new epoch when it
 * may have forgotten what it gave out.  Epochs of one partition grow, so positions compare like two digits.
 *
 *   0.mhv3k2a9.5f                     partition 0, epoch, number, in base 36
 *   2.mhv3k2a9.5f-b.mhv3k2aa.12       of a connection whose channels lie in two partitions
 *
 * Clients keep an id and give it back; what comes back is checked like anything else from outside.
 */
#ifndef PUSH_CORE_POSITION_H
#define PUSH_CORE_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* More masters than that would share fewer partitions; fewer, and a large cluster would number on some of its
 * masters only.  Sixteen positions of the largest numbers are 479 bytes. */
#define PUSH_PARTITIONS_MAX 16

/* The longest id: each partition's digit, two numbers of 13 digits, two dots and a dash. */
#define PUSH_ID_BYTES_MAX (PUSH_PARTITIONS_MAX * (1 + 1 + 13 + 1 + 13 + 1))

struct push_position {
	uint64_t epoch, number; /* {0, 0}: before everything */
};

/* A position in each of some partitions. */
struct push_positions {
	uint32_t partitions; /* bit p: at[p] is meant; the others are {0, 0} */
	struct push_position at[PUSH_PARTITIONS_MAX];
};

/* push_position_compare - below 0, 0 or above 0 as `a` is before, at or after `b`. */
static inline int
push_position_compare(struct push_position a, struct push_position b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return (a.number > b.number) - (a.number < b.number);
}

/*
 * push_positions_parse - read an id.
 *
 * Strict: each partition at most once and in order, no sign, no leading zero, nothing behind it; so that an
 * id has one form only.  Errors: PUSH_INVALID.
 */
enum push_status PUSH_MUST_USE
push_positions_parse(struct push_positions *ret_positions, const char *text, size_t size);

/*
 * push_position_is_argument - whether a query's argument of this name is what a client has read last:
 * last_event_id, or as polyfills of EventSource call it, lastEventId, lastEventID,
 * Last-Event-ID, evs_last_event_id.
 *
 * In any case, with `_` and `-` or without.  Of several the last one that is not empty counts: a polyfill
 * appends its own to what the page has written.
 */
bool
push_position_is_argument(const char *name, size_t size);

/*
 * push_positions_format - write the id, without a NUL, to at least PUSH_ID_BYTES_MAX bytes.
 *
 * @partitions: which of them to write, of those that are meant.  Returns its size; 0 where none is left.
 */
size_t
push_positions_format(const struct push_positions *positions, uint32_t partitions, char *to);

#endif
