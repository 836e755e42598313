/* load.c - see load.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "load.h"
#include "template.h"

static void
timer_fired(struct timer *timer, uint64_t now_ns)
{
	/* Waking up is all it is for: the pump comes after each turn. */
	(void)timer;
	(void)now_ns;
}

static int
init_publisher(struct load *load, uint32_t index)
{
	struct publisher *publisher = &load->all[index];
	uint32_t channels = load->streams->channels;

	publisher->load = load;
	publisher->index = index;
	publisher->wire.fd = -1;
	publisher->channel = index % channels;
	publisher->stream = load->streams->per_channel > 1 ? index / channels : 0;
	publisher->in = malloc(PUBLISHER_ANSWER_BYTES_MAX);
	publisher->pending = calloc(load->options->pipeline, sizeof(*publisher->pending));
	return publisher->in && publisher->pending ? 0 : -1;
}

int
load_init(struct load *load, struct fleet *fleet, const struct target *target)
{
	const struct options *options = fleet->options;

	*load = (struct load){
		.loop = fleet->loop,
		.options = options,
		.payload = fleet->payload,
		.streams = fleet->streams,
		.target = target,
		.fleet = fleet,
		.timer.fire = timer_fired,
		.interval_ns = options->rate ? (double)NS_PER_S / (double)options->rate : 0,
	};
	load->all = calloc(options->publishers, sizeof(*load->all));
	load->queue = calloc(options->publishers, sizeof(void *));
	load->touched = calloc(options->publishers, sizeof(void *));
	load->message = malloc(options->size);
	load->needed = calloc(options->window + 1, sizeof(*load->needed));
	load->backlog = calloc(options->rate ? LOAD_BACKLOG_MAX : 1, sizeof(*load->backlog));
	if (!load->all || !load->queue || !load->touched || !load->message || !load->needed || !load->backlog)
		return -1;
	for (uint32_t i = 0; i < options->publishers; i++)
		if (init_publisher(load, i))
			return -1;
	loop_add_timer(load->loop, &load->timer);
	return 0;
}

void
load_fini(struct load *load)
{
	for (size_t i = 0; load->all && i < load->options->publishers; i++)
		publisher_fini(&load->all[i]);
	free(load->backlog);
	free(load->needed);
	free(load->message);
	free(load->touched);
	free(load->queue);
	free(load->all);
}

void
load_connect(struct load *load)
{
	for (size_t i = 0; i < load->options->publishers; i++)
		publisher_connect(&load->all[i]);
}

bool
load_is_connected(const struct load *load)
{
	return load->connected + load->dead >= load->options->publishers;
}

static void
note_error(struct load *load, const char *what, const char *detail, size_t size)
{
	char *to = load->counts.error;

	if (*to)
		return;
	snprintf(to, FLEET_ERROR_BYTES_MAX, "%s%s%.*s", what, size ? ": " : "",
		(int)(size < 150 ? size : 150), size ? detail : "");
	for (; *to; to++)
		if ((unsigned char)*to < ' ')
			*to = ' ';
}

static void
enqueue(struct load *load, struct publisher *publisher)
{
	if (publisher->is_queued || !publisher->is_connected ||
		publisher->pending_count == load->options->pipeline)
		return;
	publisher->is_queued = true;
	load->queue[(load->queue_first + load->queue_count++) % load->options->publishers] = publisher;
}

/* The publisher that has been free for longest, or NULL. */
static struct publisher *
dequeue(struct load *load)
{
	while (load->queue_count) {
		struct publisher *publisher = load->queue[load->queue_first];

		load->queue_first = (load->queue_first + 1) % load->options->publishers;
		load->queue_count--;
		publisher->is_queued = false;
		if (publisher->is_connected && publisher->pending_count < load->options->pipeline)
			return publisher;
	}
	return NULL;
}

void
load_connected(struct publisher *publisher)
{
	publisher->load->connected++;
	publisher->load->free_places += publisher->load->options->pipeline;
	enqueue(publisher->load, publisher);
}

