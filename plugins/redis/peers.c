/*
 * peers.c - the other Push nodes behind the same Redis, by what they say on a private channel.
 *
 *   +ID          I live: every PUSH_REDIS_BEAT_US
 *   -ID          I end
 *   ?ID          I am new: who else is there?
 *   ~ID          you were silent, and your numbers of clients may have been cleared away: tell them again
 *   #ID CHANNEL  more nodes have a number of clients of that channel than receive it: look at yours (counts.c)
 *   !ID A-B,...  channels of these slots have another server now, and until now I may have published on the
 *                old one, where you did not listen any more: your clients may have missed something
 *   %ID MS       for the last MS milliseconds messages may not have reached me: clients that were mine, and
 *                have come to you since, may have missed something
 *
 * A node whose machine is gone, or cut off, leaves connections behind that Redis takes for receivers until
 * the kernel gives them up: ghosts.  As everybody listens to the beats, the answer to one's own tells how
 * many there are; what dead nodes have left in a channel tells where.  Else each would count as a plain
 * client of Redis.
 *
 * Silence is counted in beats of our own that have come back, not by the clock: while Redis is away, or while
 * this process was stopped, nobody is heard, and nobody has died.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

#define BEATS_CHANNEL "\x1epush:nodes"

/* --- speaking --- */

static void
say(struct redis_engine *engine, char what, const char *id, const struct push_buf *more)
{
	const struct redis_subscription *subscription = engine->beats->upstream;
	struct push_redis_link *link = &subscription->node->commands.link;
	char head[REDIS_ID_BYTES + 1];

	if (!push_redis_link_expect(link, REDIS_AWAITED_BEAT, 0, NULL))
		return;
	snprintf(head, sizeof(head), "%c%s", what, id);
	push_resp_command(&link->out, 3);
	push_resp_text(&link->out, engine->options->redis_sharded ? "SPUBLISH" : "PUBLISH");
	redis_append_channel(engine, &link->out, engine->beats->name, engine->beats->name_size);
	push_resp_bulk2(&link->out, head, strlen(head), more ? more->bytes : "", more ? more->size : 0);
	redis_wake(engine);
}

static bool
can_speak(const struct redis_engine *engine)
{
	const struct redis_subscription *subscription = engine->beats ? engine->beats->upstream : NULL;

	return subscription && subscription->node && redis_node_takes_publishes(subscription->node);
}

static bool
has_moved(const uint8_t *moved, unsigned int slot)
{
	return moved[slot / 8] & (1u << slot % 8);
}

static void
announce_moved(struct redis_engine *engine)
{
	push_buf_clear(&engine->scratch);
	for (unsigned int slot = 0; slot < PUSH_REDIS_SLOT_COUNT; slot++) {
		unsigned int last = slot;

		if (!has_moved(engine->moved, slot))
			continue;
		while (last + 1 < PUSH_REDIS_SLOT_COUNT && has_moved(engine->moved, last + 1))
			last++;
		push_buf_printf(&engine->scratch, "%c%u-%u", engine->scratch.size ? ',' : ' ', slot, last);
		slot = last;
	}
	if (engine->scratch.status != PUSH_OK)
		return;
	say(engine, '!', engine->id, &engine->scratch);
	memset(engine->moved, 0, sizeof(engine->moved));
	engine->has_moved = false;
}

void
redis_peers_moved(struct redis_engine *engine, uint16_t slot)
{
	engine->moved[slot / 8] |= (uint8_t)(1u << slot % 8);
	engine->has_moved = true;
	engine->moved_us = engine->now_us;
	redis_wake(engine);
}

static void
announce_deaf(struct redis_engine *engine)
{
	uint64_t us = engine->now_us - engine->deaf_since_us;

	push_buf_clear(&engine->scratch);
	push_buf_printf(&engine->scratch, " %llu", (unsigned long long)(us / 1000 + 1));
	if (engine->scratch.status == PUSH_OK)
		say(engine, '%', engine->id, &engine->scratch);
	engine->deaf_since_us = 0;
}

void
redis_peers_was_deaf(struct redis_engine *engine, uint64_t since_us)
{
	if (!engine->deaf_since_us || since_us < engine->deaf_since_us)
		engine->deaf_since_us = since_us;
	engine->well_since_us = engine->now_us;
	redis_wake(engine);
}

void
redis_peers_doubt_counts(struct redis_engine *engine, const char *channel, size_t size)
{
	if (engine->now_us < engine->count_doubt_us + PUSH_REDIS_COUNT_DOUBT_US || !can_speak(engine))
		return;
	engine->count_doubt_us = engine->now_us;
	push_buf_clear(&engine->scratch);
	push_buf_append(&engine->scratch, " ", 1);
	push_buf_append(&engine->scratch, channel, size);
	if (engine->scratch.status == PUSH_OK)
		say(engine, '#', engine->id, &engine->scratch);
}

