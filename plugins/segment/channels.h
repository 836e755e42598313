/*
 * channels.h - channels by name: how many subscribers each has on which worker, and where its history lies.
 *
 * A channel is there while somebody is subscribed to it or something of it is kept.  All want the lock.
 */
#ifndef PUSH_SEGMENT_CHANNELS_H
#define PUSH_SEGMENT_CHANNELS_H

#include "segment/layout.h"
#include "segment/segment.h"

/* push_segment_hash - of a name. */
uint64_t
push_segment_hash(const struct push_segment *segment, const char *name, size_t size);

/*
 * push_segment_channel_find - its index; 0: there is none.
 *
 * @hint: where it was before, or 0: found at once if it is still there.
 */
uint32_t
push_segment_channel_find(
	struct push_segment *segment, const char *name, size_t size, uint64_t hash, uint32_t hint);

/*
 * push_segment_set_count - how many subscribers a channel has on this worker; it is made, or goes, as needed.
 *
 * @hint: as above; *hint is where it is now, 0: gone.  Errors: PUSH_OUT_OF_MEMORY; then nothing has changed.
 */
enum push_status PUSH_MUST_USE
push_segment_set_count(struct push_segment *segment, const char *name, size_t size, uint64_t hash,
	uint32_t count, uint32_t *hint);

/* push_segment_subscribers - of a channel on all workers; *ret_mask: on which. */
uint64_t
push_segment_subscribers(struct push_segment *segment, uint32_t channel, uint64_t *ret_mask);

/* segment_channel_obtain - as find; a new one if there is none; 0: there is no room. */
segment_index
segment_channel_obtain(struct push_segment *segment, const char *name, size_t size, uint64_t hash);

/* segment_channel_release - it goes, unless somebody is subscribed or something is kept. */
void
segment_channel_release(struct push_segment *segment, segment_index index);

/* segment_channels_forget - take back the counts of a slot, in up to `max` buckets from *bucket on, which moves.
 * False: all is done. */
bool
segment_channels_forget(struct push_segment *segment, unsigned int slot, uint32_t *bucket, uint32_t max);

/* segment_channel_name - copy its name, which has channel->name_size bytes.  False: that cannot be one. */
bool
segment_channel_name(struct push_segment *segment, const struct segment_channel *channel, char *to);

/* segment_channel_blocks - how many a channel takes with a name of that size. */
uint32_t
segment_channel_blocks(size_t name_size);

/* segment_channel_link - put a channel into its bucket. */
void
segment_channel_link(struct push_segment *segment, segment_index index);

#endif
