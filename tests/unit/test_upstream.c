/*
 * History that a server keeps, with everything that can go wrong between it and two Push nodes.
 *
 * The nodes are the real hub, subscriptions.c and history.c; what they send is read from their links, and a
 * server in here answers as scripts.c does: partitions that number, streams that are trimmed and expire,
 * epochs, pages.  Commands and subscriptions travel by links of their own, each as late as it likes; links
 * break, servers are replaced by ones that know less, slots move, memory is out.  Clients come and go at
 * either node with the last id that they have read.
 *
 * Whatever happens, each has every message of its channels once and in order, or was told of a gap of just
 * that channel; where nothing can have been lost nobody is told of one.  Whatever a client brings as an id,
 * it is answered, by `resumed` or a gap, and hears what is published from then on; and where the answer is
 * `resumed`, it has everything from the id on, whatever gaps there were before.
 *
 * Beside it, of subscriptions.c and counts.c: channels that are asked for are counted, or none would be asked
 * for any more; and the numbers of clients do not expire.
 */
#include "unit.h"

#include "failing_alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/encoding.h"
#include "core/history_rules.h"
#include "core/hub_private.h"
#include "core/limits.h"
#include "core/position.h"
#include "core/subscriber.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis_links.h"

#define SECOND_US    1000000ull
#define DAY_MS       25000u /* a shorter one, so that `o` and `w` of scripts.h move */
#define CHANNELS     5
#define STREAM_SIZE  200
#define PUBLISHED    12000
#define NODES        2 /* Push nodes */
#define SERVERS      2 /* Redis servers */
#define CLIENTS      6
#define BUFFER_BYTES 65536
#define NAMES        32

/* --- the server --- */

struct kept_message {
	struct push_position at, left; /* left: the last one that had left the stream by then */
	unsigned int number;
	uint64_t time_ms, own_ttl_ms;
};

struct stream {
	struct kept_message items[STREAM_SIZE + 1];
	size_t count;
	uint64_t expires_ms;
	struct push_position last; /* the key push:last */
	uint64_t last_expires_ms;
};

struct numbering { /* the key push:history */
	unsigned int replication_id;
	struct push_position at;
	struct push_position o, w;
	uint64_t wt_ms; /* 0: there is no such field */
};

struct store {
	struct numbering numbering[PUSH_PARTITIONS_MAX];
	struct stream streams[CHANNELS];
};

/* A command, an answer or what a subscription brings: texts, and what awaits them. */
struct packet {
	struct packet *next;
	struct push_redis_awaited awaited;
	bool is_awaited, is_error, is_text;
	size_t count, size;
	char bytes[]; /* of each text its size and the bytes */
};

struct pipe {
	struct packet *first, **last;
};

enum { COMMANDS, SUBSCRIPTIONS, LINKS };

/* What lies between a Push node and a server. */
struct route {
	struct pipe to_server[LINKS], to_node[LINKS];
	char names[NAMES][64]; /* that the node is subscribed to there */
	size_t name_count;
};

struct logged {
	unsigned int partition, channel, number;
	struct push_position at;
};

/* --- the nodes and their clients --- */

struct node {
	struct redis_engine engine;
	struct redis_node servers[SERVERS];
	struct route routes[SERVERS];
	struct push_redis_settings settings;
	struct push_redis_stats redis_stats;
	struct push_stats stats;
	struct push_hub *hub;
};

struct client {
	struct push_subscriber *subscriber; /* NULL: not connected */
	enum push_encoding encoding;
	char got[BUFFER_BYTES];
	size_t size, parsed, room;
	bool closed, is_greeted;
	bool is_asking, is_answered; /* it came with an id, or asked to resume; and was answered */
	bool is_bogus;               /* with one that it was not given */
	unsigned int channels;       /* bits */
	char id[PUSH_ID_BYTES_MAX + 1];
	unsigned int read[CHANNELS];    /* the last number that it has */
	bool is_known[CHANNELS];        /* where it begins */
	bool gap[CHANNELS];             /* told since */
	unsigned int greeted[CHANNELS]; /* the last number at its first heartbeat */
	/* It has asked to resume from here, and the next `resumed` is the answer to that. */
	struct push_positions asked;
	bool is_checked;
	bool has[CHANNELS][PUBLISHED]; /* since it came */
};

#include "fake_transport.h"

struct world {
	struct push_options options;
	uint64_t now;
	bool is_cluster, is_lossless; /* lossless: links may break, but no server forgets or moves */
	bool is_failing_memory, has_bogus_ids;
	bool is_mute, is_shut; /* heads may not be published, or not be listened to */
	size_t page;
	unsigned int partition_count;
	unsigned int owner[PUSH_PARTITIONS_MAX];
	unsigned int replication_id[SERVERS], next_replication_id;
	struct store store, saved;
	struct logged log[PUBLISHED];
	size_t log_size;
	unsigned int published[CHANNELS];
	bool may_expire[CHANNELS][PUBLISHED]; /* it had a ttl of its own */
	/* numbers of clients: when a node has given one its time last, and how often it has set any */
	uint64_t expire_us[NODES][CHANNELS];
	unsigned int counts_set;
	struct node nodes[NODES];
	struct client clients[CLIENTS];
};

static uint64_t random_state;

static uint64_t
draw(uint64_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545F4914F6CDD1Dull) % below;
}

/* --- packets --- */

static struct packet *
packet_create(void)
{
	struct packet *packet = __real_malloc(sizeof(*packet) + BUFFER_BYTES);

	assert_non_null(packet);
	*packet = (struct packet){.next = NULL};
	return packet;
}

static void
packet_add(struct packet *packet, const char *text, size_t size)
{
	assert_true(packet->size + sizeof(size) + size + 1 <= BUFFER_BYTES);
	memcpy(packet->bytes + packet->size, &size, sizeof(size));
	memcpy(packet->bytes + packet->size + sizeof(size), text, size);
	packet->bytes[packet->size + sizeof(size) + size] = '\0';
	packet->size += sizeof(size) + size + 1;
	packet->count++;
}

static void
packet_add_text(struct packet *packet, const char *text)
{
	packet_add(packet, text, strlen(text));
}

static void
packet_add_number(struct packet *packet, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	packet_add_text(packet, text);
}

static void
packet_add_position(struct packet *packet, struct push_position at)
{
	char text[64];

	snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, at.epoch, at.number);
	packet_add_text(packet, text);
}

/* The text of that index. */
static const char *
packet_text(const struct packet *packet, size_t index, size_t *ret_size)
{
	const char *at = packet->bytes;
	size_t size = 0;

	assert_true(index < packet->count);
	for (size_t i = 0; i <= index; i++) {
		at += i ? size + 1 : 0;
		memcpy(&size, at, sizeof(size));
		at += sizeof(size);
	}
	if (ret_size)
		*ret_size = size;
	return at;
}

static void
pipe_init(struct pipe *pipe)
{
	pipe->first = NULL;
	pipe->last = &pipe->first;
}

/* With no more memory than it needs. */
static void
pipe_put(struct pipe *pipe, struct packet *packet)
{
	packet = __real_realloc(packet, sizeof(*packet) + packet->size);
	packet->next = NULL;
	*pipe->last = packet;
	pipe->last = &packet->next;
}

static struct packet *
pipe_take(struct pipe *pipe)
{
	struct packet *packet = pipe->first;

	if (packet && !(pipe->first = packet->next))
		pipe->last = &pipe->first;
	return packet;
}

/* --- scripts.c, in C --- */