/* Its message comes to nobody, or nobody knows: do not wait for it. */
static void
write_off(struct load *load, const struct pending *pending)
{
	load->fleet->accounted += pending->receivers;
}

/* The number of subscribers that an answer tells, or -1: as JSON, as Nchan's text, as Redis' number alone. */
static int64_t
told_count(const struct load *load, const char *body, size_t size)
{
	static const char name[] = "subscribers";
	const char *at = body, *end = body + size;
	int64_t count = 0;

	if (load->options->publish_by == PUBLISH_BY_HTTP) {
		at = memmem(body, size, name, sizeof(name) - 1);
		if (!at)
			return -1;
		for (at += sizeof(name) - 1; at < end && strchr("\": ", *at); at++)
			;
	}
	if (at == end || *at < '0' || *at > '9')
		return -1;
	for (; at < end && *at >= '0' && *at <= '9'; at++)
		count = count * 10 + (*at - '0');
	return count;
}

static void
check_count(struct load *load, const struct pending *pending, const char *body, size_t size)
{
	int64_t count = told_count(load, body, size);
	bool has_crowd = load->options->crowd && load->options->crowd_act == CROWD_STALLS;

	/* a Redis behind the server counts its nodes */
	if (*load->options->publish_target)
		return;
	/* Comparable only if nobody has come or gone while the request was under way. */
	if (count < 0 || pending->changes != load->fleet->changes || load->fleet->connecting || has_crowd)
		return;
	if (count != pending->receivers)
		load->counts.wrong_counts++;
}

void
load_answered(struct publisher *publisher, const struct pending *pending, unsigned int status,
	const char *body, size_t size)
{
	struct load *load = publisher->load;

	load->in_flight--;
	load->free_places++;
	load->counts.answered++;
	if (status / 100 == 2) {
		check_count(load, pending, body, size);
		if (load->answer_from_ns && pending->sent_ns >= load->answer_from_ns)
			histogram_add(&load->answer_latency, clock_ns() - pending->sent_ns);
	} else {
		char what[40];

		load->counts.refused++;
		pending->stream->failed++;
		write_off(load, pending);
		snprintf(what, sizeof(what), "a publish was answered with %u", status);
		note_error(load, what, body, size);
	}
	enqueue(load, publisher);
}

void
load_unanswered(struct publisher *publisher)
{
	struct load *load = publisher->load;
	uint64_t pipeline = load->options->pipeline;

	if (!publisher->is_connected)
		return;
	load->connected--;
	load->free_places -= pipeline - publisher->pending_count;
	load->in_flight -= publisher->pending_count;
	load->counts.unanswered += publisher->pending_count;
	for (uint32_t i = 0; i < publisher->pending_count; i++)
		write_off(load, &publisher->pending[(publisher->pending_first + i) % pipeline]);
}

void
load_publisher_died(struct publisher *publisher, const char *what, const char *detail)
{
	publisher->load->dead++;
	note_error(publisher->load, what, detail, detail ? strlen(detail) : 0);
}

void
load_start(struct load *load, uint64_t limit)
{
	if (!load->is_running) {
		load->paced_from_ns = clock_ns();
		load->paced_count = 0;
	}
	load->is_running = true;
	load->limit = limit;
	load->progress_ns = clock_ns();
}

void
load_stop(struct load *load)
{
	load->is_running = false;
	load->timer.due_ns = 0;
	load->counts.skipped += load->backlog_count;
	load->backlog_count = 0;
}

bool
load_is_settled(const struct load *load)
{
	return !load->in_flight && load->fleet->accounted >= load->expected;
}

/* Puts what has become due into the backlog and sets the timer to the next. */
static void
fill_backlog(struct load *load, uint64_t now_ns)
{
	load->timer.due_ns = 0;
	while (load->counts.sent + load->backlog_count < load->limit) {
		uint64_t due_ns =
			load->paced_from_ns + (uint64_t)((double)load->paced_count * load->interval_ns);

		if (due_ns > now_ns) {
			load->timer.due_ns = due_ns;
			return;
		}
		load->paced_count++;
		if (load->answer_from_ns)
			histogram_add(&load->wake_latency, now_ns - due_ns);
		if (load->backlog_count == LOAD_BACKLOG_MAX)
			load->counts.skipped++;
		else
			load->backlog[(load->backlog_first + load->backlog_count++) % LOAD_BACKLOG_MAX] =
				now_ns;
	}
}

