/*
 * payload.h - a message as it travels through Redis.
 *
 * A JSON string is its plain text, so that `redis-cli PUBLISH` reaches Push's clients and a plain SUBSCRIBE
 * reads what Push publishes.  Anything else is byte 0x1E and its JSON text.
 */
#ifndef PUSH_CORE_PAYLOAD_H
#define PUSH_CORE_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "status.h"

/*
 * push_payload_encode - what to publish for a message.
 *
 * @value: compact JSON text.  *ret points into it, or into `scratch`, which is cleared first.
 * Errors: PUSH_OUT_OF_MEMORY, PUSH_TOO_LARGE.
 */
enum push_status PUSH_MUST_USE
push_payload_encode(
	const char *value, size_t value_size, struct push_buf *scratch, const char **ret, size_t *ret_size);

/*
 * push_payload_decode - the message in any bytes of Redis'.
 *
 * *ret_value is compact, valid JSON in valid UTF-8, in `scratch` or in `payload`; invalid UTF-8 is replaced
 * by U+FFFD, which *ret_replaced tells.  An envelope that holds no JSON is taken for a text. Errors:
 * PUSH_OUT_OF_MEMORY, PUSH_TOO_LARGE.
 */
enum push_status PUSH_MUST_USE
push_payload_decode(const char *payload, size_t size, struct push_buf *scratch, const char **ret_value,
	size_t *ret_size, bool *ret_replaced);

#endif