static uint64_t
now_ms(const struct world *world)
{
	return world->now / 1000;
}

static unsigned int
partition_of(const struct world *world, unsigned int channel)
{
	char name[8];

	snprintf(name, sizeof(name), "c%u", channel);
	return push_hub_partition(world->nodes[0].hub, name, strlen(name));
}

static struct push_position
script_head(struct world *world, unsigned int partition, uint64_t known)
{
	struct numbering *p = &world->store.numbering[partition];
	unsigned int id = world->replication_id[world->owner[partition]];

	if (p->replication_id != id || p->at.epoch < known) {
		p->replication_id = id;
		if (p->at.epoch < known)
			p->at.epoch = known;
		p->at.epoch = now_ms(world) > p->at.epoch + 1 ? now_ms(world) : p->at.epoch + 1;
	}
	return p->at;
}

static struct push_position
script_left(struct world *world, unsigned int partition, struct stream *stream, struct push_position head)
{
	struct numbering *p = &world->store.numbering[partition];
	uint64_t age;

	if (stream->last.epoch && stream->last_expires_ms > now_ms(world))
		return stream->last;
	age = p->wt_ms ? now_ms(world) - p->wt_ms : 0;
	if (p->wt_ms && age < DAY_MS)
		return p->o;
	p->o = !p->wt_ms ? (struct push_position){0, 0} : age < 2 * DAY_MS ? p->w : head;
	p->w = head;
	p->wt_ms = now_ms(world);
	return p->o;
}

static void
expire_stream(struct world *world, struct stream *stream)
{
	if (stream->count && stream->expires_ms <= now_ms(world))
		stream->count = 0;
}

static void
redis_name(struct world *world, unsigned int channel, char to[64])
{
	struct redis_engine *engine = &world->nodes[0].engine;
	const char *tag = engine->partitions[partition_of(world, channel)].tag;

	if (world->options.redis_sharded)
		snprintf(to, 64, "{%s}c%u", tag, channel);
	else
		snprintf(to, 64, "c%u", channel);
}

/* The owner's subscribers, and without shards those of others, over the cluster's bus. */
static uint64_t
send_to_subscribers(
	struct world *world, unsigned int partition, const char *name, const char *text, size_t size)
{
	uint64_t receivers = 0;

	for (int n = 0; n < NODES; n++)
		for (unsigned int s = 0; s < SERVERS; s++) {
			struct route *route = &world->nodes[n].routes[s];
			bool is_foreign = s != world->owner[partition];

			if (is_foreign && (world->options.redis_sharded || !draw(4)))
				continue;
			for (size_t i = 0; i < route->name_count; i++) {
				struct packet *packet;

				if (strcmp(route->names[i], name) != 0)
					continue;
				packet = packet_create();
				packet_add_text(packet, "message");
				packet_add_text(packet, name);
				packet_add(packet, text, size);
				pipe_put(&route->to_node[SUBSCRIPTIONS], packet);
				receivers++;
			}
		}
	return receivers;
}

static void
script_publish(
	struct world *world, unsigned int channel, uint64_t size_max, uint64_t ttl_ms, uint64_t own_ttl_ms)
{
	unsigned int partition = partition_of(world, channel);
	struct stream *stream = &world->store.streams[channel];
	struct push_position head = script_head(world, partition, 0), left, before;
	char name[64], text[160];
	unsigned int number = ++world->published[channel];
	int size;

	assert_true(world->log_size < PUBLISHED && size_max <= STREAM_SIZE);
	expire_stream(world, stream);
	if (stream->count >= size_max)
		left = stream->items[stream->count - size_max].at;
	else
		left = stream->count ? stream->items[stream->count - 1].left
				     : script_left(world, partition, stream, head);
	before = stream->count ? stream->items[stream->count - 1].at : left;
	head.number = ++world->store.numbering[partition].at.number;
	while (stream->count >= size_max)
		memmove(stream->items, stream->items + 1, --stream->count * sizeof(stream->items[0]));
	stream->items[stream->count++] = (struct kept_message){head, left, number, now_ms(world), own_ttl_ms};
	stream->expires_ms = now_ms(world) + ttl_ms;
	stream->last = head;
	stream->last_expires_ms = now_ms(world) + 3 * DAY_MS;
	world->may_expire[channel][number] = own_ttl_ms != 0;
	world->log[world->log_size++] = (struct logged){partition, channel, number, head};
	size = snprintf(text, sizeof(text),
		"\x1e#%" PRIu64 "-%" PRIu64 " %" PRIu64 "-%" PRIu64 " %" PRIu64 " \x1e%u", head.epoch,
		head.number, before.epoch, before.number, own_ttl_ms, number);
	redis_name(world, channel, name);
	send_to_subscribers(world, partition, name, text, (size_t)size);
}

static struct push_position
read_at(const char *text)
{
	struct push_position at = {0, 0};
	char *end;

	if (*text == '+')
		return (struct push_position){UINT64_MAX, UINT64_MAX};
	at.epoch = strtoull(text, &end, 10);
	assert_true(*end == '-');
	at.number = strtoull(end + 1, &end, 10);
	assert_true(!*end);
	return at;
}

static void
script_fetch(struct world *world, unsigned int partition, unsigned int channel, const struct packet *command,
	struct packet *out)
{
	struct stream *stream = &world->store.streams[channel];
	uint64_t known = strtoull(packet_text(command, 11, NULL), NULL, 10);
	struct push_position head = script_head(world, partition, known), left, after;
	struct push_position from = read_at(packet_text(command, 6, NULL)),
			     to = read_at(packet_text(command, 7, NULL));
	uint64_t ttl_ms = strtoull(packet_text(command, 8, NULL), NULL, 10);
	size_t count = strtoull(packet_text(command, 9, NULL), NULL, 10), found = 0;

	count = count < world->page ? count : world->page;
	expire_stream(world, stream);
	left = stream->count ? stream->items[stream->count - 1].left
			     : script_left(world, partition, stream, head);
	after = left;
	packet_add_number(out, head.epoch);
	packet_add_number(out, head.number);
	packet_add_number(out, now_ms(world));
	for (size_t i = stream->count; i-- > 0;) {
		const struct kept_message *m = &stream->items[i];
		char payload[16];

		if (push_position_compare(m->at, from) < 0 || push_position_compare(m->at, to) > 0)
			continue;
		if (now_ms(world) - m->time_ms >= ttl_ms) {
			left = after = m->at;
			break;
		}
		if (++found > count) {
			after = m->at;
			break;
		}
		snprintf(payload, sizeof(payload), "\x1e%u", m->number);
		packet_add_position(out, m->at);
		packet_add_number(out, m->time_ms);
		packet_add_number(out, m->own_ttl_ms);
		packet_add_text(out, payload);
	}
	packet_add_position(out, after);
	packet_add_position(out, left);
}

/* --- what a server does with a command --- */

static void
subscribe(struct route *route, const struct packet *command)
{
	for (size_t i = 1; i < command->count; i++) {
		const char *name = packet_text(command, i, NULL);
		struct packet *packet = packet_create();
		size_t at = 0;

		while (at < route->name_count && strcmp(route->names[at], name) != 0)
			at++;
		if (at == route->name_count) {
			assert_true(route->name_count < NAMES);
			snprintf(route->names[route->name_count++], sizeof(route->names[0]), "%s", name);
		}
		packet_add_text(packet, "subscribe");
		packet_add_text(packet, name);
		pipe_put(&route->to_node[SUBSCRIPTIONS], packet);
	}
}

