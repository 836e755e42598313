/* intake.c - see intake.h. */
#include "intake.h"
#include "limits.h"
#include "live.h"

static bool
is_open(const struct push_subscriber *subscriber)
{
	return subscriber->state > SUBSCRIBER_NEW && subscriber->state < SUBSCRIBER_CLOSING;
}

static bool
has_more_to_do(const struct push_subscriber *subscriber, uint32_t queue_bytes_max)
{
	return is_open(subscriber) && (subscriber->outbox.bytes > queue_bytes_max || subscriber->is_held ||
					      live_is_full(subscriber));
}

void
intake_forget(struct push_subscriber *subscriber)
{
	subscriber->hub->stats->paused -= subscriber->is_paused;
	subscriber->is_paused = false;
}

static void
read_on(struct push_subscriber *subscriber)
{
	intake_forget(subscriber);
	subscriber->transport->set_reading(subscriber->connection, true);
}

bool
intake_is_full(const struct push_subscriber *subscriber)
{
	return subscriber->blocked && has_more_to_do(subscriber, PUSH_ANSWERS_WAITING_BYTES_MAX);
}

void
intake_check(struct push_subscriber *subscriber)
{
	struct push_stats *stats = subscriber->hub->stats;

	if (subscriber->is_paused || !subscriber->transport->set_reading ||
		!has_more_to_do(subscriber, PUSH_ANSWERS_WAITING_BYTES_MAX))
		return;
	subscriber->is_paused = true;
	stats->paused++;
	stats->pauses++;
	subscriber->transport->set_reading(subscriber->connection, false);
}

void
intake_resume(struct push_subscriber *subscriber)
{
	if (subscriber->is_paused && !has_more_to_do(subscriber, PUSH_ANSWERS_WAITING_BYTES_MAX / 2))
		read_on(subscriber);
}

void
intake_end(struct push_subscriber *subscriber)
{
	if (subscriber->is_paused)
		read_on(subscriber);
}

bool
push_subscriber_is_held(const struct push_subscriber *subscriber)
{
	return subscriber->is_held;
}

void
push_subscriber_hold(struct push_subscriber *subscriber, bool is_held)
{
	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC);
	subscriber->is_held = is_held;
	if (is_held)
		intake_check(subscriber);
	else
		intake_resume(subscriber);
}
