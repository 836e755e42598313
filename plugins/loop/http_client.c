/*
 * http_client.c - see http_client.h.
 *
 * A call is in one list of its origin, by its state: WAITING in `waiting`, FINISHED in the client's `finished`,
 * from which `done` is called when the turn's work is over, any other in `under_way`.  So nothing that a caller
 * does in `done` meets a list that is being walked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "loop/http_client.h"
#include "loop/http_link.h"
#include "loop/limits.h"
#include "loop/resolve.h"
#include "loop/source.h"
#include "loop/tls.h"

#define WHY_BYTES 128

struct push_http_client {
	struct push_sources sources;
	struct push_resolver *resolver;
	struct push_source resolver_source;
	struct ssl_ctx_st *tls; /* NULL: no https */
	struct push_list origins, finished;
	uint64_t now_us, last_token;
};

struct push_http_origin {
	struct push_http_client *client;
	struct push_list node;
	struct push_http_url url;
	struct push_http_limits limits;
	struct push_list waiting, under_way, idle; /* idle: links, the one used last at the end */
	unsigned int waiting_count, under_way_count, idle_count;
	struct sockaddr_storage addresses[PUSH_HTTP_ADDRESSES_MAX];
	size_t address_count,
		first;        /* first: to be tried, since it has served last; taken modulo the count */
	uint64_t resolved_us; /* 0: not */
	uint64_t token;       /* of the lookup under way; 0: none */
};

enum call_state {
	CALL_WAITING,
	CALL_RESOLVING,
	CALL_CONNECTING, /* or connected: the link knows */
	CALL_FINISHED,
};

struct push_http_call {
	struct push_http_origin *origin;
	struct push_list node;
	enum call_state state;
	bool is_repeatable; /* still */
	struct push_http_link *link;
	size_t address, tried; /* the one of the origin's that is tried, and how many have been */
	uint64_t deadline_us, connect_by_us;
	struct push_buf request;
	struct push_http_answer answer;
	enum push_status status;
	char why[WHY_BYTES];
	push_http_done_fn done;
	void *context;
};

/* --- the end of a call --- */

static void
free_call(struct push_http_call *call)
{
	push_list_remove(&call->node);
	push_http_answer_fini(&call->answer);
	if (call->request.bytes) /* cookies, tokens */
		explicit_bzero(call->request.bytes, call->request.size);
	push_buf_fini(&call->request);
	free(call);
}

static void
leave_list(struct push_http_call *call)
{
	push_list_remove(&call->node);
	if (call->state == CALL_WAITING)
		call->origin->waiting_count--;
	else if (call->state != CALL_FINISHED)
		call->origin->under_way_count--;
}

static void
drop_link(struct push_http_call *call)
{
	if (call->link)
		push_http_link_close(call->link);
	call->link = NULL;
}

static void
finish(struct push_http_call *call, enum push_status status, const char *why)
{
	PUSH_ASSERT(call->state != CALL_FINISHED);
	drop_link(call);
	leave_list(call);
	call->state = CALL_FINISHED;
	call->status = status;
	snprintf(call->why, sizeof(call->why), "%s", why);
	push_list_append(&call->origin->client->finished, &call->node);
}

static void
report(struct push_http_call *call)
{
	const struct push_http_answer *answer = &call->answer;
	struct push_http_result result = {.status = call->status,
		.error = call->why,
		.now_us = call->origin->client->now_us,
		.cache_control = "",
		.content_type = "",
		.age = ""};

	if (call->status == PUSH_OK || call->status == PUSH_TOO_LARGE)
		result.http_status = answer->status;
	if (call->status == PUSH_OK) {
		result.body =
			(struct push_str){answer->body.size ? answer->body.bytes : "", answer->body.size};
		result.cache_control = answer->cache_control.text;
		result.is_cache_control_long = answer->cache_control.is_long;
		result.content_type = answer->content_type.text;
		result.age = answer->age.text;
		result.retry_after_s = push_http_retry_after_s(answer->retry_after.text);
	}
	call->done(call->context, &result);
	free_call(call);
}

/* What is begun meanwhile ends in a later turn, so that whoever tries again at once does not do so for ever. */
static void
report_finished(struct push_http_client *client)
{
	struct push_list finished;

	push_list_init(&finished);
	push_list_splice(&finished, &client->finished);
	while (!push_list_is_empty(&finished)) {
		struct push_http_call *call = push_container_of(finished.next, struct push_http_call, node);

		push_list_remove(&call->node);
		report(call);
	}
}

/* --- the way of a call --- */

static void
on_link_ended(struct push_http_link *link, enum push_http_link_end end, const char *why);