static void
unsubscribe(struct route *route, const char *name)
{
	struct packet *packet = packet_create();
	size_t at = 0;

	packet_add_text(packet, "unsubscribe");
	packet_add_text(packet, name);
	while (at < route->name_count && strcmp(route->names[at], name) != 0)
		at++;
	if (at < route->name_count)
		memmove(route->names[at], route->names[--route->name_count], sizeof(route->names[0]));
	pipe_put(&route->to_node[SUBSCRIPTIONS], packet);
}

/* The partition that a key `push:history:{TAG}...` or a name `{TAG}c3` lies in. */
static unsigned int
partition_in(struct world *world, const char *name)
{
	const struct redis_engine *engine = &world->nodes[0].engine;
	const char *tag = strchr(name, '{');

	for (unsigned int p = 0; tag && p < engine->partition_count; p++) {
		size_t size = strlen(engine->partitions[p].tag);

		if (!strncmp(tag + 1, engine->partitions[p].tag, size) && tag[1 + size] == '}')
			return p;
	}
	return 0;
}

static void
run_script(struct world *world, struct node *node, unsigned int server, const struct packet *command,
	struct packet *out)
{
	const char *sha = packet_text(command, 1, NULL);
	unsigned int partition = partition_in(world, packet_text(command, 3, NULL));

	if (world->owner[partition] != server) {
		out->is_error = true;
		packet_add_text(out, "MOVED 1 other:1");
	} else if (!draw(50)) {
		out->is_error = true;
		packet_add_text(out, "NOSCRIPT No matching script");
	} else if (!strcmp(sha, node->engine.scripts.sha[PUSH_REDIS_SCRIPT_FETCH])) {
		const char *key = packet_text(command, 5, NULL);

		script_fetch(world, partition, (unsigned int)(key[strlen(key) - 1] - '0'), command, out);
	} else {
		uint64_t known = strtoull(packet_text(command, 6, NULL), NULL, 10);
		struct push_position head = script_head(world, partition, known);
		char text[64];

		assert_string_equal(sha, node->engine.scripts.sha[PUSH_REDIS_SCRIPT_HEAD]);
		snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64 "%s", head.epoch, head.number,
			world->is_mute ? " NOPERM no publish" : "");
		out->is_text = true;
		packet_add_text(out, text);
		if (world->is_mute)
			return;
		send_to_subscribers(world, partition, packet_text(command, 5, NULL), text, strlen(text));
	}
}

static bool
names_announcements(const struct packet *subscribe)
{
	for (size_t i = 1; i < subscribe->count; i++)
		if (strstr(packet_text(subscribe, i, NULL), "push:head:"))
			return true;
	return false;
}

/* A node's number of clients is set, or is to be kept longer. */
static void
keep_count(struct world *world, const struct node *node, const struct packet *command)
{
	const char *name = packet_text(command, 0, NULL), *key;

	world->counts_set += !strcmp(name, "HSET");
	if (strcmp(name, "EXPIRE") != 0)
		return;
	key = packet_text(command, 1, NULL);
	world->expire_us[node - world->nodes][key[strlen(key) - 1] - '0'] = world->now;
}

/* The server takes one command of a link. */
static bool
serve(struct world *world, struct node *node, unsigned int server, int link)
{
	struct route *route = &node->routes[server];
	struct packet *command = pipe_take(&route->to_server[link]), *out;
	const char *name;

	if (!command)
		return false;
	name = packet_text(command, 0, NULL);
	if (strstr(name, "UNSUBSCRIBE")) {
		unsubscribe(route, packet_text(command, 1, NULL));
	} else if (strstr(name, "SUBSCRIBE")) {
		unsigned int partition = partition_in(world, packet_text(command, 1, NULL));
		bool is_moved = world->options.redis_sharded && world->owner[partition] != server;

		if (is_moved || (world->is_shut && names_announcements(command))) {
			out = packet_create();
			out->awaited = command->awaited;
			out->is_awaited = out->is_error = true;
			packet_add_text(out, is_moved ? "MOVED 1 other:1" : "NOPERM no channel");
			pipe_put(&route->to_node[link], out);
		} else {
			subscribe(route, command);
		}
	} else {
		out = packet_create();
		out->awaited = command->awaited;
		out->is_awaited = true;
		if (!strcmp(name, "EVALSHA"))
			run_script(world, node, server, command, out);
		else
			packet_add_text(out, "OK");
		keep_count(world, node, command);
		pipe_put(&route->to_node[link], out);
	}
	free(command);
	return true;
}

/* --- what a node is told --- */

static void
answer(struct node *node, unsigned int server, const struct packet *packet)
{
	struct redis_node *redis_node = &node->servers[server];
	const struct push_redis_awaited *awaited = &packet->awaited;
	struct push_redis_reply reply = {.type = PUSH_REDIS_ARRAY, .count = packet->count};
	char count[16];

	if (packet->is_error || packet->is_text) {
		reply.type = packet->is_error ? PUSH_REDIS_ERROR : PUSH_REDIS_STRING;
		reply.text = packet_text(packet, 0, &reply.size);
	}
	switch (awaited->kind) {
	case REDIS_AWAITED_FETCH:
		for (unsigned int i = 0; reply.type == PUSH_REDIS_ARRAY && i < packet->count; i++) {
			struct push_redis_place place = {.depth = 1, .index = {i}};
			struct push_redis_reply item = {.type = PUSH_REDIS_STRING};

			item.text = packet_text(packet, i, &item.size);
			redis_history_item(awaited, &place, &item);
		}
		redis_history_answer(awaited, &reply);
		break;
	case REDIS_AWAITED_HEAD: redis_history_head_answer(redis_node, awaited, &reply); break;
	case REDIS_AWAITED_SUBSCRIBE:
		redis_subscription_refused(
			redis_node, (uint32_t)(uintptr_t)awaited->context, awaited->count, &reply);
		break;
	case REDIS_AWAITED_COUNT_CHECK:
		if (reply.type != PUSH_REDIS_ERROR) {
			reply.type = PUSH_REDIS_STRING;
			reply.size = (size_t)snprintf(count, sizeof(count), "%u", awaited->count);
			reply.text = count;
		}
		__attribute__((fallthrough));
	case REDIS_AWAITED_COUNT: redis_count_answer(redis_node, awaited, &reply); break;
	default: break;
	}
}

static void
tell(struct node *node, unsigned int server, const struct packet *packet)
{
	struct redis_node *redis_node = &node->servers[server];
	size_t name_size, size;
	const char *kind, *name, *text;

	if (packet->is_awaited) {
		answer(node, server, packet);
		return;
	}
	kind = packet_text(packet, 0, NULL);
	name = packet_text(packet, 1, &name_size);
	if (!strcmp(kind, "message")) {
		text = packet_text(packet, 2, &size);
		redis_message(redis_node, name, name_size, text, size);
	} else {
		redis_subscribed(redis_node, !strcmp(kind, "subscribe"), name, name_size);
	}
}

/* Lets the allocations of what comes next fail from a random one on. */
static void
begin_trouble(const struct world *world)
{
	if (world->is_failing_memory && !draw(8))
		allocations_left = (long)draw(6);
}

static void
end_trouble(void)
{
	allocations_left = -1;
}

static bool
hear(struct world *world, struct node *node, unsigned int server, int link)
{
	struct packet *packet = pipe_take(&node->routes[server].to_node[link]);

	if (!packet)
		return false;
	begin_trouble(world);
	tell(node, server, packet);
	end_trouble();
	free(packet);
	return true;
}

/* --- links --- */

