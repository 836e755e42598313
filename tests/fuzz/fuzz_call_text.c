/* fuzz_call_text.c - what anybody may send to a Push node through Redis: what is accepted is written as it
 * was read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "redis/call_text.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_call(const char *text, size_t size)
{
	struct push_redis_call_text call, again;
	char head[PUSH_REDIS_CALL_HEAD_BYTES_MAX];
	size_t head_size;

	if (!push_redis_call_text_parse(&call, text, size))
		return;
	PUSH_ASSERT(call.text >= text && call.text + call.size == text + size);
	/* but for zeros in front of the number */
	head_size = push_redis_call_text_head(&call, head);
	PUSH_ASSERT(head_size + call.size <= size);
	PUSH_ASSERT(push_redis_call_text_parse(&again, head, head_size));
	PUSH_ASSERT(again.kind == call.kind && again.number == call.number && !again.size);
	PUSH_ASSERT(!strcmp(again.node, call.node) && !strcmp(again.verb, call.verb));
}

static void
check_receipt(const char *text, size_t size)
{
	struct push_redis_receipt_to to;
	const char *payload = text;
	size_t payload_size = size;

	if (!push_redis_receipt_open(&to, &payload, &payload_size)) {
		PUSH_ASSERT(payload == text && payload_size == size);
		return;
	}
	PUSH_ASSERT(payload > text && payload + payload_size == text + size);
	PUSH_ASSERT(push_redis_node_id_is_valid(to.node, strlen(to.node)));
}

static void
check_trace(const char *text, size_t size)
{
	char head[PUSH_REDIS_TRACE_HEAD_BYTES];
	const char *payload = text;
	size_t payload_size = size;
	struct push_trace trace;

	if (!push_redis_trace_open(&trace, &payload, &payload_size)) {
		PUSH_ASSERT(payload == text && payload_size == size);
	} else {
		PUSH_ASSERT(payload == text + sizeof(head) && payload_size == size - sizeof(head));
		push_redis_trace_head(&trace, head);
		PUSH_ASSERT(!memcmp(head + 4, text + 4, 50)); /* all but the version and the flags */
	}
	payload = text;
	payload_size = size;
	push_redis_heads_skip(&payload, &payload_size);
	PUSH_ASSERT(payload >= text && payload + payload_size == text + size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* of its own size, so that a read behind it is seen */
	char *text = malloc(size + !size);

	if (!text)
		return 0;
	memcpy(text, data, size);
	check_call(text, size);
	check_receipt(text, size);
	check_trace(text, size);
	free(text);
	return 0;
}
