/*
 * lines.h - a stream of messages, one JSON object a line (ndjson), of any length in bounded memory.
 *
 *   bytes ─▶ lines ─▶ published at once ─▶ a window of answers that are to come ─▶ answers, in order
 *
 * Every line that is not blank has one line of answer, as in publishing.h.  One that is over
 * push.message.max.size is not kept: it has an error, and the stream goes on behind it.
 *
 * If the application is to be asked about a line (permission.h), the stream is full until the answer is there, so that its
 * lines keep their order.
 *
 * Who feeds it looks at push_lines_is_full() before; what is fed all the same is kept until it is its turn.
 */
#ifndef PUSH_BROKER_LINES_H
#define PUSH_BROKER_LINES_H

#include "core/buf.h"
#include "publishing.h"

struct push_lines;

/*
 * push_lines_create - a stream that begins.  NULL when memory is out.
 *
 * @ready: called, with `context`, when answers have come or the stream is no longer full, but not from within
 * a call to it.
 */
struct push_lines *
push_lines_create(struct push_publisher *publisher, void (*ready)(void *context), void *context);

/* push_lines_set_parent - of its traceparent; before the first line comes. */
void
push_lines_set_parent(struct push_lines *lines, const struct push_trace *parent);

/* push_lines_set_identity - whose it is, before the first line comes; a reference is taken. */
void
push_lines_set_identity(struct push_lines *lines, const struct push_identity *identity);

/* push_lines_set_address - where they come from, before the first one does. */
void
push_lines_set_address(struct push_lines *lines, const struct push_address *address);

/* push_lines_set_asked - whose request it is, for an application that is asked, before the first one comes.  Its texts are
 * borrowed until the stream is destroyed. */
void
push_lines_set_asked(struct push_lines *lines, const struct push_asked *asked);

/* push_lines_destroy - nobody waits for the answers any more.  NULL is allowed. */
void
push_lines_destroy(struct push_lines *lines);

/* push_lines_feed - the next bytes of the stream. */
void
push_lines_feed(struct push_lines *lines, const char *bytes, size_t size);

/* push_lines_end - there are no more: a last line need not have a break. */
void
push_lines_end(struct push_lines *lines);

/* push_lines_is_full - whether too many lines wait for their answers to take more. */
bool
push_lines_is_full(const struct push_lines *lines);

/* push_lines_is_over - it has ended, and all answers are there. */
bool
push_lines_is_over(const struct push_lines *lines);

/* push_lines_answers - what is to be sent; who has taken it clears it.  One that has failed ends the stream.
 */
struct push_buf *
push_lines_answers(struct push_lines *lines);

#endif