static struct push_redis_link *
link_of(struct node *node, unsigned int server, int link)
{
	struct redis_node *redis_node = &node->servers[server];

	return link == COMMANDS ? &redis_node->commands.link : &redis_node->subscriptions.link;
}

static void
forget(struct redis_node *redis_node, const struct push_redis_awaited *awaited)
{
	if (awaited->kind == REDIS_AWAITED_FETCH)
		redis_history_answer_lost(awaited);
	else if (awaited->kind == REDIS_AWAITED_COUNT || awaited->kind == REDIS_AWAITED_COUNT_CHECK)
		redis_count_answer_lost(redis_node, awaited);
}

static void
drop_packets(struct redis_node *redis_node, struct pipe *pipe)
{
	struct packet *packet;

	while ((packet = pipe_take(pipe))) {
		if (packet->is_awaited)
			forget(redis_node, &packet->awaited);
		free(packet);
	}
}

static void
break_link(struct world *world, struct node *node, unsigned int server, int which)
{
	struct push_redis_link *link = link_of(node, server, which);
	struct push_redis_awaited awaited;

	if (link->state != PUSH_REDIS_UP)
		return;
	/* some of what was sent may have arrived */
	while (draw(3))
		serve(world, node, server, which);
	link->state = PUSH_REDIS_CLOSED;
	push_buf_clear(&link->out);
	begin_trouble(world);
	drop_packets(&node->servers[server], &node->routes[server].to_node[which]);
	drop_packets(&node->servers[server], &node->routes[server].to_server[which]);
	while (links_take_awaited(link, &awaited))
		forget(&node->servers[server], &awaited);
	if (which == SUBSCRIPTIONS) {
		node->routes[server].name_count = 0;
		redis_subscriptions_lost(&node->servers[server]);
	}
	end_trouble();
	node->servers[server].is_up = false;
}

static void
mend_link(struct node *node, unsigned int server, int which)
{
	struct push_redis_link *link = link_of(node, server, which);
	struct redis_node *redis_node = &node->servers[server];

	if (link->state == PUSH_REDIS_UP)
		return;
	link->state = PUSH_REDIS_UP;
	if (which == COMMANDS) {
		redis_counts_lost(redis_node);
		redis_history_connected(redis_node);
	} else {
		redis_node->ask_again_us = 0;
	}
}

static void
keep_part(void *context, const char *text, size_t size)
{
	packet_add(context, text, size);
}

/* What a node has written is read as commands. */
static void
send_commands(struct world *world, struct node *node, unsigned int server, int which)
{
	struct push_redis_link *link = link_of(node, server, which);
	const char *at = link->out.bytes;
	size_t left = link->out.size;

	if (link->state != PUSH_REDIS_UP)
		return;
	if (link->out.status != PUSH_OK) {
		break_link(world, node, server, which);
		return;
	}
	while (left) {
		struct packet *packet = packet_create();
		const char *end = links_read_command(at, keep_part, packet);

		left -= (size_t)(end - at);
		at = end;
		if (!strstr(packet->bytes + sizeof(size_t), "UNSUBSCRIBE"))
			assert_true(packet->is_awaited = links_take_awaited(link, &packet->awaited));
		pipe_put(&node->routes[server].to_server[which], packet);
	}
	push_buf_clear(&link->out);
}

static void
flush_engine(struct world *world, struct node *node)
{
	node->engine.now_us = world->now;
	node->engine.is_awake = false;
	begin_trouble(world);
	redis_subscriptions_flush(&node->engine);
	redis_history_flush(&node->engine);
	end_trouble();
	for (unsigned int s = 0; s < SERVERS; s++)
		for (int link = 0; link < LINKS; link++)
			send_commands(world, node, s, link);
}

static void
tick(struct world *world, struct node *node)
{
	node->engine.now_us = world->now;
	redis_subscriptions_tick(&node->engine);
	flush_engine(world, node);
	while (push_hub_tick(node->hub, world->now, 64))
		;
}

static void
flush_hub(struct world *world, struct node *node)
{
	begin_trouble(world);
	while (push_hub_flush(node->hub, world->now, 2))
		;
	end_trouble();
}

/* --- servers --- */

static void
move_subscriptions(struct node *node)
{
	for (int s = 0; s < SERVERS; s++) {
		redis_subscriptions_move(&node->engine, &node->servers[s].live);
		redis_subscriptions_move(&node->engine, &node->servers[s].asked);
		redis_subscriptions_move(&node->engine, &node->servers[s].to_ask);
		redis_subscriptions_move(&node->engine, &node->servers[s].refused);
	}
}

/* A node learns whose the slots are, and tells the others that some have moved. */
static void
learn_topology(struct world *world, struct node *node)
{
	uint8_t moved[PUSH_REDIS_SLOT_COUNT / 8] = {0};
	bool has_moved = false;

	if (!world->is_cluster)
		return;
	for (unsigned int slot = 0; slot < PUSH_REDIS_SLOT_COUNT; slot++) {
		unsigned int owner = world->owner[slot * world->partition_count / PUSH_REDIS_SLOT_COUNT];

		if (node->engine.slots[slot] == &node->servers[owner])
			continue;
		node->engine.slots[slot] = &node->servers[owner];
		moved[slot / 8] |= (uint8_t)(1u << slot % 8);
		has_moved = true;
	}
	if (!has_moved)
		return;
	begin_trouble(world);
	move_subscriptions(node);
	end_trouble();
	for (int n = 0; n < NODES; n++)
		redis_subscriptions_missed(&world->nodes[n].engine, moved);
}

static void
move_slot(struct world *world)
{
	unsigned int partition = partition_of(world, (unsigned int)draw(CHANNELS));
	unsigned int from = world->owner[partition];

	world->owner[partition] = !from;
	for (int n = 0; world->options.redis_sharded && n < NODES; n++) {
		struct route *route = &world->nodes[n].routes[from];

		for (size_t i = route->name_count; i-- > 0;)
			if (partition_in(world, route->names[i]) == partition)
				unsubscribe(route, route->names[i]);
	}
}

/* A replica takes a server's place; it knows what was known some time ago. */
static void
fail_over(struct world *world)
{
	unsigned int server = world->is_cluster ? (unsigned int)draw(SERVERS) : 0;

	/* a new epoch is the time in ms, which is another one by then */
	world->now += 1000;
	for (int n = 0; n < NODES; n++)
		for (int link = 0; link < LINKS; link++)
			break_link(world, &world->nodes[n], server, link);
	world->replication_id[server] = world->next_replication_id++;
	for (unsigned int p = 0; p < world->partition_count; p++)
		if (world->owner[p] == server) {
			world->store.numbering[p] = world->saved.numbering[p];
			world->store.numbering[p].replication_id = 0;
			for (unsigned int c = 0; c < CHANNELS; c++)
				if (partition_of(world, c) == p)
					world->store.streams[c] = world->saved.streams[c];
		}
}

/* --- clients --- */

/* The last number of a channel up to a position. */
static unsigned int
number_at(const struct world *world, unsigned int channel, const struct push_positions *at)
{
	for (size_t i = world->log_size; i-- > 0;) {
		const struct logged *logged = &world->log[i];

		if (logged->channel == channel &&
			push_position_compare(logged->at, at->at[logged->partition]) <= 0)
			return logged->number;
	}
	return 0;
}

/* Whether all between the two may be missing. */
static bool
may_skip(const struct world *world, unsigned int channel, unsigned int from, unsigned int to)
{
	while (++from < to)
		if (!world->may_expire[channel][from])
			return false;
	return true;
}

