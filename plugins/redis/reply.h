/*
 * reply.h - what Redis answers, without a tree of allocated replies.
 *
 * hiredis' reader calls functions for each string, number and array that it has parsed; its own build a tree.
 * These hand everything on as it comes and allocate nothing: a pub/sub message is delivered straight from the
 * reader's buffer, and most answers to commands are one number.
 *
 *   +OK  -ERR text  :5  $text          reply()
 *   *3 message channel payload         item() at {0}, {1} and {2}, then reply()
 *   *1 *2 a b                          item() at {0}, {0, 0} and {0, 1}, then reply()
 *
 * Texts are valid until the call returns, since the reader moves its buffer.
 */
#ifndef PUSH_REDIS_REPLY_H
#define PUSH_REDIS_REPLY_H

#include <hiredis/read.h>
#include <stdbool.h>
#include <stddef.h>

enum push_redis_type {
	PUSH_REDIS_INTEGER,
	PUSH_REDIS_STRING, /* a bulk string or a simple one */
	PUSH_REDIS_ERROR,
	PUSH_REDIS_NIL,
	PUSH_REDIS_ARRAY,
};

struct push_redis_reply {
	enum push_redis_type type;
	long long integer; /* of an INTEGER */
	const char *text;  /* of a STRING or an ERROR, not terminated; else NULL */
	size_t size;
	size_t count; /* elements of an ARRAY */
};

/* How deep in arrays an item is handed on; deeper ones are passed over. */
#define PUSH_REDIS_DEPTH_MAX 4

/* Arrays in arrays; a server that sends more of them is left. */
#define PUSH_REDIS_NESTING_MAX 8

/* Where an item stands: index[depth - 1] in the array that it is in, and so on outwards. */
struct push_redis_place {
	unsigned int depth; /* 1: in the outermost array */
	unsigned int index[PUSH_REDIS_DEPTH_MAX];
};

struct push_redis_reader {
	redisReader *reader; /* borrowed, or owned by a redisContext */
	void (*item)(
		void *context, const struct push_redis_place *place, const struct push_redis_reply *item);
	void (*reply)(void *context, const struct push_redis_reply *reply);
	void *context;
	size_t array_count;
	bool in_array;
};

/*
 * push_redis_reader_attach - let a reader of hiredis' hand on what it parses.
 *
 * `self` has its functions set and must outlive the reader's use; both functions may feed no reader and free
 * none.
 */
void
push_redis_reader_attach(struct push_redis_reader *self, redisReader *reader);

/*
 * push_redis_reader_next - parse one more answer of what was fed.
 *
 * Returns true if one was complete, and handed on.  False: more bytes are needed, or reader->err says that
 * these are no answer of Redis.
 */
bool
push_redis_reader_next(struct push_redis_reader *self);

/* push_redis_is_error - whether an ERROR begins with this word, such as "MOVED". */
bool
push_redis_is_error(const struct push_redis_reply *reply, const char *code);

#endif
