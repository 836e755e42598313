/*
 * broker.c - one broker: options, hub, engine and counters, and the table through which others use it.
 *
 * It knows neither lws nor sockets; the process around it is a struct push_broker_host.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "admission.h"
#include "broker.h"
#include "channel_list.h"
#include "client_publishes.h"
#include "control.h"
#include "core/describe.h"
#include "core/cors.h"
#include "core/history_rules.h"
#include "core/hub.h"
#include "core/identified.h"
#include "core/jsonscan.h"
#include "core/limits.h"
#include "core/push_assert.h"
#include "core/subscriber.h"
#include "core/tokens.h"
#include "debug_log.h"
#include "idempotency.h"
#include "permission.h"
#include "process.h"
#include "relief.h"
#include "renewal.h"
#include "shared_stats.h"
#include "trace/exporter.h"

/* Flushed between two looks at the clock: latencies are measured to within this many writes. */
#define FLUSH_BATCH_SUBSCRIBERS 16

/* How old other workers' gauges may be in a scrape, in seconds.  To count open files may cost milliseconds.
 */
#define SHARE_ENGINE_S  1
#define SHARE_PROCESS_S 10

struct push_broker {
	struct push_options options;
	struct push_counts own_counts;
	struct push_counts *counts;                 /* own_counts, or in memory that workers share */
	struct push_shared_stats *shared;           /* NULL: the only one */
	uint64_t share_engine_us, share_process_us; /* due then */
	struct push_cpu_usage cpu_usage;
	struct push_broker_host host;
	struct push_engine_host engine_host;
	struct push_debug_log log;
	struct push_relief relief;
	struct push_channel_list channel_list;
	struct push_hub *hub;
	struct push_engine *engine;
	struct push_tracer *tracer;     /* NULL: nothing is traced */
	struct push_exporter *exporter; /* likewise */
	struct push_publisher publisher;
	struct push_client_publishes client_publishes;
	struct push_authenticator *authenticator; /* owned; NULL: nobody has to show who he is */
	struct push_authenticator_host authenticator_host;
	struct push_admissions admissions; /* used where there is one */
	struct push_renewals renewals;
	struct push_controls controls;
	struct push_limiter *limiter; /* NULL: nothing is limited */
	bool reads_history;
	char node[PUSH_TOKEN_NODE_BYTES + 1];      /* whose event streams a token of ours is for */
	const struct push_broker_sockets *sockets; /* borrowed; NULL: none */
	uint64_t drain_began_us;
	uint64_t tick_due_us;    /* when the next one is due; 0: not known yet */
	bool draining, orphaned; /* orphaned: to be freed with its last subscriber */
};

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
on_hub_ready(void *context)
{
	struct push_broker *broker = context;

	if (!broker->orphaned)
		broker->host.wake(broker->host.context);
}

static uint64_t
random_seed(void)
{
	uint64_t seed;

	/* before the kernel has entropy it would block, and only then: the time will do */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		seed = now_us();
	return seed;
}

static uint64_t
wall_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Of ids of spans, so that those of different nodes differ. */
static void
random_bytes(void *to, size_t size)
{
	uint64_t word = 0;

	if (getrandom(to, size, GRND_NONBLOCK) == (ssize_t)size)
		return;
	for (size_t i = 0; i < size; i++) {
		word = i % sizeof(word) ? word >> 8 : random_seed() * 0x9E3779B97F4A7C15ull + i;
		((unsigned char *)to)[i] = (unsigned char)word;
	}
}

static void
engine_wake(void *context)
{
	struct push_broker *broker = context;

	broker->host.wake(broker->host.context);
}

static void
log_line(void *context, enum push_log_level level, const char *line)
{
	push_broker_say(context, level, line);
}

static struct push_engine *
create_engine(struct push_broker *broker, uint64_t seed, struct push_error *error)
{
	broker->engine_host = (struct push_engine_host){engine_wake, log_line, broker};
	return broker->host.create_engine(&broker->options, broker->hub, &broker->counts->redis,
		&broker->engine_host, seed, now_us(), error);
}

/* A name of its own where the engine has none for it.  The seed must not be told. */
static void
name_node(struct push_broker *broker)
{
	if (broker->engine->node)
		snprintf(broker->node, sizeof(broker->node), "%s", broker->engine->node);
	else
		snprintf(broker->node, sizeof(broker->node), "%016" PRIx64, random_seed());
	PUSH_ASSERT(strlen(broker->node) == PUSH_TOKEN_NODE_BYTES);
}

