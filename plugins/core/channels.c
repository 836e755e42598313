/* channels.c - see channels.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channels.h"
#include "limiter.h"
#include "memory.h"
#include "push_assert.h"
#include "utf8.h"

/* A bad name in an error: cut, and with a mark where a byte could not be shown. */
static void
complain(struct push_error *error, const char *name, size_t size, const char *why)
{
	char shown[PUSH_ERROR_QUOTE_BYTES_MAX + 1];
	bool valid = push_utf8_is_valid(name, size);
	size_t length = push_utf8_cut(name, size, PUSH_ERROR_QUOTE_BYTES_MAX);

	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)name[i];

		shown[i] = byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !valid) ? '?' : name[i];
	}
	shown[length] = '\0';
	snprintf(error->text, sizeof(error->text), "bad channel name '%s%s': %s", shown,
		length < size ? "..." : "", why);
}

enum push_status
push_channel_name_check(const char *name, size_t size, size_t bytes_max, struct push_error *error)
{
	char why[96];

	if (!size) {
		snprintf(error->text, sizeof(error->text), "bad channel name '': empty");
		return PUSH_INVALID;
	}
	if (size > bytes_max) {
		snprintf(why, sizeof(why), "%zu bytes, at most %zu are allowed", size, bytes_max);
		complain(error, name, size, why);
		return PUSH_INVALID;
	}
	if (!push_utf8_is_valid(name, size)) {
		complain(error, name, size, "not valid UTF-8");
		return PUSH_INVALID;
	}
	if (push_utf8_has_control(name, size)) {
		complain(error, name, size, "has a control character");
		return PUSH_INVALID;
	}
	/* percent-encoded or not, a query's comma stands between two names: one that has a comma could be
	 * published to and never be subscribed to */
	if (memchr(name, ',', size)) {
		complain(error, name, size, "a comma separates names");
		return PUSH_INVALID;
	}
	return PUSH_OK;
}

void
push_channels_too_many(
	struct push_error *error, const char *name, size_t size, const struct push_options *options)
{
	snprintf(error->text, sizeof(error->text),
		"too many channels: '%.*s' is over the %" PRIu64 " allowed",
		(int)push_utf8_cut(name, size, PUSH_ERROR_QUOTE_BYTES_MAX), name, options->channels_max);
}

static bool
contains(const struct push_channels *channels, const char *name, size_t size)
{
	for (size_t i = 0; i < channels->count; i++)
		if (channels->names[i].size == size && !memcmp(channels->names[i].text, name, size))
			return true;
	return false;
}

enum push_status
push_channels_add(struct push_channels *channels, const char *name, size_t size,
	const struct push_options *options, struct push_error *error)
{
	enum push_status status = push_channel_name_check(name, size, options->channel_name_bytes_max, error);

	if (status != PUSH_OK || contains(channels, name, size))
		return status;
	if (channels->count == options->channels_max) {
		push_channels_too_many(error, name, size, options);
		return PUSH_TOO_MANY;
	}
	channels->names[channels->count++] = (struct push_channel_name){name, size};
	return PUSH_OK;
}

enum push_status
push_channels_parse(struct push_channels *ret_channels, const char *list, size_t size,
	const struct push_options *options, struct push_error *error)
{
	struct push_channels channels = {0};
	const char *end, *name = list;
	size_t most = 1;

	while (size > 1 && list[size - 1] == ',')
		size--;
	end = list + size;
	for (const char *p = list; p < end; p++)
		most += *p == ',';
	if (most > options->channels_max)
		most = options->channels_max;
	PUSH_ASSERT(most > 0);
	channels.names = calloc(most, sizeof(*channels.names));
	if (!channels.names)
		return PUSH_OUT_OF_MEMORY;

	for (;;) {
		const char *comma = memchr(name, ',', (size_t)(end - name));
		enum push_status status = push_channels_add(
			&channels, name, (size_t)((comma ? comma : end) - name), options, error);

		if (status != PUSH_OK) {
			push_channels_fini(&channels);
			return status;
		}
		if (!comma)
			break;
		name = comma + 1;
	}
	*ret_channels = channels;
	return PUSH_OK;
}

void
push_channels_fini(struct push_channels *channels)
{
	free(channels->names);
	*channels = (struct push_channels){0};
}

const char *
push_channels_join_error(enum push_status status)
{
	switch (status) {
	case PUSH_TOO_MANY: return push_limit_text(PUSH_LIMIT_CHANNELS_TOTAL);
	case PUSH_TOO_LARGE: return PUSH_MEMORY_SHORT_TEXT;
	default: return push_status_text(PUSH_OUT_OF_MEMORY);
	}
}
