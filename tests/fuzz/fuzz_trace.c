/*
 * fuzz_trace.c - what tracing reads from outside: a traceparent, the collector's answer, its address.
 *
 * What is read of a traceparent is what is written; an answer has the same end however it is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/http_url.h"
#include "core/push_assert.h"
#include "core/traceparent.h"
#include "trace/answer.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_parent(const char *text, size_t size)
{
	char written[PUSH_TRACEPARENT_BYTES + 1];
	struct push_trace trace, again;

	if (!push_traceparent_parse(&trace, text, size))
		return;
	push_traceparent_write(&trace, written);
	PUSH_ASSERT(!memcmp(written + 2, text + 2, 51)); /* all but the version and the flags */
	PUSH_ASSERT(push_traceparent_parse(&again, written, PUSH_TRACEPARENT_BYTES));
	PUSH_ASSERT(!memcmp(&again, &trace, sizeof(trace)));
}

static enum push_trace_answer_state
feed(struct push_trace_answer *answer, const char *text, size_t size, size_t cut)
{
	enum push_trace_answer_state state = PUSH_TRACE_ANSWER_PARTIAL;

	push_trace_answer_init(answer);
	for (size_t at = 0; at < size && state == PUSH_TRACE_ANSWER_PARTIAL; at += cut) {
		size_t piece_size = size - at < cut ? size - at : cut;
		char *piece = malloc(piece_size);

		memcpy(piece, text + at, piece_size);
		state = push_trace_answer_feed(answer, piece, piece_size);
		free(piece);
	}
	return state == PUSH_TRACE_ANSWER_PARTIAL ? push_trace_answer_feed(answer, "", 0) : state;
}

static void
check_answer(const char *text, size_t size, size_t cut)
{
	static struct push_trace_answer whole, parts;
	enum push_trace_answer_state state = feed(&whole, text, size, size + !size);

	PUSH_ASSERT(feed(&parts, text, size, cut) == state);
	PUSH_ASSERT(state != PUSH_TRACE_ANSWER_PARTIAL);
	PUSH_ASSERT(push_trace_answer_rejected(&whole, 7) <= 7);
	if (state != PUSH_TRACE_ANSWER_WHOLE)
		return;
	PUSH_ASSERT(whole.status >= 200 && whole.status == parts.status);
	PUSH_ASSERT(whole.retry_after_s == parts.retry_after_s);
	PUSH_ASSERT(whole.retry_after_s <= PUSH_TRACE_RETRY_AFTER_S_MAX);
	PUSH_ASSERT(push_trace_answer_rejected(&whole, 7) == push_trace_answer_rejected(&parts, 7));
}

static void
check_url(const char *text, size_t size)
{
	struct push_http_url url;
	struct push_error error;
	char *copy = malloc(size + 1);

	memcpy(copy, text, size);
	copy[size] = '\0';
	if (push_http_url_parse(&url, "name", copy, &error) == PUSH_OK) {
		PUSH_ASSERT(url.host[0] && url.port && url.path[0] == '/');
		PUSH_ASSERT(!strpbrk(url.path, "\r\n ") && !strpbrk(url.authority, "\r\n /@"));
	}
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	/* of its own size, so that a read behind it is seen */
	text = malloc(size - 1 + (size == 1));
	memcpy(text, data + 1, size - 1);
	check_parent(text, size - 1);
	check_answer(text, size - 1, data[0] / 4 + 1u);
	check_url(text, size - 1);
	free(text);
	return 0;
}