/* An orphan's engine has nobody left to wake. */
static void
get_value(void *context, const char *name, size_t name_size, push_hub_value_fn done, void *done_context)
{
	struct push_broker *broker = context;

	if (broker->orphaned)
		done(done_context, PUSH_UNAVAILABLE, NULL, 0);
	else
		broker->engine->value_get(broker->engine, name, name_size, now_us(), done, done_context);
}

static void
put_value(void *context, const char *name, size_t name_size, const char *value, size_t value_size,
	uint64_t ttl_us, push_hub_value_fn done, void *done_context)
{
	struct push_broker *broker = context;

	if (broker->orphaned)
		done(done_context, PUSH_UNAVAILABLE, NULL, 0);
	else
		broker->engine->value_put(broker->engine, name, name_size, value, value_size, ttl_us, false,
			now_us(), done, done_context);
}

/* --- what other nodes ask: to change the channels of a stream of ours, `TOKEN body`, answered by `200 body`;
 * and whether a request with a key is under way (idempotency.h) --- */

/* What another node asks. */
static enum push_status
serve(void *context, const char *verb, const char *text, size_t size, struct push_buf *to)
{
	struct push_broker *broker = context;

	if (!strcmp(verb, PUSH_VERB_RENEW))
		return push_renewal_serve(&broker->renewals, text, size, push_controls_answer, to);
	if (!strcmp(verb, PUSH_VERB_CLAIM))
		return push_idempotency_is_claimed(&broker->publisher, text, size) ? PUSH_OK : PUSH_NOT_FOUND;
	return push_controls_serve(&broker->controls, verb, text, size, to);
}

/* Returns false where push.trace.url is set and cannot be had. */
static bool
create_tracer(struct push_broker *broker, uint64_t seed)
{
	const struct push_tracer_host host = {
		now_us, wall_clock_us, random_bytes, PUSH_VERSION, broker->node};

	if (!broker->options.trace_url[0])
		return true;
	broker->tracer = push_tracer_create(&broker->options, &broker->counts->stats, &host);
	if (broker->tracer)
		broker->exporter =
			push_exporter_create(&broker->options, broker->tracer, seed, log_line, broker);
	broker->engine->tracer = broker->tracer;
	return broker->exporter != NULL;
}

static void
disconnect(void *context, const struct push_disconnect *what)
{
	struct push_broker *broker = context;

	if (!push_hub_disconnect(broker->hub, what))
		push_broker_say(broker, PUSH_LOG_ERROR,
			"connections that an operator wants to end stay open: too many such orders wait");
}

static bool
limit_keys(void *context, const struct push_key_limits *limits, size_t count)
{
	const struct push_broker *broker = context;

	/* there is one, for there is a file of keys */
	return push_limiter_set_keys(broker->limiter, limits, count) == PUSH_OK;
}

static bool
create_authenticator(struct push_broker *broker, uint64_t seed, struct push_error *error)
{
	if (!broker->host.create_authenticator)
		return true;
	broker->authenticator_host = (struct push_authenticator_host){
		log_line, disconnect, limit_keys, now_us, wall_clock_us, broker};
	if (!broker->host.create_authenticator(&broker->options, broker->engine, &broker->authenticator_host,
		    seed, now_us(), &broker->authenticator, error))
		return false;
	broker->admissions = (struct push_admissions){.authenticator = broker->authenticator,
		.options = &broker->options,
		.stats = &broker->counts->stats,
		.now_us = now_us};
	broker->renewals = (struct push_renewals){.authenticator = broker->authenticator,
		.hub = broker->hub,
		.stats = &broker->counts->stats,
		.now_us = now_us,
		.is_here = push_controls_is_here,
		.ask = push_controls_call,
		.context = &broker->controls};
	if (broker->authenticator)
		push_admissions_init(&broker->admissions, broker->hub);
	return true;
}

static void
create_controls(struct push_broker *broker)
{
	broker->controls = (struct push_controls){.authenticator = broker->authenticator,
		.engine = broker->engine,
		.hub = broker->hub,
		.options = &broker->options,
		.stats = &broker->counts->stats,
		.node = broker->node,
		.now_us = now_us};
	push_controls_init(&broker->controls);
}

