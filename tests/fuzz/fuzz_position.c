/* fuzz_position.c - an id from outside: what is accepted is written as the same bytes. */
#include <stdint.h>
#include <string.h>

#include "core/position.h"
#include "core/push_assert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_positions positions;
	char text[PUSH_ID_BYTES_MAX];

	if (push_positions_parse(&positions, (const char *)data, size) != PUSH_OK)
		return 0;
	PUSH_ASSERT(size <= sizeof(text));
	PUSH_ASSERT(push_positions_format(&positions, UINT32_MAX, text) == size);
	PUSH_ASSERT(!memcmp(text, data, size));
	return 0;
}
