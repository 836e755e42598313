/* identified.c - see identified.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "acks.h"
#include "describe.h"
#include "hub_private.h"
#include "identified.h"
#include "limiter.h"
#include "limits.h"
#include "live.h"
#include "session.h"

/* No client lives as long: what ends later needs no timer, and its tick would overflow. */
#define FAR_US (2 * PUSH_DURATION_US_MAX)

void
push_hub_guard(struct push_hub *hub,
	void (*authenticate)(
		void *context, struct push_subscriber *subscriber, const struct push_command *command),
	void *context)
{
	PUSH_ASSERT(authenticate && !hub->subscriber_count);
	hub->authenticate = authenticate;
	hub->authenticate_context = context;
}

bool
push_hub_disconnect(struct push_hub *hub, const struct push_disconnect *what)
{
	return push_disconnects_add(&hub->disconnects, what);
}

static bool
is_waiting(const struct push_subscriber *subscriber)
{
	return subscriber->state == SUBSCRIBER_UNIDENTIFIED;
}

bool
push_subscriber_is_unidentified(const struct push_subscriber *subscriber)
{
	return is_waiting(subscriber);
}

/* One subscriber more of the identity's user. */
static enum push_status
enter_user(const struct push_hub *hub, const struct push_identity *identity, uint64_t now_us)
{
	enum push_limit limit;

	if (!hub->limiter || !identity ||
		push_limiter_enter_user(hub->limiter, push_identity_facts(identity).user, now_us, &limit))
		return PUSH_OK;
	return limit == PUSH_LIMIT_USER_CONNECTS ? PUSH_TOO_OFTEN : PUSH_LIMITED;
}

static void
leave_user(const struct push_hub *hub, const struct push_identity *identity)
{
	if (hub->limiter && identity)
		push_limiter_leave_user(hub->limiter, push_identity_facts(identity).user);
}

enum push_status
push_subscriber_identify(
	struct push_subscriber *subscriber, const struct push_identity *identity, uint64_t now_us)
{
	enum push_status status;

	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC);
	PUSH_ASSERT(subscriber->state == SUBSCRIBER_NEW || is_waiting(subscriber));
	status = enter_user(subscriber->hub, identity, now_us);
	if (status != PUSH_OK)
		return status;
	status = identities_put(&subscriber->hub->identities, subscriber, identity);
	if (status != PUSH_OK) {
		leave_user(subscriber->hub, identity);
		return status;
	}
	subscriber->has_identity = true;
	push_timer_disarm(&subscriber->timer);
	subscriber->state = SUBSCRIBER_NEW;
	return PUSH_OK;
}

void
push_subscriber_await_identity(struct push_subscriber *subscriber, bool for_token, uint64_t now_us)
{
	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC);
	PUSH_ASSERT(subscriber->state == SUBSCRIBER_NEW || is_waiting(subscriber));
	subscriber->state = SUBSCRIBER_UNIDENTIFIED;
	if (!for_token) {
		push_timer_disarm(&subscriber->timer); /* its token came in time */
		push_subscriber_hold(subscriber, true);
	} else if (!push_timer_is_armed(&subscriber->timer)) { /* however often it sends a bad one */
		push_wheel_arm_tick(&subscriber->hub->wheel, &subscriber->timer,
			push_tick_at(now_us + subscriber->hub->options->grace_us));
	}
}

void
identified_is_late(struct push_subscriber *subscriber, uint64_t now_us)
{
	static const char text[] = "no token came in time";

	push_hub_count_refused(subscriber->hub, PUSH_AUTH_MISSING, text);
	push_subscriber_refuse(subscriber, text, PUSH_CLOSE_UNAUTHENTICATED, now_us);
}

const struct push_identity *
push_subscriber_identity(const struct push_subscriber *subscriber)
{
	if (!subscriber->hub->authenticate)
		return push_identity_everybody();
	return subscriber->has_identity ? identities_get(&subscriber->hub->identities, subscriber) : NULL;
}

void
identified_forget(struct push_subscriber *subscriber)
{
	if (!subscriber->has_identity)
		return;
	subscriber->has_identity = false;
	leave_user(subscriber->hub, identities_get(&subscriber->hub->identities, subscriber));
	identities_forget(&subscriber->hub->identities, subscriber);
}

/* --- its end --- */

static uint64_t
expires_us(const struct push_subscriber *subscriber)
{
	uint64_t end_us = push_identity_facts(push_subscriber_identity(subscriber)).expires_us;
	uint64_t granted_us = live_end_us(subscriber);

	return granted_us < end_us ? granted_us : end_us;
}

uint32_t
identified_next_due(const struct push_subscriber *subscriber, uint32_t due)
{
	uint64_t end_us = expires_us(subscriber), now_us = subscriber->hub->wheel.tick * PUSH_TICK_US;
	uint32_t tick;

	if (end_us > now_us + FAR_US)
		return due;
	if (!subscriber->is_warned)
		end_us = end_us > PUSH_EXPIRING_US ? end_us - PUSH_EXPIRING_US : 0;
	/* one that has ended long ago would seem to end in the far future */
	tick = push_tick_at(end_us > now_us ? end_us : now_us);
	return push_tick_is_before(tick, due) ? tick : due;
}

