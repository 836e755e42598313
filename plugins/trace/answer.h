/*
 * answer.h - the collector's answer to one batch, read as it comes, in bounded memory.
 *
 * By llhttp, as requests are (direct/head.h).  Of the head nothing is kept but what is needed; a body that is
 * longer than PUSH_TRACE_BODY_BYTES_MAX is read and not looked at, and one over PUSH_TRACE_ANSWER_BYTES_MAX
 * is not read to its end.
 */
#ifndef PUSH_TRACE_ANSWER_H
#define PUSH_TRACE_ANSWER_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/limits.h"

enum push_trace_answer_state {
	PUSH_TRACE_ANSWER_PARTIAL,
	PUSH_TRACE_ANSWER_WHOLE, /* or all of it that is read */
	PUSH_TRACE_ANSWER_BAD,   /* no HTTP/1.x answer */
};

struct push_trace_answer {
	llhttp_t parser; /* its data points here: not to be moved */
	unsigned int status;
	unsigned int retry_after_s; /* 0: it does not say, or says a date */
	bool is_whole, is_long;
	size_t taken; /* bytes that have come */
	char name[16], value[16];
	size_t name_size, value_size; /* as they came, which may be more than is kept */
	size_t body_size;
	char body[PUSH_TRACE_BODY_BYTES_MAX];
};

void
push_trace_answer_init(struct push_trace_answer *answer);

/* push_trace_answer_feed - the next bytes of the connection, or with size 0 its end. */
enum push_trace_answer_state
push_trace_answer_feed(struct push_trace_answer *answer, const char *bytes, size_t size);

/* push_trace_answer_rejected - of `count` spans, how many the collector has not taken and never will. */
uint64_t
push_trace_answer_rejected(const struct push_trace_answer *answer, uint64_t count);

/* push_trace_answer_is_passing - whether the same may be sent again (OTLP, "Retryable Response Codes"). */
bool
push_trace_answer_is_passing(const struct push_trace_answer *answer);

#endif
