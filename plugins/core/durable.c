/* durable.c - see durable.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acks.h"
#include "durable.h"
#include "identified.h"
#include "limits.h"
#include "scope.h"
#include "session.h"

/* At the end of the value of a name that was not known, until its client acknowledges something. */
#define NEW_SUFFIX " new"

/* A position is written so often at most. */
#define SAVE_US 1000000ull

/* Two numbers, a position, and the suffix. */
#define VALUE_BYTES_MAX (20 + 1 + 16 + 1 + PUSH_ID_BYTES_MAX + (sizeof(NEW_SUFFIX) - 1))

enum step { IDLE, FETCHING, CHECKING, WRITING };

/* Whose value it is. */
struct owner {
	uint64_t generation, token;
};

struct push_durable {
	struct push_list link; /* in hub->durables */
	struct push_hub *hub;
	struct push_subscriber *subscriber; /* NULL: it is gone */
	enum step step;
	uint64_t asked_us; /* when it began to wait */
	struct owner owner;
	bool has_started;
	bool is_superseded;
	bool is_new;                    /* its client may not know yet that its name was not known */
	bool is_dirty;                  /* what is kept is not `position`, or not known to be */
	bool is_stale;                  /* it is to be written even where it is the same */
	uint32_t saved;                 /* a tick: when that was tried last */
	struct push_positions position; /* to be written */
	size_t key_size;
	size_t name_size; /* at its end */
	char key[];
};

struct push_durable *
durable_create(struct push_subscriber *subscriber, const char *name)
{
	const struct push_str text = {name, strlen(name)};
	struct push_durable *durable = NULL;
	struct push_buf key;

	push_buf_init(&key, PUSH_SCOPE_BYTES_MAX + PUSH_CLIENT_NAME_BYTES_MAX);
	push_scope_append(&key, "client", push_subscriber_identity(subscriber), text);
	if (key.status == PUSH_OK)
		durable = calloc(1, sizeof(*durable) + key.size);
	if (!durable) {
		push_buf_fini(&key);
		return NULL;
	}
	durable->hub = subscriber->hub;
	durable->subscriber = subscriber;
	durable->owner = (struct owner){1, hub_random_upto(subscriber->hub, UINT64_MAX)};
	durable->key_size = key.size;
	durable->name_size = text.size;
	memcpy(durable->key, key.bytes, key.size);
	push_buf_fini(&key);
	push_list_append(&durable->hub->durables, &durable->link);
	return durable;
}

static bool
is_of(const struct push_durable *durable, struct push_str name)
{
	return durable->name_size == name.size &&
	       !memcmp(durable->key + durable->key_size - name.size, name.bytes, name.size);
}

void
durable_each(const struct push_hub *hub, struct push_str name,
	void (*each)(void *context, struct push_subscriber *subscriber), void *context)
{
	const struct push_list *item = hub->durables.next;

	while (item != &hub->durables) {
		const struct push_durable *durable = push_container_of(item, const struct push_durable, link);
		struct push_subscriber *subscriber = durable->subscriber;

		item = item->next; /* one that is closed may go */
		if (subscriber && is_of(durable, name) &&
			(subscriber->state == SUBSCRIBER_OPEN || subscriber->state == SUBSCRIBER_WAITING))
			each(context, subscriber);
	}
}

static void
destroy(struct push_durable *durable)
{
	push_list_remove(&durable->link);
	free(durable);
}

void
durable_abandon_all(struct push_hub *hub)
{
	struct push_list *item = hub->durables.next;

	while (item != &hub->durables) {
		struct push_durable *durable = push_container_of(item, struct push_durable, link);

		item = item->next;
		destroy(durable);
	}
}

/* Answers come without a time; the wheel's is as good, since nothing of this is counted in ticks. */
static uint64_t
wheel_now_us(const struct push_durable *durable)
{
	return durable->hub->wheel.tick * PUSH_TICK_US;
}

