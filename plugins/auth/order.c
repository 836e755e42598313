/* order.c - see order.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/order.h"
#include "core/jsonscan.h"

enum { BEFORE = PUSH_NOTICE_BY_COUNT, UNTIL, MEMBER_COUNT };

static enum push_status
invalid(struct push_error *error, const char *text)
{
	snprintf(error->text, sizeof(error->text), "%s", text);
	return PUSH_INVALID;
}

/* A whole number of seconds; `fallback` if the member is not there. */
static bool
read_seconds(const struct push_json_member *member, int64_t fallback, int64_t *ret)
{
	char text[24], *end;

	*ret = fallback;
	if (!member->text)
		return true;
	if (!member->size || member->size >= sizeof(text))
		return false;
	memcpy(text, member->text, member->size);
	text[member->size] = '\0';
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return !errno && !*end && *ret >= 0 && *ret <= PUSH_NOTICE_SECONDS_MAX;
}

/* Which of the names is there; PUSH_NOTICE_BY_COUNT: none, or more than one. */
static size_t
find_name(const struct push_json_member *members)
{
	size_t found = PUSH_NOTICE_BY_COUNT;

	for (size_t i = 0; i < PUSH_NOTICE_BY_COUNT; i++) {
		if (!members[i].text)
			continue;
		if (found < PUSH_NOTICE_BY_COUNT)
			return PUSH_NOTICE_BY_COUNT;
		found = i;
	}
	return found;
}

static enum push_status
read_name(const struct push_json_member *member, size_t by, struct push_notice *notice,
	struct push_error *error)
{
	struct push_buf name;
	enum push_status status;

	if (!push_json_is_string(member)) {
		snprintf(error->text, sizeof(error->text), "'%s' must be a string", member->name);
		return PUSH_INVALID;
	}
	push_buf_init(&name, member->size);
	push_json_decode_string(&name, member->text, member->size);
	status = name.status;
	if (status == PUSH_OK)
		status = push_notice_name(notice, (enum push_notice_by)by,
			(struct push_str){name.bytes ? name.bytes : "", name.size}, error);
	push_buf_fini(&name);
	return status;
}

enum push_status
push_order_read(bool is_revocation, struct push_str text, int64_t wall_s, struct push_notice *ret_notice,
	struct push_error *error)
{
	struct push_json_member members[MEMBER_COUNT] = {
#define X(row, word) [PUSH_NOTICE_BY_##row] = {.name = (word)},
		PUSH_NOTICE_BY_MAP(X)
#undef X
			[BEFORE] = {.name = "before"},
		[UNTIL] = {.name = "until"},
	};
	struct push_notice notice = {.act = is_revocation ? PUSH_NOTICE_REVOKE : PUSH_NOTICE_DISCONNECT};
	enum push_status status = push_json_scan_request(text.bytes, text.size, members, MEMBER_COUNT, error);
	int64_t before_s;
	size_t by;

	if (status != PUSH_OK)
		return status;
	by = find_name(members);
	if (by == PUSH_NOTICE_BY_COUNT)
		return invalid(error,
			is_revocation ? "one of 'user', 'jti' and 'key' must be there"
				      : "one of 'user', 'jti', 'key', 'channel' and 'client' must be there");
	if (is_revocation && (by == PUSH_NOTICE_BY_CHANNEL || by == PUSH_NOTICE_BY_CLIENT))
		return invalid(error, "only tokens of a 'user', a 'jti' or a 'key' can be revoked");
	before_s = by == PUSH_NOTICE_BY_TOKEN_ID ? PUSH_NOTICE_WHENEVER : push_notice_before(wall_s);
	if (!read_seconds(&members[BEFORE], before_s, &notice.before_s))
		return invalid(error, "'before' must be a whole number of seconds since 1970");
	if (!read_seconds(&members[UNTIL], wall_s + PUSH_REVOCATION_S, &notice.until_s) ||
		notice.until_s < wall_s)
		return invalid(
			error, "'until' must be a whole number of seconds since 1970, not in the past");
	if (!is_revocation)
		notice.until_s = 0;
	status = read_name(&members[by], by, &notice, error);
	if (status == PUSH_OK)
		*ret_notice = notice;
	return status;
}
