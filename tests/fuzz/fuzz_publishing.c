/*
 * fuzz_publishing.c - publish requests: arrays, lines, many channels, times of their own.
 *
 * The first byte says how the rest comes.  Whatever it is there is one answer, which is JSON or lines of it,
 * with as many parts as there are messages; a stream's lines have the same answers however they are cut; and
 * what is published has a valid name and a value without a line break.
 *
 * All of it comes again from somebody with few rights: then nothing is published to, or read from, a channel that is not
 * granted.  Bytes from 0x80 on stand for pieces that requests are made of.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/lines.h"
#include "broker/publishing.h"
#include "broker/reading.h"
#include "core/jsonscan.h"
#include "core/push_assert.h"
#include "pieces.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct push_engine engine; /* first */
	struct push_options options;
	struct push_stats stats;
	struct push_memory memory;
	struct push_publisher publisher;
	const struct push_identity *identity; /* who publishes */
	unsigned int answers;
	struct push_buf answer;
};

static const char *const pieces[] = {"{\"channel\":\"a\",\"message\":1}",
	"{\"channel\":\"secret\",\"message\":1}", "{\"channels\":[\"a\",\"secret\"],\"message\":2}",
	"{\"channel\":", "{\"channels\":[", "\"a\"", "\"secret\"", "\"b:1\"", "\"b:1:2\"", "\"b\"",
	"\"\\u0061\"", "\"*\"", "\"a\\u0000\"", "],", ",\"message\":", "\"channel\":", "}\n", ",", "[", "]",
	"\"ttl\":\"1m\"", "a", "b:1", "secret"};

static char *
expand(const uint8_t *data, size_t size, size_t *ret_size)
{
	struct push_buf text;

	push_buf_init(&text, SIZE_MAX);
	pieces_expand(&text, pieces, sizeof(pieces) / sizeof(pieces[0]), data, size);
	*ret_size = text.size;
	push_buf_append(&text, "", 1);
	PUSH_ASSERT(text.status == PUSH_OK);
	return text.bytes;
}

/* `a`, and `b:*` as a matcher of this file's own has it. */
static bool
is_granted(const struct world *world, const char *name, size_t size)
{
	if (world->identity == push_identity_everybody() || (size == 1 && *name == 'a'))
		return true;
	return size >= 2 && !memcmp(name, "b:", 2) && !memchr(name + 2, ':', size - 2);
}

static const struct push_identity *
create_limited(void)
{
	static const struct push_str patterns[] = {{"a", 1}, {"b:*", 3}};
	struct push_identity_builder *builder = push_identity_build(&(struct push_identity_facts){
		.user = {"u", 1}, .expires_us = UINT64_MAX, .issued_s = INT64_MIN});
	const struct push_identity *identity;
	struct push_error error;

	for (size_t i = 0; i < 2; i++) {
		PUSH_ASSERT(push_identity_grant(builder, PUSH_RIGHT_PUBLISH, patterns[i], &error) == PUSH_OK);
		PUSH_ASSERT(push_identity_grant(builder, PUSH_RIGHT_HISTORY, patterns[i], &error) == PUSH_OK);
	}
	identity = push_identity_done(builder);
	PUSH_ASSERT(identity);
	return identity;
}

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
	PUSH_ASSERT(is_granted(world, publication->channel, publication->channel_size));
	PUSH_ASSERT(push_channel_name_check(publication->channel, publication->channel_size,
			    world->options.channel_name_bytes_max, &error) == PUSH_OK);
	PUSH_ASSERT(
		publication->value_size > 0 && !memchr(publication->value, '\n', publication->value_size));
	PUSH_ASSERT(publication->ttl_us <= PUSH_DURATION_US_MAX);
	done(context, PUSH_OK, 1);
}

static void
fake_read(struct push_engine *engine, const struct push_reading *reading, uint64_t now,
	push_value_done_fn done, void *context)
{
	(void)now;
	PUSH_ASSERT(is_granted((struct world *)engine, reading->channel, reading->channel_size));
	done(context, PUSH_OK, "{}", 2);
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
init(struct world *world, const struct push_identity *identity)
{
	memset(world, 0, sizeof(*world));
	world->identity = identity;
	world->engine.publish = fake_publish;
	world->engine.read = fake_read;
	push_options_init(&world->options);
	world->options.message_bytes_max = 1024;
	world->options.channels_max = 3;
	world->options.history_size = 1;
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

	push_lines_set_identity(lines, world->identity);
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

static void
read_history(struct world *world, const char *text, size_t size)
{
	struct push_buf channel;
	const struct push_read_request request = {.channel = &channel, .identity = world->identity};

	push_buf_init(&channel, SIZE_MAX);
	push_buf_append(&channel, text, size);
	world->answers = 0;
	push_read(&world->publisher, &request, on_answer, world);
	PUSH_ASSERT(world->answers == 1);
	push_buf_fini(&channel);
}

static void
run(const char *text, size_t size, unsigned int how, const struct push_identity *identity)
{
	struct push_publish_request request = {
		.is_lines = how % 2, .identity = identity, .body = text, .size = size};
	struct world world, other;
	bool is_compact;

	init(&world, identity);
	push_publisher_publish(&world.publisher, &request, on_answer, &world);
	PUSH_ASSERT(world.answers == 1);
	if (!request.is_lines)
		PUSH_ASSERT(push_json_scan_value(world.answer.bytes, world.answer.size, &is_compact));
	push_buf_fini(&world.answer);

	init(&world, identity);
	init(&other, identity);
	stream(&world, text, size, how / 2 + 1);
	stream(&other, text, size, size + 1);
	check_lines(&world.answer);
	PUSH_ASSERT(
		world.answer.size == other.answer.size &&
		(!world.answer.size || !memcmp(world.answer.bytes, other.answer.bytes, world.answer.size)));
	read_history(&world, text, size);
	push_buf_fini(&world.answer);
	push_buf_fini(&other.answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct push_identity *limited;
	size_t text_size;
	char *text, *copy;

	if (!size)
		return 0;
	text = expand(data + 1, size - 1, &text_size);
	copy = malloc(text_size ? text_size : 1); /* so that a byte behind it is seen */
	memcpy(copy, text, text_size);
	free(text);
	run(copy, text_size, data[0], push_identity_everybody());
	limited = create_limited();
	run(copy, text_size, data[0], limited);
	push_identity_unref(limited);
	free(copy);
	return 0;
}
