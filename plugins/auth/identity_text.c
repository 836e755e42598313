/* identity_text.c - see identity_text.h. */
#include <string.h>

#include "auth/identity_text.h"
#include "core/json.h"
#include "core/jsonscan.h"
#include "core/push_assert.h"

/* The end of the year 9999, in seconds: of what is later nobody sees the difference. */
#define SECONDS_MAX 253402300799ull

/* A text of another version has other rules. */
#define VERSION "1"

/* Whose rights these are, where they are not a token's. */
#define APPLICATION "application"

/* What a text is read into: its members, and their strings without escapes. */
enum member {
	MEMBER_VERSION,
	MEMBER_USER,
	MEMBER_TOKEN_ID,
	MEMBER_KEY,
	MEMBER_SOURCE,
	MEMBER_ISSUED,
	MEMBER_EXPIRY,
	MEMBER_SIGNER,
	MEMBER_CHANNELS,
	MEMBER_RIGHTS,
	MEMBER_COUNT = MEMBER_RIGHTS + PUSH_RIGHT_COUNT
};

static const char *const names[MEMBER_COUNT] = {[MEMBER_VERSION] = "v",
	[MEMBER_USER] = "sub",
	[MEMBER_TOKEN_ID] = "jti",
	[MEMBER_KEY] = "key",
	[MEMBER_SOURCE] = "of",
	[MEMBER_ISSUED] = "iat",
	[MEMBER_EXPIRY] = "exp_ms",
	[MEMBER_SIGNER] = "signer",
	[MEMBER_CHANNELS] = "channels",
#define X(name, word) [MEMBER_RIGHTS + PUSH_RIGHT_##name] = word,
	PUSH_RIGHT_MAP(X)
#undef X
};

/* --- writing --- */

static void
print_text(struct push_buf *to, enum member member, struct push_str text)
{
	if (!text.bytes)
		return;
	push_buf_printf(to, ",\"%s\":", names[member]);
	push_json_append_string(to, text.bytes, text.size);
}

static void
print_number(struct push_buf *to, enum member member, uint64_t number)
{
	push_buf_printf(to, ",\"%s\":%llu", names[member], (unsigned long long)number);
}

static uint64_t
expiry_ms(uint64_t expires_us, uint64_t now_us, uint64_t wall_us)
{
	uint64_t left_us = expires_us > now_us ? expires_us - now_us : 0;
	uint64_t ms = wall_us / 1000 + left_us / 1000;

	return ms < SECONDS_MAX * 1000 ? ms : SECONDS_MAX * 1000;
}

void
push_identity_text_print(
	struct push_buf *to, const struct push_identity *identity, uint64_t now_us, uint64_t wall_us)
{
	struct push_identity_facts facts = push_identity_facts(identity);
	struct push_identity_rights rights = push_identity_rights(identity);

	PUSH_ASSERT(identity != push_identity_everybody());
	push_buf_printf(to, "{\"%s\":" VERSION, names[MEMBER_VERSION]);
	print_text(to, MEMBER_USER, facts.user);
	print_text(to, MEMBER_TOKEN_ID, facts.token_id);
	print_text(to, MEMBER_KEY, facts.key_name);
	if (facts.asks_application)
		print_text(to, MEMBER_SOURCE, (struct push_str){APPLICATION, sizeof(APPLICATION) - 1});
	if (facts.issued_s >= 0)
		print_number(to, MEMBER_ISSUED, (uint64_t)facts.issued_s);
	if (facts.expires_us != UINT64_MAX)
		print_number(to, MEMBER_EXPIRY, expiry_ms(facts.expires_us, now_us, wall_us));
	if (facts.signer)
		print_number(to, MEMBER_SIGNER, facts.signer);
	print_text(to, MEMBER_CHANNELS, rights.channels);
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
		print_text(to, (enum member)(MEMBER_RIGHTS + right), rights.patterns[right]);
	push_buf_append_text(to, "}");
}

/* --- reading --- */