void
redis_peers_flush(struct redis_engine *engine)
{
	if (engine->has_moved && can_speak(engine))
		announce_moved(engine);
	if (engine->deaf_since_us && can_speak(engine))
		announce_deaf(engine);
}

void
redis_peers_tick(struct redis_engine *engine)
{
	if (engine->now_us < engine->beat_us || !can_speak(engine))
		return;
	engine->beat_us = engine->now_us + PUSH_REDIS_BEAT_US;
	say(engine, '+', engine->id, NULL);
}

/* --- who is known --- */

static void
count_ghosts(struct redis_engine *engine)
{
	uint64_t alive = 1;

	for (size_t i = 0; i < engine->peer_count; i++)
		alive += !engine->peers[i].is_dead;
	engine->ghosts = engine->beat_receivers > alive ? engine->beat_receivers - alive : 0;
}

static struct redis_peer *
find(struct redis_engine *engine, const char *id)
{
	for (size_t i = 0; i < engine->peer_count; i++)
		if (!strcmp(engine->peers[i].id, id))
			return &engine->peers[i];
	return NULL;
}

/* Where there are too many, one that is dead gives its place. */
static struct redis_peer *
add(struct redis_engine *engine, const char *id)
{
	struct redis_peer *peer = NULL;

	PUSH_ASSERT(engine->peers);
	if (engine->peer_count < PUSH_REDIS_PEERS_MAX)
		peer = &engine->peers[engine->peer_count++];
	for (size_t i = 0; !peer && i < engine->peer_count; i++)
		if (engine->peers[i].is_dead)
			peer = &engine->peers[i];
	if (!peer)
		return NULL;
	*peer = (struct redis_peer){.is_dead = false};
	snprintf(peer->id, sizeof(peer->id), "%s", id);
	redis_log(engine, PUSH_LOG_INFO, "node %s is up", id);
	return peer;
}

static bool
read_id(const char *text, size_t size, char id[REDIS_ID_BYTES])
{
	if (size != REDIS_ID_BYTES - 1)
		return false;
	memcpy(id, text, size);
	id[size] = '\0';
	return strspn(id, "0123456789abcdef") == size;
}

bool
redis_peers_is_settled(const struct redis_engine *engine)
{
	return engine->heard_self_us && engine->now_us >= engine->heard_self_us + PUSH_REDIS_BEAT_US;
}

bool
redis_peers_is_alive(struct redis_engine *engine, const char *text, size_t size)
{
	char id[REDIS_ID_BYTES];
	const struct redis_peer *peer = read_id(text, size, id) ? find(engine, id) : NULL;

	return peer && !peer->is_dead;
}

void
redis_peers_answered(struct redis_engine *engine, const struct push_redis_reply *reply)
{
	if (reply->type == PUSH_REDIS_INTEGER && reply->integer >= 0) {
		engine->beat_receivers = (uint64_t)reply->integer;
		count_ghosts(engine);
	} else {
		engine->stats->command_errors++;
	}
}

/* Whether a dead node's connection may be one that Redis still has. */
static bool
may_haunt(struct redis_engine *engine, const char *text, size_t size)
{
	char id[REDIS_ID_BYTES];
	const struct redis_peer *peer = read_id(text, size, id) ? find(engine, id) : NULL;
	uint64_t heard_us = peer ? peer->heard_us : engine->heard_self_us;

	return engine->ghosts && engine->now_us < heard_us + PUSH_REDIS_GHOST_US;
}

/* Soon after the start somebody who lives may not have been heard yet. */
void
redis_peers_left_behind(
	struct redis_engine *engine, struct redis_publish *publish, const char *id, size_t size)
{
	struct push_redis_link *link = &publish->node->commands.link;

	if (!engine->heard_self_us || engine->now_us < engine->heard_self_us + PUSH_REDIS_CLEAR_AFTER_US ||
		size != REDIS_ID_BYTES - 1)
		return;
	if (may_haunt(engine, id, size)) {
		publish->dead++;
		return;
	}
	if (!redis_node_takes_publishes(publish->node) ||
		!push_redis_link_expect(link, REDIS_AWAITED_NOTHING, 0, NULL))
		return;
	push_resp_command(&link->out, 3);
	push_resp_text(&link->out, "HDEL");
	redis_append_counts_key(engine, &link->out, publish->bytes, publish->channel_size, publish->slot);
	push_resp_bulk(&link->out, id, size);
	redis_wake(engine);
}

/* --- hearing --- */

static void
die(struct redis_engine *engine, struct redis_peer *peer)
{
	uint8_t all[PUSH_REDIS_SLOT_COUNT / 8];

	peer->is_dead = true;
	count_ghosts(engine);
	redis_log(engine, PUSH_LOG_ERROR, "node %s timed out; its clients are no longer counted", peer->id);
	if (peer->heard_us >= engine->moved_us)
		return;
	/* it can no longer say whether it published on an old server */
	memset(all, 0xff, sizeof(all));
	redis_subscriptions_missed(engine, all);
}

