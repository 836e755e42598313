/* call_text.c - see call_text.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/push_assert.h"
#include "redis/call_text.h"

#define DIGITS_MAX 19 /* of a number that surely fits */

_Static_assert(2 + PUSH_REDIS_NODE_ID_BYTES + 1 + 20 + 1 + PUSH_REDIS_VERB_BYTES_MAX + 1 <
		       PUSH_REDIS_CALL_HEAD_BYTES_MAX,
	"a head fits");

bool
push_redis_node_id_is_valid(const char *text, size_t size)
{
	if (size != PUSH_REDIS_NODE_ID_BYTES)
		return false;
	for (size_t i = 0; i < size; i++)
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	return true;
}

bool
push_redis_decimal(const char *text, size_t size, uint64_t *ret)
{
	uint64_t number = 0;

	if (!size || size > DIGITS_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text[i] - '0');
	}
	*ret = number;
	return true;
}

/* `NODE.NUMBER ` at *at, which is moved behind it. */
static bool
take_address(const char **at, const char *end, char node[PUSH_REDIS_NODE_ID_BYTES + 1], uint64_t *ret_number)
{
	const char *number = *at + PUSH_REDIS_NODE_ID_BYTES + 1, *space;

	if (end - *at <= PUSH_REDIS_NODE_ID_BYTES + 1 || number[-1] != '.' ||
		!push_redis_node_id_is_valid(*at, PUSH_REDIS_NODE_ID_BYTES))
		return false;
	space = memchr(number, ' ', (size_t)(end - number));
	if (!space || !push_redis_decimal(number, (size_t)(space - number), ret_number))
		return false;
	memcpy(node, *at, PUSH_REDIS_NODE_ID_BYTES);
	node[PUSH_REDIS_NODE_ID_BYTES] = '\0';
	*at = space + 1;
	return true;
}

bool
push_redis_call_text_parse(struct push_redis_call_text *ret, const char *text, size_t size)
{
	const char *at = text + 1, *end = text + size;
	size_t verb = 0;

	if (!size || (*text != PUSH_REDIS_CALL && *text != PUSH_REDIS_CALL_ANSWER &&
			     *text != PUSH_REDIS_CALL_NOTICE))
		return false;
	ret->kind = (enum push_redis_call_kind) * text;
	if (!take_address(&at, end, ret->node, &ret->number))
		return false;
	while (at < end && *at >= 'a' && *at <= 'z' && verb < PUSH_REDIS_VERB_BYTES_MAX)
		ret->verb[verb++] = *at++;
	if (!verb || at == end || *at != ' ')
		return false;
	ret->verb[verb] = '\0';
	ret->text = at + 1;
	ret->size = (size_t)(end - ret->text);
	return true;
}

size_t
push_redis_call_text_head(const struct push_redis_call_text *call, char to[PUSH_REDIS_CALL_HEAD_BYTES_MAX])
{
	int size = snprintf(to, PUSH_REDIS_CALL_HEAD_BYTES_MAX, "%c%s.%" PRIu64 " %s ", (char)call->kind,
		call->node, call->number, call->verb);

	PUSH_ASSERT(size > 0 && size < PUSH_REDIS_CALL_HEAD_BYTES_MAX);
	return (size_t)size;
}

bool
push_redis_receipt_open(struct push_redis_receipt_to *ret, const char **payload, size_t *size)
{
	const char *at = *payload + 2, *end = *payload + *size;

	if (*size < 2 || (*payload)[0] != '\x1e' || (*payload)[1] != '!' ||
		!take_address(&at, end, ret->node, &ret->number))
		return false;
	*payload = at;
	*size = (size_t)(end - at);
	return true;
}

size_t
push_redis_receipt_head(const struct push_redis_receipt_to *receipt, char to[PUSH_REDIS_CALL_HEAD_BYTES_MAX])
{
	int size = snprintf(
		to, PUSH_REDIS_CALL_HEAD_BYTES_MAX, "\x1e!%s.%" PRIu64 " ", receipt->node, receipt->number);

	PUSH_ASSERT(size > 0 && size < PUSH_REDIS_CALL_HEAD_BYTES_MAX);
	return (size_t)size;
}

bool
push_redis_trace_open(struct push_trace *ret, const char **payload, size_t *size)
{
	const char *text = *payload;

	if (*size < PUSH_REDIS_TRACE_HEAD_BYTES || text[0] != '\x1e' || text[1] != '@' ||
		text[PUSH_REDIS_TRACE_HEAD_BYTES - 1] != ' ' ||
		!push_traceparent_parse(ret, text + 2, PUSH_TRACEPARENT_BYTES))
		return false;
	*payload += PUSH_REDIS_TRACE_HEAD_BYTES;
	*size -= PUSH_REDIS_TRACE_HEAD_BYTES;
	return true;
}

void
push_redis_trace_head(const struct push_trace *trace, char to[PUSH_REDIS_TRACE_HEAD_BYTES])
{
	char text[PUSH_TRACEPARENT_BYTES + 1];

	push_traceparent_write(trace, text);
	to[0] = '\x1e';
	to[1] = '@';
	memcpy(to + 2, text, PUSH_TRACEPARENT_BYTES);
	to[PUSH_REDIS_TRACE_HEAD_BYTES - 1] = ' ';
}

void
push_redis_heads_skip(const char **payload, size_t *size)
{
	struct push_redis_receipt_to receipt;
	struct push_trace trace;

	(void)push_redis_receipt_open(&receipt, payload, size);
	(void)push_redis_trace_open(&trace, payload, size);
}
