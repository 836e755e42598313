/*
 * peers.c - the other Push nodes behind the same Redis, by what they say on a private channel.
 *
 * Every node says `+ID` every PUSH_REDIS_BEAT_US, and `-ID` when it ends.  Silence is counted in beats of our
 * own that have come back, not by the clock: while Redis is away, or while this process was stopped, nobody
 * is heard, and nobody has died.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/redis_private.h"
#include "redis/resp.h"

#define BEATS_CHANNEL "\x1epush:nodes"

enum push_status
redis_peers_init(struct redis_engine *engine)
{
	engine->peers = calloc(PUSH_REDIS_PEERS_MAX, sizeof(*engine->peers));
	if (!engine->peers)
		return PUSH_OUT_OF_MEMORY;
	engine->beats = redis_subscription_hold(engine, BEATS_CHANNEL, sizeof(BEATS_CHANNEL) - 1);
	return engine->beats ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

static void
beat(struct redis_engine *engine, char what)
{
	const struct redis_subscription *subscription = engine->beats->upstream;
	struct redis_node *node = subscription->node;
	struct push_redis_link *link;
	char text[REDIS_ID_BYTES + 1];

	if (!node || !redis_node_takes_publishes(node))
		return;
	link = &node->commands.link;
	if (!push_redis_link_expect(link, REDIS_AWAITED_NOTHING, 0, NULL))
		return;
	snprintf(text, sizeof(text), "%c%s", what, engine->id);
	push_resp_command(&link->out, 3);
	push_resp_text(&link->out, engine->options->redis_sharded ? "SPUBLISH" : "PUBLISH");
	push_resp_bulk(&link->out, engine->beats->name, engine->beats->name_size);
	push_resp_text(&link->out, text);
	redis_wake(engine);
}

void
redis_peers_fini(struct redis_engine *engine)
{
	if (engine->beats)
		beat(engine, '-');
	free(engine->peers);
	engine->peers = NULL;
}

void
redis_peers_tick(struct redis_engine *engine)
{
	if (engine->now_us < engine->beat_us)
		return;
	engine->beat_us = engine->now_us + PUSH_REDIS_BEAT_US;
	beat(engine, '+');
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

	if (engine->peer_count < PUSH_REDIS_PEERS_MAX)
		peer = &engine->peers[engine->peer_count++];
	for (size_t i = 0; !peer && i < engine->peer_count; i++)
		if (engine->peers[i].is_dead)
			peer = &engine->peers[i];
	if (!peer)
		return NULL;
	*peer = (struct redis_peer){.is_dead = false};
	snprintf(peer->id, sizeof(peer->id), "%s", id);
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

static void
count_silence(struct redis_engine *engine)
{
	for (size_t i = 0; i < engine->peer_count; i++) {
		struct redis_peer *peer = &engine->peers[i];

		if (peer->is_dead || ++peer->silent_beats <= PUSH_REDIS_BEATS_DEAD)
			continue;
		peer->is_dead = true;
		redis_log(engine, true, "node %s is silent: its clients do not count any more", peer->id);
	}
}

void
redis_peers_heard(struct redis_engine *engine, const char *text, size_t size)
{
	char id[REDIS_ID_BYTES];
	struct redis_peer *peer;

	if (!size || (*text != '+' && *text != '-') || !read_id(text + 1, size - 1, id))
		return;
	if (!strcmp(id, engine->id)) {
		count_silence(engine);
		return;
	}
	peer = find(engine, id);
	if (!peer && *text == '+') {
		peer = add(engine, id);
		redis_log(engine, false, "node %s is there", id);
	}
	if (!peer)
		return;
	peer->silent_beats = 0;
	peer->is_dead = *text == '-';
}

bool
redis_peers_is_alive(struct redis_engine *engine, const char *text, size_t size)
{
	char id[REDIS_ID_BYTES];
	struct redis_peer *peer;

	if (!read_id(text, size, id))
		return false;
	peer = find(engine, id);
	if (!peer)
		peer = add(engine, id);
	return peer && !peer->is_dead;
}
