/*
 * fuzz_payload.c - any bytes that Redis may carry.
 *
 * What is decoded is JSON, to json-c as well, without a raw control character and in valid UTF-8, and what
 * was not replaced and is no envelope is encoded to the same bytes again.
 */
#include <json-c/json.h>
#include <stdint.h>
#include <string.h>

#include "core/payload.h"
#include "core/push_assert.h"
#include "core/utf8.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_json(const char *value, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(128);
	struct json_object *object;
	enum json_tokener_error error;

	for (size_t i = 0; i < size; i++)
		PUSH_ASSERT((unsigned char)value[i] >= 0x20);
	PUSH_ASSERT(push_utf8_is_valid(value, size));
	object = json_tokener_parse_ex(tokener, value, (int)size);
	error = json_tokener_get_error(tokener);
	if (error == json_tokener_continue) /* a number at the end could go on */
		object = json_tokener_parse_ex(tokener, "", 1);
	PUSH_ASSERT(json_tokener_get_error(tokener) == json_tokener_success);
	json_object_put(object);
	json_tokener_free(tokener);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *payload = (const char *)data, *value, *again;
	struct push_buf there, back;
	size_t value_size, again_size;
	bool is_replaced;

	push_buf_init(&there, 1 << 20);
	push_buf_init(&back, 1 << 20);
	PUSH_ASSERT(push_payload_decode(payload, size, &there, &value, &value_size, &is_replaced) == PUSH_OK);
	check_json(value, value_size);
	PUSH_ASSERT(push_payload_encode(value, value_size, &back, &again, &again_size) == PUSH_OK);
	if (!is_replaced && (!size || *payload != '\x1e'))
		PUSH_ASSERT(again_size == size && !memcmp(again, payload, size));
	push_buf_fini(&there);
	push_buf_fini(&back);
	return 0;
}