/* What an id claims to have been read must have been. */
static void
read_id(struct world *world, struct client *client, const char *text, size_t size)
{
	struct push_positions at;

	if (client->is_bogus)
		return; /* it says what the client has said, which is nothing to rely on */
	assert_int_equal(push_positions_parse(&at, text, size), PUSH_OK);
	snprintf(client->id, sizeof(client->id), "%.*s", (int)size, text);
	for (unsigned int c = 0; c < CHANNELS; c++) {
		unsigned int number;

		if (!(client->channels & (1u << c)))
			continue;
		/* nothing is known of it yet: no position */
		if (!at.at[partition_of(world, c)].epoch)
			continue;
		number = number_at(world, c, &at);
		if (!client->is_known[c]) {
			client->is_known[c] = true;
			client->read[c] = number;
		}
		if (number > client->read[c] && !client->gap[c] &&
			!may_skip(world, c, client->read[c], number + 1))
			fail_msg("client %d: id %s claims %u of c%u, which has read %u",
				(int)(client - world->clients), client->id, number, c, client->read[c]);
	}
}

/* The answer to a client that has asked to resume: nothing is missing. */
static void
check_resumed(const struct world *world, const struct client *client, const char *id)
{
	struct push_positions at;
	bool has_id = push_positions_parse(&at, id, strcspn(id, "\"\n")) == PUSH_OK; /* an event stream */

	for (unsigned int c = 0; c < CHANNELS; c++) {
		unsigned int number = number_at(world, c, &client->asked), last = world->published[c];

		if (!(client->channels & (1u << c)))
			continue;
		while (!has_id && last > 0 && !client->has[c][last])
			last--;
		if (has_id)
			last = number_at(world, c, &at);
		while (++number <= last)
			if (!client->has[c][number] && !world->may_expire[c][number])
				fail_msg("client %d: `resumed`, without %u of c%u up to %u",
					(int)(client - world->clients), number, c, last);
	}
}

/* Gaps and `resumed`. */
static void
read_answer(const struct world *world, struct client *client, const char *text, const char *id)
{
	bool is_ws = client->encoding == PUSH_ENCODING_WS;
	bool is_gap = strstr(text, is_ws ? "\"event\":\"gap\"" : "event:gap");
	bool is_resumed = strstr(text, is_ws ? "\"event\":\"resumed\"" : "event:resumed");

	client->is_answered |= is_gap || is_resumed;
	if (client->is_checked && is_resumed)
		check_resumed(world, client, id);
	client->is_checked &= !is_gap && !is_resumed;
}

static void
read_event(struct world *world, struct client *client, const char *text)
{
	bool is_ws = client->encoding == PUSH_ENCODING_WS;
	const char *id = strstr(text, is_ws ? "\"id\":\"" : "\nid:"), *data;
	unsigned int channel, number;

	/* nothing comes in front of the first heartbeat */
	assert_true(client->is_greeted || !*text ||
		    strstr(text, is_ws ? "\"event\":\"ping\"" : "event:heartbeat"));
	/* and that has an id, or who has received nothing else could not come back */
	assert_true(client->is_greeted || !*text || id);
	if (!client->is_greeted && *text)
		memcpy(client->greeted, world->published, sizeof(client->greeted));
	client->is_greeted |= *text != '\0';
	read_answer(world, client, text, id ? id + strlen(is_ws ? "\"id\":\"" : "\nid:") : "");
	data = strstr(text, "{\"channel\":\"c");
	if (data && strstr(text, is_ws ? "\"event\":\"gap\"" : "event:gap") &&
		sscanf(data, "{\"channel\":\"c%u\"", &channel) == 1) {
		assert_true(channel < CHANNELS && (client->channels & (1u << channel)));
		client->gap[channel] = true;
		/* who comes where nothing is known yet has no position, and is told so */
		if (world->is_lossless && client->is_known[channel])
			fail_msg("c%u: a gap behind %u, and nothing is lost", channel, client->read[channel]);
	} else if (data && sscanf(data, "{\"channel\":\"c%u\",\"message\":%u", &channel, &number) == 2) {
		assert_true(channel < CHANNELS && (client->channels & (1u << channel)));
		client->has[channel][number] = true;
		client->gap[channel] = client->gap[channel] || client->is_bogus;
		if (client->is_known[channel] && number <= client->read[channel] && !client->is_bogus)
			fail_msg("c%u: %u behind %u", channel, number, client->read[channel]);
		if (client->is_known[channel] && !client->gap[channel] &&
			!may_skip(world, channel, client->read[channel], number))
			fail_msg("c%u: %u behind %u without a gap", channel, number, client->read[channel]);
		if (!client->is_known[channel] && !client->gap[channel] && !client->is_bogus &&
			number > client->greeted[channel] &&
			!may_skip(world, channel, client->greeted[channel], number))
			fail_msg("client %d: c%u: %u comes first, after %u at its greeting",
				(int)(client - world->clients), channel, number, client->greeted[channel]);
		/* what came before a client that asks later comes behind what has come since */
		if (!client->is_bogus || !client->is_known[channel] || number > client->read[channel])
			client->read[channel] = number;
		client->is_known[channel] = true;
		client->gap[channel] = false;
	} else {
		/* a gap in everything, of before there was a position */
		assert_null(strstr(text, "event:gap"));
	}
	if (id)
		read_id(world, client, id + strlen(is_ws ? "\"id\":\"" : "\nid:"),
			strcspn(id + strlen(is_ws ? "\"id\":\"" : "\nid:"), "\"\n"));
}

/* The size of a whole event at the beginning, and its text with a NUL; 0: there is none. */
static size_t
cut_event(struct client *client, char *at, size_t left, char *text)
{
	size_t head, size;
	char *end;

	if (client->encoding == PUSH_ENCODING_SSE) {
		at[left] = '\0';
		end = strstr(at, "\n\n");
		size = end ? (size_t)(end - at) + 2 : 0;
		memcpy(text, at, size);
		text[size] = '\0';
		return size;
	}
	if (left < 4)
		return 0;
	head = (unsigned char)at[1] == 126 ? 4 : 2;
	size = head == 4 ? (size_t)(unsigned char)at[2] << 8 | (unsigned char)at[3] : (unsigned char)at[1];
	if (left < head + size)
		return 0;
	memcpy(text, at + head, size);
	text[at[0] == (char)0x81 ? size : 0] = '\0';
	return head + size;
}

/* Whole events only: half of one is lost with the connection, as in a browser. */
static void
read_events(struct world *world, struct client *client)
{
	static char text[BUFFER_BYTES];
	size_t size;

	while ((size = cut_event(
			client, client->got + client->parsed, client->size - client->parsed, text))) {
		client->parsed += size;
		read_event(world, client, text);
	}
	memmove(client->got, client->got + client->parsed, client->size - client->parsed);
	client->size -= client->parsed;
	client->parsed = 0;
}

static void
leave(struct world *world, struct client *client)
{
	if (!client->subscriber)
		return;
	read_events(world, client);
	push_subscriber_destroy(client->subscriber);
	client->subscriber = NULL;
	client->closed = false;
	client->size = 0;
	if (client->is_bogus)
		client->id[0] = '\0'; /* it begins anew */
	client->is_bogus = false;
}