static bool
read_number(const struct push_json_member *member, uint64_t max, uint64_t *ret)
{
	uint64_t number = 0;

	for (size_t i = 0; i < member->size; i++) {
		if (member->text[i] < '0' || member->text[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(member->text[i] - '0');
		if (number > max)
			return false;
	}
	*ret = number;
	return true;
}

static enum push_status
read_numbers(struct push_identity_facts *facts, const struct push_json_member *members, uint64_t now_us,
	uint64_t wall_us)
{
	uint64_t number;

	facts->issued_s = INT64_MIN;
	facts->expires_us = UINT64_MAX;
	if (members[MEMBER_ISSUED].text) {
		if (!read_number(&members[MEMBER_ISSUED], SECONDS_MAX, &number))
			return PUSH_INVALID;
		facts->issued_s = (int64_t)number;
	}
	if (members[MEMBER_EXPIRY].text) {
		if (!read_number(&members[MEMBER_EXPIRY], SECONDS_MAX * 1000, &number))
			return PUSH_INVALID;
		facts->expires_us = now_us + (number > wall_us / 1000 ? number * 1000 - wall_us : 0);
	}
	if (members[MEMBER_SIGNER].text &&
		!read_number(&members[MEMBER_SIGNER], (1ull << 53) - 1, &facts->signer))
		return PUSH_INVALID;
	return PUSH_OK;
}

static bool
is_text(int member)
{
	return member != MEMBER_VERSION && member != MEMBER_ISSUED && member != MEMBER_EXPIRY &&
	       member != MEMBER_SIGNER;
}

/* Texts are in `bytes`, which may move while it grows. */
static enum push_status
read_texts(
	struct push_str texts[MEMBER_COUNT], struct push_buf *bytes, const struct push_json_member *members)
{
	size_t start = 1;

	push_buf_append(bytes, "", 1); /* so that an empty text has bytes */
	for (int i = 0; i < MEMBER_COUNT; i++) {
		size_t before = bytes->size;

		texts[i] = (struct push_str){NULL, 0};
		if (!is_text(i) || !members[i].text)
			continue;
		if (!push_json_is_string(&members[i]))
			return PUSH_INVALID;
		push_json_decode_string(bytes, members[i].text, members[i].size);
		texts[i].size = bytes->size - before;
	}
	for (int i = 0; i < MEMBER_COUNT && bytes->status == PUSH_OK; i++) {
		if (is_text(i) && members[i].text)
			texts[i].bytes = bytes->bytes + start;
		start += texts[i].size;
	}
	return bytes->status;
}

static enum push_status
build(const struct push_identity **ret_identity, const struct push_identity_facts *facts,
	const struct push_str texts[MEMBER_COUNT])
{
	struct push_identity_rights rights = {.channels = texts[MEMBER_CHANNELS]};
	struct push_identity_builder *builder;
	enum push_status status;

	if (facts->user.size > PUSH_USER_BYTES_MAX || facts->token_id.size > PUSH_TOKEN_ID_BYTES_MAX ||
		facts->key_name.size > PUSH_USER_BYTES_MAX)
		return PUSH_INVALID;
	builder = push_identity_build(facts);
	if (!builder)
		return PUSH_OUT_OF_MEMORY;
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
		if (right != PUSH_RIGHT_PUBLISH || !facts->ticket.size)
			rights.patterns[right] = texts[MEMBER_RIGHTS + right];
	status = push_identity_restore(builder, &rights);
	if (status != PUSH_OK) {
		push_identity_abandon(builder);
		return status;
	}
	*ret_identity = push_identity_done(builder);
	return *ret_identity ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

enum push_status
push_identity_text_parse(const struct push_identity **ret_identity, const char *text, size_t size,
	struct push_str ticket, uint64_t now_us, uint64_t wall_us)
{
	struct push_json_member members[MEMBER_COUNT];
	struct push_str texts[MEMBER_COUNT];
	struct push_identity_facts facts = {.ticket = ticket};
	struct push_error error;
	struct push_buf bytes;
	enum push_status status;

	if (size > PUSH_IDENTITY_TEXT_BYTES_MAX)
		return PUSH_INVALID;
	memset(members, 0, sizeof(members));
	for (int i = 0; i < MEMBER_COUNT; i++)
		members[i].name = names[i];
	status = push_json_scan_object(text, size, members, MEMBER_COUNT, &error);
	if (status != PUSH_OK)
		return status;
	if (!members[MEMBER_VERSION].text || members[MEMBER_VERSION].size != sizeof(VERSION) - 1 ||
		memcmp(members[MEMBER_VERSION].text, VERSION, sizeof(VERSION) - 1) != 0)
		return PUSH_INVALID;
	push_buf_init(&bytes, size + 1);
	status = read_texts(texts, &bytes, members);
	if (status == PUSH_OK)
		status = read_numbers(&facts, members, now_us, wall_us);
	if (status == PUSH_OK) {
		facts.user = texts[MEMBER_USER];
		facts.token_id = texts[MEMBER_TOKEN_ID];
		facts.key_name = texts[MEMBER_KEY];
		facts.asks_application = push_str_is(texts[MEMBER_SOURCE], APPLICATION);
		status = build(ret_identity, &facts, texts);
	}
	push_buf_fini(&bytes);
	return status;
}
