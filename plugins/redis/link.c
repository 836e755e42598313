/* link.c - see link.h. */
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/push_assert.h"
#include "redis/link.h"
#include "redis/resp.h"
#include "redis/tls.h"

/* Kinds of awaited answers that the owner never sees. */
#define AWAITED_PING UINT32_MAX
#define AWAITED_TIME (UINT32_MAX - 1)

#define AWAITED_FIRST_CAPACITY 64

/* Greetings are told apart by how many are left. */
enum { GREETING_ROLE = 1, GREETING_NAME, GREETING_TIME };

static struct push_redis_link *
link_of(struct push_source *source)
{
	return push_container_of(source, struct push_redis_link, source);
}

void
push_redis_link_fail(struct push_redis_link *link, const char *why)
{
	if (link->failed)
		return;
	link->failed = true;
	snprintf(link->error, sizeof(link->error), "%s", why);
}

static void
fail_with(struct push_redis_link *link, const char *what, const char *text, size_t size)
{
	char why[PUSH_REDIS_ERROR_BYTES];

	snprintf(why, sizeof(why), "%s: %.*s", what, (int)(size < 200 ? size : 200), text);
	push_redis_link_fail(link, why);
}

static void
fail_with_errno(struct push_redis_link *link, const char *what, int error)
{
	fail_with(link, what, strerror(error), strlen(strerror(error)));
}

/* --- what is awaited --- */

static struct push_redis_awaited *
awaited_at(const struct push_redis_link *link, uint32_t index)
{
	return &link->awaited[(link->awaited_head + index) & (link->awaited_capacity - 1)];
}

static struct push_redis_awaited *
awaited_first(const struct push_redis_link *link)
{
	return link->awaited_count ? awaited_at(link, 0) : NULL;
}

static void
awaited_pop(struct push_redis_link *link)
{
	link->awaited_head++;
	link->awaited_count--;
}

static bool
awaited_grow(struct push_redis_link *link)
{
	uint32_t capacity = link->awaited_capacity ? link->awaited_capacity * 2 : AWAITED_FIRST_CAPACITY;
	struct push_redis_awaited *ring;

	if (capacity > PUSH_REDIS_AWAITED_MAX)
		return false;
	ring = malloc(capacity * sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < link->awaited_count; i++)
		ring[i] = *awaited_at(link, i);
	free(link->awaited);
	link->awaited = ring;
	link->awaited_head = 0;
	link->awaited_capacity = capacity;
	return true;
}

bool
push_redis_link_expect(struct push_redis_link *link, uint32_t kind, uint32_t count, void *context)
{
	if (link->awaited_count == link->awaited_capacity && !awaited_grow(link))
		return false;
	*awaited_at(link, link->awaited_count++) = (struct push_redis_awaited){context, kind, count};
	return true;
}

/* --- writing --- */

size_t
push_redis_link_backlog(const struct push_redis_link *link)
{
	return link->out.size + (link->redis ? sdslen(link->redis->obuf) : 0);
}

static void
fail_with_hiredis(struct push_redis_link *link)
{
	const char *verdict = link->tls ? push_redis_tls_verdict(link->tls) : NULL;

	if (verdict)
		fail_with(link, "its certificate is not accepted", verdict, strlen(verdict));
	else
		push_redis_link_fail(
			link, link->redis->errstr[0] ? link->redis->errstr : "the connection broke");
}

static void
want(struct push_redis_link *link)
{
	bool writes = link->state == PUSH_REDIS_CONNECTING ||
		      (link->state >= PUSH_REDIS_GREETING && sdslen(link->redis->obuf) > 0);

	if (!push_source_want(link->sources, &link->source, EPOLLIN | (writes ? EPOLLOUT : 0u)))
		fail_with_errno(link, "epoll", errno);
}

void
push_redis_link_flush(struct push_redis_link *link)
{
	int done = 0;

	if (!link->redis || link->failed || link->state < PUSH_REDIS_GREETING)
		return;
	if (link->out.status != PUSH_OK) {
		push_redis_link_fail(link, "out of memory");
		return;
	}
	if (link->out.size &&
		redisAppendFormattedCommand(link->redis, link->out.bytes, link->out.size) != REDIS_OK) {
		push_redis_link_fail(link, "out of memory");
		return;
	}
	push_buf_clear(&link->out);
	if (sdslen(link->redis->obuf) && redisBufferWrite(link->redis, &done) != REDIS_OK) {
		fail_with_hiredis(link);
		return;
	}
	want(link);
}

/* --- the server's clock --- */

