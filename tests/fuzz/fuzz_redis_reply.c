/*
 * fuzz_redis_reply.c - what a Redis server, or whoever stands there, sends.
 *
 * The same bytes are read at once and in pieces whose sizes the input chooses: the same must be told, and the
 * same must be refused.  Texts lie in the reader's buffer, places within the depth that is promised.
 *
 *   input:  number of cuts (1) | sizes of pieces (as many) | what the server sends
 */
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"
#include "core/push_assert.h"
#include "redis/reply.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
on_item(void *context, const struct push_redis_place *place, const struct push_redis_reply *item)
{
	struct push_buf *told = context;

	PUSH_ASSERT(place->depth >= 1 && place->depth <= PUSH_REDIS_DEPTH_MAX);
	PUSH_ASSERT(item->text || !item->size);
	push_buf_printf(told, "%u/%u %d %lld %zu ", place->depth, place->index[place->depth - 1], item->type,
		item->integer, item->count);
	push_buf_append(told, item->text, item->size);
}

static void
on_reply(void *context, const struct push_redis_reply *reply)
{
	push_buf_printf(context, "= %d %lld %zu ", reply->type, reply->integer, reply->count);
	push_buf_append(context, reply->text, reply->size);
}

static bool
feed(redisReader *hiredis, struct push_redis_reader *reader, const uint8_t *data, size_t size)
{
	PUSH_ASSERT(redisReaderFeed(hiredis, (const char *)data, size) == REDIS_OK);
	while (push_redis_reader_next(reader))
		continue;
	return !hiredis->err;
}

static bool
read_all(const uint8_t *data, size_t size, const uint8_t *cuts, size_t cut_count, struct push_buf *told)
{
	redisReader *hiredis = redisReaderCreate();
	struct push_redis_reader reader = {.item = on_item, .reply = on_reply, .context = told};
	bool is_well = true;
	size_t at = 0;

	push_redis_reader_attach(&reader, hiredis);
	for (size_t i = 0; is_well && i < cut_count; i++) {
		size_t piece = cuts[i] < size - at ? cuts[i] : size - at;

		is_well = feed(hiredis, &reader, data + at, piece);
		at += piece;
	}
	is_well = is_well && feed(hiredis, &reader, data + at, size - at);
	redisReaderFree(hiredis);
	return is_well;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_buf whole, cut;
	size_t cut_count;
	bool is_whole_well, is_cut_well;

	if (!size)
		return 0;
	cut_count = data[0] < size - 1 ? data[0] : size - 1;
	push_buf_init(&whole, 1 << 22);
	push_buf_init(&cut, 1 << 22);
	is_whole_well = read_all(data + 1 + cut_count, size - 1 - cut_count, NULL, 0, &whole);
	is_cut_well = read_all(data + 1 + cut_count, size - 1 - cut_count, data + 1, cut_count, &cut);
	PUSH_ASSERT(is_whole_well == is_cut_well);
	PUSH_ASSERT(whole.size == cut.size && (!whole.size || !memcmp(whole.bytes, cut.bytes, whole.size)));
	push_buf_fini(&whole);
	push_buf_fini(&cut);
	return 0;
}