/* Reads a value; the id, which may be anything, is what is left of it. */
static bool
read_owner(const char **value, struct owner *ret)
{
	struct owner owner;
	char *end;

	owner.generation = strtoull(*value, &end, 10);
	if (end == *value || *end != '.' || owner.generation == UINT64_MAX)
		return false;
	*value = end + 1;
	owner.token = strtoull(*value, &end, 16);
	if (end == *value || *end != ' ')
		return false;
	*value = end + 1;
	*ret = owner;
	return true;
}

/* Whether the value ends in the suffix, which is cut off. */
static bool
cut_new(char *id)
{
	size_t size = strlen(id), suffix_size = sizeof(NEW_SUFFIX) - 1;
	bool is_new = size >= suffix_size && !strcmp(id + size - suffix_size, NEW_SUFFIX);

	if (is_new)
		id[size - suffix_size] = '\0';
	return is_new;
}

/* A copy with a NUL; what is too long is none of ours. */
static void
copy_value(char to[VALUE_BYTES_MAX + 1], const char *value, size_t size)
{
	if (!value || size > VALUE_BYTES_MAX)
		size = 0;
	if (size)
		memcpy(to, value, size);
	to[size] = '\0';
}

static void
refuse(struct push_subscriber *subscriber, uint64_t now_us)
{
	static const char text[] = "{\"error\":\"the position of this client cannot be read now\"}";
	struct push_frame *frame = push_encoding_event(
		(enum push_encoding)subscriber->encoding, "error", text, sizeof(text) - 1, NULL, 0);

	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
	push_frame_unref(frame);
	push_subscriber_close(subscriber, PUSH_CLOSE_BROKER, now_us);
}

static void
on_fetched(void *context, enum push_status status, const char *value, size_t size)
{
	struct push_durable *durable = context;
	struct push_subscriber *subscriber = durable->subscriber;
	char copy[VALUE_BYTES_MAX + 1];
	const char *id = copy;
	uint64_t now_us = wheel_now_us(durable);

	if (now_us < durable->asked_us)
		now_us = durable->asked_us;
	durable->step = IDLE;
	if (!subscriber) {
		destroy(durable);
		return;
	}
	if (status != PUSH_OK && status != PUSH_NOT_FOUND) {
		refuse(subscriber, now_us);
		return;
	}
	copy_value(copy, value, size);
	durable->is_new = cut_new(copy) || status == PUSH_NOT_FOUND;
	/* an id in the request counts more */
	if (subscriber->list->session->cursor)
		durable->is_new = false;
	subscriber->list->session->is_new = durable->is_new;
	if (read_owner(&id, &durable->owner))
		durable->owner.generation++;
	durable->owner.token = hub_random_upto(durable->hub, UINT64_MAX);
	if (status == PUSH_OK && !subscriber->list->session->cursor &&
		session_ask(subscriber, id, strlen(id)) != PUSH_OK) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return;
	}
	subscriber_confirmed(subscriber, now_us);
}

void
durable_fetch(struct push_durable *durable, uint64_t now_us)
{
	const struct push_hub_values *values = &durable->hub->values;

	PUSH_ASSERT(durable->step == IDLE && durable->subscriber->state == SUBSCRIBER_WAITING);
	durable->step = FETCHING;
	durable->asked_us = now_us;
	if (values->get)
		values->get(values->context, durable->key, durable->key_size, on_fetched, durable);
	else
		on_fetched(durable, PUSH_UNAVAILABLE, NULL, 0);
}

static size_t
format(const struct push_durable *durable, char to[VALUE_BYTES_MAX + 1])
{
	int size = snprintf(to, VALUE_BYTES_MAX + 1, "%" PRIu64 ".%" PRIx64 " ", durable->owner.generation,
		durable->owner.token);

	size += (int)push_positions_format(&durable->position, UINT32_MAX, to + size);
	if (durable->is_new)
		size += snprintf(to + size, sizeof(NEW_SUFFIX), NEW_SUFFIX);
	return (size_t)size;
}

static void
check(struct push_durable *durable);