/* Something like the id that it has, or one of another time or place, or none at all. */
static size_t
draw_id(const struct world *world, const struct client *client, char id[2 * PUSH_ID_BYTES_MAX])
{
	struct push_positions at = {.partitions = 1};
	size_t size;

	if (push_positions_parse(&at, client->id, strlen(client->id)) != PUSH_OK && world->log_size)
		at.at[0] = world->log[draw(world->log_size)].at;
	for (unsigned int p = 0; p < PUSH_PARTITIONS_MAX; p++) {
		if (!draw(8))
			at.partitions ^= 1u << p;
		if (!draw(2))
			at.at[p].number += draw(2) ? draw(4) : draw(2) ? draw(100000) : UINT64_MAX;
		if (!draw(6))
			at.at[p].epoch += draw(2) ? 1 : draw(2) ? UINT64_MAX : draw(1u << 20);
	}
	size = push_positions_format(&at, UINT32_MAX, id);
	for (uint64_t i = draw(3) ? 0 : 1 + draw(3); size && i-- > 0;)
		id[draw(size)] = (char)draw(256);
	return draw(10) ? size : 0;
}

static enum push_status
resume(struct world *world, struct client *client)
{
	char id[2 * PUSH_ID_BYTES_MAX];
	size_t size = strlen(client->id);

	memcpy(id, client->id, size);
	client->is_answered = client->is_asking = false;
	if (world->has_bogus_ids && !draw(3)) {
		client->is_bogus = true;
		memset(client->is_known, 0, sizeof(client->is_known));
		memset(client->gap, 0, sizeof(client->gap));
		size = draw_id(world, client, id);
	} else if (!size) {
		return PUSH_OK;
	}
	client->is_asking = true;
	return push_subscriber_resume(client->subscriber, id, size);
}

/* What came before the connection comes behind what has come since, which the client has all the same. */
static void
say_resume(struct world *world, struct client *client, const char *id, size_t size)
{
	char text[3 * PUSH_ID_BYTES_MAX];

	client->is_bogus = client->is_asking = true;
	client->is_answered = false;
	size = (size_t)snprintf(
		text, sizeof(text), "{\"event\":\"resume\",\"data\":{\"id\":\"%.*s\"}}", (int)size, id);
	begin_trouble(world);
	push_subscriber_receive(client->subscriber, text, size, world->now);
	end_trouble();
}

/* From a position of a while ago. */
static void
resume_from_past(struct world *world, struct client *client)
{
	size_t recent = world->log_size < 100 ? world->log_size : 100,
	       end = world->log_size - draw(1 + recent);
	struct push_subscriber *subscriber = client->subscriber;
	struct push_positions at = {.partitions = 0};
	char id[PUSH_ID_BYTES_MAX];

	for (size_t i = 0; i < end; i++) {
		at.at[world->log[i].partition] = world->log[i].at;
		at.partitions |= 1u << world->log[i].partition;
	}
	/* it is served at once, and alone */
	if (!subscriber->is_behind && subscriber->state == SUBSCRIBER_OPEN &&
		push_outbox_is_empty(&subscriber->outbox)) {
		client->is_checked = true;
		client->asked = at;
	}
	say_resume(world, client, id, push_positions_format(&at, UINT32_MAX, id));
}

/* Said by a client that is connected, whatever it does just now. */
static void
resume_later(struct world *world, struct client *client)
{
	char id[2 * PUSH_ID_BYTES_MAX];
	size_t size;

	if (!world->has_bogus_ids || !client->subscriber || client->closed || draw(8))
		return;
	if (draw(2)) {
		resume_from_past(world, client);
		return;
	}
	size = draw_id(world, client, id);
	for (size_t i = 0; i < size; i++)
		if (id[i] < ' ' || id[i] > '~' || id[i] == '"' || id[i] == '\\')
			id[i] = '?';
	say_resume(world, client, id, size);
}

static void
come(struct world *world, struct client *client)
{
	struct node *node = &world->nodes[draw(NODES)];
	struct push_channels channels;
	struct push_error error;
	char list[CHANNELS * 3 + 1] = "";
	bool failed;

	if (client->subscriber)
		return;
	client->is_greeted = client->is_checked = false;
	for (unsigned int c = 0; c < CHANNELS; c++)
		memset(client->has[c], 0, world->published[c] + 1);
	client->encoding = draw(2) ? PUSH_ENCODING_WS : PUSH_ENCODING_SSE;
	if (!client->id[0]) {
		client->channels =
			draw(3) ? 1 + (unsigned int)draw((1u << CHANNELS) - 1) : 1u << draw(CHANNELS);
		memset(client->is_known, 0, sizeof(client->is_known));
		memset(client->gap, 0, sizeof(client->gap));
	}
	for (unsigned int c = 0; c < CHANNELS; c++)
		if (client->channels & (1u << c))
			snprintf(list + strlen(list), sizeof(list) - strlen(list), "%sc%u", *list ? "," : "",
				c);
	client->room = draw(4) ? SIZE_MAX : draw(2000);
	assert_int_equal(
		push_channels_parse(&channels, list, strlen(list), &world->options, &error), PUSH_OK);
	begin_trouble(world);
	client->subscriber = push_subscriber_create(node->hub, client->encoding, &fake, client);
	failed = !client->subscriber || push_subscriber_subscribe(client->subscriber, &channels) != PUSH_OK ||
		 resume(world, client) != PUSH_OK;
	if (!failed)
		push_subscriber_start(client->subscriber, world->now);
	end_trouble();
	push_channels_fini(&channels);
	if (failed)
		leave(world, client);
}

static void
attend(struct world *world)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct client *client = &world->clients[i];

		if (client->subscriber)
			push_subscriber_heard(client->subscriber);
		read_events(world, client);
		if (client->closed)
			leave(world, client);
	}
}

/* --- the world --- */

static void
on_ready(void *context)
{
	(void)context;
}