static void
warn(struct push_subscriber *subscriber, uint64_t left_us, uint64_t now_us)
{
	char data[48];
	int size = snprintf(data, sizeof(data), "{\"expires_in\":%" PRIu64 "}", (left_us + 999999) / 1000000);

	subscriber->is_warned = true;
	push_subscriber_tell(subscriber, "expiring", data, (size_t)size, now_us);
}

bool
identified_has_ended(struct push_subscriber *subscriber, uint64_t now_us)
{
	static const char text[] = "the token has expired";

	if (expires_us(subscriber) > now_us)
		return false;
	push_hub_count_refused(subscriber->hub, PUSH_AUTH_EXPIRED, text);
	push_subscriber_end(subscriber, text, PUSH_CLOSE_UNAUTHENTICATED, now_us);
	return true;
}

bool
identified_on_timer(struct push_subscriber *subscriber, uint64_t now_us)
{
	uint64_t end_us = expires_us(subscriber);

	if (identified_has_ended(subscriber, now_us))
		return false;
	if (!subscriber->is_warned && end_us - now_us <= PUSH_EXPIRING_US)
		warn(subscriber, end_us - now_us, now_us);
	return subscriber->state == SUBSCRIBER_OPEN;
}

/* --- another one --- */

static bool
is_same(struct push_str a, struct push_str b)
{
	return a.size == b.size && (!a.size || !memcmp(a.bytes, b.bytes, a.size));
}

/* Its positions are kept under the name space that it came with (durable.c). */
static bool
keeps_positions(const struct push_subscriber *subscriber)
{
	return subscriber->has_acks && subscriber->list->session->acks->durable;
}

/* A connection of nobody's becomes a user's: one without a name space has nothing that is anybody's. */
static enum push_status
log_in(struct push_subscriber *subscriber, const struct push_identity *identity, uint64_t now_us)
{
	if (push_identity_space(push_subscriber_identity(subscriber)).size)
		return PUSH_REFUSED;
	if (keeps_positions(subscriber))
		return PUSH_INVALID;
	return enter_user(subscriber->hub, identity, now_us);
}

static void
leave_what_is_not_granted(
	struct push_subscriber *subscriber, const struct push_identity *identity, uint64_t now_us)
{
	struct subscription item;
	struct push_error error = {""};
	uint32_t i = 0;

	/* the last channel takes the place of one that is left */
	while (subscriber->state == SUBSCRIBER_OPEN && subscriber_item(subscriber, i, &item)) {
		const struct push_str name = {item.channel->name, item.channel->name_size};

		if (push_identity_may(identity, PUSH_RIGHT_SUBSCRIBE, name)) {
			i++;
			continue;
		}
		push_identity_refusal(identity, PUSH_RIGHT_SUBSCRIBE, name, &error);
		live_withdraw(subscriber, i, error.text, now_us);
	}
}

static void
tell_authenticated(struct push_subscriber *subscriber, uint64_t end_us, uint64_t now_us)
{
	char data[48] = "{}";
	uint64_t left_us = end_us > now_us ? end_us - now_us : 0;

	if (end_us != UINT64_MAX)
		snprintf(data, sizeof(data), "{\"expires_in\":%" PRIu64 "}", left_us / 1000000);
	push_subscriber_tell(subscriber, "authenticated", data, strlen(data), now_us);
}

enum push_status
push_subscriber_renew(
	struct push_subscriber *subscriber, const struct push_identity *identity, uint64_t now_us)
{
	const struct push_identity *before;
	enum push_status status = PUSH_OK;
	bool is_login;

	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC);
	if (subscriber->state != SUBSCRIBER_OPEN || !subscriber->has_identity)
		return PUSH_UNAVAILABLE;
	is_login = !is_same(
		push_identity_space(push_subscriber_identity(subscriber)), push_identity_space(identity));
	if (is_login)
		status = log_in(subscriber, identity, now_us);
	if (status != PUSH_OK)
		return status;
	before = push_identity_ref(push_subscriber_identity(subscriber));
	status = identities_put(&subscriber->hub->identities, subscriber, identity);
	if (status != PUSH_OK) {
		push_identity_unref(before);
		if (is_login)
			leave_user(subscriber->hub, identity);
		return status;
	}
	subscriber->is_warned = false;
	tell_authenticated(subscriber, push_identity_facts(identity).expires_us, now_us);
	leave_what_is_not_granted(subscriber, identity, now_us);
	live_forget_end(subscriber);
	/* not those that it has had, and may have left */
	live_bring(subscriber, push_identity_channels(identity), push_identity_channels(before), now_us);
	push_identity_unref(before);
	if (subscriber->state == SUBSCRIBER_OPEN)
		subscriber_arm(subscriber);
	return PUSH_OK;
}

/* --- before it is known --- */

void
identified_receive(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us)
{
	static const char first[] = "{\"error\":\"send 'auth' with a token first\"}";

	switch (command->kind) {
	case PUSH_COMMAND_AUTH:
		subscriber->hub->authenticate(subscriber->hub->authenticate_context, subscriber, command);
		break;
	case PUSH_COMMAND_PONG:
	case PUSH_COMMAND_UNKNOWN: break;
	default: push_subscriber_tell(subscriber, "error", first, sizeof(first) - 1, now_us);
	}
}
