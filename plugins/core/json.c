/* json.c - see json.h. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channels.h"
#include "json.h"
#include "jsonscan.h"
#include "limits.h"
#include "push_assert.h"
#include "units.h"

static enum push_status
invalid(struct push_error *error, const char *what)
{
	snprintf(error->text, sizeof(error->text), "%s", what);
	return PUSH_INVALID;
}

static enum push_status
read_channel(struct push_publication *publication, const struct push_json_member *member,
	const struct push_options *options, struct push_error *error)
{
	if (!member->text)
		return invalid(error, "'channel' is missing");
	if (!push_json_is_string(member))
		return invalid(error, "'channel' must be a string");
	if (memchr(member->text, '\\', member->size)) {
		push_json_decode_string(&publication->channel_copy, member->text, member->size);
		if (publication->channel_copy.status != PUSH_OK)
			return publication->channel_copy.status;
		publication->channel = publication->channel_copy.bytes ? publication->channel_copy.bytes : "";
		publication->channel_size = publication->channel_copy.size;
	} else {
		publication->channel = member->text + 1;
		publication->channel_size = member->size - 2;
	}
	return push_channel_name_check(
		publication->channel, publication->channel_size, options->channel_name_bytes_max, error);
}

/* One of `channels`; an escaped one is decoded behind those before it. */
static enum push_status
read_name(struct push_publication *publication, const char *text, size_t size,
	const struct push_options *options, struct push_error *error)
{
	struct push_buf *copy = &publication->channel_copy;
	size_t start = copy->size;

	if (*text != '"')
		return invalid(error, "'channels' must be an array of strings");
	if (!memchr(text, '\\', size))
		return push_channels_add(&publication->channels, text + 1, size - 2, options, error);
	push_json_decode_string(copy, text, size);
	if (copy->status != PUSH_OK)
		return copy->status;
	return push_channels_add(&publication->channels, copy->bytes ? copy->bytes + start : "",
		copy->size - start, options, error);
}

/* What is decoded of all names, so that the buffer does not move while names point into it. */
static bool
reserve_names(struct push_publication *publication, const struct push_json_member *member)
{
	if (!memchr(member->text, '\\', member->size))
		return true;
	push_buf_append(&publication->channel_copy, member->text, member->size);
	if (publication->channel_copy.status != PUSH_OK)
		return false;
	push_buf_clear(&publication->channel_copy);
	return true;
}

static enum push_status
read_channels(struct push_publication *publication, const struct push_json_member *member,
	const struct push_options *options, struct push_error *error)
{
	const char *at = member->text, *end = at + member->size, *text;
	enum push_status status = PUSH_OK;
	size_t size, most = 0;

	if (*at != '[')
		return invalid(error, "'channels' must be an array of strings");
	while (most < options->channels_max && push_json_next_element(&at, end, &text, &size))
		most++;
	if (!most)
		return invalid(error, "'channels' is empty");
	publication->channels.names = calloc(most, sizeof(*publication->channels.names));
	if (!publication->channels.names || !reserve_names(publication, member))
		return PUSH_OUT_OF_MEMORY;
	at = member->text;
	while (status == PUSH_OK && push_json_next_element(&at, end, &text, &size))
		status = read_name(publication, text, size, options, error);
	publication->channel = publication->channels.names[0].text;
	publication->channel_size = publication->channels.names[0].size;
	return status;
}

static enum push_status
read_ttl(
	struct push_publication *publication, const struct push_json_member *member, struct push_error *error)
{
	const char *text = member->text;
	size_t size = member->size;
	char duration[32];

	if (!text)
		return PUSH_OK;
	if (push_json_is_string(member)) {
		text++;
		size -= 2;
	}
	if (size < sizeof(duration)) {
		memcpy(duration, text, size);
		duration[size] = '\0';
		if (push_duration_parse(duration, &publication->ttl_us) == PUSH_OK && publication->ttl_us)
			return PUSH_OK;
	}
	return invalid(error,
		"'ttl' must be milliseconds or a duration such as \"30s\", more than 0 and at most 24h");
}

static enum push_status
read_value(
	struct push_publication *publication, const struct push_json_member *member, struct push_error *error)
{
	if (!member->text)
		return invalid(error, "'message' is missing");
	publication->value = member->text;
	publication->value_size = member->size;
	if (member->is_compact)
		return PUSH_OK;
	push_json_append_compact(&publication->value_copy, member->text, member->size);
	publication->value = publication->value_copy.bytes;
	publication->value_size = publication->value_copy.size;
	return publication->value_copy.status;
}

