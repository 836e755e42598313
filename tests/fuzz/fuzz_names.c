/* fuzz_names.c - the `channels` of a request: what is accepted is valid, distinct and within its limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/channels.h"
#include "core/cors.h"
#include "core/push_assert.h"
#include "core/utf8.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_channels channels;
	struct push_options options;
	struct push_error error;
	char *list = malloc(size ? size : 1);

	memcpy(list, data, size);
	push_options_init(&options);
	options.channels_max = 8;
	options.channel_name_bytes_max = 20;
	if (push_channels_parse(&channels, list, size, &options, &error) == PUSH_OK) {
		PUSH_ASSERT(channels.count > 0 && channels.count <= 8);
		for (size_t i = 0; i < channels.count; i++)
			PUSH_ASSERT(channels.names[i].size <= 20 &&
				    push_utf8_is_valid(channels.names[i].text, channels.names[i].size));
		push_channels_fini(&channels);
	} else {
		PUSH_ASSERT(push_utf8_is_valid(error.text, strlen(error.text)));
	}
	free(list);
	return 0;
}