static bool
needs_time(const struct push_redis_link *link)
{
	return link->role == PUSH_REDIS_COMMANDS && link->settings->needs_time;
}

static void
append_time(struct push_redis_link *link)
{
	push_resp_command(&link->out, 1);
	push_resp_text(&link->out, "TIME");
	link->is_asking_time = true;
	link->time_asked_us = link->settings->now_us;
}

/* Seconds and microseconds, each a string. */
static void
on_time_item(struct push_redis_link *link, const struct push_redis_place *place,
	const struct push_redis_reply *item)
{
	uint64_t number;

	if (place->depth != 1 || item->type != PUSH_REDIS_STRING ||
		!push_server_clock_read(item->text, item->size, &number))
		return;
	if (place->index[0] == 0)
		link->time_s = number;
	else if (place->index[0] == 1)
		push_server_clock_learn(&link->clock, link->time_asked_us, link->settings->now_us,
			link->time_s * 1000000 + number);
}

/* A right may be taken away later.  A server that is busy with a script refuses all but a few commands. */
static void
on_time_answer(struct push_redis_link *link, const struct push_redis_reply *reply)
{
	link->is_asking_time = false;
	if (reply->type != PUSH_REDIS_ERROR || push_redis_is_error(reply, "BUSY"))
		return;
	link->is_time_refused = true;
	link->clock.is_known = false;
}

void
push_redis_link_learn_time(struct push_redis_link *link, uint64_t sent_us, const char *text, size_t size)
{
	const char *second = size ? memchr(text + 1, ' ', size - 1) : NULL;
	uint64_t seconds, microseconds;

	if (!second || !push_server_clock_read(text + 1, (size_t)(second - text) - 1, &seconds) ||
		!push_server_clock_read(second + 1, (size_t)(text + size - second) - 1, &microseconds))
		return;
	push_server_clock_learn(
		&link->clock, sent_us, link->settings->now_us, seconds * 1000000 + microseconds);
}

uint64_t
push_redis_link_deadline_ms(const struct push_redis_link *link, uint64_t patience_us)
{
	return push_server_clock_ms(&link->clock, link->settings->now_us + patience_us);
}

/* --- the greeting --- */

static void
greet(struct push_redis_link *link)
{
	const struct push_redis_settings *settings = link->settings;

	link->state = PUSH_REDIS_GREETING;
	if (settings->password[0]) {
		push_resp_command(&link->out, settings->user[0] ? 3 : 2);
		push_resp_text(&link->out, "AUTH");
		if (settings->user[0])
			push_resp_text(&link->out, settings->user);
		push_resp_text(&link->out, settings->password);
		link->greetings_left++;
	}
	if (settings->database) {
		push_resp_command(&link->out, 2);
		push_resp_text(&link->out, "SELECT");
		push_resp_number(&link->out, settings->database);
		link->greetings_left++;
	}
	if (needs_time(link)) {
		append_time(link);
		link->greetings_left++;
	}
	push_resp_command(&link->out, 3);
	push_resp_text(&link->out, "CLIENT");
	push_resp_text(&link->out, "SETNAME");
	push_resp_text(&link->out, settings->name);
	link->greetings_left++;
	push_resp_command(&link->out, 1);
	push_resp_text(&link->out, settings->must_be_master ? "ROLE" : "PING");
	link->greetings_left++;
	push_redis_link_flush(link);
}

/* CLIENT SETNAME and TIME may be forbidden; nothing else may fail. */
static void
on_greeting(struct push_redis_link *link, const struct push_redis_reply *reply)
{
	bool is_last = link->greetings_left == GREETING_ROLE;
	bool is_name = link->greetings_left == GREETING_NAME;
	bool is_time = link->greetings_left == GREETING_TIME && link->is_asking_time;

	link->greetings_left--;
	if (is_time)
		on_time_answer(link, reply);
	if (reply->type == PUSH_REDIS_ERROR && !is_name && !is_time)
		fail_with(link, "it refused the connection", reply->text, reply->size);
	if (!is_last || link->failed)
		return;
	link->state = PUSH_REDIS_UP;
	link->owner->up(link->context, link->settings->now_us);
}

/* The first element of ROLE's answer: master, slave or sentinel. */
static void
on_greeting_item(struct push_redis_link *link, const struct push_redis_place *place,
	const struct push_redis_reply *item)
{
	if (link->greetings_left == GREETING_TIME && link->is_asking_time) {
		on_time_item(link, place, item);
		return;
	}
	if (place->depth != 1 || place->index[0] || link->greetings_left != GREETING_ROLE ||
		!link->settings->must_be_master)
		return;
	if (item->type != PUSH_REDIS_STRING || item->size != 6 || memcmp(item->text, "master", 6))
		fail_with(link, "it is not a master but a", item->text ? item->text : "?",
			item->text ? item->size : 1);
}

