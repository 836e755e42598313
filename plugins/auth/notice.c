/* notice.c - see notice.h. */
#include <stdio.h>
#include <string.h>

#include "auth/notice.h"
#include "core/json.h"
#include "core/jsonscan.h"
#include "core/limits.h"
#include "core/push_assert.h"
#include "core/utf8.h"

static const char *const acts[] = {
#define X(name, word) word,
	PUSH_NOTICE_ACT_MAP(X)
#undef X
};

static const char *const kinds[] = {
#define X(name, word) word,
	PUSH_NOTICE_BY_MAP(X)
#undef X
};

/* Longest: a name whose bytes are all escaped, and the rest. */
_Static_assert(6 * PUSH_NOTICE_NAME_BYTES_MAX + 96 <= PUSH_NOTICE_BYTES_MAX, "each notice can be sent");

static bool
may_be(enum push_notice_act act, enum push_notice_by by)
{
	return act == PUSH_NOTICE_DISCONNECT || by <= PUSH_NOTICE_BY_KEY;
}

/* What is wrong with a name; NULL: nothing. */
static const char *
name_problem(struct push_str name)
{
	if (!name.size)
		return "is empty";
	if (name.size > PUSH_NOTICE_NAME_BYTES_MAX)
		return "is longer than 255 bytes";
	return push_utf8_is_valid(name.bytes, name.size) ? NULL : "is not valid UTF-8";
}

enum push_status
push_notice_name(
	struct push_notice *notice, enum push_notice_by by, struct push_str name, struct push_error *error)
{
	const char *problem = name_problem(name);

	if (problem) {
		snprintf(error->text, sizeof(error->text), "'%s' %s", kinds[by], problem);
		return PUSH_INVALID;
	}
	notice->by = by;
	notice->name_size = name.size;
	memcpy(notice->name, name.bytes, name.size);
	notice->name[name.size] = '\0';
	return PUSH_OK;
}

int64_t
push_notice_before(int64_t wall_s)
{
	return wall_s + 1;
}

int64_t
push_notice_until(int64_t expires_s, uint64_t leeway_us)
{
	int64_t slack_s = (int64_t)(leeway_us / 1000000) + 1;

	return expires_s < PUSH_NOTICE_SECONDS_MAX - slack_s ? expires_s + slack_s : PUSH_NOTICE_SECONDS_MAX;
}

void
push_notice_print(struct push_buf *to, const struct push_notice *notice)
{
	PUSH_ASSERT(may_be(notice->act, notice->by));
	push_buf_printf(to, "{\"%s\":{\"%s\":", acts[notice->act], kinds[notice->by]);
	push_json_append_string(to, notice->name, notice->name_size);
	push_buf_append_text(to, "}");
	if (notice->before_s != PUSH_NOTICE_WHENEVER)
		push_buf_printf(to, ",\"before\":%lld", (long long)notice->before_s);
	if (notice->act == PUSH_NOTICE_REVOKE)
		push_buf_printf(to, ",\"until\":%lld", (long long)notice->until_s);
	push_buf_append_text(to, "}");
}

/* --- reading --- */

static enum push_status
fail(struct push_error *error, const char *what)
{
	snprintf(error->text, sizeof(error->text), "%s", what);
	return PUSH_INVALID;
}

static bool
read_seconds(const struct push_json_member *member, int64_t *ret)
{
	int64_t seconds = 0;

	for (size_t i = 0; i < member->size; i++) {
		if (member->text[i] < '0' || member->text[i] > '9')
			return false;
		seconds = seconds * 10 + (member->text[i] - '0');
		if (seconds > PUSH_NOTICE_SECONDS_MAX)
			return false;
	}
	*ret = seconds;
	return true;
}

/* `{"user":"u"}` */
static enum push_status
read_name(struct push_notice *notice, const struct push_json_member *act, struct push_error *error)
{
	struct push_json_member members[PUSH_NOTICE_BY_COUNT];
	enum push_notice_by by = PUSH_NOTICE_BY_COUNT;
	struct push_buf name;
	enum push_status status;

	memset(members, 0, sizeof(members));
	for (int i = 0; i < PUSH_NOTICE_BY_COUNT; i++)
		members[i].name = kinds[i];
	status = push_json_scan_object(act->text, act->size, members, PUSH_NOTICE_BY_COUNT, error);
	if (status != PUSH_OK)
		return status;
	for (int i = 0; i < PUSH_NOTICE_BY_COUNT; i++)
		if (members[i].text)
			by = (enum push_notice_by)i;
	if (by == PUSH_NOTICE_BY_COUNT || !push_json_is_string(&members[by]) || !may_be(notice->act, by))
		return fail(error, "it does not say whom it is about");
	push_buf_init(&name, act->size);
	push_json_decode_string(&name, members[by].text, members[by].size);
	status = name.status;
	if (status == PUSH_OK)
		status = push_notice_name(notice, by, (struct push_str){name.bytes, name.size}, error);
	push_buf_fini(&name);
	return status;
}

/* Whatever was read over: it would not be written so. */
static enum push_status
check_form(const struct push_notice *notice, const char *text, size_t size, struct push_error *error)
{
	struct push_buf again;
	enum push_status status;

	push_buf_init(&again, PUSH_NOTICE_BYTES_MAX);
	push_notice_print(&again, notice);
	status = again.status;
	if (status == PUSH_OK && (again.size != size || memcmp(again.bytes, text, size) != 0))
		status = fail(error, "it is not written as a notice is");
	push_buf_fini(&again);
	return status;
}

enum push_status
push_notice_parse(struct push_notice *ret_notice, const char *text, size_t size, struct push_error *error)
{
	struct push_notice notice = {.before_s = PUSH_NOTICE_WHENEVER};
	struct push_json_member members[] = {
		{.name = acts[PUSH_NOTICE_REVOKE]},
		{.name = acts[PUSH_NOTICE_DISCONNECT]},
		{.name = "before"},
		{.name = "until"},
	};
	const struct push_json_member *before = &members[2], *until = &members[3];
	enum push_status status;

	if (size > PUSH_NOTICE_BYTES_MAX)
		return fail(error, "it is too long");
	status = push_json_scan_object(text, size, members, sizeof(members) / sizeof(members[0]), error);
	if (status != PUSH_OK)
		return status;
	notice.act = members[PUSH_NOTICE_REVOKE].text ? PUSH_NOTICE_REVOKE : PUSH_NOTICE_DISCONNECT;
	if (!members[notice.act].text)
		return fail(error, "it says neither 'revoke' nor 'disconnect'");
	status = read_name(&notice, &members[notice.act], error);
	if (status != PUSH_OK)
		return status;
	if (before->text && !read_seconds(before, &notice.before_s))
		return fail(error, "'before' is not a Unix time in seconds");
	if (until->text && !read_seconds(until, &notice.until_s))
		return fail(error, "'until' is not a Unix time in seconds");
	status = check_form(&notice, text, size, error);
	if (status == PUSH_OK)
		*ret_notice = notice;
	return status;
}
