/*
 * engine.h - where a publish goes, and where messages come from.
 *
 * The hub knows the clients of this process; an engine knows everybody else.  The embedded one (memory) hands
 * a publish straight to the hub.  One with a server behind it sends the publish there, answers it later, and
 * calls push_hub_deliver() for what it hears.  A new engine is a file with a `push_engine_NAME_create()`.
 */
#ifndef PUSH_BROKER_ENGINE_H
#define PUSH_BROKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hub.h"
#include "core/json.h"
#include "core/status.h"

struct push_tracer;

/*
 * How a publish ended, called exactly once for each.
 *
 * @status: PUSH_OK; PUSH_UNAVAILABLE when the broker cannot be reached; PUSH_REFUSED by it; PUSH_UNCERTAIN
 * when it was lost before it answered, so that the message may have been published; PUSH_OUT_OF_MEMORY.
 * @subscribers: clients that the message was accepted for; 0 unless PUSH_OK.
 */
typedef void (*push_publish_done_fn)(void *context, enum push_status status, uint64_t subscribers);

/*
 * What is kept by a name, called exactly once for each value_get and value_put.
 *
 * @status: PUSH_OK; PUSH_NOT_FOUND, of value_get only; PUSH_UNAVAILABLE when the broker cannot be reached or
 * was lost before it answered (nothing is tried again: a value may have been put); PUSH_REFUSED by it;
 * PUSH_TOO_LARGE, PUSH_OUT_OF_MEMORY.
 * @value: borrowed until the function returns; NULL: none.
 */
typedef void (*push_value_done_fn)(
	void *context, enum push_status status, const char *value, size_t value_size);

/*
 * What another node asks of this one, answered within the call by a text that is appended to `to`.
 *
 * @verb: what is asked, a word.  @text: any bytes, borrowed.  Anybody who can reach the broker's server may
 * ask. Returns PUSH_OK, PUSH_NOT_FOUND, or anything else: it cannot be answered.
 */
typedef enum push_status (*push_serve_fn)(
	void *context, const char *verb, const char *text, size_t size, struct push_buf *to);

/*
 * A notice for this node, its own ones included: at least once, in no order.
 *
 * @text: any bytes, 1 to PUSH_NOTICE_BYTES_MAX, borrowed: anybody who can reach the broker's server may send one.
 */
typedef void (*push_notice_fn)(void *context, const char *text, size_t size);

/*
 * What became of a notice, called exactly once for each.
 *
 * @status: PUSH_OK: the nodes that are there have been sent it, and it is remembered; PUSH_UNAVAILABLE when the
 * broker cannot be reached or was lost before it answered, PUSH_REFUSED by it, PUSH_OUT_OF_MEMORY: some nodes may
 * have it; PUSH_TOO_LARGE: none.
 */
typedef void (*push_notice_done_fn)(void *context, enum push_status status);

/* To change the channels of an event stream.  Texts are borrowed. */
struct push_control_request {
	const char *token;
	size_t token_size;
	const char *body;
	size_t size;
};

struct push_engine {
	/* Who is told of deliveries of what has a push_publication.trace; set by the broker, NULL: nobody,
	 * and nothing has one. */
	struct push_tracer *tracer;

	/*
	 * Publish a message.  `publication` is borrowed until the call returns; `done` may be called before
	 * that or later.
	 */
	void (*publish)(struct push_engine *engine, const struct push_publication *publication,
		uint64_t now_us, push_publish_done_fn done, void *context);

	/*
	 * Small values by name (core/values.h has the limits), the same for all nodes, as far as the broker
	 * keeps them: it may forget the oldest.  Names and values are borrowed until the call returns; `done`
	 * may be called before that or later.
	 */
	void (*value_get)(struct push_engine *engine, const char *name, size_t name_size, uint64_t now_us,
		push_value_done_fn done, void *context);

	/*
	 * Keep a value for `ttl_us`, 1 ms to PUSH_DURATION_US_MAX; 0: forget it.
	 *
	 * `done` hears of no value, unless only_if_new is set and there was one already: then it is that one,
	 * and nothing was put.
	 */
	void (*value_put)(struct push_engine *engine, const char *name, size_t name_size, const char *value,
		size_t value_size, uint64_t ttl_us, bool only_if_new, uint64_t now_us,
		push_value_done_fn done, void *context);