/* --- what comes in --- */

static bool
is_text(const struct push_redis_reply *reply, const char *text)
{
	return reply->type == PUSH_REDIS_STRING && reply->size == strlen(text) &&
	       !memcmp(reply->text, text, reply->size);
}

static enum push_redis_push_kind
push_kind_of(const struct push_redis_reply *item)
{
	if (is_text(item, "message") || is_text(item, "smessage"))
		return PUSH_REDIS_MESSAGE;
	if (is_text(item, "subscribe") || is_text(item, "ssubscribe"))
		return PUSH_REDIS_SUBSCRIBED;
	if (is_text(item, "unsubscribe") || is_text(item, "sunsubscribe"))
		return PUSH_REDIS_UNSUBSCRIBED;
	return is_text(item, "pong") ? PUSH_REDIS_PONG : PUSH_REDIS_NO_PUSH;
}

/* The reader gives its buffer away before the next element may come. */
static void
keep_channel(struct push_redis_link *link, const struct push_redis_reply *item)
{
	link->channel_size = 0;
	if (item->type != PUSH_REDIS_STRING || item->size > PUSH_REDIS_CHANNEL_BYTES_MAX) {
		link->push_kind = PUSH_REDIS_NO_PUSH;
		return;
	}
	if (item->size > link->channel_capacity) {
		char *channel = realloc(link->channel, item->size);

		if (!channel) {
			push_redis_link_fail(link, "out of memory");
			link->push_kind = PUSH_REDIS_NO_PUSH;
			return;
		}
		link->channel = channel;
		link->channel_capacity = item->size;
	}
	if (item->size)
		memcpy(link->channel, item->text, item->size);
	link->channel_size = item->size;
}

/* Counts down what a SUBSCRIBE or UNSUBSCRIBE waits for. */
static void
count_confirmation(struct push_redis_link *link)
{
	struct push_redis_awaited *first = awaited_first(link);

	if (first && first->kind != AWAITED_PING && first->count && --first->count == 0)
		awaited_pop(link);
}

static void
on_push_item(struct push_redis_link *link, unsigned int index, const struct push_redis_reply *item)
{
	uint64_t now_us = link->settings->now_us;

	if (index == 0) {
		link->push_kind = push_kind_of(item);
		return;
	}
	if (index == 1) {
		keep_channel(link, item);
		return;
	}
	if (index != 2)
		return;
	switch (link->push_kind) {
	case PUSH_REDIS_MESSAGE:
		if (item->type == PUSH_REDIS_STRING)
			link->owner->message(link->context, link->channel, link->channel_size, item->text,
				item->size, now_us);
		break;
	case PUSH_REDIS_SUBSCRIBED:
		count_confirmation(link);
		link->owner->subscribed(link->context, true, link->channel, link->channel_size, now_us);
		break;
	case PUSH_REDIS_UNSUBSCRIBED:
		link->owner->subscribed(link->context, false, link->channel, link->channel_size, now_us);
		break;
	default: break;
	}
}

static void
on_item(void *context, const struct push_redis_place *place, const struct push_redis_reply *item)
{
	struct push_redis_link *link = context;
	const struct push_redis_awaited *first = awaited_first(link);

	if (link->failed)
		return;
	if (link->state == PUSH_REDIS_GREETING)
		on_greeting_item(link, place, item);
	else if (link->role == PUSH_REDIS_SUBSCRIPTIONS)
		on_push_item(link, place->depth == 1 ? place->index[0] : UINT_MAX, item);
	else if (first && first->kind == AWAITED_TIME)
		on_time_item(link, place, item);
	else if (first && first->kind != AWAITED_PING)
		link->owner->item(link->context, first, place, item);
}

/* A subscription link is answered with items; what is whole is an error, or the end of a PING. */
static void
on_subscription_reply(struct push_redis_link *link, const struct push_redis_reply *reply)
{
	struct push_redis_awaited *first = awaited_first(link), awaited;
	bool is_pong = reply->type == PUSH_REDIS_STRING ||
		       (reply->type == PUSH_REDIS_ARRAY && link->push_kind == PUSH_REDIS_PONG);

	if (is_pong || reply->type == PUSH_REDIS_ARRAY) {
		if (is_pong && first && first->kind == AWAITED_PING)
			awaited_pop(link);
		return;
	}
	if (!first || reply->type != PUSH_REDIS_ERROR)
		return;
	awaited = *first;
	awaited_pop(link);
	if (awaited.kind != AWAITED_PING)
		link->owner->answer(link->context, &awaited, reply, link->settings->now_us);
}

