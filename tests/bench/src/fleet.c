/* fleet.c - see fleet.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fleet.h"
#include "h2.h"
#include "subscriber.h"

static void
connect_timer_fired(struct timer *timer, uint64_t now_ns)
{
	/* Waking up is all it is for: the pump comes after each turn. */
	(void)timer;
	(void)now_ns;
}

int
fleet_init(struct fleet *fleet, struct loop *loop, const struct options *options,
	const struct payload *payload, struct streams *streams, const struct target *target, size_t count)
{
	*fleet = (struct fleet){
		.loop = loop,
		.options = options,
		.payload = payload,
		.streams = streams,
		.target = target,
		.count = count,
		.channel_count = streams->channels,
		.receive_buffer = (int)options->receive_buffer,
		.connect_timer.fire = connect_timer_fired,
	};
	fleet->all = calloc(count ? count : 1, sizeof(*fleet->all));
	fleet->trackers = calloc((count ? count : 1) * streams->per_channel, sizeof(*fleet->trackers));
	fleet->channel_open = calloc(streams->channels, sizeof(*fleet->channel_open));
	fleet->scratch = malloc(SUBSCRIBER_SCRATCH_BYTES);
	if (!fleet->all || !fleet->trackers || !fleet->channel_open || !fleet->scratch)
		return -1;
	if (options->transport == TRANSPORT_H2) {
		fleet->h2 = h2_pool_create(fleet, count);
		if (!fleet->h2)
			return -1;
	}
	loop_add_timer(loop, &fleet->connect_timer);
	return 0;
}

void
fleet_fini(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->started; i++)
		subscriber_fini(&fleet->all[i]);
	h2_pool_destroy(fleet->h2);
	free(fleet->scratch);
	free(fleet->channel_open);
	free(fleet->trackers);
	free(fleet->all);
}

/* How many connections may have been started by now, if there is a rate. */
static size_t
allowed_by_rate(struct fleet *fleet, uint64_t now_ns)
{
	uint64_t rate = fleet->options->connect_rate, allowed;

	if (!rate)
		return fleet->count;
	allowed = 1 + (uint64_t)(seconds(now_ns - fleet->connect_from_ns) * (double)rate);
	fleet->connect_timer.due_ns = fleet->connect_from_ns + allowed * NS_PER_S / rate + NS_PER_US;
	return allowed < fleet->count ? (size_t)allowed : fleet->count;
}

static void
connect_more(struct fleet *fleet, uint64_t now_ns)
{
	size_t allowed;

	if (!fleet->connect_from_ns)
		fleet->connect_from_ns = fleet->connect_until_ns = now_ns;
	allowed = allowed_by_rate(fleet, now_ns);
	while (fleet->started < allowed && fleet->connecting < fleet->options->connecting) {
		struct subscriber *subscriber = &fleet->all[fleet->started];
		uint32_t index = (uint32_t)fleet->started++;

		subscriber->fleet = fleet;
		subscriber->channel = fleet->first_channel + index % fleet->channel_count;
		subscriber->trackers = fleet->trackers + (size_t)index * fleet->streams->per_channel;
		subscriber_connect(subscriber, fleet->source + index);
	}
}

void
fleet_pump(struct fleet *fleet, uint64_t now_ns)
{
	if (fleet->may_connect && fleet->started < fleet->count)
		connect_more(fleet, now_ns);
	h2_pool_flush(fleet->h2);
}

bool
fleet_is_connected(const struct fleet *fleet)
{
	return fleet->started == fleet->count && !fleet->connecting;
}

void
fleet_give_up(struct fleet *fleet)
{
	char text[80];
	size_t waiting = fleet->connecting;

	fleet->may_connect = false;
	for (size_t i = 0; i < fleet->started; i++)
		if (fleet->all[i].state == SUBSCRIBER_CONNECTING)
			subscriber_fini(&fleet->all[i]);
	fleet->counts.failed += fleet->connecting + fleet->count - fleet->started;
	fleet->connecting = 0;
	snprintf(text, sizeof(text), "no answer to %zu handshakes (--connect-timeout)", waiting);
	fleet_failed(fleet, text, NULL, 0);
}

void
fleet_stall(struct fleet *fleet, bool is_stalled)
{
	fleet->is_stalled = is_stalled;
	for (size_t i = 0; i < fleet->started && !is_stalled; i++) {
		struct subscriber *subscriber = &fleet->all[i];

		if (subscriber->state != SUBSCRIBER_OPEN)
			continue;
		if (subscriber->h2)
			h2_read_on(subscriber);
		else
			subscriber_read(subscriber, true);
	}
}

/* Counts what one subscriber has not got.  Returns whether it got everything. */
static bool
verify_one(struct fleet *fleet, const struct subscriber *subscriber)
{
	uint64_t lost = 0;

	for (uint32_t i = 0; i < fleet->streams->per_channel; i++) {
		const struct stream *stream;

		if (subscriber->state != SUBSCRIBER_OPEN || subscriber->channel >= fleet->streams->channels) {
			lost += subscriber->trackers[i].missing;
			continue;
		}
		stream = streams_at(fleet->streams, subscriber->channel, i);
		lost += tracker_lost(&subscriber->trackers[i], stream->sent);
		/* What the server refused it did not owe. */
		lost -= stream->failed < lost ? stream->failed : lost;
	}
	fleet->counts.lost += lost;
	return !lost && subscriber->state == SUBSCRIBER_OPEN;
}

/*
 * Within a stream, numbers tell the order.  Between streams, only the comparison of subscribers does: all
 * that got everything since the first message must have the hash of the first of their channel that did.
 */
static void
compare_order(struct fleet *fleet, const struct subscriber **firsts, const struct subscriber *subscriber)
{
	const struct subscriber **first = &firsts[subscriber->channel];

	if (subscriber->has_joined_late ||
		subscriber->received != streams_sent(fleet->streams, subscriber->channel))
		return;
	if (!*first)
		*first = subscriber;
	else if ((*first)->order != subscriber->order)
		fleet->counts.other_order++;
}

void
fleet_verify(struct fleet *fleet)
{
	const struct subscriber **firsts = calloc(fleet->streams->channels, sizeof(void *));
	bool is_ordered = fleet->streams->per_channel > 1;

	fleet->counts.lost = fleet->counts.other_order = fleet->counts.unverified = 0;
	for (size_t i = 0; i < fleet->started; i++) {
		const struct subscriber *subscriber = &fleet->all[i];

		if (subscriber->state != SUBSCRIBER_OPEN && subscriber->state != SUBSCRIBER_CLOSED)
			continue;
		if (subscriber->state == SUBSCRIBER_CLOSED)
			fleet->counts.unverified++;
		if (verify_one(fleet, subscriber) && firsts && is_ordered &&
			subscriber->channel < fleet->streams->channels)
			compare_order(fleet, firsts, subscriber);
	}
	free(firsts);
}

void
fleet_failed(struct fleet *fleet, const char *what, const char *detail, size_t detail_size)
{
	char *to = fleet->counts.error;
	size_t size;

	if (*to)
		return;
	size = (size_t)snprintf(to, FLEET_ERROR_BYTES_MAX, "%s%s", what, detail_size ? ": " : "");
	for (size_t i = 0; i < detail_size && size < FLEET_ERROR_BYTES_MAX - 1; i++)
		to[size++] = (unsigned char)detail[i] < ' ' ? ' ' : detail[i];
	if (size < FLEET_ERROR_BYTES_MAX)
		to[size] = 0;
}
