/* reply.c - see reply.h. */
#include <stdint.h>
#include <string.h>

#include "redis/reply.h"

static unsigned int
depth_of(const redisReadTask *task)
{
	unsigned int depth = 0;

	for (; task->parent; task = task->parent)
		depth++;
	return depth;
}

/* hiredis takes NULL for an error; the object itself is nothing to us. */
static void *
hand_on(const redisReadTask *task, const struct push_redis_reply *reply)
{
	struct push_redis_reader *self = task->privdata;
	struct push_redis_place place = {.depth = depth_of(task)};

	if (!place.depth) {
		self->reply(self->context, reply);
	} else if (place.depth <= PUSH_REDIS_DEPTH_MAX) {
		for (unsigned int i = place.depth; i-- > 0; task = task->parent)
			place.index[i] = (unsigned int)task->idx;
		self->item(self->context, &place, reply);
	}
	return self;
}

static void *
on_string(const redisReadTask *task, char *text, size_t size)
{
	return hand_on(
		task, &(struct push_redis_reply){
			      .type = task->type == REDIS_REPLY_ERROR ? PUSH_REDIS_ERROR : PUSH_REDIS_STRING,
			      .text = text,
			      .size = size});
}

/* The outermost one is handed on when it is whole. */
static void *
on_array(const redisReadTask *task, size_t count)
{
	struct push_redis_reader *self = task->privdata;

	/* hiredis keeps something for each level that is open, as many as the server likes */
	if (depth_of(task) >= PUSH_REDIS_NESTING_MAX)
		return NULL;
	if (task->parent)
		return hand_on(task, &(struct push_redis_reply){.type = PUSH_REDIS_ARRAY, .count = count});
	self->in_array = true;
	self->array_count = count;
	return self;
}

static void *
on_integer(const redisReadTask *task, long long value)
{
	return hand_on(task, &(struct push_redis_reply){.type = PUSH_REDIS_INTEGER, .integer = value});
}

static void *
on_nil(const redisReadTask *task)
{
	return hand_on(task, &(struct push_redis_reply){.type = PUSH_REDIS_NIL});
}

/* Of RESP3, which nobody has asked for. */
static void *
on_double(const redisReadTask *task, double value, char *text, size_t size)
{
	(void)value;
	return on_string(task, text, size);
}

static void *
on_bool(const redisReadTask *task, int value)
{
	return on_integer(task, value);
}

static void
on_free(void *object)
{
	(void)object;
}

void
push_redis_reader_attach(struct push_redis_reader *self, redisReader *reader)
{
	static const redisReplyObjectFunctions functions = {
		on_string, on_array, on_integer, on_double, on_nil, on_bool, on_free};

	self->reader = reader;
	self->in_array = false;
	/* hiredis takes it without const and changes nothing */
	reader->fn = (redisReplyObjectFunctions *)(uintptr_t)&functions;
	reader->privdata = self;
}

bool
push_redis_reader_next(struct push_redis_reader *self)
{
	void *object = NULL;

	if (redisReaderGetReply(self->reader, &object) != REDIS_OK || !object)
		return false;
	/* everything else was handed on when it was parsed */
	if (self->in_array) {
		self->in_array = false;
		self->reply(self->context,
			&(struct push_redis_reply){.type = PUSH_REDIS_ARRAY, .count = self->array_count});
	}
	return true;
}

bool
push_redis_is_error(const struct push_redis_reply *reply, const char *code)
{
	size_t size = strlen(code);

	return reply->type == PUSH_REDIS_ERROR && reply->size >= size && !memcmp(reply->text, code, size) &&
	       (reply->size == size || reply->text[size] == ' ');
}