static void
on_log(void *context, enum push_log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

static void
init_node(struct world *world, struct node *node, int index)
{
	const struct push_engine_host host = {on_ready, on_log, node};
	struct redis_engine *engine = &node->engine;

	node->hub =
		push_hub_create(&world->options, &node->stats, 42 + draw(1000), world->now, on_ready, node);
	assert_non_null(node->hub);
	links_init_engine(engine, &world->options, node->hub, &node->redis_stats, &host, world->now);
	push_buf_init(&engine->scratch, 1 << 20);
	snprintf(engine->id, sizeof(engine->id), "node%d", index);
	for (unsigned int s = 0; s < SERVERS; s++) {
		struct redis_node *server = &node->servers[s];

		links_init_server(server, engine, &node->settings);
		for (int link = 0; link < LINKS; link++) {
			pipe_init(&node->routes[s].to_server[link]);
			pipe_init(&node->routes[s].to_node[link]);
		}
	}
	engine->single = &node->servers[0];
	if (world->is_cluster) {
		engine->url.kind = PUSH_REDIS_CLUSTER;
		engine->tags = push_redis_slot_tags_create();
		engine->slots = calloc(PUSH_REDIS_SLOT_COUNT, sizeof(engine->slots[0]));
		assert_true(engine->tags && engine->slots);
	}
	redis_history_init(engine);
	world->partition_count = engine->partition_count;
}

static void
fini_node(struct node *node)
{
	struct redis_engine *engine = &node->engine;

	for (unsigned int s = 0; s < SERVERS; s++) {
		struct redis_node *server = &node->servers[s];

		for (int link = 0; link < LINKS; link++) {
			struct push_redis_awaited awaited;

			drop_packets(server, &node->routes[s].to_node[link]);
			drop_packets(server, &node->routes[s].to_server[link]);
			while (links_take_awaited(link_of(node, s, link), &awaited))
				forget(server, &awaited);
			link_of(node, s, link)->state = PUSH_REDIS_CLOSED;
		}
	}
	for (unsigned int s = 0; s < SERVERS; s++) {
		struct redis_node *server = &node->servers[s];
		struct push_list *const lists[] = {
			&server->to_ask, &server->asked, &server->live, &server->refused};

		for (size_t i = 0; i < COUNT(lists); i++)
			while (!push_list_is_empty(lists[i]))
				redis_subscription_drop(engine,
					push_container_of(lists[i]->next, struct redis_subscription, item));
		links_fini_server(server);
	}
	while (!push_list_is_empty(&engine->homeless))
		redis_subscription_drop(
			engine, push_container_of(engine->homeless.next, struct redis_subscription, item));
	while (push_hub_next_changed(engine->hub))
		;
	push_hub_destroy(node->hub);
	push_redis_slot_tags_destroy(engine->tags);
	free(engine->slots);
	push_buf_fini(&engine->scratch);
}

static struct world *
create_world(bool is_cluster, bool is_sharded, bool is_lossless)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	push_options_init(&world->options);
	world->options.history_size = is_lossless ? STREAM_SIZE : 12;
	world->options.history_ttl_us = 60 * SECOND_US;
	world->options.history_bytes_max = is_lossless || draw(2) ? 1 << 20 : 20000;
	if (!is_lossless)
		snprintf(world->options.history_rules, sizeof(world->options.history_rules),
			"c1=3/5s c2=40/20s");
	world->options.lifetime_min_us = world->options.lifetime_max_us = PUSH_DURATION_US_MAX;
	world->options.redis_sharded = is_sharded;
	world->options.queue_bytes_max = draw(2) ? 1 << 20 : 1200;
	world->now = 1000 * SECOND_US;
	world->is_cluster = is_cluster;
	world->is_lossless = is_lossless;
	world->page = is_lossless ? STREAM_SIZE : 1 + draw(20);
	world->is_mute = !draw(6);
	world->is_shut = !draw(6);
	world->next_replication_id = 1;
	for (int s = 0; s < SERVERS; s++)
		world->replication_id[s] = world->next_replication_id++;
	for (int n = 0; n < NODES; n++)
		init_node(world, &world->nodes[n], n);
	for (unsigned int p = 0; is_cluster && p < world->partition_count; p++)
		world->owner[p] = p % SERVERS;
	for (int n = 0; n < NODES; n++)
		learn_topology(world, &world->nodes[n]);
	return world;
}

static void
destroy_world(struct world *world)
{
	for (int i = 0; i < CLIENTS; i++)
		leave(world, &world->clients[i]);
	for (int n = 0; n < NODES; n++)
		fini_node(&world->nodes[n]);
	free(world);
}

static void
publish(struct world *world, unsigned int channel)
{
	char name[8];
	const struct push_history_rule *rule;

	if (world->log_size == PUBLISHED)
		return;
	snprintf(name, sizeof(name), "c%u", channel);
	rule = push_hub_keeps(world->nodes[0].hub, name, strlen(name));
	script_publish(world, channel, rule->size, rule->ttl_us / 1000,
		world->is_lossless || draw(20) ? 0 : 1 + draw(3000));
}

/* One thing that happens to a link. */
static void
run_link(struct world *world)
{
	struct node *node = &world->nodes[draw(NODES)];
	unsigned int server = world->is_cluster ? (unsigned int)draw(SERVERS) : 0;
	int link = (int)draw(LINKS);

	node->engine.now_us = world->now;
	if (!draw(200))
		break_link(world, node, server, link);
	else if (!draw(3))
		mend_link(node, server, link);
	for (uint64_t i = draw(8); i-- > 0;)
		if (draw(2))
			serve(world, node, server, link);
		else
			hear(world, node, server, link);
}

/* More than there are: in the end no channel would be asked for any more. */
static void
check_asked(const struct world *world)
{
	for (int n = 0; n < NODES; n++)
		for (int s = 0; s < SERVERS; s++) {
			const struct redis_node *server = &world->nodes[n].servers[s];
			uint32_t count = 0;

			for (const struct push_list *item = server->asked.next; item != &server->asked;
				item = item->next)
				count++;
			assert_int_equal(server->asked_count, count);
		}
}

static void
step(struct world *world)
{
	struct client *client = &world->clients[draw(CLIENTS)];
	struct node *node = &world->nodes[draw(NODES)];

	node->engine.now_us = world->now;
	switch (draw(12)) {
	case 0:
		world->now += draw(4) ? draw(20000) : draw(world->is_lossless ? 200000 : 3 * SECOND_US);
		break;
	case 1: leave(world, client); break;
	case 2: come(world, client); break;
	case 3: flush_hub(world, node); break;
	case 4: flush_engine(world, node); break;
	case 5: tick(world, node); break;
	case 6:
		client->room = draw(2) ? SIZE_MAX : draw(3000);
		if (client->subscriber)
			push_subscriber_writable(client->subscriber, world->now);
		resume_later(world, client);
		break;
	case 7:
		for (uint64_t i = draw(6); i-- > 0;)
			publish(world, (unsigned int)draw(CHANNELS));
		break;
	case 8:
		if (draw(20) || world->is_lossless)
			break;
		if (!world->is_cluster || draw(2))
			fail_over(world);
		else
			move_slot(world);
		break;
	case 9:
		if (!draw(10))
			learn_topology(world, node);
		else if (!draw(10))
			world->saved = world->store;
		break;
	default: run_link(world);
	}
	check_asked(world);
	attend(world);
}

/* Everything is well, for some seconds. */
static void
come_to_rest(struct world *world, uint64_t us)
{
	for (uint64_t end = world->now + us; world->now < end; world->now += 20000) {
		bool is_busy = true;

		for (int n = 0; n < NODES; n++) {
			struct node *node = &world->nodes[n];

			node->engine.now_us = world->now;
			learn_topology(world, node);
			for (unsigned int s = 0; s < SERVERS; s++)
				for (int link = 0; link < LINKS; link++)
					mend_link(node, s, link);
			tick(world, node);
		}
		while (is_busy) {
			is_busy = false;
			for (int n = 0; n < NODES; n++) {
				for (unsigned int s = 0; s < SERVERS; s++)
					for (int link = 0; link < LINKS; link++) {
						is_busy |= serve(world, &world->nodes[n], s, link);
						is_busy |= hear(world, &world->nodes[n], s, link);
					}
				flush_hub(world, &world->nodes[n]);
				flush_engine(world, &world->nodes[n]);
			}
			attend(world);
		}
		for (int i = 0; i < CLIENTS; i++)
			come(world, &world->clients[i]);
		for (int i = 0; i < CLIENTS; i++) {
			world->clients[i].room = SIZE_MAX;
			push_subscriber_writable(world->clients[i].subscriber, world->now);
		}
	}
}

/* Where heads are not announced all channels are asked, every few seconds. */
static uint64_t
rest_us(const struct world *world)
{
	return (world->is_mute || world->is_shut ? 20 : 8) * SECOND_US;
}

/* Some ask for what there was, whatever gaps they have been told of. */
static void
resume_some(struct world *world)
{
	for (int i = 0; i < CLIENTS; i++)
		if (draw(2))
			resume_from_past(world, &world->clients[i]);
	come_to_rest(world, rest_us(world));
	for (int i = 0; i < CLIENTS; i++)
		assert_true(world->clients[i].is_answered || !world->clients[i].is_asking);
}

