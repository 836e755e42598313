#include "unit.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/buf.h"
#include "redis/reply.h"

#define TOLD_MAX 65536

static const char letters[] = {[PUSH_REDIS_INTEGER] = ':',
	[PUSH_REDIS_STRING] = '$',
	[PUSH_REDIS_ERROR] = '-',
	[PUSH_REDIS_NIL] = '0',
	[PUSH_REDIS_ARRAY] = '*'};

static void
tell(struct push_buf *told, const struct push_redis_reply *reply)
{
	push_buf_printf(told, "%c", letters[reply->type]);
	if (reply->type == PUSH_REDIS_INTEGER)
		push_buf_printf(told, "%lld", reply->integer);
	else if (reply->type == PUSH_REDIS_ARRAY)
		push_buf_printf(told, "%zu", reply->count);
	else if (reply->text)
		push_buf_append(told, reply->text, reply->size);
	push_buf_append_text(told, " ");
}

static void
on_item(void *context, const struct push_redis_place *place, const struct push_redis_reply *item)
{
	struct push_buf *told = context;

	for (unsigned int i = 0; i < place->depth; i++)
		push_buf_printf(told, "%u.", place->index[i]);
	tell(told, item);
}

static void
on_reply(void *context, const struct push_redis_reply *reply)
{
	push_buf_append_text(context, "=");
	tell(context, reply);
}

/* Fed in pieces of this size.  Returns whether it was understood. */
static bool
read_pieces(const char *text, size_t size, size_t piece, struct push_buf *told)
{
	redisReader *hiredis = redisReaderCreate();
	struct push_redis_reader reader = {.item = on_item, .reply = on_reply, .context = told};
	bool is_understood;

	push_redis_reader_attach(&reader, hiredis);
	for (size_t at = 0; at < size; at += piece) {
		size_t part = piece < size - at ? piece : size - at;

		assert_int_equal(redisReaderFeed(hiredis, text + at, part), REDIS_OK);
		while (push_redis_reader_next(&reader))
			continue;
		if (hiredis->err)
			break;
	}
	is_understood = !hiredis->err;
	redisReaderFree(hiredis);
	return is_understood;
}

static void
items_and_answers_are_told_in_turn_however_the_bytes_are_cut(void **state)
{
	static const char *const rows[][2] = {
		{"+OK\r\n", "=$OK "},
		{"-MOVED 5 a:1\r\n:-7\r\n", "=-MOVED 5 a:1 =:-7 "},
		{"$3\r\na\nb\r\n$0\r\n\r\n$-1\r\n", "=$a\nb =$ =0 "},
		{"*0\r\n*-1\r\n", "=*0 =0 "},
		{"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", "0.$message 1.$c 2.$hi =*3 "},
		{"*2\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n:2\r\n", "0.*2 0.0.:1 0.1.*1 0.1.0.$x 1.:2 =*2 "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t piece = 1; piece <= strlen(rows[i][0]); piece++) {
			struct push_buf told;

			push_buf_init(&told, TOLD_MAX);
			assert_true(read_pieces(rows[i][0], strlen(rows[i][0]), piece, &told));
			assert_int_equal(told.size, strlen(rows[i][1]));
			assert_memory_equal(told.bytes, rows[i][1], told.size);
			push_buf_fini(&told);
		}
}

static void
what_is_no_answer_is_refused(void **state)
{
	static const char *const rows[] = {
		"HTTP/1.1 400 Bad Request\r\n",
		"$x\r\n",
		"$-2\r\n",
		"*-2\r\n",
		":1x\r\n",
		"$9223372036854775808\r\n",
		"*9223372036854775807\r\n",
		"*4294967296\r\n",
		/* deeper than PUSH_REDIS_NESTING_MAX */
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_buf told;

		push_buf_init(&told, TOLD_MAX);
		if (read_pieces(rows[i], strlen(rows[i]), 1000, &told))
			fail_msg("row %zu", i);
		push_buf_fini(&told);
	}
}

static void
items_that_lie_deeper_than_places_go_are_passed_over(void **state)
{
	static const char deep[] = "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n$1\r\nx\r\n";
	struct push_buf told;

	(void)state;
	push_buf_init(&told, TOLD_MAX);
	assert_true(read_pieces(deep, sizeof(deep) - 1, 1000, &told));
	assert_int_equal(told.size, strlen("0.*1 0.0.*1 0.0.0.*1 0.0.0.0.*1 =*1 "));
	push_buf_fini(&told);
}

static void
an_errors_word_is_told_from_one_that_begins_like_it(void **state)
{
	struct push_redis_reply error = {.type = PUSH_REDIS_ERROR, .text = "MOVED 1 a:2", .size = 11};

	(void)state;
	assert_true(push_redis_is_error(&error, "MOVED"));
	assert_false(push_redis_is_error(&error, "MOVE"));
	assert_false(push_redis_is_error(&error, "MOVED 1 a:2 and more"));
	error.size = 5;
	assert_true(push_redis_is_error(&error, "MOVED"));
	error.type = PUSH_REDIS_STRING;
	assert_false(push_redis_is_error(&error, "MOVED"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_and_answers_are_told_in_turn_however_the_bytes_are_cut),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(items_that_lie_deeper_than_places_go_are_passed_over),
		cmocka_unit_test(an_errors_word_is_told_from_one_that_begins_like_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