static void
say_limited(void *context, const char *line)
{
	push_broker_say(context, PUSH_LOG_DEBUG, line);
}

/* NULL: their connections are not limited. */
static struct push_limiter *
limiter_of_clients(const struct push_broker *broker)
{
	return broker->limiter && push_limiter_knows_clients(broker->limiter) ? broker->limiter : NULL;
}

/* Returns false where limits are set and memory is out. */
static bool
create_limiter(struct push_broker *broker, uint64_t seed)
{
	enum push_status status;

	broker->limiter = push_limiter_create(
		&broker->options, &broker->counts->stats, seed, say_limited, broker, &status);
	push_hub_limit(broker->hub, limiter_of_clients(broker));
	return status == PUSH_OK;
}

struct push_broker *
push_broker_create(
	const struct push_options *options, const struct push_broker_host *host, struct push_error *error)
{
	struct push_broker *broker = calloc(1, sizeof(*broker));
	uint64_t seed = random_seed();

	snprintf(error->text, sizeof(error->text), "out of memory");
	if (!broker)
		return NULL;
	broker->options = *options;
	broker->host = *host;
	broker->counts = &broker->own_counts;
	broker->shared = push_shared_stats_join(&broker->counts);
	push_debug_log_init(&broker->log, push_options_log_level(options),
		broker->shared ? push_shared_stats_log_level(broker->shared) : NULL, host->log,
		host->context);
	broker->hub = push_hub_create(
		&broker->options, &broker->counts->stats, seed, now_us(), on_hub_ready, broker);
	if (!broker->hub)
		goto fail_hub;
	push_channel_list_init(&broker->channel_list, broker->hub, broker->shared);
	push_relief_init(&broker->relief, broker->hub, &broker->counts->stats, broker->options.memory_max,
		broker->shared ? push_shared_stats_workers(broker->shared) : 1);
	if (!create_limiter(broker, random_seed()))
		goto fail_engine;
	broker->engine = create_engine(broker, seed, error);
	if (!broker->engine)
		goto fail_engine;
	name_node(broker);
	if (!create_tracer(broker, seed)) {
		snprintf(error->text, sizeof(error->text), "push.trace.url: out of memory or descriptors");
		goto fail_tracer;
	}
	if (!create_authenticator(broker, seed, error))
		goto fail_tracer;
	create_controls(broker);
	if (broker->engine->serve)
		broker->engine->serve(broker->engine, serve, broker);
	broker->reads_history = push_history_is_kept(&broker->options);
	broker->publisher = (struct push_publisher){.engine = broker->engine,
		.authenticator = broker->authenticator,
		.tracer = broker->tracer,
		.options = &broker->options,
		.limiter = broker->limiter,
		.stats = &broker->counts->stats,
		.memory = push_hub_memory(broker->hub),
		.now_us = now_us,
		.wake = host->wake,
		.context = host->context,
		.log = &broker->log};
	push_debug_log_watch(&broker->log, broker->hub);
	push_publisher_init(&broker->publisher);
	push_client_publishes_init(&broker->client_publishes, &broker->publisher);
	if (broker->options.ws_publish)
		push_hub_let_publish(broker->hub, push_client_publish, &broker->client_publishes);
	push_hub_set_values(broker->hub, &(struct push_hub_values){get_value, put_value, broker});
	return broker;

fail_tracer:
	push_tracer_destroy(broker->tracer);
	broker->engine->destroy(broker->engine);
fail_engine:
	push_hub_destroy(broker->hub);
	push_limiter_destroy(broker->limiter);
fail_hub:
	push_shared_stats_leave(broker->shared);
	free(broker);
	return NULL;
}

int
push_broker_fd(const struct push_broker *broker)
{
	return broker->engine->fd;
}

void
push_broker_ready(struct push_broker *broker)
{
	broker->engine->ready(broker->engine, now_us());
}

int
push_broker_auth_fd(const struct push_broker *broker)
{
	return broker->authenticator ? broker->authenticator->fd : -1;
}

void
push_broker_auth_ready(struct push_broker *broker)
{
	broker->authenticator->ready(broker->authenticator, now_us());
}

int
push_broker_trace_fd(const struct push_broker *broker)
{
	return broker->exporter ? push_exporter_fd(broker->exporter) : -1;
}

