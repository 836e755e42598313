/* disconnect.c - see disconnect.h. */
#include <stdlib.h>
#include <string.h>

#include "acks.h"
#include "disconnect.h"
#include "durable.h"
#include "hub_private.h"
#include "session.h"

struct order {
	struct push_list item;
	struct push_disconnect what;
	uint64_t at; /* of a channel: where the next slice begins */
	bool has_begun;
	char name[];
};

void
push_disconnects_init(struct push_disconnects *disconnects)
{
	push_list_init(&disconnects->waiting);
	disconnects->count = disconnects->group = 0;
}

static void
destroy(struct push_disconnects *disconnects, struct order *order)
{
	push_list_remove(&order->item);
	disconnects->count--;
	free(order);
}

void
push_disconnects_fini(struct push_disconnects *disconnects)
{
	struct push_list *item = disconnects->waiting.next;

	while (item != &disconnects->waiting) {
		struct order *order = push_container_of(item, struct order, item);

		item = item->next;
		destroy(disconnects, order);
	}
}

bool
push_disconnects_add(struct push_disconnects *disconnects, const struct push_disconnect *what)
{
	struct order *order = NULL;

	if (disconnects->count < PUSH_DISCONNECTS_MAX)
		order = malloc(sizeof(*order) + what->name.size);
	if (!order)
		return false;
	*order = (struct order){.what = *what};
	memcpy(order->name, what->name.bytes, what->name.size);
	order->what.name.bytes = order->name;
	push_list_append(&disconnects->waiting, &order->item);
	disconnects->count++;
	return true;
}

static bool
is_same(struct push_str a, struct push_str b)
{
	return a.size == b.size && (!a.size || !memcmp(a.bytes, b.bytes, a.size));
}

static bool
has_name(const struct push_disconnect *what, const struct push_identity_facts *facts)
{
	const struct push_str names[] = {[PUSH_DISCONNECT_USER] = facts->user,
		[PUSH_DISCONNECT_TOKEN_ID] = facts->token_id,
		[PUSH_DISCONNECT_KEY] = facts->key_name};

	return is_same(names[what->by], what->name);
}

static void
end(struct push_subscriber *subscriber, const struct push_disconnect *what, uint64_t now_us)
{
	if (subscriber->state >= SUBSCRIBER_CLOSING || subscriber->state == SUBSCRIBER_NEW)
		return;
	if (what->is_revoked)
		push_subscriber_end(subscriber, "the token was revoked", PUSH_CLOSE_UNAUTHENTICATED, now_us);
	else if (subscriber_began_us(subscriber, now_us) < what->began_before_us)
		push_subscriber_end(subscriber, "disconnected by the operator", PUSH_CLOSE_FORBIDDEN, now_us);
}

struct walk {
	const struct push_disconnects *disconnects;
	uint64_t now_us;
	size_t ended;
};

static const struct order *
next_of(const struct push_list *item)
{
	return push_container_of(item->next, const struct order, item);
}

static bool
covers(const struct push_disconnect *what, const struct push_identity_facts *facts)
{
	/* what does not say when it was issued has the least number */
	return has_name(what, facts) && (!what->is_revoked || facts->issued_s < what->issued_before_s);
}

static void
end_if_covered(void *context, struct push_subscriber *subscriber, const struct push_identity *identity)
{
	const struct push_identity_facts facts = push_identity_facts(identity);
	struct walk *walk = context;
	const struct push_list *item = &walk->disconnects->waiting;

	for (size_t i = 0; i < walk->disconnects->group; i++, item = item->next) {
		if (!covers(&next_of(item)->what, &facts))
			continue;
		end(subscriber, &next_of(item)->what, walk->now_us);
		walk->ended++;
	}
}

static bool
is_by_identity(const struct push_disconnect *what)
{
	return what->by != PUSH_DISCONNECT_CHANNEL && what->by != PUSH_DISCONNECT_CLIENT;
}

/* Those that wait in a row, from the first on. */
static void
begin_walk(struct push_disconnects *disconnects)
{
	const struct push_list *item = &disconnects->waiting;

	disconnects->at = 0;
	disconnects->group = 0;
	while (disconnects->group < PUSH_DISCONNECT_GROUP && item->next != &disconnects->waiting &&
		is_by_identity(&next_of(item)->what)) {
		disconnects->group++;
		item = item->next;
	}
}

/* Closing a client leaves it in the table until it is destroyed, which no call from here does. */
static void
walk_identities(struct push_disconnects *disconnects, struct push_hub *hub, uint64_t now_us)
{
	const struct push_identities *identities = &hub->identities;
	struct walk walk = {disconnects, now_us, 0};
	struct push_list *item = disconnects->waiting.next;
	size_t looked = 0;
	bool is_over;

	if (!disconnects->group)
		begin_walk(disconnects);
	do {
		is_over = identities_walk(
			identities, &disconnects->at, PUSH_DISCONNECT_SLICE, end_if_covered, &walk);
		looked += PUSH_DISCONNECT_SLICE;
	} while (!is_over && looked < identities->capacity / PUSH_DISCONNECT_TURNS &&
		 walk.ended < PUSH_DISCONNECT_SLICE / 16);
	for (; is_over && disconnects->group; disconnects->group--) {
		struct order *order = push_container_of(item, struct order, item);

		item = item->next;
		destroy(disconnects, order);
	}
}

/* From the last entry on, since the last one takes the place of one that leaves; not those that come while it
 * lasts, or clients that come back at once would never let it end. */
static bool
walk_channel(struct order *order, struct push_hub *hub, uint64_t now_us)
{
	const struct push_str name = order->what.name;

	for (int i = 0; i < PUSH_DISCONNECT_SLICE; i++) {
		const struct push_channel *channel = push_hub_find(hub, name.bytes, name.size);
		uint64_t count = channel ? channel->count : 0;

		if (!order->has_begun || order->at > count)
			order->at = count;
		order->has_begun = true;
		if (!order->at)
			return true;
		end(channel->entries[--order->at].subscriber, &order->what, now_us);
	}
	return false;
}

struct search {
	const struct push_disconnect *what;
	uint64_t now_us;
};

static void
end_client(void *context, struct push_subscriber *subscriber)
{
	const struct search *search = context;

	end(subscriber, search->what, search->now_us);
}

static bool
walk_clients(struct order *order, struct push_hub *hub, uint64_t now_us)
{
	struct search search = {&order->what, now_us};

	durable_each(hub, order->what.name, end_client, &search);
	return true;
}

void
push_disconnects_tick(struct push_disconnects *disconnects, struct push_hub *hub, uint64_t now_us)
{
	struct order *order;
	bool is_over;

	if (push_list_is_empty(&disconnects->waiting))
		return;
	order = push_container_of(disconnects->waiting.next, struct order, item);
	if (is_by_identity(&order->what)) {
		walk_identities(disconnects, hub, now_us);
		return;
	}
	is_over = order->what.by == PUSH_DISCONNECT_CHANNEL ? walk_channel(order, hub, now_us)
							    : walk_clients(order, hub, now_us);
	if (is_over)
		destroy(disconnects, order);
}
