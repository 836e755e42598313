/*
 * fuzz_json.c - publish bodies and WebSocket messages.
 *
 * What is accepted must be JSON that another reader takes, valid UTF-8, and free of line breaks, or it would
 * break an SSE event; it must also come out the same when it is read again.
 */
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/push_assert.h"
#include "core/utf8.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_value(const struct push_publication *publication, const struct push_options *options)
{
	struct push_publication again;
	struct push_error error;
	struct push_buf body;

	struct json_tokener *tokener = json_tokener_new_ex(PUSH_JSON_DEPTH_MAX + 1);
	struct json_object *tree =
		json_tokener_parse_ex(tokener, publication->value, (int)publication->value_size);

	/* NULL is json-c's null, and a number at the end could go on */
	PUSH_ASSERT(tree || json_tokener_get_error(tokener) != json_tokener_error_parse_unexpected);
	json_object_put(tree);
	json_tokener_free(tokener);
	PUSH_ASSERT(push_utf8_is_valid(publication->value, publication->value_size));
	for (size_t i = 0; i < publication->value_size; i++)
		PUSH_ASSERT((unsigned char)publication->value[i] >= 0x20);

	push_buf_init(&body, 1 << 20);
	push_buf_append_text(&body, "{\"channel\":");
	push_json_append_string(&body, publication->channel, publication->channel_size);
	push_buf_append_text(&body, ",\"message\":");
	push_buf_append(&body, publication->value, publication->value_size);
	push_buf_append_text(&body, "}");
	PUSH_ASSERT(push_publication_parse(&again, body.bytes, body.size, options, &error) == PUSH_OK);
	PUSH_ASSERT(again.value_size == publication->value_size &&
		    !memcmp(again.value, publication->value, again.value_size));
	push_publication_fini(&again);
	push_buf_fini(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_publication publication;
	struct push_options options;
	struct push_error error;
	struct push_command command;
	const char *id;
	size_t id_size;
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	push_options_init(&options);
	if (push_publication_parse(&publication, text, size, &options, &error) == PUSH_OK) {
		check_value(&publication, &options);
		push_publication_fini(&publication);
	}
	if (push_command_parse(&command, text, size, &error) == PUSH_OK)
		(void)push_command_text(&command, "id", &id, &id_size);
	free(text);
	return 0;
}