void
push_broker_trace_ready(struct push_broker *broker)
{
	push_exporter_ready(broker->exporter, now_us());
}

static void
free_if_unused(struct push_broker *broker)
{
	if (!broker->orphaned || push_hub_subscriber_count(broker->hub))
		return;
	push_publisher_fini(&broker->publisher);
	push_channel_list_fini(&broker->channel_list);
	broker->engine->destroy(broker->engine); /* answers those who ask for tickets */
	if (broker->authenticator) {
		broker->authenticator->destroy(broker->authenticator);
		push_admissions_fini(&broker->admissions);
	}
	push_hub_destroy(broker->hub);
	push_limiter_destroy(broker->limiter);
	push_tracer_destroy(broker->tracer);
	push_shared_stats_leave(broker->shared);
	free(broker);
}

void
push_broker_destroy(struct push_broker *broker)
{
	broker->orphaned = true;
	push_exporter_destroy(broker->exporter);
	broker->exporter = NULL;
	free_if_unused(broker);
}

void
push_broker_set_sockets(struct push_broker *broker, const struct push_broker_sockets *sockets)
{
	broker->sockets = sockets;
}

bool
push_broker_flush(struct push_broker *broker)
{
	uint64_t now = now_us(), end = now + PUSH_FLUSH_SLICE_US;
	bool more = true;

	push_relief_run(&broker->relief, broker->sockets, now);
	/* what goes to a server first: it works while we write to clients */
	if (broker->engine->flush)
		broker->engine->flush(broker->engine, now);
	for (; more && now < end; now = now_us())
		more = push_hub_flush(broker->hub, now, FLUSH_BATCH_SUBSCRIBERS);
	push_publisher_settle(&broker->publisher);
	if (broker->tracer)
		push_tracer_settle(broker->tracer);
	return more;
}

static void
count_process(struct push_broker *broker)
{
	struct push_process process;

	push_process_read(&process);
	process.direct_connections = broker->sockets ? broker->sockets->count(broker->sockets->context) : 0;
	push_counts_set_process(broker->counts, &process);
}

static void
count_engine(struct push_broker *broker)
{
	if (broker->engine->update_stats)
		broker->engine->update_stats(broker->engine);
	if (broker->authenticator && broker->authenticator->count)
		broker->authenticator->count(broker->authenticator, &broker->counts->stats);
}

static bool
ops_accepts(const struct push_broker *broker, char *why, size_t size)
{
	const struct push_engine *engine = broker->engine;

	*why = '\0';
	return !engine->accepts || engine->accepts(engine, why, size);
}

static void
count_state(struct push_broker *broker)
{
	struct push_counts *counts = broker->counts;

	counts->stats.broker_up = ops_accepts(broker, counts->trouble, sizeof(counts->trouble));
	broker->counts->stats.draining = broker->draining;
}

/* What a scrape that reaches another worker shall find. */
static void
share_gauges(struct push_broker *broker, uint64_t now)
{
	if (!broker->shared)
		return;
	count_state(broker);
	push_relief_count(&broker->relief);
	if (now >= broker->share_engine_us) {
		broker->share_engine_us = now + SHARE_ENGINE_S * 1000000;
		count_engine(broker);
	}
	if (now >= broker->share_process_us) {
		broker->share_process_us = now + SHARE_PROCESS_S * 1000000;
		count_process(broker);
	}
}

/* Requests without an answer: they are waited for as long as clients are. */
static bool
is_busy(const struct push_broker *broker)
{
	const struct push_options *options = &broker->options;
	uint64_t now = now_us();

	if (now < broker->drain_began_us + PUSH_DRAIN_LINGER_US)
		return true;
	if (now > broker->drain_began_us + PUSH_DRAIN_LINGER_US + options->drain_us + options->grace_us)
		return false;
	return push_publisher_is_busy(&broker->publisher) ||
	       (broker->sockets && broker->sockets->is_busy(broker->sockets->context)) ||
	       (broker->engine->is_busy && broker->engine->is_busy(broker->engine));
}

static void
check_drained(struct push_broker *broker)
{
	if (!broker->draining || broker->orphaned || push_hub_subscriber_count(broker->hub) ||
		is_busy(broker))
		return;
	/* last of all, when no further span comes */
	if (broker->exporter && push_exporter_finish(broker->exporter, now_us()))
		return;
	broker->host.drained(broker->host.context);
}

