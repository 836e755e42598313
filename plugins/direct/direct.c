/* direct.c - see direct.h. */
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "direct/bytes.h"
#include "direct/direct_private.h"
#include "direct/tls_ports.h"

static uint64_t
seed(void)
{
	uint64_t random = 0;

	(void)getrandom(&random, sizeof(random), GRND_NONBLOCK);
	return random;
}

static size_t
sockets_relieve(void *context, size_t max)
{
	return push_direct_relieve(context, max);
}

static size_t
sockets_count(const void *context)
{
	return push_direct_count(context);
}

static bool
sockets_is_busy(const void *context)
{
	return push_direct_is_busy(context);
}

static bool
sockets_claim(void *context, int lws_fd, const struct push_claim *claim)
{
	return direct_claim(context, lws_fd, claim);
}

static int
sockets_client_fd(const void *context, int lws_fd, bool *ret_is_shared)
{
	const struct push_direct *direct = context;
	const struct direct_end_client *client = direct_ends_find(&direct->ends, lws_fd);

	*ret_is_shared = client && client->is_shared;
	return client ? client->fd : lws_fd;
}

static void
sockets_show_certificate(
	const void *context, int lws_fd, struct push_request *request, struct push_tls_client *ret)
{
	const struct push_direct *direct = context;
	const struct direct_end_client *client = direct_ends_find(&direct->ends, lws_fd);

	if (client)
		direct_show_certificate(direct, client->bytes, request, ret);
}

const struct push_broker_sockets *
push_direct_sockets(const struct push_direct *direct)
{
	return &direct->sockets;
}

struct push_direct *
push_direct_create(
	const struct push_broker_ops *ops, struct push_broker *broker, const struct push_direct_host *host)
{
	struct push_direct *direct = calloc(1, sizeof(*direct));

	if (!direct)
		return NULL;
	for (int i = 0; i < PUSH_DIRECT_SET_COUNT; i++)
		if (!push_sources_init(&direct->sets[i])) {
			while (i-- > 0)
				push_sources_fini(&direct->sets[i]);
			free(direct);
			return NULL;
		}
	direct->ops = ops;
	direct->broker = broker;
	direct->sockets = (struct push_broker_sockets){sockets_relieve, sockets_count, sockets_is_busy,
		sockets_claim, sockets_client_fd, sockets_show_certificate, direct};
	direct->host = *host;
	direct->limiter = ops->limiter(broker);
	(void)push_certificate_name_parse(ops->options(broker)->auth_certificate, &direct->certificate_name);
	push_buf_init(&direct->greeting, PUSH_HEAD_BYTES_MAX + PUSH_EXTRA_HEADERS_BYTES_MAX);
	direct->files_max = push_files_max();
	(void)direct_reserve_fill(direct);
	push_wheel_init(&direct->wheel, ops->now_us());
	push_routes_init(&direct->routes, seed());
	push_list_init(&direct->probes);
	push_list_init(&direct->doors);
	push_list_init(&direct->requests);
	push_list_init(&direct->handshakes);
	push_list_init(&direct->burdens);
	push_list_init(&direct->h2_conns);
	push_list_init(&direct->h2_dirty);
	direct->requests_account = &ops->memory(broker)->accounts[PUSH_MEMORY_REQUESTS];
	return direct;
}

void
push_direct_destroy(struct push_direct *direct)
{
	if (!direct)
		return;
	for (int i = 0; i < PUSH_DIRECT_SET_COUNT; i++)
		push_sources_fini(&direct->sets[i]);
	push_routes_fini(&direct->routes);
	direct_tls_close(direct);
	push_vhosts_destroy(direct->vhosts);
	direct_reserve_fini(direct);
	free(direct->handed);
	direct_ends_fini(&direct->ends);
	push_buf_fini(&direct->greeting);
	free(direct);
}

void
direct_show_certificate(const struct push_direct *direct, const struct direct_bytes *bytes,
	struct push_request *request, struct push_tls_client *ret)
{
	if (direct->certificate_name == PUSH_CERTIFICATE_NAME_NONE || !bytes->tls ||
		!push_tls_session_client(bytes->tls, direct->certificate_name, ret))
		return;
	request->certificate = (struct push_str){ret->user, ret->user_size};
	request->certificate_from_s = ret->from_s;
	request->certificate_until_s = ret->until_s;
}

int
push_direct_fd(const struct push_direct *direct, enum push_direct_set set)
{
	return direct->sets[set].epoll_fd;
}

