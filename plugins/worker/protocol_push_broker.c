/*
 * protocol_push_broker.c - where a worker is put together: broker, engine, direct sockets and log, as an lws
 * protocol plugin.  Its options come from the vhost, its wake-ups from lws' event loop.  No other file makes
 * one part know another.
 *
 * Five things make it run, and no timer of lws': on libuv they count milliseconds and spin for what is left
 * below one, which took 4 % of a core at a tick every 10 ms, and doubled the p99 of latencies.
 *
 *   - an eventfd, written when the first subscriber becomes dirty.  The loop serves it after the input that
 *     was ready in the same turn, so everything that this input publishes is flushed together.
 *   - the epoll sets of direct sockets and of the engine, watched as files.  What a turn has published is
 *     flushed at its end.
 *   - a timerfd, which takes the eventfd's place where push.flush.delay is set.
 *   - a timerfd for the wheel, every PUSH_TICK_US.
 *   - a signalfd for SIGTERM, which begins the drain.  lwsws itself would die of the signal.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <libwebsockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "auth/authenticator.h"
#include "broker/broker.h"
#include "broker/notify.h"
#include "core/limits.h"
#include "direct/direct.h"
#include "direct/vhosts.h"
#include "lwsio/claim.h"
#include "lwsio/find_broker.h"
#include "lwsio/listeners.h"
#include "lwsio/plugin.h"
#include "lwsio/upgrade.h"
#include "lwsio/vhost_options.h"
#include "redis/engine_redis.h"
#include "segment/slots.h"
#include "shared/engine_shared.h"
#include "worker/lws_log.h"

/* Ticks for which a listening socket is waited for. */
#define TAKE_TRIES_MAX 100

/* The value that comes with SIGTERM where another process serves on the same sockets (server/worker.h). */
#define REPLACED 1

/* How long one that was replaced serves as if it were not: who has just been accepted and has not said yet
 * what it wants is no worse off than others. */
#define REPLACED_SETTLE_US 200000ull

/* How long it then drains at least: lws does not tell of the requests that it serves itself, a slow download.
 */
#define REPLACED_DRAIN_US 1000000ull

/* Of a Sec-WebSocket-Key, at most. */
#define PUSH_WS_KEY_TEXT_BYTES 64

/* Of one vhost; lws frees it with the vhost. */
struct broker_vhost {
	struct push_broker_link link; /* first: other plugins look for it here */
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct push_direct *direct;
	char headers[PUSH_CLAIM_HEADERS_BYTES_MAX + 1]; /* that the vhost adds to its answers */
	struct lws_sorted_usec_list sharing;            /* push-broker-vhost: due when the loop turns */
	struct lws *wake_wsi, *signal_wsi, *flush_wsi, *tick_wsi, *engine_wsi, *trace_wsi, *auth_wsi;
	struct lws *direct_wsi[PUSH_DIRECT_SET_COUNT];
	int wake_fd, flush_fd, tick_fd; /* an eventfd and two timerfds */
	size_t taken_count;             /* ports that were looked at for direct sockets */
	unsigned int take_tries;
	struct push_line_writer *log; /* NULL: lws' own */
	uint64_t lines_dropped;       /* of which metrics know */
	bool replaced;                /* by another process, on the same sockets: */
	uint64_t settled_us;          /* when it begins to drain */
	bool announced;
	bool in_turn; /* of direct sockets: no need to be woken, the flush comes at its end */
};

static uint64_t
flush_delay(const struct broker_vhost *self)
{
	return self->link.ops->options(self->link.broker)->flush_delay_us;
}

static void
flush(struct broker_vhost *self)
{
	bool is_done = !self->link.broker || !push_broker_flush(self->link.broker);

	if (!is_done)
		eventfd_write(self->wake_fd, 1);
	if (self->direct)
		push_direct_flush(self->direct, is_done);
}

/* The end of a turn that has read from sockets.  What it has published may wait for more; answers do not. */
static void
end_turn(struct broker_vhost *self)
{
	if (!flush_delay(self) || self->link.ops->is_behind(self->link.broker))
		flush(self);
	else if (self->direct)
		push_direct_flush(self->direct, true);
}

