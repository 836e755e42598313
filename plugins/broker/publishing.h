/*
 * publishing.h - a publish request from its body to its answer, whoever brought it.
 *
 *   {"channel":"a","message":1}                      202 {"subscribers":3}
 *   {"channels":["a","b"],"message":1,"ttl":"30s"}   202 {"subscribers":5}, of both together
 *   [{...},{...}]                                    202 [{"subscribers":3},{"error":"...","status":400}]
 *   lines, one object each                           202 lines, one answer each
 *
 * What is wrong with one of several messages is said in its place, and the others are published.  Errors of
 * the request as a whole are `{"error":"..."}` with their status.
 *
 * With an Idempotency-Key the answer is kept by the engine (idempotency.h); with `wait_written` it is given
 * when the message has been written to all of its subscribers (core/tracker.h).
 *
 * Messages are handed to the engine in order and within the call; only answers are waited for.  If the application has to
 * be asked first (permission.h), the rest of the request waits for that, from the first message that needs it on, and a
 * request with a key as a whole.  It is asked once for all of the rest, and of lines for each.
 */
#ifndef PUSH_BROKER_PUBLISHING_H
#define PUSH_BROKER_PUBLISHING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/identity.h"
#include "core/limiter.h"
#include "core/list.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/stats.h"
#include "core/traceparent.h"
#include "engine.h"

struct push_asked;
struct push_tracer;

/* All texts are borrowed until the call returns. */
struct push_publish_request {
	const char *body;
	size_t size;
	bool is_lines;     /* one message a line */
	bool wait_written; /* ?wait=written */
	const char *key;   /* Idempotency-Key; NULL: none */
	size_t key_size;
	const struct push_trace *parent;      /* of its traceparent; NULL: none, or nothing is traced */
	const struct push_identity *identity; /* whose it is; NULL: nobody's, and refused */
	const struct push_address *address; /* of the client; NULL: not known, or nothing is limited by it */
	/* His request, for an application that is asked; NULL: not known.  Its texts are borrowed until the answer. */
	const struct push_asked *asked;
};

/* Borrowed until the function that is given it returns. */
struct push_answer {
	unsigned int status;      /* of HTTP */
	const char *content_type; /* static */
	const char *body;
	size_t size;
	unsigned int retry_after_s; /* with a status of 429 or 503; 0: soon */
};

/* What a change of an event stream's channels is answered, with 413. */
#define PUSH_CLIENT_MESSAGE_TOO_LARGE_TEXT "the body is over push.client.message.max.size"

/* What a publish is answered, with 503, when there is no room for it in push.memory.max. */

/* How a request ended, called exactly once for each, maybe before the call that made it returns. */
typedef void (*push_answer_fn)(void *context, const struct push_answer *answer);

/* push_answer_error - answer `{"error":"text"}`. */
void
push_answer_error(unsigned int status, const char *text, push_answer_fn answer, void *context);

struct push_authenticator;
struct push_debug_log;

/* Requests with a key are looked for by the last bits of their number. */
#define PUSH_CLAIM_BUCKETS 256

/* What publishing needs of its broker; one for each. */
struct push_publisher {
	struct push_engine *engine;
	struct push_tracer *tracer; /* NULL: nothing is traced */
	const struct push_options *options;
	struct push_limiter *limiter; /* NULL: nothing is limited */
	struct push_stats *stats;
	struct push_memory *memory; /* what is under way is charged to it */
	uint64_t (*now_us)(void);
	void (*wake)(void *context); /* have push_publisher_settle() called soon */
	void *context;
	struct push_authenticator *authenticator; /* NULL: nobody has to show who he is */
	struct push_debug_log *log;               /* borrowed; NULL: nobody wants to know */
	struct push_list waiting;                 /* for what is written, the oldest first */
	struct push_list settled;                 /* of these: such that can be answered */
	/* requests with a key that are under way, by number (idempotency.h) */
	struct push_list claims[PUSH_CLAIM_BUCKETS];
	uint64_t last_claim;
	struct push_list permissions; /* that the application is asked for (permission.h) */
	bool is_ending;               /* nobody is asked any more */
};

void
push_publisher_init(struct push_publisher *publisher);

/* push_publisher_fini - answer those that wait. */
void
push_publisher_fini(struct push_publisher *publisher);

/* push_publisher_publish - see above. */
void
push_publisher_publish(struct push_publisher *publisher, const struct push_publish_request *request,
	push_answer_fn answer, void *context);

/* push_publisher_settle - answer those whose messages are written; never from within a write. */
void
push_publisher_settle(struct push_publisher *publisher);

/* push_publisher_tick - answer those that have waited long enough. */
void
push_publisher_tick(struct push_publisher *publisher, uint64_t now_us);

/* push_publisher_count_refused - a client has no right for something: count it, and log why. */
void
push_publisher_count_refused(
	const struct push_publisher *publisher, enum push_auth_refusal why, const char *text);

/* push_publisher_is_busy - whether some wait. */
bool
push_publisher_is_busy(const struct push_publisher *publisher);

/* push_publish_http_status - the status that says how a publish has ended. */
unsigned int
push_publish_http_status(enum push_status status);

#endif