/*
 * When ticks are due is known from the one that came earliest: none comes before its time, so one that seems
 * to shows that those before it were late.  Asking the timer would be another system call a tick.
 */
static void
count_lag(struct push_broker *broker, uint64_t now, uint64_t ticks)
{
	if (!broker->tick_due_us || now < broker->tick_due_us)
		broker->tick_due_us = now;
	push_stats_late(&broker->counts->stats, now - broker->tick_due_us, ticks);
	broker->tick_due_us += ticks * PUSH_TICK_US;
}

/* What one slice leaves is due still at the next tick, so that thousands of timers never hold the loop. */
void
push_broker_tick(struct push_broker *broker, uint64_t ticks)
{
	count_lag(broker, now_us(), ticks);
	push_relief_run(&broker->relief, broker->sockets, now_us());
	push_relief_tick(&broker->relief, push_hub_subscriber_count(broker->hub), now_us());
	push_hub_tick(broker->hub, now_us(), PUSH_WHEEL_SLICE_TIMERS);
	if (broker->engine->tick)
		broker->engine->tick(broker->engine, now_us());
	push_publisher_tick(&broker->publisher, now_us());
	if (broker->authenticator)
		broker->authenticator->tick(broker->authenticator, now_us());
	if (broker->tracer)
		push_tracer_settle(broker->tracer);
	if (broker->exporter)
		push_exporter_tick(broker->exporter, now_us());
	share_gauges(broker, now_us());
	push_channel_list_tick(&broker->channel_list, now_us());
	push_debug_log_tick(&broker->log, now_us());
	check_drained(broker);
}

void
push_broker_drain(struct push_broker *broker)
{
	if (broker->draining)
		return;
	broker->draining = true;
	broker->drain_began_us = now_us();
	push_hub_drain(broker->hub, now_us());
}

static const struct push_options *
ops_options(const struct push_broker *broker)
{
	return &broker->options;
}

static void
ops_publish(struct push_broker *broker, const struct push_publication *publication, push_publish_done_fn done,
	void *context)
{
	broker->engine->publish(broker->engine, publication, now_us(), done, context);
}

static void
ops_count_publish(struct push_broker *broker, unsigned int http_status, size_t body_bytes)
{
	struct push_stats *stats = &broker->counts->stats;

	push_stats_published(stats, http_status);
	if (http_status == 202)
		stats->published_bytes += body_bytes;
}

/* As much of a header as can be read in a line. */
static int
readable_size(const char *text, size_t size)
{
	size_t i = 0;

	while (i < size && i < PUSH_ERROR_QUOTE_BYTES_MAX && text[i] > ' ' && text[i] < 0x7f)
		i++;
	return (int)i;
}

static bool
ops_admits_origin(struct push_broker *broker, const char *origin, size_t origin_size, const char *host,
	size_t host_size, struct push_error *error)
{
	if (push_cors_admits(broker->options.cors_origins, origin, origin_size, host, host_size))
		return true;
	broker->counts->stats.origins_refused++;
	snprintf(error->text, sizeof(error->text), "pages of the origin '%.*s' are not allowed here",
		readable_size(origin, origin_size), origin);
	return false;
}

static void
ops_count_route_probe(struct push_broker *broker)
{
	broker->counts->stats.routes_probed++;
}

static void
ops_set_certificates(struct push_broker *broker, uint64_t expiry_s, uint64_t stale_count)
{
	broker->counts->stats.certificate_expiry_s = expiry_s;
	broker->counts->stats.certificates_stale = stale_count;
}

static void
ops_count_handshake(struct push_broker *broker, enum push_handshake result)
{
	broker->counts->stats.handshakes[result]++;
}

static void
ops_count_http2_flood(struct push_broker *broker)
{
	broker->counts->stats.http2_floods++;
}

static void
ops_count_limited_route(struct push_broker *broker)
{
	broker->counts->stats.routes_limited++;
}

static void
ops_publish_request(struct push_broker *broker, const struct push_publish_request *request,
	push_answer_fn answer, void *context)
{
	push_publisher_publish(&broker->publisher, request, answer, context);
}

static struct push_lines *
ops_lines_create(struct push_broker *broker, void (*ready)(void *context), void *context)
{
	return push_lines_create(&broker->publisher, ready, context);
}

