/* fuzz_identity_text.c - what may stand in the place of a ticket's identity: what is accepted is written so that
 * the same is read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity_text.h"
#include "core/push_assert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const char *text, size_t size)
{
	const struct push_identity *identity, *again;
	struct push_buf first, second;

	if (push_identity_text_parse(&identity, text, size, (struct push_str){NULL, 0}, 1000, 2000) !=
		PUSH_OK)
		return;
	(void)push_identity_may(identity, PUSH_RIGHT_SUBSCRIBE, (struct push_str){"a:b", 3});
	push_buf_init(&first, PUSH_IDENTITY_TEXT_BYTES_MAX);
	push_buf_init(&second, PUSH_IDENTITY_TEXT_BYTES_MAX);
	push_identity_text_print(&first, identity, 1000, 2000);
	PUSH_ASSERT(first.status == PUSH_OK);
	PUSH_ASSERT(push_identity_text_parse(&again, first.bytes, first.size, (struct push_str){NULL, 0},
			    1000, 2000) == PUSH_OK);
	push_identity_text_print(&second, again, 1000, 2000);
	PUSH_ASSERT(first.size == second.size && !memcmp(first.bytes, second.bytes, first.size));
	push_buf_fini(&first);
	push_buf_fini(&second);
	push_identity_unref(identity);
	push_identity_unref(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* of its own size, so that a read behind it is seen */
	char *text = malloc(size + !size);

	if (!text)
		return 0;
	memcpy(text, data, size);
	check(text, size);
	free(text);
	return 0;
}
