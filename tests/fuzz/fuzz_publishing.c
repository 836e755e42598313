/*
 * fuzz_publishing.c - publish requests: arrays, lines, many channels, times of their own.
 *
 * The first byte says how the rest comes.  Whatever it is there is one answer, which is JSON or lines of it,
 * with as many parts as there are messages; a stream's lines have the same answers however they are cut; and
 * what is published has a valid name and a value without a line break.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/lines.h"
#include "broker/publishing.h"
#include "core/jsonscan.h"
#include "core/push_assert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct push_engine engine; /* first */
	struct push_options options;
	struct push_stats stats;
	struct push_memory memory;
	struct push_publisher publisher;
	unsigned int answers;
	struct push_buf answer;
};

static uint64_t
now_us(void)
{
	return 1;
}

static void
fake_publish(struct push_engine *engine, const struct push_publication *publication, uint64_t now,
	push_publish_done_fn done, void *context)
{
	struct world *world = (struct world *)engine;
	struct push_error error;

	(void)now;
	PUSH_ASSERT(push_channel_name_check(publication->channel, publication->channel_size,
			    world->options.channel_name_bytes_max, &error) == PUSH_OK);
	PUSH_ASSERT(
		publication->value_size > 0 && !memchr(publication->value, '\n', publication->value_size));
	PUSH_ASSERT(publication->ttl_us <= PUSH_DURATION_US_MAX);
	done(context, PUSH_OK, 1);
}

static void
on_answer(void *context, const struct push_answer *answer)
{
	struct world *world = context;

	world->answers++;
	push_buf_append(&world->answer, answer->body, answer->size);
}

static void
on_ready(void *context)
{
	(void)context;
}

static void
init(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->engine.publish = fake_publish;
	push_options_init(&world->options);
	world->options.message_bytes_max = 1024;
	world->options.channels_max = 3;
	push_memory_init(&world->memory);
	world->publisher = (struct push_publisher){.engine = &world->engine,
		.options = &world->options,
		.stats = &world->stats,
		.memory = &world->memory,
		.now_us = now_us};
	push_publisher_init(&world->publisher);
	push_buf_init(&world->answer, SIZE_MAX);
}

static void
stream(struct world *world, const char *text, size_t size, size_t cut)
{
	struct push_lines *lines = push_lines_create(&world->publisher, on_ready, world);

	struct push_buf *answers = push_lines_answers(lines);

	push_lines_set_identity(lines, push_identity_everybody());
	for (size_t at = 0; at < size; at += cut) {
		char *piece = malloc(cut);
		size_t piece_size = size - at < cut ? size - at : cut;

		memcpy(piece, text + at, piece_size);
		push_lines_feed(lines, piece, piece_size);
		free(piece);
	}
	push_lines_end(lines);
	PUSH_ASSERT(push_lines_is_over(lines));
	push_buf_append(&world->answer, answers->bytes, answers->size);
	push_lines_destroy(lines);
}

static void
check_lines(const struct push_buf *text)
{
	const char *p = text->bytes, *end = p ? p + text->size : NULL;

	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		bool is_compact;

		PUSH_ASSERT(stop && push_json_scan_value(p, (size_t)(stop - p), &is_compact));
		p = stop + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world, other;
	size_t cut = size ? data[0] / 2 + 1 : 1;
	struct push_publish_request request = {.is_lines = size && data[0] % 2, .identity = push_identity_everybody()};
	bool is_compact;
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	request.body = text;
	request.size = size - 1;
	init(&world);
	push_publisher_publish(&world.publisher, &request, on_answer, &world);
	PUSH_ASSERT(world.answers == 1);
	if (!request.is_lines)
		PUSH_ASSERT(push_json_scan_value(world.answer.bytes, world.answer.size, &is_compact));
	push_buf_fini(&world.answer);

	init(&world);
	init(&other);
	stream(&world, text, size - 1, cut);
	stream(&other, text, size - 1, size);
	check_lines(&world.answer);
	PUSH_ASSERT(
		world.answer.size == other.answer.size &&
		(!world.answer.size || !memcmp(world.answer.bytes, other.answer.bytes, world.answer.size)));
	push_buf_fini(&world.answer);
	push_buf_fini(&other.answer);
	free(text);
	return 0;
}
