/*
 * notices.c - notices to all Push nodes behind the same Redis (broker/engine.h, notify).
 *
 *   ZREMRANGEBYSCORE push:notices -inf MS      those that are over
 *   ZADD push:notices MS 'ID text'             ─▶  remembered until MS, by Redis' clock
 *   ZREMRANGEBYRANK push:notices 0 -100001     past PUSH_NOTICES_MAX, those that would be over first
 *   PUBLISH 1E push:notices 'ID text'          ─▶  those who are there
 *
 * All are sent in one write.  A node reads the set when Redis has confirmed its subscription: what was put
 * before then is in the set, what comes later is published to it.
 *
 *   SUBSCRIBE ─▶ confirmed ─▶ ZREVRANGE 0 999 ─▶ ZREVRANGE 1000 1999 ─▶ ... ─▶ a page that is not full
 *
 * Pages are counted from the end that comes last, since notices leave at the other one: none is skipped, and one
 * that was put meanwhile only moves others to where they come again.  Each notice has a random id, so that what is read
 * again after a loss, and what comes back to its sender, is handed on once.
 *
 * In a cluster the set lies in the channel's slot.  What Redis loses (it has no replica or no file yet when it
 * ends) is lost to nodes that start later; those that are there have it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/push_assert.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

#define CHANNEL "\x1epush:notices"

/* `0123456789abcdef ` */
#define ID_DIGITS  16
#define HEAD_BYTES (ID_DIGITS + 1)

struct redis_notice {
	struct redis_request request; /* first: an answer finds it */
	struct redis_engine *engine;
	push_notice_done_fn done;
	void *context;
	unsigned int parts_left; /* answers to come */
	enum push_status status;
};

static uint16_t
slot_of_notices(const struct redis_engine *engine)
{
	return redis_topology_slot(engine, CHANNEL, sizeof(CHANNEL) - 1);
}

/* In milliseconds, `ahead_us` from now; ours where the server does not say its time. */
static uint64_t
server_ms(const struct redis_node *node, uint64_t ahead_us)
{
	uint64_t ms = push_redis_link_deadline_ms(&node->commands.link, ahead_us);
	struct timespec now;

	if (ms)
		return ms;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + ahead_us / 1000;
}

static void
append_key(struct redis_engine *engine, struct push_buf *out)
{
	redis_append_notices_key(engine, out, slot_of_notices(engine));
}

/* A clock that is ahead must not remove what others' still count. */
static void
append_remove_old(struct redis_engine *engine, struct redis_node *node)
{
	struct push_redis_link *link = &node->commands.link;

	if (!push_redis_link_expect(link, REDIS_AWAITED_NOTHING, 0, NULL))
		return;
	push_resp_command(&link->out, 4);
	push_resp_text(&link->out, "ZREMRANGEBYSCORE");
	append_key(engine, &link->out);
	push_resp_text(&link->out, "-inf");
	push_resp_number(&link->out, server_ms(node, 0) - PUSH_REDIS_NOTICE_SLACK_US / 1000);
}

/* --- hearing --- */

void
redis_notice_heard(struct redis_engine *engine, const char *text, size_t size)
{
	char digits[ID_DIGITS + 1] = "";

	if (!engine->notice || size <= HEAD_BYTES || size > HEAD_BYTES + PUSH_NOTICE_BYTES_MAX ||
		text[ID_DIGITS] != ' ')
		return;
	memcpy(digits, text, ID_DIGITS);
	if (strspn(digits, "0123456789abcdef") != ID_DIGITS)
		return;
	if (push_redis_seen_add(&engine->notices_seen, strtoull(digits, NULL, 16)))
		engine->notice(engine->notice_context, text + HEAD_BYTES, size - HEAD_BYTES);
}

/* --- putting --- */

static void
finish_part(struct redis_notice *notice)
{
	PUSH_ASSERT(notice->parts_left > 0);
	if (--notice->parts_left)
		return;
	notice->engine->notice_count--;
	notice->done(notice->context, notice->status);
	free(notice);
}

static void
on_put(struct redis_node *node, struct redis_request *request, const struct push_redis_reply *reply)
{
	struct redis_notice *notice = (struct redis_notice *)request;
	struct redis_engine *engine = notice->engine;

	if (reply->type == PUSH_REDIS_ERROR) {
		engine->stats->command_errors++;
		notice->status = PUSH_REFUSED;
		if (redis_topology_is_in_doubt(engine, reply))
			notice->status = PUSH_UNAVAILABLE;
		else
			redis_log_refusal(engine, node, "a notice to all nodes", reply);
		/* so that a second attempt finds memory */
		(void)redis_room_make(node, reply);
	}
	finish_part(notice);
}

