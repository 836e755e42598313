/* fuzz_notice.c - what anybody may send to a Push node as a notice: what is accepted is written as the same
 * bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/notice.h"
#include "core/limits.h"
#include "core/push_assert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_notice notice;
	struct push_error error;
	struct push_buf again;
	/* of its own size, so that a read behind it is seen */
	char *text = malloc(size + !size);

	if (!text)
		return 0;
	memcpy(text, data, size);
	if (push_notice_parse(&notice, text, size, &error) == PUSH_OK) {
		PUSH_ASSERT(notice.name_size > 0 && notice.name_size <= PUSH_NOTICE_NAME_BYTES_MAX);
		push_buf_init(&again, PUSH_NOTICE_BYTES_MAX);
		push_notice_print(&again, &notice);
		PUSH_ASSERT(again.size == size && !memcmp(again.bytes, text, size));
		push_buf_fini(&again);
	}
	free(text);
	return 0;
}
