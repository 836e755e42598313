/*
 * call_text.h - what one Push node says to another through Redis, as text.
 *
 *   ?NODE.NUMBER VERB text     a call; NODE: who calls
 *   =NODE.NUMBER STATUS text   the answer to call NUMBER; NODE: who answers
 *   !NODE.NUMBER VERB text     likewise, and no answer is awaited
 *
 * NODE: 16 hexadecimal digits.  NUMBER: decimal.  VERB, STATUS: small letters.  Anybody with access to Redis
 * may send anything: a text that is not exactly so is none.
 *
 * A message whose publisher wants to know how many it was written to carries who that is (receipts.c),
 * between what history puts in front and the payload itself (core/payload.h):
 *
 *   1E ! NODE.NUMBER ' ' payload
 *
 * ... and one of a traced publish its trace (core/traceparent.h), between that and the payload:
 *
 *   1E @ 00-TRACE-SPAN-FLAGS ' ' payload
 */
#ifndef PUSH_REDIS_CALL_TEXT_H
#define PUSH_REDIS_CALL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/traceparent.h"

#define PUSH_REDIS_NODE_ID_BYTES 16 /* digits of a node's id */

/* Bytes of a verb or a status, and of all that is in front of a text. */
#define PUSH_REDIS_VERB_BYTES_MAX      16
#define PUSH_REDIS_CALL_HEAD_BYTES_MAX 64

/* What is in front of the payload of a traced message. */
#define PUSH_REDIS_TRACE_HEAD_BYTES (2 + PUSH_TRACEPARENT_BYTES + 1)

enum push_redis_call_kind {
	PUSH_REDIS_CALL = '?',
	PUSH_REDIS_CALL_ANSWER = '=',
	PUSH_REDIS_CALL_NOTICE = '!',
};

struct push_redis_call_text {
	enum push_redis_call_kind kind;
	char node[PUSH_REDIS_NODE_ID_BYTES + 1];
	char verb[PUSH_REDIS_VERB_BYTES_MAX + 1];
	uint64_t number;
	const char *text; /* borrowed */
	size_t size;
};

/* push_redis_call_text_parse - false: it is none; *ret is undefined then. */
bool
push_redis_call_text_parse(struct push_redis_call_text *ret, const char *text, size_t size);

/* push_redis_call_text_head - write what is in front of call->text.  Returns its size. */
size_t
push_redis_call_text_head(const struct push_redis_call_text *call, char to[PUSH_REDIS_CALL_HEAD_BYTES_MAX]);

/* push_redis_node_id_is_valid - whether these bytes have the form of a node's id. */
bool
push_redis_node_id_is_valid(const char *text, size_t size);

/* push_redis_decimal - read a decimal number of 1 to 19 digits; false: it is none. */
bool
push_redis_decimal(const char *text, size_t size, uint64_t *ret);

/* Whom to tell how many a message was written to. */
struct push_redis_receipt_to {
	char node[PUSH_REDIS_NODE_ID_BYTES + 1];
	uint64_t number;
};

/* push_redis_receipt_open - take it off a payload; false: nobody is to be told, and nothing is changed. */
bool
push_redis_receipt_open(struct push_redis_receipt_to *ret, const char **payload, size_t *size);

/* push_redis_receipt_head - write what is in front of the payload.  Returns its size. */
size_t
push_redis_receipt_head(const struct push_redis_receipt_to *receipt, char to[PUSH_REDIS_CALL_HEAD_BYTES_MAX]);

/* push_redis_trace_open - take it off a payload; false: it is not traced, and nothing is changed. */
bool
push_redis_trace_open(struct push_trace *ret, const char **payload, size_t *size);

/* push_redis_trace_head - write what is in front of the payload. */
void
push_redis_trace_head(const struct push_trace *trace, char to[PUSH_REDIS_TRACE_HEAD_BYTES]);

/* push_redis_heads_skip - take both off a payload that was kept: that was for when it was published. */
void
push_redis_heads_skip(const char **payload, size_t *size);

#endif