static void
check_all(struct world *world)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct client *client = &world->clients[i];

		assert_true(client->is_greeted); /* or it would wait for ever */
		assert_true(client->is_answered || !client->is_asking);
		for (unsigned int c = 0; c < CHANNELS; c++)
			if ((client->channels & (1u << c)) && client->is_known[c] && !client->gap[c] &&
				!may_skip(world, c, client->read[c], world->published[c] + 1))
				fail_msg("client %d has read c%u up to %u of %u", i, c, client->read[c],
					world->published[c]);
			else if ((client->channels & (1u << c)) && !client->is_known[c] && !client->gap[c] &&
				 !client->is_bogus &&
				 !may_skip(world, c, client->greeted[c], world->published[c] + 1))
				fail_msg("client %d has nothing of c%u since %u of %u", i, c,
					client->greeted[c], world->published[c]);
	}
	for (int n = 0; n < NODES; n++)
		for (unsigned int p = 0; p < world->partition_count; p++)
			assert_int_equal(world->nodes[n].engine.partitions[p].lost_count, 0);
	for (int n = 0; n < NODES; n++)
		for (int s = 0; s < SERVERS; s++)
			assert_int_equal(world->nodes[n].servers[s].asked_count, 0);
}

/* Everybody is connected, and has what was published last. */
static void
check_live(struct world *world)
{
	for (int i = 0; i < CLIENTS; i++) {
		const struct client *client = &world->clients[i];

		for (unsigned int c = 0; c < CHANNELS; c++)
			if ((client->channels & (1u << c)) && client->read[c] != world->published[c] &&
				!may_skip(world, c, world->published[c] - 1, world->published[c] + 1))
				fail_msg("client %d has not got %u of c%u but %u", i, world->published[c], c,
					client->read[c]);
	}
}

static void
run(bool is_cluster, bool is_sharded, bool is_lossless, bool is_failing_memory, bool has_bogus_ids,
	uint64_t seed, int steps)
{
	struct world *world;

	print_message("seed %" PRIu64 "%s%s%s%s%s\n", seed, is_cluster ? " cluster" : "",
		is_sharded ? " sharded" : "", is_lossless ? " lossless" : "",
		is_failing_memory ? " without memory" : "", has_bogus_ids ? " bogus ids" : "");
	random_state = seed * 0x9E3779B97F4A7C15ull;
	world = create_world(is_cluster, is_sharded, is_lossless);
	world->is_failing_memory = is_failing_memory;
	world->has_bogus_ids = has_bogus_ids;
	for (int i = 0; i < steps; i++)
		step(world);
	world->is_failing_memory = false;
	for (int round = 0; round < 3; round++) {
		come_to_rest(world, rest_us(world));
		check_all(world);
		for (unsigned int c = 0; c < CHANNELS; c++)
			publish(world, c);
		come_to_rest(world, SECOND_US);
		check_live(world);
		if (has_bogus_ids) {
			resume_some(world);
			check_all(world);
		}
		for (int i = 0; i < CLIENTS; i++)
			leave(world, &world->clients[i]);
		/* who comes back gets what was published meanwhile, in each of its channels */
		for (unsigned int c = 0; c < 2 * CHANNELS; c++)
			publish(world, c % CHANNELS);
	}
	destroy_world(world);
}

/* From the command line: COUNT [FIRST [TEST]], as `400 1 'whatever*'`. */
static int first_seed = 1, seed_count = 7, step_count = 4000;
static bool are_seeds_given;

/* @also: seeds that have found a fault that was mended, unless others are asked for; 0 ends them. */
static void
run_seeds(void (*run_seed)(int seed), const int *also)
{
	for (int i = 0; i < seed_count; i++)
		run_seed(first_seed + i);
	for (; !are_seeds_given && *also; also++)
		run_seed(*also);
}

static void
run_one_server(int seed)
{
	run(false, false, false, false, false, (uint64_t)seed, step_count);
}

static void
with_one_server_everybody_has_everything_or_was_told_of_the_gap(void **state)
{
	(void)state;
	run_seeds(run_one_server, (const int[]){23, 67, 0});
}

static void
run_cluster(int seed)
{
	run(true, seed % 2, false, false, false, (uint64_t)seed, step_count);
}

static void
in_a_cluster_everybody_has_everything_or_was_told_of_the_gap(void **state)
{
	(void)state;
	run_seeds(run_cluster, (const int[]){15, 0});
}

static void
run_lossless(int seed)
{
	run(seed % 2, seed % 4 == 1, true, false, false, (uint64_t)seed, step_count / 4);
}

static void
where_no_server_forgets_nobody_is_told_of_a_gap(void **state)
{
	(void)state;
	run_seeds(run_lossless, (const int[]){19, 0});
}

static void
run_without_memory(int seed)
{
	run(seed % 2, seed % 4 == 1, false, true, false, (uint64_t)seed, step_count);
}

static void
without_memory_everybody_has_everything_or_was_told_of_the_gap(void **state)
{
	(void)state;
	run_seeds(run_without_memory, (const int[]){82, 37, 247, 5180, 777084, 0});
}

static void
run_bogus_ids(int seed)
{
	run(seed % 2, seed % 4 == 1, false, seed % 3 == 0, true, (uint64_t)seed, step_count / 3);
}

static void
whatever_a_client_brings_as_an_id_it_is_answered_and_hears_what_is_published(void **state)
{
	(void)state;
	run_seeds(run_bogus_ids, (const int[]){15, 94, 111, 777188, 35, 37, 777328, 90293, 0});
}

/* For hours, in channels that are used and in ones that are not.  What is used is looked at, and not told
 * again, which would keep it. */
static void
numbers_of_clients_do_not_expire(void **state)
{
	struct world *world;
	unsigned int set;

	(void)state;
	random_state = 1;
	world = create_world(false, false, true);
	world->options.heartbeat_us = PUSH_DURATION_US_MAX;
	world->is_mute = world->is_shut = false;
	for (int i = 0; i < CLIENTS; i++)
		come(world, &world->clients[i]);
	come_to_rest(world, 3 * SECOND_US);
	set = world->counts_set;
	assert_true(set > 0);
	for (int i = 0; i < 720; i++) {
		world->now += 10 * SECOND_US;
		for (unsigned int c = 1; c < CHANNELS; c++)
			publish(world, c);
		come_to_rest(world, 40000);
		for (int n = 0; n < NODES; n++)
			for (unsigned int c = 0; c < CHANNELS; c++)
				assert_true(!world->expire_us[n][c] ||
					    world->now - world->expire_us[n][c] <
						    PUSH_REDIS_COUNT_TTL_S / 2 * SECOND_US);
	}
	/* of c0 each node has told its number again, every 20 minutes */
	assert_in_range(world->counts_set - set, 1, 6 * NODES);
	destroy_world(world);
}

int
main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_one_server_everybody_has_everything_or_was_told_of_the_gap),
		cmocka_unit_test(in_a_cluster_everybody_has_everything_or_was_told_of_the_gap),
		cmocka_unit_test(where_no_server_forgets_nobody_is_told_of_a_gap),
		cmocka_unit_test(without_memory_everybody_has_everything_or_was_told_of_the_gap),
		cmocka_unit_test(
			whatever_a_client_brings_as_an_id_it_is_answered_and_hears_what_is_published),
		cmocka_unit_test(numbers_of_clients_do_not_expire),
	};

	are_seeds_given = count > 1;
	if (count > 1)
		seed_count = atoi(arguments[1]);
	if (count > 2)
		first_seed = atoi(arguments[2]);
	if (count > 3)
		cmocka_set_test_filter(arguments[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
