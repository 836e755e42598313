/* pressure.c - see pressure.h. */
#include "acks.h"
#include "pressure.h"
#include "limits.h"

static unsigned int
size_class(uint64_t bytes)
{
	return bytes > UINT32_MAX ? PUSH_QUEUE_SIZE_CLASSES - 1
				  : 31u - (unsigned int)__builtin_clz((uint32_t)bytes | 1u);
}

static void
enter(struct push_subscriber *subscriber)
{
	push_list_append(&subscriber->hub->blocked[size_class(subscriber->outbox.bytes)], &subscriber->dirty);
}

void
pressure_block(struct push_subscriber *subscriber, bool fills_socket)
{
	PUSH_ASSERT(push_list_is_empty(&subscriber->dirty));
	subscriber->blocked = true;
	if (subscriber->state >= SUBSCRIBER_CLOSING)
		return;
	enter(subscriber);
	subscriber->fills_socket = fills_socket;
	if (fills_socket)
		push_account_add(&subscriber->hub->memory.accounts[PUSH_MEMORY_SOCKETS],
			subscriber->hub->options->send_buffer_bytes);
}

void
pressure_unblock(struct push_subscriber *subscriber)
{
	if (!subscriber->blocked || push_list_is_empty(&subscriber->dirty))
		return;
	push_list_remove(&subscriber->dirty);
	if (subscriber->fills_socket)
		push_account_take(&subscriber->hub->memory.accounts[PUSH_MEMORY_SOCKETS],
			subscriber->hub->options->send_buffer_bytes);
	subscriber->fills_socket = false;
}

void
pressure_resize(struct push_subscriber *subscriber, uint32_t bytes_before)
{
	if (push_list_is_empty(&subscriber->dirty) ||
		size_class(bytes_before) == size_class(subscriber->outbox.bytes))
		return;
	push_list_remove(&subscriber->dirty);
	enter(subscriber);
}

void
pressure_window(struct push_acks *acks, uint64_t bytes)
{
	bool is_there = !push_list_is_empty(&acks->window);

	if (is_there && (!bytes || size_class(bytes) != size_class(acks->bytes))) {
		push_list_remove(&acks->window);
		is_there = false;
	}
	acks->bytes = bytes;
	if (!is_there && bytes)
		push_list_append(&acks->subscriber->hub->windows[size_class(bytes)], &acks->window);
}

/* The largest queue, and of those of about its size the one that has been as large for longest. */
static struct push_subscriber *
slowest(struct push_hub *hub)
{
	for (unsigned int i = PUSH_QUEUE_SIZE_CLASSES; i-- > 0;)
		if (!push_list_is_empty(&hub->blocked[i]))
			return push_container_of(hub->blocked[i].next, struct push_subscriber, dirty);
	for (unsigned int i = PUSH_QUEUE_SIZE_CLASSES; i-- > 0;)
		if (!push_list_is_empty(&hub->windows[i]))
			return push_container_of(hub->windows[i].next, struct push_acks, window)->subscriber;
	return NULL;
}

size_t
push_hub_relieve_queues(struct push_hub *hub, uint64_t now_us, size_t max)
{
	const unsigned int uses = 1u << PUSH_MEMORY_QUEUES | 1u << PUSH_MEMORY_SOCKETS;
	struct push_subscriber *subscriber;
	size_t count = 0;

	while (count < max && push_memory_gives(&hub->memory, uses) && (subscriber = slowest(hub))) {
		push_subscriber_close(subscriber, PUSH_CLOSE_MEMORY, now_us);
		hub_forget_idle_text(hub);
		count++;
	}
	return count;
}