static void
on_put_lost(struct redis_request *request)
{
	struct redis_notice *notice = (struct redis_notice *)request;

	notice->status = PUSH_UNAVAILABLE;
	finish_part(notice);
}

static bool
append_remember(struct redis_notice *notice, struct redis_node *node, const char *head, const char *text,
	size_t size, uint64_t ttl_us)
{
	struct redis_engine *engine = notice->engine;
	struct push_redis_link *link = &node->commands.link;
	uint64_t until_ms = server_ms(node, ttl_us);
	char beyond[16];

	snprintf(beyond, sizeof(beyond), "-%u", PUSH_NOTICES_MAX + 1);
	append_remove_old(engine, node);
	if (!push_redis_link_expect(link, REDIS_AWAITED_REQUEST, 0, notice))
		return false;
	notice->parts_left++;
	push_resp_command(&link->out, 4);
	push_resp_text(&link->out, "ZADD");
	append_key(engine, &link->out);
	push_resp_number(&link->out, until_ms);
	push_resp_bulk2(&link->out, head, HEAD_BYTES, text, size);
	if (!push_redis_link_expect(link, REDIS_AWAITED_NOTHING, 0, NULL))
		return false;
	push_resp_command(&link->out, 4);
	push_resp_text(&link->out, "ZREMRANGEBYRANK");
	append_key(engine, &link->out);
	push_resp_text(&link->out, "0");
	push_resp_text(&link->out, beyond);
	return true;
}

static bool
append_publish(
	struct redis_notice *notice, struct redis_node *node, const char *head, const char *text, size_t size)
{
	struct push_redis_link *link = &node->commands.link;

	if (!push_redis_link_expect(link, REDIS_AWAITED_REQUEST, 0, notice))
		return false;
	notice->parts_left++;
	push_resp_command(&link->out, 3);
	push_resp_text(&link->out, notice->engine->options->redis_sharded ? "SPUBLISH" : "PUBLISH");
	redis_append_channel(notice->engine, &link->out, CHANNEL, sizeof(CHANNEL) - 1);
	push_resp_bulk2(&link->out, head, HEAD_BYTES, text, size);
	return true;
}

static uint64_t
choose_id(struct redis_engine *engine)
{
	uint64_t id;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != (ssize_t)sizeof(id))
		id = redis_random_upto(engine, UINT64_MAX - 1);
	return id;
}

/* Returns false where it cannot be sent; then nothing of it is. */
static bool
send_notice(struct redis_notice *notice, struct redis_node *node, uint64_t id, const char *text, size_t size,
	uint64_t ttl_us)
{
	struct push_redis_link *link = &node->commands.link;
	uint32_t awaited = link->awaited_count;
	size_t out = link->out.size;
	char head[HEAD_BYTES + 1];

	snprintf(head, sizeof(head), "%016" PRIx64 " ", id);
	if ((!ttl_us || append_remember(notice, node, head, text, size, ttl_us)) &&
		append_publish(notice, node, head, text, size) && link->out.status == PUSH_OK) {
		redis_wake(notice->engine);
		return true;
	}
	link->awaited_count = awaited;
	link->out.size = out;
	link->out.status = PUSH_OK;
	return false;
}

static enum push_status
begin(struct redis_engine *engine, uint64_t id, const char *text, size_t size, uint64_t ttl_us,
	push_notice_done_fn done, void *context)
{
	struct redis_node *node = redis_topology_node(engine, slot_of_notices(engine));
	struct redis_notice *notice;

	if (!node || !redis_node_takes_publishes(node) || engine->notice_count >= PUSH_REDIS_NOTICES_MAX)
		return PUSH_UNAVAILABLE;
	notice = calloc(1, sizeof(*notice));
	if (!notice)
		return PUSH_OUT_OF_MEMORY;
	*notice = (struct redis_notice){
		.request = {.answer = on_put, .lost = on_put_lost},
		.engine = engine,
		.done = done,
		.context = context,
	};
	if (!send_notice(notice, node, id, text, size, ttl_us)) {
		free(notice);
		return PUSH_OUT_OF_MEMORY;
	}
	engine->notice_count++;
	return PUSH_OK;
}

void
redis_notice_put(struct push_engine *base, const char *text, size_t size, uint64_t ttl_us, uint64_t now_us,
	push_notice_done_fn done, void *context)
{
	struct redis_engine *engine = (struct redis_engine *)base;
	uint64_t id = choose_id(engine);
	enum push_status status;

	redis_set_now(engine, now_us);
	PUSH_ASSERT(size > 0 && ttl_us <= PUSH_NOTICE_TTL_US_MAX);
	if (size > PUSH_NOTICE_BYTES_MAX) {
		done(context, PUSH_TOO_LARGE);
		return;
	}
	if (engine->notice && push_redis_seen_add(&engine->notices_seen, id))
		engine->notice(engine->notice_context, text, size);
	status = begin(engine, id, text, size, ttl_us, done, context);
	if (status != PUSH_OK)
		done(context, status);
}

