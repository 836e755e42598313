/* payload.c - see payload.h. */
#include <string.h>

#include "json.h"
#include "jsonscan.h"
#include "payload.h"
#include "utf8.h"

#define ENVELOPE '\x1e'

enum push_status
push_payload_encode(
	const char *value, size_t value_size, struct push_buf *scratch, const char **ret, size_t *ret_size)
{
	push_buf_clear(scratch);
	if (*value == '"' && !memchr(value, '\\', value_size)) {
		*ret = value + 1;
		*ret_size = value_size - 2;
		return PUSH_OK;
	}
	if (*value == '"') {
		push_json_decode_string(scratch, value, value_size);
	} else {
		push_buf_append(scratch, "\x1e", 1);
		push_buf_append(scratch, value, value_size);
	}
	*ret = scratch->bytes;
	*ret_size = scratch->size;
	return scratch->status;
}

enum push_status
push_payload_decode(const char *payload, size_t size, struct push_buf *scratch, const char **ret_value,
	size_t *ret_size, bool *ret_replaced)
{
	*ret_replaced = false;
	push_buf_clear(scratch);
	if (size && *payload == ENVELOPE)
		push_buf_append(scratch, payload + 1, size - 1);
	else if (push_utf8_is_valid(payload, size))
		push_json_append_string(scratch, payload, size);
	else {
		*ret_replaced = true;
		push_json_append_string(scratch, "\xef\xbf\xbd", 3);
	}
	*ret_value = scratch->bytes;
	*ret_size = scratch->size;
	return scratch->status;
}