/* `interval_us` 0: once. */
static void
start_timer(int fd, uint64_t first_us, uint64_t interval_us)
{
	const struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(first_us / 1000000),
			.tv_nsec = (long)(first_us % 1000000) * 1000},
		.it_interval = {.tv_sec = (time_t)(interval_us / 1000000),
			.tv_nsec = (long)(interval_us % 1000000) * 1000},
	};

	timerfd_settime(fd, 0, &when, NULL);
}

/* Something waits to be written, after nothing did. */
static void
wake(void *context)
{
	struct broker_vhost *self = context;

	if (!self->link.broker) /* it is being made: nothing is watched yet, and its first tick looks */
		return;
	if (flush_delay(self) && self->flush_wsi)
		start_timer(self->flush_fd, flush_delay(self), 0);
	else if (self->wake_wsi && !self->in_turn)
		eventfd_write(self->wake_fd, 1);
}

/* Called with every tick until then.  lwsws ends cleanly on SIGINT, and only then. */
static void
drained(void *context)
{
	const struct broker_vhost *self = context;

	if (self->replaced && self->link.ops->now_us() < self->settled_us + REPLACED_DRAIN_US)
		return;
	push_broker_say(self->link.broker, PUSH_LOG_INFO, "drained, ending");
	kill(getpid(), SIGINT);
}

/* The broker's log. */
static void
log_line(void *context, enum push_log_level level, const char *line)
{
	(void)context;
	/* lwsws is run with lws' own warnings off, since clients can cause them: so the mark is USER, and the
	 * level is in the line */
	switch (level) {
	case PUSH_LOG_ERROR: lwsl_err(PUSH_LOG_PREFIX "%s\n", line); break;
	case PUSH_LOG_WARN: lwsl_user(PUSH_LOG_PREFIX_WARN "%s\n", line); break;
	case PUSH_LOG_DEBUG: lwsl_user(PUSH_LOG_PREFIX_DEBUG "%s\n", line); break;
	default: lwsl_user(PUSH_LOG_PREFIX "%s\n", line); break;
	}
}

/* Lines that nobody took: counted, and told of when there is room again. */
static void
report_dropped_lines(struct broker_vhost *self)
{
	uint64_t count;
	char line[80];

	if (!self->log || !self->log->dropped)
		return;
	count = push_line_writer_begin_report(self->log);
	if (count) {
		snprintf(line, sizeof(line), "%" PRIu64 " lines of the log were dropped", count);
		log_line(self, PUSH_LOG_WARN, line);
		push_line_writer_end_report(self->log, count);
	}
	push_broker_count_dropped_lines(self->link.broker, self->log->dropped - self->lines_dropped);
	self->lines_dropped = self->log->dropped;
}

static void
on_engine(struct broker_vhost *self)
{
	if (!self->link.broker)
		return;
	self->in_turn = true;
	push_broker_ready(self->link.broker);
	self->in_turn = false;
	end_turn(self);
}

static void
on_auth(struct broker_vhost *self)
{
	if (!self->link.broker)
		return;
	self->in_turn = true;
	push_broker_auth_ready(self->link.broker);
	self->in_turn = false;
	end_turn(self);
}

static void
on_direct(struct broker_vhost *self, enum push_direct_set set)
{
	self->in_turn = true;
	push_direct_ready(self->direct, set);
	self->in_turn = false;
	end_turn(self);
}

static struct lws_vhost *
vhost_of(const struct broker_vhost *self, int port)
{
	for (size_t i = 0; i < self->link.port_count; i++)
		if (self->link.ports[i] == port)
			return self->link.vhosts[i];
	return self->vhost;
}

/* lws closes what it does not take. */
static void
hand_over(void *context, int fd, int port)
{
	(void)lws_adopt_socket_vhost(vhost_of(context, port), fd);
}

/* For lws it is a TLS connection whose bytes it does not encrypt: a redirect leads to https://. */
static void
hand_over_plain(void *context, int fd, int port)
{
	lws_sock_file_fd_type descriptor = {.sockfd = fd};

	(void)lws_adopt_descriptor_vhost(vhost_of(context, port),
		(lws_adoption_type)(LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP), descriptor, NULL, NULL);
}