static void
use_link(struct push_http_call *call, struct push_http_link *link)
{
	link->owner = call;
	call->link = link;
	call->state = CALL_CONNECTING;
	push_http_link_begin(link, (struct push_str){call->request.bytes, call->request.size}, &call->answer);
}

/* The first of the addresses that have not been tried and can be: they share the time that is left. */
static void
connect_next(struct push_http_call *call, const char *why)
{
	struct push_http_origin *origin = call->origin;
	struct push_http_client *client = origin->client;

	while (call->tried < origin->address_count) {
		size_t left = origin->address_count - call->tried;
		uint64_t time_us =
			call->deadline_us > client->now_us ? call->deadline_us - client->now_us : 0;
		struct push_http_link *link;

		call->address = (call->tried ? call->address + 1 : origin->first) % origin->address_count;
		call->tried++;
		link = push_http_link_open(&client->sources, &origin->addresses[call->address],
			origin->url.is_tls ? client->tls : NULL, origin->url.host, on_link_ended);
		if (link) {
			time_us /= left;
			call->connect_by_us =
				client->now_us +
				(time_us > PUSH_HTTP_CONNECT_US_MIN ? time_us : PUSH_HTTP_CONNECT_US_MIN);
			use_link(call, link);
			return;
		}
		why = strerror(errno);
	}
	origin->resolved_us = 0;
	finish(call, PUSH_UNAVAILABLE, why);
}

/* Over a new connection. */
static void
begin_anew(struct push_http_call *call)
{
	struct push_http_origin *origin = call->origin;
	struct push_http_client *client = origin->client;

	call->tried = 0;
	if (origin->resolved_us && client->now_us - origin->resolved_us < PUSH_HTTP_ADDRESS_US) {
		connect_next(call, "");
		return;
	}
	call->state = CALL_RESOLVING;
	if (origin->token)
		return;
	if (push_resolver_start(client->resolver, origin->url.host, origin->url.port, client->last_token + 1))
		origin->token = ++client->last_token;
	else
		finish(call, PUSH_UNAVAILABLE, "the name cannot be resolved now");
}

static void
begin(struct push_http_call *call)
{
	struct push_http_origin *origin = call->origin;
	struct push_http_link *link;

	push_list_append(&origin->under_way, &call->node);
	origin->under_way_count++;
	call->state = CALL_RESOLVING;
	if (push_list_is_empty(&origin->idle)) {
		begin_anew(call);
		return;
	}
	link = push_container_of(origin->idle.prev, struct push_http_link, node);
	push_list_remove(&link->node);
	origin->idle_count--;
	use_link(call, link);
}

static void
begin_waiting(struct push_http_origin *origin)
{
	while (origin->under_way_count < origin->limits.calls_max && !push_list_is_empty(&origin->waiting)) {
		struct push_http_call *call =
			push_container_of(origin->waiting.next, struct push_http_call, node);

		leave_list(call);
		begin(call);
	}
}

static void
keep(struct push_http_origin *origin, struct push_http_link *link)
{
	if (link->source.fd < 0)
		return;
	if (origin->idle_count >= origin->limits.idle_max) {
		push_http_link_close(link);
		return;
	}
	link->owner = origin;
	link->idle_since_us = origin->client->now_us;
	push_list_append(&origin->idle, &link->node);
	origin->idle_count++;
}

/* An idle connection that the server had closed already. */
static bool
is_stale(const struct push_http_call *call, const struct push_http_link *link)
{
	return link->is_reused && call->is_repeatable && !push_http_answer_has_begun(&call->answer);
}

static void
on_link_lost(struct push_http_call *call, const struct push_http_link *link, const char *why)
{
	if (!is_stale(call, link)) {
		finish(call, PUSH_UNAVAILABLE, why);
		return;
	}
	call->is_repeatable = false;
	begin_anew(call);
}

static void
on_link_ended(struct push_http_link *link, enum push_http_link_end end, const char *why)
{
	struct push_http_call *call = link->owner;
	struct push_http_origin *origin;

	if (link->state == PUSH_HTTP_LINK_IDLE && end != PUSH_HTTP_LINK_ANSWERED) {
		origin = link->owner;
		push_list_remove(&link->node);
		origin->idle_count--;
		return;
	}
	origin = call->origin;
	call->link = NULL;
	switch (end) {
	case PUSH_HTTP_LINK_ANSWERED:
		if (!link->is_reused)
			origin->first = call->address;
		keep(origin, link);
		finish(call, PUSH_OK, "");
		break;
	case PUSH_HTTP_LINK_NOT_CONNECTED: connect_next(call, why); break;
	case PUSH_HTTP_LINK_LOST: on_link_lost(call, link, why); break;
	case PUSH_HTTP_LINK_BAD: finish(call, PUSH_INVALID, "the answer is not HTTP/1.1"); break;
	case PUSH_HTTP_LINK_TOO_LARGE: finish(call, PUSH_TOO_LARGE, "the answer is too large"); break;
	case PUSH_HTTP_LINK_NO_MEMORY: finish(call, PUSH_OUT_OF_MEMORY, "out of memory"); break;
	}
}

