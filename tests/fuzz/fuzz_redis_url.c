/*
 * fuzz_redis_url.c - push.redis.url, whatever stands in it.
 *
 * What is accepted has a host or a path, within its limits; what is refused has a reason.  The password is
 * put in front by the fuzzer itself, and may be in no error and no masked text.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/push_assert.h"
#include "core/redis_url.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "S3CRET"

static void
check(const char *text, bool has_password)
{
	struct push_redis_url url;
	struct push_error error;

	if (push_redis_url_parse(&url, text, &error) != PUSH_OK) {
		PUSH_ASSERT(error.text[0]);
		PUSH_ASSERT(!has_password || !strstr(error.text, SECRET));
		return;
	}
	PUSH_ASSERT(url.host_count <= PUSH_REDIS_HOSTS_MAX);
	PUSH_ASSERT(url.host_count ? !url.unix_path[0] : url.unix_path[0] == '/');
	for (size_t i = 0; i < url.host_count; i++)
		PUSH_ASSERT(url.hosts[i].name[0] && url.hosts[i].port);
	PUSH_ASSERT((url.kind == PUSH_REDIS_SENTINEL) == (url.master_name[0] != '\0'));
	PUSH_ASSERT(url.kind != PUSH_REDIS_CLUSTER || !url.database);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const fronts[] = {
		"", "redis://", "redis+cluster://", "redis+sentinel://", "unix://", "redis://me:" SECRET "@"};
	char text[512], masked[512];
	const char *front;
	bool has_password;

	if (!size)
		return 0;
	front = fronts[data[0] % (sizeof(fronts) / sizeof(fronts[0]))];
	snprintf(text, sizeof(text), "%s%.*s", front, (int)(size - 1 < 300 ? size - 1 : 300), data + 1);
	/* the input may spell it, too, anywhere */
	has_password = strstr(front, SECRET) && !strstr(text + strlen(front), SECRET);
	check(text, has_password);
	push_redis_url_mask(text, masked, sizeof(masked));
	PUSH_ASSERT(!has_password || !strstr(masked, SECRET));
	return 0;
}