static void
accept_key(const char *key, size_t key_size, char *to, size_t size)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char text[PUSH_WS_KEY_TEXT_BYTES + sizeof(guid)], hash[20];

	to[0] = '\0';
	if (key_size > PUSH_WS_KEY_TEXT_BYTES)
		return;
	memcpy(text, key, key_size);
	memcpy(text + key_size, guid, sizeof(guid) - 1);
	lws_SHA1(text, key_size + sizeof(guid) - 1, hash);
	lws_b64_encode_string((const char *)hash, sizeof(hash), to, (int)size);
}

static struct broker_vhost *
broker_vhost_of(struct lws_vhost *vhost)
{
	const struct lws_protocols *protocol =
		vhost ? lws_vhost_name_to_protocol(vhost, PUSH_BROKER_PROTOCOL) : NULL;

	return protocol ? lws_protocol_vh_priv_get(vhost, protocol) : NULL;
}

static const char *
vhost_headers(void *context, const char *name)
{
	const struct broker_vhost *self = context;
	const struct broker_vhost *named = broker_vhost_of(lws_get_vhost_by_name(self->context, name));

	return named ? named->headers : NULL;
}

static void
direct_says(void *context, enum push_log_level level, const char *line)
{
	struct broker_vhost *self = context;

	push_broker_say(self->link.broker, level, line);
}

static size_t
index_of(const struct broker_vhost *self, int port)
{
	size_t i = 0;

	while (i + 1 < self->link.port_count && self->link.ports[i] != port)
		i++;
	return i;
}

static void
on_taken(void *owner, int fd, int port)
{
	struct broker_vhost *self = owner;
	size_t i = index_of(self, port);
	enum push_direct_door door = PUSH_DIRECT_DOOR_CLIENTS;

	if (self->link.operators[i])
		door = PUSH_DIRECT_DOOR_OPERATORS;
	else if (!self->link.ops->options(self->link.broker)->direct)
		door = PUSH_DIRECT_DOOR_LWS;
	(void)push_direct_listen(self->direct, fd, port, door);
}

/* Not before the loop turns, when all vhosts listen; other vhosts of this broker show themselves later. */
static void
take_listeners(struct broker_vhost *self)
{
	char line[128];

	while (self->direct && self->taken_count < self->link.port_count) {
		int port = self->link.ports[self->taken_count];

		if (!push_listeners_take(self->context, port, on_taken, self)) {
			/* libuv gives a new descriptor to epoll when it next waits, maybe after this tick */
			if (++self->take_tries < TAKE_TRIES_MAX)
				return;
			snprintf(line, sizeof(line), "cannot take over port %d, lws accepts its connections",
				port);
			push_broker_say(self->link.broker, PUSH_LOG_WARN, line);
		}
		self->take_tries = 0;
		self->taken_count++;
	}
}

static void
drain(struct broker_vhost *self)
{
	if (self->direct)
		push_direct_stop(self->direct);
	push_broker_drain(self->link.broker);
}

/* Another process serves on all our ports, the operators', too. */
static void
leave(struct broker_vhost *self)
{
	self->replaced = true;
	self->settled_us = self->link.ops->now_us() + REPLACED_SETTLE_US;
	if (self->direct)
		push_direct_leave(self->direct);
	push_listeners_close(self->context, 0);
}

static void
say_failed_notification(struct broker_vhost *self, const struct push_error *error)
{
	if (error->text[0])
		push_broker_say(self->link.broker, PUSH_LOG_ERROR, error->text);
}

static bool
has_all_listeners(const struct broker_vhost *self)
{
	return !self->direct || self->taken_count == self->link.port_count;
}

/* Not before the doors are ours: what lws accepts until then it serves itself, without chunked bodies. */
static void
announce(struct broker_vhost *self)
{
	struct push_error error;

	self->announced = true;
	/* lwsws' root process forwards no SIGTERM; when it is gone, this one has to drain */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (!push_notify_ready(&error))
		drained(self);
	say_failed_notification(self, &error);
}

static void
tick(struct broker_vhost *self, uint64_t count)
{
	/* the first tick comes once the loop turns, when all vhosts listen and privileges are dropped */
	take_listeners(self);
	if (!self->announced && has_all_listeners(self))
		announce(self);
	/* lwsws, told to reload, has closed its listeners and waits for its clients to leave */
	if (lws_context_is_deprecated(self->context))
		push_direct_leave(self->direct);
	if (lws_context_is_deprecated(self->context) ||
		(self->replaced && self->link.ops->now_us() >= self->settled_us))
		drain(self);
	report_dropped_lines(self);
	push_broker_tick(self->link.broker, count);
	if (self->direct)
		push_direct_tick(self->direct);
}