static void
on_reply(void *context, const struct push_redis_reply *reply)
{
	struct push_redis_link *link = context;
	struct push_redis_awaited awaited;

	if (link->failed)
		return;
	if (link->state == PUSH_REDIS_GREETING) {
		on_greeting(link, reply);
		return;
	}
	if (link->role == PUSH_REDIS_SUBSCRIPTIONS) {
		on_subscription_reply(link, reply);
		return;
	}
	if (!link->awaited_count) {
		push_redis_link_fail(link, "it sent an unexpected answer");
		return;
	}
	awaited = *awaited_first(link);
	awaited_pop(link);
	if (awaited.kind == AWAITED_TIME)
		on_time_answer(link, reply);
	else if (awaited.kind != AWAITED_PING)
		link->owner->answer(link->context, &awaited, reply, link->settings->now_us);
}

/* One read of hiredis', of 16 KB at most.  Returns whether there may be more. */
static bool
read_once(struct push_redis_link *link)
{
	redisReader *reader = link->redis->reader;
	size_t before = reader->len;

	if (redisBufferRead(link->redis) != REDIS_OK) {
		fail_with_hiredis(link);
		return false;
	}
	if (reader->len == before)
		return false;
	link->heard_us = link->settings->now_us;
	link->pinged_us = 0;
	while (!link->failed && push_redis_reader_next(&link->reader))
		continue;
	if (reader->err)
		fail_with(link, "it does not speak Redis' protocol", reader->errstr, strlen(reader->errstr));
	else if (reader->len - reader->pos > PUSH_REDIS_ANSWER_BYTES_MAX)
		push_redis_link_fail(link, "an answer is too large");
	return !link->failed;
}

static void
read_all(struct push_redis_link *link)
{
	for (int i = 0; i < PUSH_REDIS_READS_MAX; i++)
		if (link->owner->is_behind(link->context) || !read_once(link))
			return;
}

/* --- connecting --- */

static void
begin_tls_or_greet(struct push_redis_link *link)
{
	if (!link->tls) {
		greet(link);
		return;
	}
	link->state = PUSH_REDIS_TLS;
	if (redisInitiateSSL(link->redis, link->tls) != REDIS_OK)
		fail_with_hiredis(link);
}

static void
on_connected(struct push_redis_link *link)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(link->source.fd, SOL_SOCKET, SO_ERROR, &error, &size))
		error = errno;
	if (error) {
		fail_with_errno(link, "connect", error);
		return;
	}
	begin_tls_or_greet(link);
}

static void
link_ready(struct push_source *source, uint32_t events)
{
	struct push_redis_link *link = link_of(source);

	if (link->failed)
		return;
	if (link->state == PUSH_REDIS_CONNECTING) {
		on_connected(link);
	} else if (link->state == PUSH_REDIS_TLS) {
		/* reading goes on with the handshake, and finds nothing to read behind it */
		(void)read_once(link);
		if (!link->failed && push_redis_tls_is_done(link->tls))
			greet(link);
	} else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		read_all(link);
	}
	if (!link->failed && (events & EPOLLOUT))
		push_redis_link_flush(link);
	if (!link->failed)
		want(link);
}

/* The link itself is its owner's. */
static void
link_destroy(struct push_source *source)
{
	(void)source;
}

static const struct push_source_kind link_kind = {link_ready, link_destroy};

static redisContext *
context_of(int fd)
{
	redisOptions options = {0};

	options.type = REDIS_CONN_USERFD;
	options.options = REDIS_OPT_NONBLOCK;
	options.endpoint.fd = fd;
	return redisConnectWithOptions(&options);
}