/* --- reading what is remembered --- */

static bool
send_page(struct redis_engine *engine, struct redis_node *node)
{
	struct push_redis_link *link = &node->commands.link;
	uint64_t first = engine->notices_read;

	if (!first)
		append_remove_old(engine, node);
	if (!push_redis_link_expect(link, REDIS_AWAITED_REQUEST, 0, &engine->notices_page))
		return false;
	push_resp_command(&link->out, 4);
	push_resp_text(&link->out, "ZREVRANGE");
	append_key(engine, &link->out);
	push_resp_number(&link->out, first);
	push_resp_number(&link->out, first + PUSH_REDIS_NOTICES_PAGE - 1);
	redis_wake(engine);
	return true;
}

static struct redis_engine *
engine_of_page(struct redis_request *request)
{
	return push_container_of(request, struct redis_engine, notices_page);
}

static void
read_again(struct redis_engine *engine, uint64_t pause_us)
{
	engine->notices_state = REDIS_NOTICES_TO_READ;
	engine->notices_due_us = engine->now_us + pause_us;
}

static void
on_page_item(struct redis_request *request, const struct push_redis_place *place,
	const struct push_redis_reply *item)
{
	if (place->depth == 1 && item->type == PUSH_REDIS_STRING)
		redis_notice_heard(engine_of_page(request), item->text, item->size);
}

static void
on_page(struct redis_node *node, struct redis_request *request, const struct push_redis_reply *reply)
{
	struct redis_engine *engine = engine_of_page(request);

	if (reply->type != PUSH_REDIS_ARRAY) {
		engine->stats->command_errors++;
		if (reply->type == PUSH_REDIS_ERROR && !redis_topology_is_in_doubt(engine, reply))
			redis_log_refusal(engine, node, "to read notices of other nodes", reply);
		read_again(engine, PUSH_REDIS_REFUSED_PAUSE_US);
		return;
	}
	if (engine->notices_state == REDIS_NOTICES_READING_IN_VAIN) {
		read_again(engine, 0);
		redis_wake(engine);
		return;
	}
	engine->notices_read += reply->count;
	if (reply->count == PUSH_REDIS_NOTICES_PAGE && engine->notices_read < PUSH_NOTICES_MAX) {
		if (!send_page(engine, node))
			read_again(engine, PUSH_REDIS_REFUSED_PAUSE_US);
		return;
	}
	engine->notices_state = REDIS_NOTICES_READ;
	engine->has_notices = true;
}

static void
on_page_lost(struct redis_request *request)
{
	read_again(engine_of_page(request), 0);
}

void
redis_notices_subscribed(struct redis_engine *engine)
{
	if (engine->notices_state == REDIS_NOTICES_READING)
		engine->notices_state = REDIS_NOTICES_READING_IN_VAIN;
	else if (engine->notices_state != REDIS_NOTICES_READING_IN_VAIN)
		read_again(engine, 0);
	redis_wake(engine);
}

void
redis_notices_flush(struct redis_engine *engine)
{
	const struct redis_subscription *subscription;

	if (engine->notice && !engine->notices)
		engine->notices = redis_subscription_hold(engine, CHANNEL, sizeof(CHANNEL) - 1);
	subscription = engine->notices ? engine->notices->upstream : NULL;
	if (!subscription || engine->notices_state != REDIS_NOTICES_TO_READ ||
		engine->now_us < engine->notices_due_us || subscription->state != SUBSCRIPTION_LIVE ||
		!subscription->node || !redis_node_takes_publishes(subscription->node))
		return;
	engine->notices_read = 0;
	if (send_page(engine, subscription->node))
		engine->notices_state = REDIS_NOTICES_READING;
}

/* --- its life --- */

void
redis_notices_init(struct redis_engine *engine)
{
	engine->notices_page =
		(struct redis_request){.item = on_page_item, .answer = on_page, .lost = on_page_lost};
	push_redis_seen_init(&engine->notices_seen);
}

void
redis_notices_watch(struct push_engine *base, push_notice_fn notice, void *context)
{
	struct redis_engine *engine = (struct redis_engine *)base;

	PUSH_ASSERT(notice);
	engine->notice = notice;
	engine->notice_context = context;
	redis_wake(engine);
}

bool
redis_notices_are_read(const struct push_engine *base)
{
	const struct redis_engine *engine = (const struct redis_engine *)base;

	return !engine->notice || engine->has_notices;
}

void
redis_notices_fini(struct redis_engine *engine)
{
	engine->notice = NULL;
	push_redis_seen_fini(&engine->notices_seen);
}
