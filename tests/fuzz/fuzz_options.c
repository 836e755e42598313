/* fuzz_options.c - an option's name and value, as the environment gives them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "core/push_assert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_options options;
	struct push_error error;
	char *variable = malloc(size + 6), *spring = malloc(size + 14);
	char *environment[] = {variable, NULL}, *of_spring[] = {spring, NULL};
	size_t count;
	const struct push_option_info *table = push_options_table(&count);

	memcpy(variable, "PUSH_", 5);
	memcpy(variable + 5, data, size);
	variable[size + 5] = '\0';
	memcpy(spring, "SPRING_REDIS_", 13);
	memcpy(spring + 13, data, size);
	spring[size + 13] = '\0';
	push_options_init(&options);
	(void)!push_options_set_from_environment(&options, of_spring, &error);
	push_options_init(&options);
	if (push_options_set_from_environment(&options, environment, &error) == PUSH_OK)
		(void)!push_options_check(&options, &error);
	if (size > 0)
		(void)!push_options_set(&options, table[data[0] % count].name, variable + 6, &error);
	PUSH_ASSERT(
		options.lifetime_max_us <= PUSH_DURATION_US_MAX && options.queue_bytes_max <= PUSH_SIZE_MAX);
	free(variable);
	free(spring);
	return 0;
}
