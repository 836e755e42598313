/*
 * fuzz_jwks.c - what files and URLs give for keys: JWK sets, single keys, PEM.
 *
 * A lenient reader takes what a strict one takes, and no set has more keys than it may.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/key_set.h"
#include "core/push_assert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum push_status
read_set(struct push_str text, bool is_lenient, size_t *ret_count)
{
	const struct push_key_reading reading = {.is_lenient = is_lenient};
	struct push_key_set *set = push_key_set_create();
	struct push_error error = {.text = ""};
	enum push_status status = push_key_set_add(set, text, &reading, &error);

	*ret_count = push_key_set_count(set);
	PUSH_ASSERT(*ret_count <= PUSH_KEYS_MAX);
	if (status == PUSH_OK)
		PUSH_ASSERT(*ret_count);
	else
		PUSH_ASSERT(error.text[0]);
	push_key_set_destroy(set);
	return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t strict, lenient;
	char *text = malloc(size + !size);

	/* of its own size, so that a read behind it is seen */
	memcpy(text, data, size);
	if (read_set((struct push_str){text, size}, false, &strict) == PUSH_OK) {
		PUSH_ASSERT(read_set((struct push_str){text, size}, true, &lenient) == PUSH_OK);
		PUSH_ASSERT(strict == lenient);
	} else
		(void)read_set((struct push_str){text, size}, true, &lenient);
	free(text);
	return 0;
}