static void
on_wake(struct broker_vhost *self, int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		flush(self);
}

/* What a busy loop has missed is served as one tick, as the wheel goes by the clock, and counted as late. */
static void
on_tick(struct broker_vhost *self)
{
	uint64_t count;

	if (read(self->tick_fd, &count, sizeof(count)) == (ssize_t)sizeof(count) && self->link.broker)
		tick(self, count);
}

static void
on_sigterm(struct broker_vhost *self, int fd)
{
	struct signalfd_siginfo info;
	struct push_error error;

	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info) || !self->link.broker)
		return;
	push_broker_say(self->link.broker, PUSH_LOG_INFO, "SIGTERM, draining");
	push_notify_stopping(0, &error);
	say_failed_notification(self, &error);
	if (info.ssi_code == SI_QUEUE && info.ssi_int == REPLACED) {
		leave(self);
		return;
	}
	/* before what is below, which finds its listening sockets, too, but not where they are waited for */
	drain(self);
	for (size_t i = 0; i < self->link.port_count; i++)
		if (!self->link.operators[i])
			push_listeners_close(self->context, self->link.ports[i]);
}

static int
on_readable(struct lws *wsi, struct broker_vhost *self)
{
	if (wsi == self->wake_wsi || wsi == self->flush_wsi)
		on_wake(self, (int)lws_get_socket_fd(wsi));
	else if (wsi == self->tick_wsi)
		on_tick(self);
	else if (wsi == self->engine_wsi)
		on_engine(self);
	else if (wsi == self->trace_wsi && self->link.broker)
		push_broker_trace_ready(self->link.broker);
	else if (wsi == self->auth_wsi)
		on_auth(self);
	else if (wsi == self->signal_wsi)
		on_sigterm(self, (int)lws_get_socket_fd(wsi));
	for (int i = 0; i < PUSH_DIRECT_SET_COUNT; i++)
		if (wsi == self->direct_wsi[i])
			on_direct(self, (enum push_direct_set)i);
	return 0;
}

static int
on_file_closed(struct lws *wsi, struct broker_vhost *self)
{
	if (self && wsi == self->wake_wsi)
		self->wake_wsi = NULL;
	if (self && wsi == self->flush_wsi)
		self->flush_wsi = NULL;
	if (self && wsi == self->tick_wsi)
		self->tick_wsi = NULL;
	if (self && wsi == self->engine_wsi)
		self->engine_wsi = NULL;
	if (self && wsi == self->trace_wsi)
		self->trace_wsi = NULL;
	if (self && wsi == self->auth_wsi)
		self->auth_wsi = NULL;
	if (self && wsi == self->signal_wsi)
		self->signal_wsi = NULL;
	for (int i = 0; self && i < PUSH_DIRECT_SET_COUNT; i++)
		if (wsi == self->direct_wsi[i])
			self->direct_wsi[i] = NULL;
	return 0;
}

/* Hands a descriptor to lws, which closes it in the end. */
static struct lws *
watch(struct broker_vhost *self, int fd)
{
	lws_sock_file_fd_type descriptor = {.filefd = fd};

	if (fd < 0)
		return NULL;
	return lws_adopt_descriptor_vhost(
		self->vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor, PUSH_BROKER_PROTOCOL, NULL);
}

static bool
watch_all(struct broker_vhost *self)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, NULL))
		return false;
	self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	self->wake_wsi = watch(self, self->wake_fd);
	self->signal_wsi = watch(self, signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
	self->flush_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	self->flush_wsi = watch(self, self->flush_fd);
	self->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	self->tick_wsi = watch(self, self->tick_fd);
	return self->wake_wsi && self->signal_wsi && self->flush_wsi && self->tick_wsi;
}

