/*
 * streams.h - how many messages have been sent, for those who check what has arrived.
 *
 * Every channel has the same number of streams, one per publisher that sends to it.  Within a stream the
 * numbers rise by one, and the order of arrival has to be theirs; between streams the server decides, but it
 * has to be the same order for all subscribers.
 *
 * The table is in memory that a forked crowd shares: it checks against the same numbers.
 */
#ifndef BENCH_STREAMS_H
#define BENCH_STREAMS_H

#include <stddef.h>
#include <stdint.h>

struct stream {
	uint32_t sent, failed; /* `failed` were sent, and refused by the server */
};

struct streams {
	uint32_t channels, per_channel;
	struct stream rows[]; /* channel * per_channel + stream */
};

/* streams_create - returns NULL if memory is out. */
struct streams *streams_create(uint32_t channels, uint32_t per_channel);

void streams_destroy(struct streams *streams);

static inline struct stream *
streams_at(struct streams *streams, uint32_t channel, uint32_t stream)
{
	return &streams->rows[(size_t)channel * streams->per_channel + stream];
}

/* streams_sent - over all streams of a channel. */
static inline uint64_t
streams_sent(struct streams *streams, uint32_t channel)
{
	uint64_t sent = 0;

	for (uint32_t i = 0; i < streams->per_channel; i++)
		sent += streams_at(streams, channel, i)->sent;
	return sent;
}

#endif