static void
on_own_beat(struct redis_engine *engine)
{
	if (!engine->heard_self_us) {
		engine->heard_self_us = engine->now_us;
		if (can_speak(engine))
			say(engine, '?', engine->id, NULL);
	}
	for (size_t i = 0; i < engine->peer_count; i++) {
		struct redis_peer *peer = &engine->peers[i];

		if (!peer->is_dead && ++peer->silent_beats > PUSH_REDIS_BEATS_DEAD)
			die(engine, peer);
	}
}

static void
on_alive(struct redis_engine *engine, const char *id)
{
	struct redis_peer *peer = find(engine, id);

	if (!peer)
		peer = add(engine, id);
	if (!peer)
		return;
	if (peer->is_dead && can_speak(engine)) {
		redis_log(engine, PUSH_LOG_INFO, "node %s is up again", id);
		say(engine, '~', id, NULL);
	}
	peer->is_dead = false;
	peer->silent_beats = 0;
	peer->heard_us = engine->now_us;
}

/* ` A-B,C-D`: slots, ascending.  From somebody who may be anybody: the order bounds the work. */
static void
on_moved(struct redis_engine *engine, const char *text, size_t size)
{
	uint8_t moved[PUSH_REDIS_SLOT_COUNT / 8] = {0};
	const char *end = text + size;
	unsigned int first = 0;

	while (text < end) {
		unsigned int bounds[2] = {0, 0};

		text++; /* the separator */
		for (int i = 0; i < 2; i++) {
			while (text < end && *text >= '0' && *text <= '9')
				bounds[i] = (bounds[i] * 10 + (unsigned int)(*text++ - '0')) %
					    PUSH_REDIS_SLOT_COUNT;
			text += !i && text < end;
		}
		if (bounds[0] < first || bounds[1] < bounds[0])
			break;
		for (unsigned int slot = bounds[0]; slot <= bounds[1]; slot++)
			moved[slot / 8] |= (uint8_t)(1u << slot % 8);
		first = bounds[1] + 1;
	}
	redis_subscriptions_missed(engine, moved);
}

/* ` MS`.  Who was here when the own clients were told, a moment ago, has been told of that, too. */
static void
on_deaf(struct redis_engine *engine, const char *text, size_t size)
{
	uint64_t since_us = engine->now_us - engine->well_since_us, us, ms;

	if (size < 2 || *text != ' ' || !push_redis_decimal(text + 1, size - 1, &ms))
		return;
	us = ms < PUSH_DURATION_US_MAX / 1000 ? ms * 1000 + PUSH_TICK_US : PUSH_DURATION_US_MAX;
	if (us > since_us)
		us = since_us;
	push_hub_missed_elsewhere(engine->hub, us, engine->now_us);
}

static void
on_tell_again(struct redis_engine *engine)
{
	if (engine->now_us < engine->told_again_us + PUSH_REDIS_BEAT_US)
		return;
	engine->told_again_us = engine->now_us;
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next)
		redis_counts_lost(push_container_of(item, struct redis_node, item));
	redis_wake(engine);
}

void
redis_peers_heard(struct redis_engine *engine, const char *text, size_t size)
{
	char id[REDIS_ID_BYTES];
	struct redis_peer *peer;
	bool is_own;

	if (size < REDIS_ID_BYTES || !read_id(text + 1, REDIS_ID_BYTES - 1, id))
		return;
	is_own = !strcmp(id, engine->id);
	if (is_own && *text == '+')
		on_own_beat(engine);
	else if (is_own && *text == '~')
		on_tell_again(engine);
	if (is_own)
		return;
	switch (*text) {
	case '?': engine->beat_us = engine->now_us; __attribute__((fallthrough));
	case '+': on_alive(engine, id); break;
	case '-':
		peer = find(engine, id);
		if (peer)
			peer->is_dead = true;
		break;
	case '%': on_deaf(engine, text + REDIS_ID_BYTES, size - REDIS_ID_BYTES); break;
	case '#':
		if (size > REDIS_ID_BYTES)
			redis_count_asked(engine, text + REDIS_ID_BYTES + 1, size - REDIS_ID_BYTES - 1);
		break;
	case '!': on_moved(engine, text + REDIS_ID_BYTES, size - REDIS_ID_BYTES); break;
	default: break;
	}
}

/* --- its life --- */

enum push_status
redis_peers_init(struct redis_engine *engine)
{
	engine->peers = calloc(PUSH_REDIS_PEERS_MAX, sizeof(*engine->peers));
	if (!engine->peers)
		return PUSH_OUT_OF_MEMORY;
	engine->beats = redis_subscription_hold(engine, BEATS_CHANNEL, sizeof(BEATS_CHANNEL) - 1);
	return engine->beats ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

void
redis_peers_fini(struct redis_engine *engine)
{
	if (can_speak(engine))
		say(engine, '-', engine->id, NULL);
	free(engine->peers);
	engine->peers = NULL;
	engine->peer_count = 0;
}