static bool
start_direct(struct broker_vhost *self)
{
	const struct push_direct_host host = {
		hand_over, hand_over_plain, accept_key, vhost_headers, direct_says, self};

	self->direct = push_direct_create(push_broker_ops_table(), self->link.broker, &host);
	if (!self->direct)
		return false;
	push_direct_tell(self->direct, getenv(PUSH_VHOSTS_ENV));
	push_broker_set_sockets(self->link.broker, push_direct_sockets(self->direct));
	for (int i = 0; i < PUSH_DIRECT_SET_COUNT; i++) {
		int fd = push_direct_fd(self->direct, (enum push_direct_set)i);

		/* a second number for the set, since lws closes what it is given */
		self->direct_wsi[i] = watch(self, fcntl(fd, F_DUPFD_CLOEXEC, 0));
		if (!self->direct_wsi[i])
			return false;
	}
	return true;
}

static int
refuse(const char *why)
{
	struct push_error error;

	lwsl_err(PUSH_LOG_PREFIX "%s\n", why);
	push_notify_failed(why, &error);
	if (error.text[0])
		lwsl_err(PUSH_LOG_PREFIX "%s\n", error.text);
	return -1;
}

/*
 * pushd, and systemd, end the start for it.  Without them lwsws would serve on, and its root process even if
 * this one ended: so each request is answered with the reason.
 */
static int
refuse_options(struct broker_vhost *self, const char *why)
{
	if (push_notify_is_supervised())
		return refuse(why);
	lwsl_err(PUSH_LOG_PREFIX "%s\n", why);
	lwsl_err(PUSH_LOG_PREFIX "every request gets 503 until this is fixed\n");
	lws_strncpy(self->link.fault, why, sizeof(self->link.fault));
	return 0;
}

/* A vhost that shares another one's broker shows itself to that, if no request of its has. */
static void
on_sharing(struct lws_sorted_usec_list *sul)
{
	struct broker_vhost *self = push_container_of(sul, struct broker_vhost, sharing);

	(void)push_find_broker_of(self->context, self->vhost);
}

/* Over the memory that pushd has made for all workers. */
static struct push_engine *
create_shared_engine(const struct push_options *options, struct push_hub *hub,
	const struct push_engine_host *host, uint64_t seed, uint64_t now_us, struct push_error *error)
{
	struct push_segment_seat seat;
	struct push_segment *segment;

	if (!push_segment_seat_read(&seat)) {
		snprintf(error->text, sizeof(error->text),
			"what pushd says of the broker's memory cannot be read");
		return NULL;
	}
	segment = push_segment_attach(seat.fd, error);
	if (!segment)
		return NULL;
	push_segment_set_wakers(segment, seat.wakers, seat.wake_fds);
	return push_engine_shared_create(options, hub, segment, seat.slot, host, seed, now_us, error);
}

