/* fuzz_pattern.c - patterns, users and selectors from tokens: what is compiled has no more wildcards than what was
 * written, and no name is matched that differs in front of the first of them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/identity.h"
#include "core/pattern.h"
#include "core/push_assert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Up to the next zero byte, of its own memory, so that reading past its end is seen. */
static struct push_str
take(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size ? memchr(*data, 0, *size) : NULL;
	size_t length = end ? (size_t)(end - *data) : *size;
	char *bytes = malloc(length ? length : 1);

	memcpy(bytes, *data, length);
	*data += end ? length + 1 : length;
	*size -= end ? length + 1 : length;
	return (struct push_str){bytes, length};
}

static bool
begins_like(struct push_str pattern, struct push_str name)
{
	for (size_t i = 0; i < pattern.size && pattern.bytes[i] != '*' && pattern.bytes[i] != '{'; i++)
		if (i >= name.size || pattern.bytes[i] != name.bytes[i])
			return false;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_str user = take(&data, &size), pattern = take(&data, &size), name = take(&data, &size);
	struct push_identity_builder *builder =
		push_identity_build(&(struct push_identity_facts){.user = user});
	struct push_error error = {""};
	struct push_identity *identity;

	if (builder) {
		bool granted = push_identity_grant(builder, PUSH_RIGHT_SUBSCRIBE, pattern, &error) == PUSH_OK;
		bool selected =
			push_identity_grant_template(builder, PUSH_RIGHT_PUBLISH, pattern, &error) == PUSH_OK;

		(void)!push_identity_add_channel(builder, name, &error);
		identity = push_identity_done(builder);
		if (identity && !granted)
			PUSH_ASSERT(push_identity_channels(identity).size ||
				    !push_identity_may(identity, PUSH_RIGHT_SUBSCRIBE, name));
		if (identity && push_identity_may(identity, PUSH_RIGHT_PUBLISH, name))
			PUSH_ASSERT(selected && begins_like(pattern, name));
		PUSH_ASSERT(!identity || !push_identity_may(identity, PUSH_RIGHT_HISTORY, name));
		push_identity_unref(identity);
	}
	free((char *)user.bytes);
	free((char *)pattern.bytes);
	free((char *)name.bytes);
	return 0;
}
