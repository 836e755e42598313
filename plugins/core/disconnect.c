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
	uint64_t at; /* where the next slice begins */
	bool has_begun;
	char name[];
};

void
push_disconnects_init(struct push_disconnects *disconnects)
{
	push_list_init(&disconnects->waiting);
	disconnects->count = 0;
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
	const struct push_disconnect *what;
	uint64_t now_us;
};

static void
end_if_covered(void *context, struct push_subscriber *subscriber, const struct push_identity *identity)
{
	const struct push_identity_facts facts = push_identity_facts(identity);
	const struct walk *walk = context;
	const struct push_disconnect *what = walk->what;

	/* what does not say when it was issued has the least number */
	if (has_name(what, &facts) && (!what->is_revoked || facts.issued_s < what->issued_before_s))
		end(subscriber, what, walk->now_us);
}

/* Closing a client leaves it in the table until it is destroyed, which no call from here does. */
static bool
walk_identities(struct order *order, struct push_hub *hub, uint64_t now_us)
{
	struct walk walk = {&order->what, now_us};

	return identities_walk(&hub->identities, &order->at, PUSH_DISCONNECT_SLICE, end_if_covered, &walk);
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

static void
end_client(void *context, struct push_subscriber *subscriber)
{
	const struct walk *walk = context;

	end(subscriber, walk->what, walk->now_us);
}

static bool
walk_clients(struct order *order, struct push_hub *hub, uint64_t now_us)
{
	struct walk walk = {&order->what, now_us};

	durable_each(hub, order->what.name, end_client, &walk);
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
	switch (order->what.by) {
	case PUSH_DISCONNECT_CHANNEL: is_over = walk_channel(order, hub, now_us); break;
	case PUSH_DISCONNECT_CLIENT: is_over = walk_clients(order, hub, now_us); break;
	default: is_over = walk_identities(order, hub, now_us);
	}
	if (is_over)
		destroy(disconnects, order);
}
