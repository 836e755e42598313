/* payload.c - see payload.h. */
#include <string.h>

#include "json.h"
#include "jsonscan.h"
#include "payload.h"
#include "utf8.h"

#define ENVELOPE    "\x1e"
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static unsigned int
hex4(const char *digits)
{
	unsigned int value = 0;

	for (int i = 0; i < 4; i++)
		value = value * 16 +
			(unsigned int)(digits[i] <= '9' ? digits[i] - '0' : (digits[i] | 0x20) - 'a' + 10);
	return value;
}

/* Half of a pair of \u escapes alone is a JSON string by its grammar (RFC 8259, 8.2), and no text. */
static bool
has_lone_surrogate(const char *string, size_t size)
{
	const char *end = string + size;

	for (const char *at = string; (at = memchr(at, '\\', (size_t)(end - at)));) {
		unsigned int unit = at[1] == 'u' ? hex4(at + 2) : 0;

		at += at[1] == 'u' ? 6 : 2;
		if (unit < 0xd800 || unit > 0xdfff)
			continue;
		if (unit > 0xdbff || end - at < 7 || at[0] != '\\' || at[1] != 'u' ||
			(hex4(at + 2) & 0xfc00) != 0xdc00)
			return true;
		at += 6;
	}
	return false;
}

static enum push_status
wrap(const char *value, size_t value_size, struct push_buf *scratch, const char **ret, size_t *ret_size)
{
	push_buf_clear(scratch);
	push_buf_append(scratch, ENVELOPE, 1);
	push_buf_append(scratch, value, value_size);
	*ret = scratch->bytes;
	*ret_size = scratch->size;
	return scratch->status;
}

enum push_status
push_payload_encode(
	const char *value, size_t value_size, struct push_buf *scratch, const char **ret, size_t *ret_size)
{
	push_buf_clear(scratch);
	if (*value != '"' || has_lone_surrogate(value, value_size))
		return wrap(value, value_size, scratch, ret, ret_size);
	if (!memchr(value, '\\', value_size)) {
		*ret = value + 1;
		*ret_size = value_size - 2;
		return PUSH_OK;
	}
	push_json_decode_string(scratch, value, value_size);
	if (scratch->status == PUSH_OK && scratch->size && *scratch->bytes == *ENVELOPE)
		return wrap(value, value_size, scratch, ret, ret_size);
	*ret = scratch->size ? scratch->bytes : "";
	*ret_size = scratch->size;
	return scratch->status;
}

/* How many bytes one U+FFFD stands for, as the WHATWG's Encoding has it: what could have begun a sequence. */
static size_t
broken_size(const char *text, size_t size)
{
	size_t longest = size < 3 ? size : 3, valid;

	for (; longest > 1; longest--)
		if (push_utf8_take(text, longest, &valid) && !valid)
			break;
	return longest;
}

static void
append_broken(struct push_buf *to, const char *text, size_t size)
{
	push_buf_append(to, "\"", 1);
	while (size) {
		size_t valid, broken;

		(void)push_utf8_take(text, size, &valid);
		push_json_append_escaped(to, text, valid);
		text += valid;
		size -= valid;
		if (!size)
			break;
		push_buf_append(to, REPLACEMENT, sizeof(REPLACEMENT) - 1);
		broken = broken_size(text, size);
		text += broken;
		size -= broken;
	}
	push_buf_append(to, "\"", 1);
}

static bool
unwrap(const char *payload, size_t size, struct push_buf *scratch, const char **ret_value, size_t *ret_size)
{
	bool is_compact;

	if (!size || *payload != *ENVELOPE || !push_json_scan_value(payload + 1, size - 1, &is_compact))
		return false;
	*ret_value = payload + 1;
	*ret_size = size - 1;
	if (is_compact)
		return true;
	push_json_append_compact(scratch, payload + 1, size - 1);
	*ret_value = scratch->bytes;
	*ret_size = scratch->size;
	return true;
}

enum push_status
push_payload_decode(const char *payload, size_t size, struct push_buf *scratch, const char **ret_value,
	size_t *ret_size, bool *ret_replaced)
{
	*ret_replaced = false;
	push_buf_clear(scratch);
	if (unwrap(payload, size, scratch, ret_value, ret_size))
		return scratch->status;
	*ret_replaced = !push_utf8_is_valid(payload, size);
	if (*ret_replaced)
		append_broken(scratch, payload, size);
	else
		push_json_append_string(scratch, payload, size);
	*ret_value = scratch->bytes;
	*ret_size = scratch->size;
	return scratch->status;
}