	/*
	 * Read what is kept of a channel.  `reading` is borrowed until the call returns; `done` is given the
	 * text that push_hub_read() describes, or its errors, or PUSH_UNAVAILABLE.  NULL: it cannot be read.
	 */
	void (*read)(struct push_engine *engine, const struct push_reading *reading, uint64_t now_us,
		push_value_done_fn done, void *context);

	/* Of an engine with a server behind it: this node's id among the others', PUSH_TOKEN_NODE_BYTES
	 * lower-case letters and digits (core/tokens.h), no secret.  NULL: it is the only one; there are no
	 * others to call. */
	const char *node;

	/*
	 * Ask another node.  All texts are borrowed until the call returns; `done` may be called before that
	 * or later, with its answer; PUSH_NOT_FOUND: there is no such node, or it has nothing of that kind;
	 * PUSH_UNAVAILABLE: it does not answer.
	 */
	void (*call)(struct push_engine *engine, const char *node, size_t node_size, const char *verb,
		const char *text, size_t size, uint64_t now_us, push_value_done_fn done, void *context);

	/* Let others' questions be answered by `serve`. */
	void (*serve)(struct push_engine *engine, push_serve_fn serve, void *context);

	/*
	 * Send all nodes and workers of this broker a notice.
	 *
	 * This process gets it within the call, whatever becomes of it elsewhere; the others at once while they can
	 * be reached.  For `ttl_us`, up to PUSH_NOTICE_TTL_US_MAX, the broker remembers it, and nodes that start later,
	 * or were cut off, get it when they connect, as far as the broker keeps its data: PUSH_NOTICES_MAX at most.
	 * 0: it is for those that are there.
	 *
	 * The engine in memory remembers nothing: its process is the only one, and what that knows ends with it.  One over
	 * memory that all workers share remembers as long as that lasts (segment/segment.h).
	 */
	void (*notify)(struct push_engine *engine, const char *text, size_t size, uint64_t ttl_us,
		uint64_t now_us, push_notice_done_fn done, void *context);

	/* Let notices be received by `notice`, from now on, and those that are remembered.  Without it there is
	 * nothing to be received, and no cost. */
	void (*on_notice)(struct push_engine *engine, push_notice_fn notice, void *context);

	/* Whether all that was remembered when this node started has been received; before that is_ready() is
	 * false. */
	bool (*has_notices)(const struct push_engine *engine);

	/* A publication's tracker is told of all of its subscribers, before `done` is called where they are
	 * on other nodes; else it must be NULL. */
	bool can_track;

	/* A publication's `once` is heeded: a second one of the same id within PUSH_IDEMPOTENCY_US is
	 * answered as the first and not published, also where the first one's answer was lost, or it was
	 * carried out late. */
	bool can_publish_once;

	/* Whether the broker can be reached. */
	bool (*is_ready)(const struct push_engine *engine);

	/* Whether a publish could succeed now; if not, a line of at most `size` bytes says why.  NULL: always. */
	bool (*accepts)(const struct push_engine *engine, char *why, size_t size);

	void (*destroy)(struct push_engine *engine);

	/*
	 * Of an engine with a server behind it; the embedded one has none of them and fd -1.
	 * `fd` is readable when ready() has something to do.  flush() ends every turn: what was published and
	 * subscribed goes out.  tick() is called every PUSH_TICK_US.
	 */
	int fd;
	void (*ready)(struct push_engine *engine, uint64_t now_us);
	void (*flush)(struct push_engine *engine, uint64_t now_us);
	void (*tick)(struct push_engine *engine, uint64_t now_us);
	/* Whether publishes wait for an answer. */
	bool (*is_busy)(const struct push_engine *engine);
	/* Bring those of its figures up to date that are not counted as they happen. */
	void (*update_stats)(struct push_engine *engine);
	/* Append what it sees of its servers, in Prometheus' text format. */
	void (*render_state)(const struct push_engine *engine, struct push_buf *to);
};

/* What an engine needs from the process around it; called with `context`, from the loop's thread. */
struct push_engine_host {
	void (*wake)(void *context); /* have engine.flush() called soon, at the end of the turn */
	void (*log)(void *context, enum push_log_level level, const char *line);
	void *context;
};

/*
 * push_engine_memory_create - the embedded engine over a hub, which is borrowed.
 *
 * @epoch: of the messages' numbers (core/position.h); another one at each start, and a greater one if
 * possible.
 * @seed: of its values' hash.  NULL when memory is out.
 */
struct push_engine *
push_engine_memory_create(struct push_hub *hub, uint64_t epoch, uint64_t seed, uint64_t now_us);

#endif