bool
push_direct_listen(struct push_direct *direct, int fd, int port, enum push_direct_door kind)
{
	if (direct->stopped && kind != PUSH_DIRECT_DOOR_OPERATORS) {
		close(fd);
		return false;
	}
	return direct_door_open(direct, fd, port, kind);
}

void
push_direct_leave(struct push_direct *direct)
{
	direct_doors_close(direct, true);
}

void
push_direct_stop(struct push_direct *direct)
{
	if (direct->stopped)
		return;
	/* these came in time: served as before, while from now on lws says no to new streams */
	direct_doors_empty(direct);
	direct->stopped = true;
	direct_doors_close(direct, false);
	direct_requests_stop(direct);
	direct_h2_stop(direct);
}

size_t
push_direct_relieve(struct push_direct *direct, size_t max)
{
	struct direct_burden *burden;
	size_t count = 0;

	while (count < max && !push_list_is_empty(&direct->burdens) &&
		push_memory_gives(direct->requests_account->memory, 1u << PUSH_MEMORY_REQUESTS)) {
		burden = push_container_of(direct->burdens.next, struct direct_burden, link);
		burden->relieve(burden);
		count++;
	}
	return count;
}

bool
push_direct_is_busy(const struct push_direct *direct)
{
	return direct->h2_request_count || direct->h2_leaving_count || !push_list_is_empty(&direct->requests) ||
	       !push_list_is_empty(&direct->handshakes);
}

/* Backpressure: the flush comes first; what is not read fills the publisher's socket.  Not for ever, since it
 * may be something else than publishes that keeps the flush busy. */
bool
direct_has_to_wait(struct push_direct *direct, const struct push_sources *set)
{
	uint64_t now_us;

	if (set != &direct->sets[PUSH_DIRECT_PUBLISHERS])
		return false;
	if (!direct->ops->is_behind(direct->broker)) {
		direct->behind_since_us = 0;
		return false;
	}
	now_us = direct->ops->now_us();
	if (!direct->behind_since_us)
		direct->behind_since_us = now_us;
	return now_us - direct->behind_since_us < PUSH_PUBLISHERS_WAIT_US;
}

static void
reap(struct push_direct *direct)
{
	for (int i = 0; i < PUSH_DIRECT_SET_COUNT; i++)
		push_sources_reap(&direct->sets[i]);
}

size_t
push_direct_count(const struct push_direct *direct)
{
	size_t count = 0;

	for (int i = 0; i < PUSH_DIRECT_SET_COUNT; i++)
		count += direct->sets[i].live_count;
	return count - direct->probe_count - direct->door_count - direct->relay_sources;
}

void
push_direct_ready(struct push_direct *direct, enum push_direct_set set)
{
	static const int batches[] = {
		[PUSH_DIRECT_PUBLISHERS] = PUSH_PUBLISHERS_BATCH,
		[PUSH_DIRECT_ARRIVALS] = PUSH_ARRIVALS_BATCH,
		[PUSH_DIRECT_HANDSHAKES] = PUSH_HANDSHAKES_BATCH,
		[PUSH_DIRECT_STREAMS] = PUSH_STREAMS_BATCH,
	};

	push_sources_dispatch_for(&direct->sets[set], batches[set], direct->ops->now_us,
		set == PUSH_DIRECT_HANDSHAKES ? PUSH_HANDSHAKES_SLICE_US : PUSH_BATCH_SLICE_US);
	/* those who have waited long enough had one turn */
	if (set == PUSH_DIRECT_PUBLISHERS && direct->behind_since_us &&
		direct->ops->now_us() - direct->behind_since_us >= PUSH_PUBLISHERS_WAIT_US)
		direct->behind_since_us = 0;
	reap(direct);
}

static void
on_timer(struct push_timer *timer, uint64_t now_us)
{
	struct direct_timer *due = push_container_of(timer, struct direct_timer, timer);

	due->due(due, now_us);
}

/* What one slice of timers leaves is due still at the next tick. */
void
push_direct_tick(struct push_direct *direct)
{
	uint64_t now_us = direct->ops->now_us();

	(void)push_wheel_advance(&direct->wheel, now_us, PUSH_WHEEL_SLICE_TIMERS, on_timer);
	direct_probes_tick(direct, now_us);
	direct_doors_tick(direct, now_us);
	direct_handed_tick(direct);
	push_direct_flush(direct, true);
	direct_tls_tick(direct);
	reap(direct);
}