static int
connect_to(const struct sockaddr *address, socklen_t size)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -1;
	if (address->sa_family != AF_UNIX) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}
	if (connect(fd, address, size) && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

void
push_redis_link_open(struct push_redis_link *link, const struct sockaddr *address, socklen_t address_size,
	const char *host, uint64_t now_us)
{
	int fd;

	PUSH_ASSERT(link->state == PUSH_REDIS_CLOSED && !link->redis);
	link->state = PUSH_REDIS_CONNECTING;
	link->failed = false;
	link->opened_us = link->heard_us = link->ticked_us = now_us;
	link->pinged_us = 0;
	link->clock.is_known = link->is_asking_time = link->is_time_refused = false;
	link->greetings_left = 0;
	link->push_kind = PUSH_REDIS_NO_PUSH;
	fd = connect_to(address, address_size);
	if (fd < 0) {
		fail_with_errno(link, "connect", errno);
		return;
	}
	push_source_open(link->sources, &link->source, &link_kind, fd);
	link->redis = context_of(fd);
	if (!link->redis || link->redis->err) {
		push_redis_link_fail(link, "out of memory");
		return;
	}
	push_redis_reader_attach(&link->reader, link->redis->reader);
	if (link->settings->tls) {
		link->tls = push_redis_tls_create(link->settings->tls, host);
		if (!link->tls) {
			push_redis_link_fail(link, "out of memory");
			return;
		}
	}
	want(link);
}

void
push_redis_link_init(struct push_redis_link *link, enum push_redis_role role, struct push_sources *sources,
	const struct push_redis_settings *settings, const struct push_redis_link_owner *owner, void *context)
{
	*link = (struct push_redis_link){
		.role = role, .sources = sources, .settings = settings, .owner = owner, .context = context};
	link->source.fd = -1;
	link->reader.item = on_item;
	link->reader.reply = on_reply;
	link->reader.context = link;
	push_buf_init(&link->out, PUSH_REDIS_OUT_BYTES_MAX * 2);
}

/* hiredis frees the SSL that it was given; before TLS has begun it is ours still. */
static void
free_redis(struct push_redis_link *link)
{
	bool is_given = link->redis && link->redis->privctx;

	if (link->tls && !is_given)
		push_redis_tls_destroy(link->tls);
	link->tls = NULL;
	if (link->redis)
		(void)redisFreeKeepFd(link->redis);
	link->redis = NULL;
}

/* The source's fd is the one that epoll knows; in `closed` until the turn's end, which is before the link can
 * be opened again or freed. */
static void
close_link(struct push_redis_link *link)
{
	free_redis(link);
	push_source_close(link->sources, &link->source);
	push_sources_reap(link->sources);
	push_buf_clear(&link->out);
	link->state = PUSH_REDIS_CLOSED;
}

void
push_redis_link_settle(struct push_redis_link *link, uint64_t now_us)
{
	if (!link->failed)
		return;
	link->failed = false;
	/* or the kernel sends what is left when the network is mended: publishes that were reported as lost
	 */
	push_source_abort(&link->source);
	close_link(link);
	while (link->awaited_count) {
		struct push_redis_awaited awaited = *awaited_first(link);

		awaited_pop(link);
		if (awaited.kind != AWAITED_PING && awaited.kind != AWAITED_TIME)
			link->owner->lost(link->context, &awaited, now_us);
	}
	link->owner->down(link->context, link->error, now_us);
}

void
push_redis_link_fini(struct push_redis_link *link)
{
	close_link(link);
	free(link->awaited);
	free(link->channel);
	push_buf_fini(&link->out);
}

/* TIME, which is answered as PING is, or PING where only whether it lives is asked. */
static void
ask(struct push_redis_link *link, uint64_t now_us)
{
	uint64_t pause_us = link->settings->timeout_us / 3;
	bool is_silent = !link->pinged_us && now_us >= link->heard_us + pause_us;
	bool is_time = needs_time(link) && !link->is_asking_time && !link->is_time_refused &&
		       now_us >= link->time_asked_us + pause_us;

	if (!is_silent && !is_time)
		return;
	if (!push_redis_link_expect(link, is_time ? AWAITED_TIME : AWAITED_PING, 0, NULL)) {
		push_redis_link_fail(link, "out of memory");
		return;
	}
	if (is_time) {
		append_time(link);
	} else {
		push_resp_command(&link->out, 1);
		push_resp_text(&link->out, "PING");
	}
	if (!link->pinged_us)
		link->pinged_us = now_us;
	push_redis_link_flush(link);
}

void
push_redis_link_tick(struct push_redis_link *link, uint64_t now_us)
{
	uint64_t timeout_us = link->settings->timeout_us, late_us = now_us - link->ticked_us;

	link->ticked_us = now_us;
	if (link->state == PUSH_REDIS_CLOSED || link->failed)
		return;
	/* we were stopped ourselves, and what it said may wait to be read */
	if (late_us > timeout_us / 2)
		link->heard_us += late_us;
	if (link->state != PUSH_REDIS_UP) {
		if (now_us - link->opened_us > timeout_us)
			push_redis_link_fail(link, "no answer within push.redis.timeout");
		return;
	}
	if (link->pinged_us && now_us > link->heard_us && now_us - link->heard_us > timeout_us) {
		push_redis_link_fail(link, "silent for longer than push.redis.timeout");
		return;
	}
	ask(link, now_us);
}