/* Whether a new group may begin: see load.h. */
static bool
may_begin_group(struct load *load)
{
	uint64_t window = load->options->window;

	if (load->free_places < load->options->burst)
		return false;
	if (!window)
		return load->options->burst == 1 || !load->in_flight;
	return load->group < window || load->fleet->accounted >= load->needed[load->group % window];
}

static bool
may_publish(struct load *load)
{
	if (load->counts.sent >= load->limit || !load->free_places)
		return false;
	if (load->options->rate)
		return load->backlog_count > 0;
	if (load->group_left)
		return true;
	if (!may_begin_group(load))
		return false;
	load->group_left = load->options->burst;
	return true;
}

static uint64_t
take_time(struct load *load)
{
	uint64_t time_ns;

	if (!load->options->rate)
		return clock_ns();
	time_ns = load->backlog[load->backlog_first];
	load->backlog_first = (load->backlog_first + 1) % LOAD_BACKLOG_MAX;
	load->backlog_count--;
	return time_ns;
}

static void
publish(struct load *load, struct publisher *publisher)
{
	struct stream *stream = streams_at(load->streams, publisher->channel, publisher->stream);
	uint32_t receivers = load->fleet->channel_open[publisher->channel];
	char channel[TEMPLATE_NAME_BYTES_MAX];
	struct stamp stamp = {publisher->channel, publisher->stream, ++stream->sent, take_time(load)};
	struct pending *pending;

	template_channel(load->options->channel_name, publisher->channel, channel);
	payload_write(load->payload, load->message, &stamp);
	pending = publisher_put(publisher, channel, load->message, load->payload->size);
	if (!pending) {
		stream->sent--;
		note_error(load, "the request is too long", NULL, 0);
		load_stop(load);
		return;
	}
	*pending = (struct pending){stamp.sent_ns, stream, receivers, load->fleet->changes};
	load->counts.sent++;
	load->expected += receivers;
	load->in_flight++;
	load->free_places--;
	if (load->group_left && !--load->group_left) {
		if (load->options->window)
			load->needed[load->group % load->options->window] = load->expected;
		load->group++;
	}
	/* With fewer publishers than channels, each takes its own channels in turn. */
	if (load->options->publishers < load->streams->channels) {
		publisher->channel += (uint32_t)load->options->publishers;
		if (publisher->channel >= load->streams->channels)
			publisher->channel = publisher->index;
	}
	if (!publisher->is_touched) {
		publisher->is_touched = true;
		load->touched[load->touched_count++] = publisher;
	}
	enqueue(load, publisher);
}

/* Lost deliveries must not hold the window for ever; that they are lost is found by fleet_verify(). */
static void
watch_progress(struct load *load, uint64_t now_ns)
{
	if (load->progress != load->fleet->accounted || load->fleet->accounted >= load->expected) {
		load->progress = load->fleet->accounted;
		load->progress_ns = now_ns;
	} else if (now_ns - load->progress_ns > load->options->drain_ns) {
		load->fleet->accounted = load->expected;
		load->counts.stalls++;
		load->progress_ns = now_ns;
	}
	load->timer.due_ns = load->progress_ns + load->options->drain_ns + NS_PER_MS;
}

void
load_pump(struct load *load, uint64_t now_ns)
{
	struct publisher *publisher;

	if (!load->is_running)
		return;
	if (load->options->rate)
		fill_backlog(load, now_ns);
	if (load->options->window)
		watch_progress(load, now_ns);
	while (may_publish(load) && (publisher = dequeue(load)))
		publish(load, publisher);
	for (size_t i = 0; i < load->touched_count; i++) {
		load->touched[i]->is_touched = false;
		publisher_flush(load->touched[i]);
	}
	load->touched_count = 0;
}