/* The engine has nothing more to say: on with what came up meanwhile, or the end. */
static void
end_step(struct push_durable *durable, bool is_done)
{
	durable->step = IDLE;
	if (!is_done)
		durable->is_dirty = true;
	if (durable->subscriber) {
		if (durable->is_dirty && durable->subscriber->state == SUBSCRIBER_OPEN)
			acks_hurry(durable->subscriber);
	} else if (is_done && durable->is_dirty && !durable->is_superseded) {
		check(durable);
	} else {
		destroy(durable); /* what could not be written is sent again */
	}
}

static void
on_written(void *context, enum push_status status, const char *value, size_t size)
{
	(void)value;
	(void)size;
	end_step(context, status == PUSH_OK);
}

static void
put(struct push_durable *durable)
{
	const struct push_hub_values *values = &durable->hub->values;
	char value[VALUE_BYTES_MAX + 1];
	size_t size = format(durable, value);

	durable->step = WRITING;
	durable->is_dirty = durable->is_stale = false;
	values->put(values->context, durable->key, durable->key_size, value, size,
		durable->hub->options->client_ttl_us, on_written, durable);
}

static void
on_checked(void *context, enum push_status status, const char *value, size_t size)
{
	struct push_durable *durable = context;
	char copy[VALUE_BYTES_MAX + 1], own[VALUE_BYTES_MAX + 1];
	const char *id = copy;
	struct owner owner = {0};
	bool is_other;

	if (status != PUSH_OK && status != PUSH_NOT_FOUND) {
		end_step(durable, false);
		return;
	}
	copy_value(copy, value, size);
	if (status == PUSH_OK && read_owner(&id, &owner)) {
		is_other = owner.token != durable->owner.token;
		durable->is_superseded = owner.generation > durable->owner.generation ||
					 (owner.generation == durable->owner.generation && is_other);
		own[format(durable, own)] = '\0';
		if (durable->is_superseded || (!durable->is_stale && !strcmp(own, copy))) {
			durable->is_dirty = false;
			end_step(durable, true);
			return;
		}
	}
	put(durable);
}

static void
check(struct push_durable *durable)
{
	const struct push_hub_values *values = &durable->hub->values;

	durable->step = CHECKING;
	values->get(values->context, durable->key, durable->key_size, on_checked, durable);
}

void
durable_start(struct push_durable *durable, const struct push_positions *position)
{
	PUSH_ASSERT(durable->step == IDLE);
	durable->has_started = true;
	durable->saved = push_tick_now(wheel_now_us(durable));
	durable->position = *position;
	put(durable);
	/* an older one may have been about to write: look again */
	durable->is_dirty = true;
}

void
durable_note(struct push_durable *durable)
{
	durable->is_dirty = true;
}

bool
durable_acknowledged(struct push_durable *durable)
{
	bool was_new = durable->is_new;

	/* it has read what came before that, its first ping among it */
	durable->is_new = false;
	durable->is_dirty = durable->is_dirty || was_new;
	return was_new;
}

static uint32_t
due_of(const struct push_durable *durable)
{
	/* what does not change is written anew long before it is forgotten */
	return durable->saved +
	       push_tick_at(durable->is_dirty ? SAVE_US : durable->hub->options->client_ttl_us / 2);
}

uint32_t
durable_next_due(const struct push_durable *durable, uint32_t due)
{
	uint32_t own = due_of(durable);

	return durable->has_started && !durable->is_superseded && push_tick_is_before(own, due) ? own : due;
}

void
durable_on_timer(struct push_durable *durable, const struct push_positions *position, uint64_t now_us)
{
	uint32_t tick = push_tick_now(now_us);

	if (!durable->has_started || durable->is_superseded || push_tick_is_before(tick, due_of(durable)))
		return;
	durable->saved = tick;
	if (durable->step != IDLE) {
		durable->is_dirty = true; /* still being asked */
		return;
	}
	durable->is_stale = !durable->is_dirty;
	durable->position = *position;
	check(durable);
}

void
durable_leave(struct push_durable *durable, const struct push_positions *position)
{
	if (!durable)
		return;
	durable->subscriber = NULL;
	if (durable->has_started && !durable->is_superseded) {
		durable->is_dirty = durable->is_stale = true;
		durable->position = *position;
		if (durable->step == IDLE)
			check(durable);
	} else if (durable->step == IDLE) {
		destroy(durable);
	}
}