static void
on_resolved(void *context, uint64_t token, enum push_status status, const struct sockaddr_storage *addresses,
	size_t count, const char *error)
{
	struct push_http_client *client = context;

	for (struct push_list *at = client->origins.next; at != &client->origins; at = at->next) {
		struct push_http_origin *origin = push_container_of(at, struct push_http_origin, node);
		struct push_list *next;

		if (origin->token != token)
			continue;
		origin->token = 0;
		origin->first = 0;
		origin->address_count = count < PUSH_HTTP_ADDRESSES_MAX ? count : PUSH_HTTP_ADDRESSES_MAX;
		memcpy(origin->addresses, addresses, origin->address_count * sizeof(*addresses));
		origin->resolved_us = status == PUSH_OK && count ? client->now_us : 0;
		for (struct push_list *each = origin->under_way.next; each != &origin->under_way;
			each = next) {
			struct push_http_call *call = push_container_of(each, struct push_http_call, node);

			next = each->next;
			if (call->state == CALL_RESOLVING && origin->resolved_us)
				connect_next(call, "");
			else if (call->state == CALL_RESOLVING)
				finish(call, PUSH_UNAVAILABLE, *error ? error : "the name has no address");
		}
		return;
	}
}

/* --- time --- */

static const char *
describe_delay(const struct push_http_call *call)
{
	if (call->state == CALL_WAITING)
		return "too many calls are under way";
	if (call->state == CALL_RESOLVING)
		return "the name is not resolved in time";
	return call->link->state < PUSH_HTTP_LINK_EXCHANGING ? "no connection in time" : "no answer in time";
}

/* Of one list. */
static void
end_late(struct push_list *calls, uint64_t now_us)
{
	struct push_list *next;

	for (struct push_list *at = calls->next; at != calls; at = next) {
		struct push_http_call *call = push_container_of(at, struct push_http_call, node);
		bool is_connecting =
			call->state == CALL_CONNECTING && call->link->state < PUSH_HTTP_LINK_EXCHANGING;

		next = at->next;
		if (now_us >= call->deadline_us) {
			/* this address may be the reason */
			if (is_connecting)
				call->origin->first = call->address + 1;
			finish(call, PUSH_UNAVAILABLE, describe_delay(call));
		} else if (is_connecting && now_us >= call->connect_by_us &&
			   call->tried < call->origin->address_count) {
			drop_link(call);
			connect_next(call, "no connection in time");
		}
	}
}

static void
close_idle(struct push_http_origin *origin)
{
	while (!push_list_is_empty(&origin->idle)) {
		struct push_http_link *link =
			push_container_of(origin->idle.next, struct push_http_link, node);

		if (origin->client->now_us - link->idle_since_us < PUSH_HTTP_IDLE_US)
			return;
		push_list_remove(&link->node);
		origin->idle_count--;
		push_http_link_close(link);
	}
}

/* What has ended made room, and `done` may have asked for more. */
static void
settle(struct push_http_client *client)
{
	report_finished(client);
	for (struct push_list *at = client->origins.next; at != &client->origins; at = at->next)
		begin_waiting(push_container_of(at, struct push_http_origin, node));
	push_sources_reap(&client->sources);
}

void
push_http_client_ready(struct push_http_client *client, uint64_t now_us)
{
	client->now_us = now_us;
	push_sources_dispatch(&client->sources, PUSH_EVENTS_BATCH_MAX);
	settle(client);
}

void
push_http_client_tick(struct push_http_client *client, uint64_t now_us)
{
	client->now_us = now_us;
	for (struct push_list *at = client->origins.next; at != &client->origins; at = at->next) {
		struct push_http_origin *origin = push_container_of(at, struct push_http_origin, node);

		end_late(&origin->under_way, now_us);
		end_late(&origin->waiting, now_us);
		close_idle(origin);
	}
	settle(client);
}

/* --- calls --- */

enum push_status
push_http_call(struct push_http_origin *origin, const struct push_http_ask *ask, uint64_t now_us,
	struct push_http_call **ret_call)
{
	bool has_room = origin->under_way_count < origin->limits.calls_max && !origin->waiting_count;
	struct push_http_call *call;
	enum push_status status;