static void
ops_read_request(struct push_broker *broker, const struct push_read_request *request, push_answer_fn answer,
	void *context)
{
	push_read(&broker->publisher, request, answer, context);
}

static bool
ops_reads_history(const struct push_broker *broker)
{
	return broker->reads_history;
}

static bool
ops_is_ready(const struct push_broker *broker)
{
	return !broker->draining && broker->engine->is_ready(broker->engine);
}

static bool
ops_is_draining(const struct push_broker *broker)
{
	return broker->draining;
}

static void
ops_render_metrics(struct push_broker *broker, struct push_buf *to)
{
	const struct push_counts *counts = broker->counts;
	struct push_process process;
	struct push_counts sum;

	count_process(broker);
	count_engine(broker);
	count_state(broker);
	push_relief_count(&broker->relief);
	if (broker->shared) {
		push_shared_stats_sum(broker->shared, &sum);
		counts = &sum;
	}
	process = counts->process;
	push_cpu_usage_read(&broker->cpu_usage, &process);
	push_stats_render(&counts->stats, &process, &broker->options, PUSH_VERSION, to);
	if (broker->shared)
		push_shared_stats_render(broker->shared, to);
	if (broker->options.redis_url[0])
		push_redis_stats_render(&counts->redis, to);
	if (broker->engine->render_state)
		broker->engine->render_state(broker->engine, to);
}

static enum push_status
ops_render_channels(struct push_broker *broker, struct push_buf *to)
{
	if (!broker->options.channels_list)
		return PUSH_NOT_FOUND;
	push_channel_list_render(&broker->channel_list, now_us(), to);
	return PUSH_OK;
}

static struct push_subscriber *
ops_subscriber_create(struct push_broker *broker, enum push_encoding encoding,
	const struct push_transport *transport, void *connection)
{
	return push_subscriber_create(broker->hub, encoding, transport, connection);
}

static void
ops_subscriber_start(struct push_subscriber *subscriber)
{
	push_subscriber_start(subscriber, now_us());
}

static void
ops_subscriber_refuse(struct push_subscriber *subscriber, const char *text)
{
	push_subscriber_refuse(subscriber, text, PUSH_CLOSE_REFUSED, now_us());
}

static void
ops_subscriber_put_off(struct push_subscriber *subscriber, const char *text)
{
	push_subscriber_refuse(subscriber, text, PUSH_CLOSE_PUT_OFF, now_us());
}

static void
ops_subscriber_receive(struct push_subscriber *subscriber, const char *text, size_t size)
{
	push_subscriber_receive(subscriber, text, size, now_us());
}

static void
ops_subscriber_close(struct push_subscriber *subscriber, enum push_close_reason reason)
{
	push_subscriber_close(subscriber, reason, now_us());
}

static void
ops_subscriber_writable(struct push_subscriber *subscriber)
{
	push_subscriber_writable(subscriber, now_us());
}

static void
ops_subscriber_pinged(struct push_subscriber *subscriber, const void *payload, size_t size)
{
	push_subscriber_pinged(subscriber, payload, size, now_us());
}

static bool
ops_direct_claim(struct push_broker *broker, int lws_fd, const struct push_claim *claim)
{
	return broker->sockets && broker->sockets->claim(broker->sockets->context, lws_fd, claim);
}

static int
ops_client_fd(const struct push_broker *broker, int lws_fd, bool *ret_is_shared)
{
	*ret_is_shared = false;
	return broker->sockets ? broker->sockets->client_fd(broker->sockets->context, lws_fd, ret_is_shared)
			       : lws_fd;
}

static void
ops_show_certificate(const struct push_broker *broker, int lws_fd, struct push_request *request,
	struct push_tls_client *ret)
{
	if (broker->sockets)
		broker->sockets->show_certificate(broker->sockets->context, lws_fd, request, ret);
}

static void
ops_subscriber_answer_close(struct push_subscriber *subscriber, unsigned int code)
{
	push_subscriber_answer_close(subscriber, code, now_us());
}

static bool
ops_is_behind(const struct push_broker *broker)
{
	return push_hub_is_behind(broker->hub);
}

static enum push_status
give_token(struct push_broker *broker, struct push_subscriber *subscriber)
{
	unsigned char random[PUSH_TOKEN_RANDOM_BYTES];
	char token[PUSH_TOKEN_BYTES + 1];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return PUSH_UNAVAILABLE;
	push_token_write(token, broker->node, random);
	return push_subscriber_control(subscriber, token);
}

