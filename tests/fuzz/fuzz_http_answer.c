/*
 * fuzz_http_answer.c - what another server answers: it has the same end however it is cut, and its body is never
 * over its limit.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "loop/http_answer.h"

#define BODY_MAX 64

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum push_http_answer_state
feed(struct push_http_answer *answer, const char *text, size_t size, size_t cut)
{
	enum push_http_answer_state state = PUSH_HTTP_ANSWER_PARTIAL;

	push_http_answer_init(answer, BODY_MAX);
	for (size_t at = 0; at < size && state == PUSH_HTTP_ANSWER_PARTIAL; at += cut) {
		size_t piece_size = size - at < cut ? size - at : cut;
		char *piece = malloc(piece_size); /* of its own size, so that a read behind it is seen */

		memcpy(piece, text + at, piece_size);
		state = push_http_answer_feed(answer, piece, piece_size);
		free(piece);
	}
	return state == PUSH_HTTP_ANSWER_PARTIAL ? push_http_answer_feed(answer, "", 0) : state;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct push_http_answer whole, parts;
	enum push_http_answer_state state;

	if (!size)
		return 0;
	state = feed(&whole, (const char *)data + 1, size - 1, size);
	PUSH_ASSERT(feed(&parts, (const char *)data + 1, size - 1, data[0] / 4 + 1u) == state);
	PUSH_ASSERT(state != PUSH_HTTP_ANSWER_PARTIAL);
	PUSH_ASSERT(whole.body.size <= BODY_MAX);
	if (state == PUSH_HTTP_ANSWER_WHOLE) {
		PUSH_ASSERT(whole.status >= 200 && whole.status == parts.status);
		PUSH_ASSERT(whole.body.size == parts.body.size);
		PUSH_ASSERT(!whole.body.size || !memcmp(whole.body.bytes, parts.body.bytes, whole.body.size));
		PUSH_ASSERT(!strcmp(whole.cache_control.text, parts.cache_control.text));
		PUSH_ASSERT(whole.cache_control.is_long == parts.cache_control.is_long);
		PUSH_ASSERT(push_http_retry_after_s(whole.retry_after.text) <= PUSH_HTTP_RETRY_AFTER_S_MAX);
	}
	push_http_answer_fini(&whole);
	push_http_answer_fini(&parts);
	return 0;
}
