/*
 * control.h - what clients that are connected ask for beside their streams, wherever the stream is, and what
 * the application has to be asked about it (core/question.h).
 *
 *   POST /sse/messages/CONTROL-TOKEN {"subscribe":["a"]}
 *     ├▶ its stream is here ─▶ is somebody asked? ─no──────────────▶ push_hub_control()
 *     │                                  └─yes─▶ answered ──────────▶ push_hub_control()
 *     └▶ another node's ─▶ `control TOKEN BODY` ─▶ there likewise, but where somebody is asked it answers
 *                              102 {"user":"ann","address":"192.0.2.1","channels":"a"}
 *                          so that this node asks, and sends `granted TOKEN VERDICT`, a line feed, and BODY
 *
 * VERDICT is `200 IDENTITY`, or `403 REASON`.  A node keeps nothing for another one.  An application that is
 * away is 503 for the whole request, of which nothing has been done then.
 */
#ifndef PUSH_BROKER_CONTROL_H
#define PUSH_BROKER_CONTROL_H

#include "authenticator.h"
#include "engine.h"
#include "publishing.h"

struct push_hub;

/* Of one broker. */
struct push_controls {
	struct push_authenticator *authenticator; /* borrowed; NULL: nobody is asked */
	struct push_engine *engine;
	struct push_hub *hub;
	const struct push_options *options;
	struct push_stats *stats;
	const char *node; /* this one's name, in tokens */
	uint64_t (*now_us)(void);
};

/* push_controls_init - the fields are set; has the hub ask, where there is an authenticator. */
void
push_controls_init(struct push_controls *controls);

/* push_controls_is_here - whether this process serves the stream of that token.  @context: struct push_controls. */
bool
push_controls_is_here(void *context, const char *token);

/* push_controls_call - ask the node that does.  @context: struct push_controls. */
void
push_controls_call(void *context, const char *token, const char *verb, const struct push_buf *text,
	push_answer_fn answer, void *answer_context);

/* push_controls_request - carry it out; `answer` is called exactly once, maybe later. */
void
push_controls_request(struct push_controls *controls, const struct push_control_request *request,
	push_answer_fn answer, void *context);

/* push_controls_serve - what another node asks.  Errors: PUSH_NOT_FOUND: it is no such question. */
enum push_status PUSH_MUST_USE
push_controls_serve(
	struct push_controls *controls, const char *verb, const char *text, size_t size, struct push_buf *to);

/* push_controls_answer - append an answer to a node's question: its status and its body. */
void
push_controls_answer(void *to, const struct push_answer *answer);

#endif