static enum push_status
ops_subscriber_open(struct push_broker *broker, struct push_subscriber *subscriber,
	const struct push_subscription *subscription, const struct push_identity *identity)
{
	enum push_status status = PUSH_OK;

	if (broker->authenticator)
		status = push_subscriber_identify(subscriber, identity, now_us());
	if (status == PUSH_OK)
		status = push_subscription_apply(subscription, subscriber);
	if (status == PUSH_OK && subscription->with_token)
		status = give_token(broker, subscriber);
	return status;
}

/* --- who clients are --- */

static bool
ops_is_guarded(const struct push_broker *broker)
{
	return broker->authenticator;
}

static void
ops_identify(struct push_broker *broker, const struct push_credential *credential,
	const struct push_asked *asked, push_verdict_fn done, void *context)
{
	broker->authenticator->identify(broker->authenticator, credential, asked, done, context);
}

static bool
ops_asks_about_publishes(const struct push_broker *broker, const struct push_identity *identity)
{
	return push_permission_is_asked(&broker->publisher, identity);
}

static void
ops_issue_ticket(
	struct push_broker *broker, const struct push_identity *identity, push_ticket_fn done, void *context)
{
	broker->authenticator->issue_ticket(broker->authenticator, identity, done, context);
}

struct order {
	push_answer_fn answer;
	void *context;
};

static void
on_order(void *context, unsigned int status, const char *json)
{
	const struct order order = *(struct order *)context;

	free(context);
	order.answer(order.context, &(struct push_answer){status, "application/json", json, strlen(json), 0});
}

static void
ops_take_back(struct push_broker *broker, bool is_revocation, struct push_str text, push_answer_fn answer,
	void *context)
{
	struct order *order = malloc(sizeof(*order));

	if (!order) {
		push_answer_error(503, push_status_text(PUSH_OUT_OF_MEMORY), answer, context);
		return;
	}
	*order = (struct order){answer, context};
	broker->authenticator->take_back(broker->authenticator, is_revocation, text, on_order, order);
}

static void
ops_count_auth_refused(struct push_broker *broker, enum push_auth_refusal why, const char *text)
{
	if (text)
		push_hub_count_refused(broker->hub, why, text);
	else
		broker->counts->stats.auth_refused[why]++;
}

static void
ops_subscriber_admit(struct push_broker *broker, struct push_subscriber *subscriber,
	struct push_subscription *subscription, const struct push_credential *credential,
	const struct push_asked *asked)
{
	push_admissions_admit(&broker->admissions, subscriber, subscription, credential, asked);
}

/* --- changes of an event stream's channels --- */

static void
ops_control_request(struct push_broker *broker, const struct push_control_request *request,
	push_answer_fn answer, void *context)
{
	if (push_renewal_is(&broker->renewals, request))
		push_renewal_request(&broker->renewals, request, answer, context);
	else if (request->size > broker->options.client_message_bytes_max)
		push_answer_error(413, PUSH_CLIENT_MESSAGE_TOO_LARGE_TEXT, answer, context);
	else
		push_controls_request(&broker->controls, request, answer, context);
}

static size_t
ops_client_message_max(const struct push_broker *broker)
{
	size_t max = broker->options.client_message_bytes_max;

	return broker->authenticator && max < PUSH_AUTH_MESSAGE_BYTES_MAX ? PUSH_AUTH_MESSAGE_BYTES_MAX : max;
}

static void
forget_client(struct push_broker *broker, const struct push_subscriber *subscriber)
{
	const struct push_identity *identity = push_subscriber_identity(subscriber);
	struct push_str ticket = {NULL, 0};

	push_admissions_forget(&broker->admissions, subscriber);
	if (identity)
		ticket = push_identity_facts(identity).ticket;
	if (ticket.size && !broker->orphaned)
		broker->authenticator->ticket_used(broker->authenticator, ticket, identity);
}

static void
ops_subscriber_destroy(struct push_broker *broker, struct push_subscriber *subscriber)
{
	push_client_publishes_forget(&broker->client_publishes, subscriber);
	if (broker->authenticator)
		forget_client(broker, subscriber);
	push_subscriber_destroy(subscriber);
	free_if_unused(broker);
}