	if (!has_room && origin->waiting_count >= origin->limits.waiting_max)
		return PUSH_TOO_MANY;
	call = calloc(1, sizeof(*call));
	if (!call)
		return PUSH_OUT_OF_MEMORY;
	call->origin = origin;
	call->is_repeatable = ask->is_repeatable;
	call->deadline_us = ask->deadline_us;
	call->done = ask->done;
	call->context = ask->context;
	push_list_init(&call->node);
	push_buf_init(&call->request, PUSH_HTTP_REQUEST_BYTES_MAX);
	push_http_answer_init(&call->answer, ask->body_max);
	status = push_http_request_write(&call->request, &ask->request, !origin->limits.idle_max);
	if (status != PUSH_OK) {
		free_call(call);
		return status;
	}
	origin->client->now_us = now_us;
	if (ret_call)
		*ret_call = call;
	if (has_room) {
		begin(call);
		return PUSH_OK;
	}
	call->state = CALL_WAITING;
	push_list_append(&origin->waiting, &call->node);
	origin->waiting_count++;
	return PUSH_OK;
}

void
push_http_call_cancel(struct push_http_call *call)
{
	drop_link(call);
	leave_list(call);
	free_call(call);
}

void
push_http_origin_count(
	const struct push_http_origin *origin, unsigned int *ret_under_way, unsigned int *ret_waiting)
{
	*ret_under_way = origin->under_way_count;
	*ret_waiting = origin->waiting_count;
}

/* --- its life --- */

static void
on_lookup(struct push_source *source, uint32_t events)
{
	struct push_http_client *client = push_container_of(source, struct push_http_client, resolver_source);

	(void)events;
	push_resolver_ready(client->resolver);
}

/* The memory is the client's. */
static void
on_lookups_closed(struct push_source *source)
{
	(void)source;
}

static const struct push_source_kind resolver_kind = {on_lookup, on_lookups_closed};

static bool
watch_resolver(struct push_http_client *client)
{
	int fd;

	client->resolver = push_resolver_create(on_resolved, client);
	if (!client->resolver)
		return false;
	/* a second number, since a source closes what it is given */
	fd = fcntl(push_resolver_fd(client->resolver), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return false;
	push_source_open(&client->sources, &client->resolver_source, &resolver_kind, fd);
	return push_source_want(&client->sources, &client->resolver_source, EPOLLIN);
}

struct push_http_client *
push_http_client_create(void)
{
	struct push_http_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	push_list_init(&client->origins);
	push_list_init(&client->finished);
	if (push_sources_init(&client->sources) && watch_resolver(client))
		return client;
	push_http_client_destroy(client);
	return NULL;
}

enum push_status
push_http_client_trust(
	struct push_http_client *client, const char *name, const char *ca_file, struct push_error *error)
{
	const char *why;

	PUSH_ASSERT(!client->tls);
	client->tls = push_tls_context_create(ca_file, &why);
	if (client->tls)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "%s=%.*s: %s", name, PUSH_ERROR_QUOTE_BYTES_MAX, ca_file,
		why);
	return PUSH_INVALID;
}

struct push_http_origin *
push_http_client_add(struct push_http_client *client, const struct push_http_url *url,
	const struct push_http_limits *limits)
{
	struct push_http_origin *origin = calloc(1, sizeof(*origin));

	PUSH_ASSERT(!url->is_tls || client->tls);
	PUSH_ASSERT(limits->calls_max > 0);
	if (!origin)
		return NULL;
	origin->client = client;
	origin->url = *url;
	origin->limits = *limits;
	push_list_init(&origin->waiting);
	push_list_init(&origin->under_way);
	push_list_init(&origin->idle);
	push_list_append(&client->origins, &origin->node);
	return origin;
}

static void
end_all(struct push_list *calls)
{
	while (!push_list_is_empty(calls))
		finish(push_container_of(calls->next, struct push_http_call, node), PUSH_CLOSED,
			"the server is ending");
}

static void
free_origin(struct push_http_origin *origin)
{
	while (!push_list_is_empty(&origin->idle))
		push_list_remove(origin->idle.next);
	push_list_remove(&origin->node);
	free(origin);
}

void
push_http_client_destroy(struct push_http_client *client)
{
	if (!client)
		return;
	for (struct push_list *at = client->origins.next; at != &client->origins; at = at->next) {
		struct push_http_origin *origin = push_container_of(at, struct push_http_origin, node);

		origin->limits = (struct push_http_limits){.calls_max = 0}; /* no new ones */
		end_all(&origin->under_way);
		end_all(&origin->waiting);
	}
	report_finished(client);
	while (!push_list_is_empty(&client->origins))
		free_origin(push_container_of(client->origins.next, struct push_http_origin, node));
	push_sources_fini(&client->sources);
	push_resolver_destroy(client->resolver);
	push_tls_context_destroy(client->tls);
	free(client);
}

int
push_http_client_fd(const struct push_http_client *client)
{
	return client->sources.epoll_fd;
}
