/* acks_request.c - see acks_request.h. */
#include <stdio.h>
#include <string.h>

#include "acks_request.h"
#include "history_rules.h"

static enum push_status
invalid(struct push_error *error, const char *what)
{
	snprintf(error->text, sizeof(error->text), "%s", what);
	return PUSH_INVALID;
}

static bool
is_text(const char *text, size_t size, const char *wanted)
{
	return size == strlen(wanted) && !memcmp(text, wanted, size);
}

static bool
is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '_' || c == '-';
}

static bool
is_name(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!is_name_byte(text[i]))
			return false;
	return size > 0 && size <= PUSH_CLIENT_NAME_BYTES_MAX;
}

enum push_status
push_acks_request_read(struct push_acks_request *ret_request, const struct push_acks_query *query,
	enum push_encoding encoding, const struct push_options *options, struct push_error *error)
{
	struct push_acks_request request = {false, ""};
	bool is_off = false;

	*ret_request = request;
	if ((!query->acks && !query->client) || !push_history_is_kept(options))
		return PUSH_OK;
	if (encoding != PUSH_ENCODING_WS)
		return invalid(error, query->client ? "'client' is not supported with an event stream"
						    : "'acks' is not supported with an event stream");
	if (query->acks) {
		request.is_wanted = is_text(query->acks, query->acks_size, "true");
		is_off = is_text(query->acks, query->acks_size, "false");
		if (!request.is_wanted && !is_off)
			return invalid(error, "'acks' must be true or false");
	}
	if (query->client) {
		if (is_off)
			return invalid(error, "'client' is not supported with acks=false");
		if (!is_name(query->client, query->client_size))
			return invalid(error, "'client' must be 1 to 64 of the characters A-Z a-z 0-9 . _ -");
		request.is_wanted = true;
		memcpy(request.client, query->client, query->client_size);
	}
	*ret_request = request;
	return PUSH_OK;
}