void
push_broker_say(struct push_broker *broker, enum push_log_level level, const char *line)
{
	push_debug_log_say(&broker->log, level, line);
}

void
push_broker_count_dropped_lines(struct push_broker *broker, uint64_t count)
{
	broker->counts->stats.log_lines_dropped += count;
}

static enum push_log_level
ops_log_level(const struct push_broker *broker)
{
	return push_debug_log_level(&broker->log);
}

static enum push_log_level
ops_log_level_configured(const struct push_broker *broker)
{
	return broker->log.configured;
}

static void
ops_set_log_level(struct push_broker *broker, enum push_log_level level)
{
	push_debug_log_set_level(&broker->log, level);
}

static struct push_memory *
ops_memory(const struct push_broker *broker)
{
	return push_hub_memory(broker->hub);
}

static struct push_limiter *
ops_limiter(const struct push_broker *broker)
{
	return limiter_of_clients(broker);
}

static void
ops_count_relieved_publish(struct push_broker *broker)
{
	broker->counts->stats.relieved[PUSH_RELIEF_PUBLISHES]++;
}

static const struct push_broker_ops ops_table = {
	.abi_version = PUSH_BROKER_ABI_VERSION,
	.size_bytes = sizeof(struct push_broker_ops),
	.options = ops_options,
	.now_us = now_us,
	.publish = ops_publish,
	.count_publish = ops_count_publish,
	.admits_origin = ops_admits_origin,
	.count_limited_route = ops_count_limited_route,
	.is_ready = ops_is_ready,
	.is_draining = ops_is_draining,
	.render_metrics = ops_render_metrics,
	.subscriber_create = ops_subscriber_create,
	.subscriber_start = ops_subscriber_start,
	.subscriber_refuse = ops_subscriber_refuse,
	.subscriber_heard = push_subscriber_heard,
	.subscriber_receive = ops_subscriber_receive,
	.subscriber_close = ops_subscriber_close,
	.subscriber_peer_closed = push_subscriber_peer_closed,
	.subscriber_writable = ops_subscriber_writable,
	.subscriber_destroy = ops_subscriber_destroy,
	.subscriber_greet = push_subscriber_greet,
	.subscriber_pinged = ops_subscriber_pinged,
	.direct_claim = ops_direct_claim,
	.subscriber_answer_close = ops_subscriber_answer_close,
	.is_behind = ops_is_behind,
	.publish_request = ops_publish_request,
	.read_request = ops_read_request,
	.lines_create = ops_lines_create,
	.lines_destroy = push_lines_destroy,
	.lines_feed = push_lines_feed,
	.lines_end = push_lines_end,
	.lines_is_full = push_lines_is_full,
	.lines_is_over = push_lines_is_over,
	.lines_answers = push_lines_answers,
	.reads_history = ops_reads_history,
	.control_request = ops_control_request,
	.lines_set_parent = push_lines_set_parent,
	.subscriber_gone = push_subscriber_gone,
	.log_level = ops_log_level,
	.log_level_configured = ops_log_level_configured,
	.set_log_level = ops_set_log_level,
	.subscriber_will_wait = push_subscriber_will_wait,
	.accepts = ops_accepts,
	.memory = ops_memory,
	.count_relieved_publish = ops_count_relieved_publish,
	.subscriber_put_off = ops_subscriber_put_off,
	.is_guarded = ops_is_guarded,
	.client_message_max = ops_client_message_max,
	.identify = ops_identify,
	.issue_ticket = ops_issue_ticket,
	.take_back = ops_take_back,
	.count_auth_refused = ops_count_auth_refused,
	.subscriber_open = ops_subscriber_open,
	.subscriber_admit = ops_subscriber_admit,
	.lines_set_identity = push_lines_set_identity,
	.render_channels = ops_render_channels,
	.count_route_probe = ops_count_route_probe,
	.count_handshake = ops_count_handshake,
	.count_http2_flood = ops_count_http2_flood,
	.set_certificates = ops_set_certificates,
	.limiter = ops_limiter,
	.lines_set_address = push_lines_set_address,
	.asks_about_publishes = ops_asks_about_publishes,
	.lines_set_asked = push_lines_set_asked,
	.client_fd = ops_client_fd,
	.show_certificate = ops_show_certificate,
};

const struct push_broker_ops *
push_broker_ops_table(void)
{
	return &ops_table;
}
