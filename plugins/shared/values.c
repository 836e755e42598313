/*
 * values.c - small values by name, in the segment; each call is one hold of the lock.
 *
 * What is published once is such a value, too: beside its id, how many it was published to.  Between the two a worker
 * may be killed, in about a microsecond, and then a repeat is published once more.
 */
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "shared/shared_private.h"

/* No name of others' begins so. */
#define ONCE_PREFIX "\x1eonce:"

static void
end(struct shared_engine *engine, enum push_status status, bool has_value, push_value_done_fn done,
	void *context)
{
	struct push_buf value = engine->scratch;

	/* what is done with it may use the buffer again */
	push_buf_init(&engine->scratch, PUSH_SHARED_ITEM_BYTES_MAX);
	if (has_value)
		done(context, status, value.size ? value.bytes : "", value.size);
	else
		done(context, status, NULL, 0);
	push_buf_fini(&value);
}

void
shared_value_get(struct push_engine *base, const char *name, size_t name_size, uint64_t now_us,
	push_value_done_fn done, void *context)
{
	struct shared_engine *engine = shared_of(base);
	enum push_status status = PUSH_UNAVAILABLE;

	engine->now_us = now_us;
	push_buf_clear(&engine->scratch);
	if (shared_lock(engine)) {
		status = push_segment_value_get(
			engine->segment, name, name_size, shared_time(engine), &engine->scratch);
		shared_unlock(engine);
	}
	end(engine, status, status == PUSH_OK, done, context);
}

/* Under the lock. */
static enum push_status
put(struct shared_engine *engine, const char *name, size_t name_size, const char *value, size_t value_size,
	uint64_t ttl_us, bool only_if_new, bool *ret_is_there)
{
	uint64_t time_us = shared_time(engine);
	enum push_status status = PUSH_NOT_FOUND;

	if (only_if_new)
		status = push_segment_value_get(engine->segment, name, name_size, time_us, &engine->scratch);
	*ret_is_there = status == PUSH_OK;
	if (status != PUSH_NOT_FOUND)
		return status;
	return push_segment_value_put(engine->segment, name, name_size, value, value_size, ttl_us, time_us);
}

void
shared_value_put(struct push_engine *base, const char *name, size_t name_size, const char *value,
	size_t value_size, uint64_t ttl_us, bool only_if_new, uint64_t now_us, push_value_done_fn done,
	void *context)
{
	struct shared_engine *engine = shared_of(base);
	enum push_status status = PUSH_UNAVAILABLE;
	bool is_there = false;

	engine->now_us = now_us;
	push_buf_clear(&engine->scratch);
	if (shared_lock(engine)) {
		status = put(engine, name, name_size, value, value_size, ttl_us, only_if_new, &is_there);
		shared_unlock(engine);
	}
	end(engine, status, is_there, done, context);
}

/* --- what was published once --- */

static size_t
once_name(const struct push_publication *publication, char name[sizeof(ONCE_PREFIX) + PUSH_ONCE_BYTES_MAX])
{
	size_t size =
		publication->once_size < PUSH_ONCE_BYTES_MAX ? publication->once_size : PUSH_ONCE_BYTES_MAX;

	memcpy(name, ONCE_PREFIX, sizeof(ONCE_PREFIX) - 1);
	memcpy(name + sizeof(ONCE_PREFIX) - 1, publication->once, size);
	return sizeof(ONCE_PREFIX) - 1 + size;
}

bool
shared_once_find(
	struct shared_engine *engine, const struct push_publication *publication, uint64_t *ret_subscribers)
{
	char name[sizeof(ONCE_PREFIX) + PUSH_ONCE_BYTES_MAX];
	size_t size = once_name(publication, name);

	push_buf_clear(&engine->scratch);
	if (push_segment_value_get(engine->segment, name, size, shared_time(engine), &engine->scratch) !=
			PUSH_OK ||
		engine->scratch.size != sizeof(*ret_subscribers))
		return false;
	memcpy(ret_subscribers, engine->scratch.bytes, sizeof(*ret_subscribers));
	return true;
}

void
shared_once_note(
	struct shared_engine *engine, const struct push_publication *publication, uint64_t subscribers)
{
	char name[sizeof(ONCE_PREFIX) + PUSH_ONCE_BYTES_MAX];
	size_t size = once_name(publication, name);

	/* where it cannot be kept, a repeat is published again */
	(void)!push_segment_value_put(engine->segment, name, size, (const char *)&subscribers,
		sizeof(subscribers), PUSH_IDEMPOTENCY_US, shared_time(engine));
}
