/* fuzz_publish_keys.c - the file push.publish.keys: what is accepted is within its limits, and an error repeats no
 * word of the file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/publish_keys.h"
#include "core/push_assert.h"
#include "core/utf8.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_error(const struct push_error *error)
{
	PUSH_ASSERT(!strncmp(error->text, "push.publish.keys=f: ", 21));
	PUSH_ASSERT(push_utf8_is_valid(error->text, strlen(error->text)));
	/* the longest of ours, with a number of lines in front */
	PUSH_ASSERT(strlen(error->text) < 192);
}

/* What nobody guesses, so that the rest of a line is read, too. */
static const char head[] = "n 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 ";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t head_size = size && *data % 2 ? sizeof(head) - 1 : 0;
	char *text = malloc(head_size + size + 1);
	struct push_publish_keys *keys = NULL;
	struct push_error error = {""};

	memcpy(text, head, head_size);
	memcpy(text + head_size, data, size);
	size += head_size;
	if (push_publish_keys_read_text("f", (struct push_str){text, size}, &keys, &error) == PUSH_OK) {
		PUSH_ASSERT(push_publish_keys_count(keys) <= size / 67);
		PUSH_ASSERT(!push_publish_keys_find(keys, (struct push_str){text, size}));
		push_publish_keys_destroy(keys);
	} else {
		check_error(&error);
	}
	free(text);
	return 0;
}