enum push_status
push_publication_parse(struct push_publication *ret_publication, const char *body, size_t size,
	const struct push_options *options, struct push_error *error)
{
	struct push_json_member members[] = {{.name = "channel"}, {.name = "message"}, {.name = "channels"},
		{.name = "ttl"}, {.name = "traceparent", .is_lenient = true}};
	size_t count = options->trace_url[0] ? 5 : 4;
	struct push_publication publication = {0};
	enum push_status status = push_json_scan_request(body, size, members, count, error);

	if (status != PUSH_OK)
		return status;
	/* what is decoded or compacted is never longer than the body that it is part of */
	push_buf_init(&publication.channel_copy, size);
	push_buf_init(&publication.value_copy, size);
	status = read_value(&publication, &members[1], error);
	if (status == PUSH_OK && members[0].text && members[2].text)
		status = invalid(error, "'channel' is not supported with 'channels'");
	if (status == PUSH_OK)
		status = members[2].text ? read_channels(&publication, &members[2], options, error)
					 : read_channel(&publication, &members[0], options, error);
	if (status == PUSH_OK)
		status = read_ttl(&publication, &members[3], error);
	if (status != PUSH_OK) {
		push_publication_fini(&publication);
		return status;
	}
	/* one that is wrong is as good as none, as in the header; so is one with an escape */
	if (push_json_is_string(&members[4])) {
		publication.traceparent = members[4].text + 1;
		publication.traceparent_size = members[4].size - 2;
	}
	*ret_publication = publication;
	return PUSH_OK;
}

void
push_publication_fini(struct push_publication *publication)
{
	push_channels_fini(&publication->channels);
	push_buf_fini(&publication->channel_copy);
	push_buf_fini(&publication->value_copy);
}

static enum push_status
kind_of(const struct push_json_member *event, enum push_command_kind *ret_kind)
{
	static const char *const names[] = {
#define X(name, event) event,
		PUSH_COMMAND_MAP(X)
#undef X
	};
	struct push_buf name;
	enum push_status status;

	*ret_kind = PUSH_COMMAND_UNKNOWN;
	if (!push_json_is_string(event))
		return PUSH_OK;
	push_buf_init(&name, event->size);
	push_json_decode_string(&name, event->text, event->size);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (name.size == strlen(names[i]) && !memcmp(name.bytes, names[i], name.size))
			*ret_kind = (enum push_command_kind)i;
	status = name.status == PUSH_OUT_OF_MEMORY ? PUSH_OUT_OF_MEMORY : PUSH_OK;
	push_buf_fini(&name);
	return status;
}

enum push_status
push_command_parse(struct push_command *ret_command, const char *text, size_t size, struct push_error *error)
{
	struct push_json_member members[] = {{.name = "event"}, {.name = "data"}};
	enum push_status status = push_json_scan_object(text, size, members, 2, error);

	if (status != PUSH_OK)
		return status;
	*ret_command = (struct push_command){PUSH_COMMAND_UNKNOWN, members[1].text, members[1].size};
	return kind_of(&members[0], &ret_command->kind);
}

bool
push_command_text(
	const struct push_command *command, const char *name, const char **ret_text, size_t *ret_size)
{
	struct push_json_member member = {.name = name};
	struct push_error error;

	if (!command->data ||
		push_json_scan_object(command->data, command->data_size, &member, 1, &error) != PUSH_OK ||
		!push_json_is_string(&member) || memchr(member.text, '\\', member.size))
		return false;
	*ret_text = member.text + 1;
	*ret_size = member.size - 2;
	return true;
}

static void
append_escaped(struct push_buf *buf, unsigned char byte)
{
	static const char short_forms[] = {['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\f'] = 'f',
		['\r'] = 'r',
		['"'] = '"',
		['\\'] = '\\'};

	if (short_forms[byte])
		push_buf_printf(buf, "\\%c", short_forms[byte]);
	else
		push_buf_printf(buf, "\\u%04x", byte);
}

/* Whether one of eight bytes has to be escaped: for each the highest bit of its byte is set, at least in the
 * lowest one that has to be (S. Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte less than
 * n").
 */
static bool
needs_escape(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101ull, highs = ones << 7;
	uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');

	return (((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
		       ((backslash - ones) & ~backslash)) &
	       highs;
}

void
push_json_append_escaped(struct push_buf *buf, const char *text, size_t size)
{
	size_t start = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)text[i];
		uint64_t word;

		if (size - i >= sizeof(word)) {
			memcpy(&word, text + i, sizeof(word));
			if (!needs_escape(word)) {
				i += sizeof(word) - 1;
				continue;
			}
		}
		if (byte >= 0x20 && byte != '"' && byte != '\\')
			continue;
		push_buf_append(buf, text + start, i - start);
		append_escaped(buf, byte);
		start = i + 1;
	}
	push_buf_append(buf, text + start, size - start);
}

void
push_json_append_string(struct push_buf *buf, const char *text, size_t size)
{
	push_buf_append(buf, "\"", 1);
	push_json_append_escaped(buf, text, size);
	push_buf_append(buf, "\"", 1);
}

void
push_json_append_error(struct push_buf *buf, const char *text)
{
	push_buf_append_text(buf, "{\"error\":");
	push_json_append_string(buf, text, strlen(text));
	push_buf_append_text(buf, "}");
}
