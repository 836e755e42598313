/*
 * pressure.h - slow subscribers by the size of their queues, so that the largest can go first when memory is
 * short.  Part of the hub; nobody else includes this.
 *
 * A subscriber whose socket takes nothing more (`blocked`) is not in the list of dirty ones, so the same link
 * puts it into one of hub->blocked, by the power of two of what waits for it:
 *
 *   blocked[20]  1 MB to 2 MB    s7 ─ s3        the one that has been as large for longest first
 *   blocked[16]  64 kB to 128 kB s9
 *   ...
 *
 * It moves up or down when its queue doubles or halves, so that a delivery to a slow client costs a
 * comparison.  An idle client costs nothing.
 */
#ifndef PUSH_CORE_PRESSURE_H
#define PUSH_CORE_PRESSURE_H

#include "hub_private.h"

struct push_acks;

/*
 * pressure_block - its transport takes nothing more; it is in no list.
 *
 * @fills_socket: its socket holds as much as it may.
 */
void
pressure_block(struct push_subscriber *subscriber, bool fills_socket);

/* pressure_unblock - it takes something again, or is being closed.  Harmless where it is in no list. */
void
pressure_unblock(struct push_subscriber *subscriber);

/* pressure_window - messages that a client has not acknowledged take so many bytes now: they go, with the
 * client, when no blocked one is left. */
void
pressure_window(struct push_acks *acks, uint64_t bytes);

/* pressure_resize - what waits for a blocked one has changed from `bytes_before`. */
void
pressure_resize(struct push_subscriber *subscriber, uint32_t bytes_before);

#endif
