/*
 * notices.c - notices to all workers (broker/engine.h, notify): a letter for those that are there, and remembered in
 * the segment for those that come later.
 *
 * A worker reads what is remembered once it has joined, so that whatever was put before it is there, and what comes
 * later is sent to it; and again when it was too slow for the log.
 */
#include <string.h>

#include "shared/shared_private.h"

void
shared_notice_came(struct shared_engine *engine, const struct push_segment_item *item)
{
	if (engine->notice && item->value_size && item->value_size <= PUSH_NOTICE_BYTES_MAX)
		engine->notice(engine->notice_context, item->value, item->value_size);
}

void
shared_notify(struct push_engine *base, const char *text, size_t size, uint64_t ttl_us, uint64_t now_us,
	push_notice_done_fn done, void *context)
{
	struct shared_engine *engine = shared_of(base);
	const struct push_segment_letter letter = {.verb = PUSH_SEGMENT_NOTICE_SENT,
		.mask = ~(1ull << engine->slot),
		.name = "",
		.value = text,
		.value_size = size};
	enum push_status status = PUSH_UNAVAILABLE;
	uint64_t mask = 0;

	engine->now_us = now_us;
	if (size > PUSH_NOTICE_BYTES_MAX) {
		done(context, PUSH_TOO_LARGE);
		return;
	}
	if (engine->notice)
		engine->notice(engine->notice_context, text, size);
	if (shared_lock(engine)) {
		status = ttl_us ? push_segment_notice_put(
					  engine->segment, text, size, ttl_us, shared_time(engine))
				: PUSH_OK;
		if (status == PUSH_OK)
			status = push_segment_send(engine->segment, &letter, shared_time(engine), &mask);
		shared_unlock(engine);
		push_segment_wake(engine->segment, mask);
	}
	done(context, status);
}

/* --- those that are remembered --- */

/* They are handed on without the lock: whoever gets them may want it. */
struct page {
	struct shared_engine *engine;
	struct push_buf texts; /* a size, and so many bytes */
};

static void
take(void *context, const char *text, size_t size)
{
	struct page *page = context;

	if (!size || size > PUSH_NOTICE_BYTES_MAX)
		return;
	push_buf_append(&page->texts, &size, sizeof(size));
	push_buf_append(&page->texts, text, size);
}

static void
hand_on(const struct page *page)
{
	for (size_t at = 0, size; at + sizeof(size) < page->texts.size;) {
		memcpy(&size, page->texts.bytes + at, sizeof(size));
		at += sizeof(size);
		page->engine->notice(page->engine->notice_context, page->texts.bytes + at, size);
		at += size;
	}
}

/* Returns the number of the last one; 0: there are no more. */
static uint64_t
read_page(struct page *page, uint64_t after)
{
	struct shared_engine *engine = page->engine;
	uint64_t last;

	push_buf_clear(&page->texts);
	if (!shared_lock(engine))
		return after;
	last = push_segment_notices_read(engine->segment, after, PUSH_SHARED_NOTICES_PAGE,
		shared_time(engine), &engine->scratch, take, page);
	shared_unlock(engine);
	if (page->texts.status != PUSH_OK)
		return after;
	hand_on(page);
	return last;
}

void
shared_notices_read(struct shared_engine *engine)
{
	struct page page = {.engine = engine};
	uint64_t after = 0, last;

	if (!engine->notice || engine->has_notices)
		return;
	push_buf_init(&page.texts, PUSH_SHARED_NOTICES_PAGE * (PUSH_NOTICE_BYTES_MAX + sizeof(size_t)));
	while ((last = read_page(&page, after)) && last != after)
		after = last;
	engine->has_notices = !last;
	push_buf_fini(&page.texts);
}

void
shared_on_notice(struct push_engine *base, push_notice_fn notice, void *context)
{
	struct shared_engine *engine = shared_of(base);

	engine->notice = notice;
	engine->notice_context = context;
	shared_notices_read(engine);
}

bool
shared_has_notices(const struct push_engine *base)
{
	const struct shared_engine *engine = (const struct shared_engine *)base;

	return !engine->notice || engine->has_notices;
}