static struct push_engine *
create_engine(const struct push_options *options, struct push_hub *hub, struct push_redis_stats *stats,
	const struct push_engine_host *host, uint64_t seed, uint64_t now_us, struct push_error *error)
{
	struct timespec now;

	if (options->redis_url[0])
		return push_engine_redis_create(options, hub, stats, host, seed, now_us, error);
	if (getenv(PUSH_SEGMENT_SEAT_ENV))
		return create_shared_engine(options, hub, host, seed, now_us, error);
	if (options->history_file[0]) {
		snprintf(error->text, sizeof(error->text),
			"push.history.file=%s: needs pushd, which shares the file among its workers",
			options->history_file);
		return NULL;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	return push_engine_memory_create(
		hub, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, seed, now_us);
}

static bool
create_authenticator(const struct push_options *options, struct push_engine *engine,
	const struct push_authenticator_host *host, uint64_t seed, uint64_t now_us,
	struct push_authenticator **ret, struct push_error *error)
{
	*ret = NULL;
	if (!push_authenticator_is_wanted(options))
		return true;
	*ret = push_authenticator_create(options, engine, host, seed, now_us, error);
	return *ret;
}

/* pushd says it once for all workers. */
static void
say_what_is_open(struct broker_vhost *self, const struct push_options *options)
{
	const char *open = push_options_openness(options);

	if (open && !push_notify_is_supervised())
		push_broker_say(self->link.broker, PUSH_LOG_INFO, open);
}

/* `given` is NULL where the vhost has no options for the protocol: some vhosts are lws' own. */
static int
on_vhost_init(struct lws *wsi, const struct lws_protocol_vhost_options *given)
{
	struct lws_vhost *vhost = lws_get_vhost(wsi);
	struct broker_vhost *self;
	struct push_options options;
	struct push_error error;

	if (!given)
		return 0;
	self = lws_protocol_vh_priv_zalloc(vhost, lws_get_protocol(wsi), sizeof(*self));
	if (!self)
		return refuse("out of memory");
	self->context = lws_get_context(wsi);
	self->vhost = vhost;
	self->log = push_lws_log_take(self->context);
	(void)push_claim_headers(wsi, self->headers, sizeof(self->headers) - 1);
	self->link =
		(struct push_broker_link){.magic = PUSH_BROKER_LINK_MAGIC, .ops = push_broker_ops_table()};
	if (push_vhost_options_read(&options, given, self->link.shared_vhost, sizeof(self->link.shared_vhost),
		    &error) != PUSH_OK)
		return refuse_options(self, error.text);
	if (self->link.shared_vhost[0]) {
		/* when all vhosts are there */
		lws_sul_schedule(self->context, 0, &self->sharing, on_sharing, 1);
		return 0;
	}

	self->link.broker = push_broker_create(&options,
		&(struct push_broker_host){.wake = wake,
			.drained = drained,
			.log = log_line,
			.context = self,
			.create_engine = create_engine,
			.create_authenticator = create_authenticator},
		&error);
	if (!self->link.broker)
		return refuse_options(self, error.text);
	self->link.ports[0] = lws_get_vhost_listen_port(vhost);
	self->link.vhosts[0] = vhost;
	self->link.port_count = 1;
	if (!watch_all(self))
		return refuse("cannot watch an eventfd, a signalfd and timerfds");
	if (push_broker_fd(self->link.broker) >= 0) {
		self->engine_wsi = watch(self, fcntl(push_broker_fd(self->link.broker), F_DUPFD_CLOEXEC, 0));
		if (!self->engine_wsi)
			return refuse("cannot watch an epoll set");
	}
	if (push_broker_auth_fd(self->link.broker) >= 0) {
		self->auth_wsi =
			watch(self, fcntl(push_broker_auth_fd(self->link.broker), F_DUPFD_CLOEXEC, 0));
		if (!self->auth_wsi)
			return refuse("cannot watch an epoll set");
	}
	if (push_broker_trace_fd(self->link.broker) >= 0) {
		self->trace_wsi =
			watch(self, fcntl(push_broker_trace_fd(self->link.broker), F_DUPFD_CLOEXEC, 0));
		if (!self->trace_wsi)
			return refuse("cannot watch an epoll set");
	}
	if (!start_direct(self))
		return refuse("cannot watch an epoll set");
	start_timer(self->tick_fd, PUSH_TICK_US, PUSH_TICK_US);
	say_what_is_open(self, &options);
	return 0;
}

/* Also called after an init that failed half-way. */
static int
on_vhost_destroy(struct broker_vhost *self)
{
	if (self)
		lws_sul_cancel(&self->sharing);
	if (!self || !self->link.broker)
		return 0;
	push_broker_set_sockets(self->link.broker, NULL);
	push_direct_destroy(self->direct);
	self->direct = NULL;
	push_broker_destroy(self->link.broker);
	self->link.broker = NULL;
	self->link.magic = 0;
	return 0;
}

/* Of a vhost whose default protocol this is. */
static int
on_upgrade(struct lws *wsi, char *name)
{
	(void)push_upgrade_is_websocket(wsi, name);
	return 0;
}

static int
push_broker_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct broker_vhost *self = lws_protocol_vh_priv_get(lws_get_vhost(wsi), lws_get_protocol(wsi));

	(void)user;
	(void)len;
	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT: return on_vhost_init(wsi, in);
	case LWS_CALLBACK_PROTOCOL_DESTROY: return on_vhost_destroy(self);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return on_upgrade(wsi, in);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return -1; /* named as a subprotocol: no WebSocket */
	case LWS_CALLBACK_RAW_RX_FILE: return on_readable(wsi, self);
	case LWS_CALLBACK_RAW_CLOSE_FILE: return on_file_closed(wsi, self);
	default: return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{.name = PUSH_BROKER_PROTOCOL, .callback = push_broker_callback},
};

PUSH_PLUGIN(push_broker, "push-broker", protocols);
