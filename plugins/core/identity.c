/* identity.c - see identity.h. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "channels.h"
#include "identity.h"
#include "memory.h"
#include "pattern.h"
#include "push_assert.h"
#include "utf8.h"

/* Behind each compiled pattern; no pattern has it. */
#define PATTERN_END '\n'

/* `u:` or `k:` and a name. */
#define SPACE_BYTES_MAX (2 + PUSH_USER_BYTES_MAX)

/*
 *   identity ── bytes: user | token id | key name | name space | channels | patterns of each right
 */
struct push_identity {
	unsigned int refs;    /* 0: static */
	unsigned int holders; /* that it is charged for */
	bool is_everybody;
	struct push_identity_facts facts;
	struct push_str space, channels;
	struct push_str patterns[PUSH_RIGHT_COUNT]; /* compiled, each with a PATTERN_END behind it */
	size_t size_bytes;
	char bytes[];
};

struct push_identity_builder {
	struct push_identity_facts facts; /* texts are in `texts` */
	struct push_buf texts;
	struct push_buf channels;
	struct push_buf patterns[PUSH_RIGHT_COUNT];
	size_t pattern_count;
};

/* push_buf may move its bytes: texts are found again by where they begin. */
static struct push_str
text_at(const struct push_buf *texts, size_t *at, struct push_str original)
{
	struct push_str text = {original.bytes ? texts->bytes + *at : NULL, original.size};

	*at += original.size;
	return text;
}

static bool
fits(const struct push_identity_facts *facts)
{
	return facts->user.size <= PUSH_USER_BYTES_MAX && facts->token_id.size <= PUSH_TOKEN_ID_BYTES_MAX &&
	       facts->key_name.size <= PUSH_USER_BYTES_MAX && facts->ticket.size <= PUSH_USER_BYTES_MAX;
}

struct push_identity_builder *
push_identity_build(const struct push_identity_facts *facts)
{
	struct push_identity_builder *builder = fits(facts) ? calloc(1, sizeof(*builder)) : NULL;
	size_t at = 0;

	if (!builder)
		return NULL;
	push_buf_init(&builder->texts, (size_t)3 * PUSH_USER_BYTES_MAX + PUSH_TOKEN_ID_BYTES_MAX + 1);
	push_buf_init(&builder->channels, PUSH_IDENTITY_BYTES_MAX);
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
		push_buf_init(&builder->patterns[right], PUSH_IDENTITY_BYTES_MAX);
	push_buf_append(&builder->texts, facts->user.bytes, facts->user.size);
	push_buf_append(&builder->texts, facts->token_id.bytes, facts->token_id.size);
	push_buf_append(&builder->texts, facts->key_name.bytes, facts->key_name.size);
	push_buf_append(&builder->texts, facts->ticket.bytes, facts->ticket.size);
	push_buf_append(
		&builder->texts, "", 1); /* so that there are bytes, for texts that are there and empty */
	if (builder->texts.status != PUSH_OK) {
		push_identity_abandon(builder);
		return NULL;
	}
	builder->facts = *facts;
	builder->facts.user = text_at(&builder->texts, &at, facts->user);
	builder->facts.token_id = text_at(&builder->texts, &at, facts->token_id);
	builder->facts.key_name = text_at(&builder->texts, &at, facts->key_name);
	builder->facts.ticket = text_at(&builder->texts, &at, facts->ticket);
	return builder;
}

static size_t
size_of_rights(const struct push_identity_builder *builder)
{
	size_t size = builder->channels.size;

	for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
		size += builder->patterns[right].size;
	return size;
}

static enum push_status
too_many(struct push_error *error)
{
	snprintf(error->text, sizeof(error->text),
		"too many patterns and channels: at most %d, and %d bytes of them, are allowed",
		PUSH_IDENTITY_PATTERNS_MAX, PUSH_IDENTITY_BYTES_MAX);
	return PUSH_TOO_MANY;
}

static enum push_status
count_one(struct push_identity_builder *builder, struct push_error *error)
{
	if (builder->pattern_count == PUSH_IDENTITY_PATTERNS_MAX)
		return too_many(error);
	builder->pattern_count++;
	return PUSH_OK;
}

/* After something was appended to `buf`, which is one of the builder's. */
static enum push_status
appended(const struct push_identity_builder *builder, const struct push_buf *buf, struct push_error *error)
{
	if (buf->status == PUSH_OUT_OF_MEMORY) {
		snprintf(error->text, sizeof(error->text), "%s", push_status_text(buf->status));
		return PUSH_OUT_OF_MEMORY;
	}
	if (buf->status != PUSH_OK || size_of_rights(builder) > PUSH_IDENTITY_BYTES_MAX)
		return too_many(error);
	return PUSH_OK;
}

enum push_status
push_identity_grant(struct push_identity_builder *builder, enum push_right right, struct push_str pattern,
	struct push_error *error)
{
	struct push_buf *patterns = &builder->patterns[right];
	enum push_status status = push_pattern_check(pattern, error);

	if (status == PUSH_OK)
		status = count_one(builder, error);
	if (status != PUSH_OK)
		return status;
	if (push_pattern_compile(patterns, pattern, builder->facts.user))
		push_buf_append(patterns, (char[]){PATTERN_END}, 1);
	return appended(builder, patterns, error);
}

enum push_status
push_identity_grant_template(struct push_identity_builder *builder, enum push_right right,
	struct push_str selector, struct push_error *error)
{
	struct push_buf *patterns = &builder->patterns[right];
	enum push_status status = push_pattern_check(selector, error);

	if (status == PUSH_OK)
		status = count_one(builder, error);
	if (status != PUSH_OK)
		return status;
	push_pattern_compile_template(patterns, selector);
	push_buf_append(patterns, (char[]){PATTERN_END}, 1);
	return appended(builder, patterns, error);
}

enum push_status
push_identity_add_channel(
	struct push_identity_builder *builder, struct push_str channel, struct push_error *error)
{
	struct push_buf *patterns = &builder->patterns[PUSH_RIGHT_SUBSCRIBE];
	enum push_status status =
		push_channel_name_check(channel.bytes, channel.size, PUSH_PATTERN_BYTES_MAX, error);

	if (status == PUSH_OK)
		status = count_one(builder, error);
	if (status != PUSH_OK)
		return status;
	if (builder->channels.size)
		push_buf_append(&builder->channels, ",", 1);
	push_buf_append(&builder->channels, channel.bytes, channel.size);
	push_pattern_compile_name(patterns, channel);
	push_buf_append(patterns, (char[]){PATTERN_END}, 1);
	status = appended(builder, &builder->channels, error);
	return status == PUSH_OK ? appended(builder, patterns, error) : status;
}

/* Copies to identity->bytes at *at; no bytes stay none. */
static struct push_str
keep(struct push_identity *identity, size_t *at, struct push_str text)
{
	struct push_str kept = {text.bytes ? identity->bytes + *at : NULL, text.size};

	if (text.bytes && text.size)
		memcpy(identity->bytes + *at, text.bytes, text.size);
	*at += text.size;
	return kept;
}

static struct push_str
content(const struct push_buf *buf)
{
	return (struct push_str){buf->bytes ? buf->bytes : "", buf->size};
}

/* A publish key has no user, but who makes identities may give it one: the key counts. */
static struct push_str
name_space(const struct push_identity_facts *facts, char to[SPACE_BYTES_MAX])
{
	struct push_str name = facts->key_name.size ? facts->key_name : facts->user;

	if (!name.size)
		return (struct push_str){"", 0};
	to[0] = facts->key_name.size ? 'k' : 'u';
	to[1] = ':';
	memcpy(to + 2, name.bytes, name.size);
	return (struct push_str){to, name.size + 2};
}

static bool
is_whole(const struct push_identity_builder *builder)
{
	if (builder->channels.status != PUSH_OK || size_of_rights(builder) > PUSH_IDENTITY_BYTES_MAX)
		return false;
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
		if (builder->patterns[right].status != PUSH_OK)
			return false;
	return true;
}

struct push_identity *
push_identity_done(struct push_identity_builder *builder)
{
	char space_bytes[SPACE_BYTES_MAX];
	struct push_str space = name_space(&builder->facts, space_bytes);
	size_t at = 0, size = builder->texts.size + space.size + size_of_rights(builder);
	struct push_identity *identity = is_whole(builder) ? malloc(sizeof(*identity) + size) : NULL;

	if (identity) {
		*identity = (struct push_identity){
			.refs = 1, .facts = builder->facts, .size_bytes = sizeof(*identity) + size};
		identity->facts.user = keep(identity, &at, builder->facts.user);
		identity->facts.token_id = keep(identity, &at, builder->facts.token_id);
		identity->facts.key_name = keep(identity, &at, builder->facts.key_name);
		identity->facts.ticket = keep(identity, &at, builder->facts.ticket);
		identity->space = keep(identity, &at, space);
		identity->channels = keep(identity, &at, content(&builder->channels));
		for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
			identity->patterns[right] = keep(identity, &at, content(&builder->patterns[right]));
		PUSH_ASSERT(at <= size);
	}
	push_identity_abandon(builder);
	return identity;
}

void
push_identity_abandon(struct push_identity_builder *builder)
{
	if (!builder)
		return;
	push_buf_fini(&builder->texts);
	push_buf_fini(&builder->channels);
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
		push_buf_fini(&builder->patterns[right]);
	free(builder);
}

/* What it may do is not looked up.  Each shared object has one of its own, so that it is known by what is in it.
 */
static const struct push_identity everybody = {
	.is_everybody = true,
	.facts = {.expires_us = UINT64_MAX, .issued_s = INT64_MIN},
	.space = {"", 0},
	.size_bytes = sizeof(everybody),
};

static bool
is_everybody(const struct push_identity *identity)
{
	return identity->is_everybody;
}

const struct push_identity *
push_identity_everybody(void)
{
	return &everybody;
}

/* Only the counts of references and holders change after an identity was made. */
static struct push_identity *
counted(const struct push_identity *identity)
{
	return (struct push_identity *)identity;
}

const struct push_identity *
push_identity_ref(const struct push_identity *identity)
{
	if (!identity || is_everybody(identity))
		return identity;
	PUSH_ASSERT(identity->refs > 0);
	PUSH_ASSERT(identity->refs < UINT_MAX);
	counted(identity)->refs++;
	return identity;
}

void
push_identity_unref(const struct push_identity *identity)
{
	if (!identity || is_everybody(identity))
		return;
	PUSH_ASSERT(identity->refs > 0);
	if (!--counted(identity)->refs)
		free(counted(identity));
}

void
push_identity_charge(const struct push_identity *identity, struct push_account *account)
{
	if (is_everybody(identity))
		return;
	PUSH_ASSERT(identity->holders < UINT_MAX);
	if (!counted(identity)->holders++)
		push_account_add(account, push_identity_bytes(identity));
}

void
push_identity_discharge(const struct push_identity *identity, struct push_account *account)
{
	if (is_everybody(identity))
		return;
	PUSH_ASSERT(identity->holders > 0);
	if (!--counted(identity)->holders)
		push_account_take(account, push_identity_bytes(identity));
}

bool
push_identity_is_charged(const struct push_identity *identity)
{
	return is_everybody(identity) || identity->holders;
}

bool
push_identity_may(const struct push_identity *identity, enum push_right right, struct push_str channel)
{
	const char *pattern, *end;

	if (!identity || (unsigned int)right >= PUSH_RIGHT_COUNT)
		return false;
	if (is_everybody(identity))
		return true;
	pattern = identity->patterns[right].bytes;
	for (end = pattern + identity->patterns[right].size; pattern < end;) {
		const char *stop = memchr(pattern, PATTERN_END, (size_t)(end - pattern));

		PUSH_ASSERT(stop != NULL);
		if (push_pattern_matches((struct push_str){pattern, (size_t)(stop - pattern)}, channel))
			return true;
		pattern = stop + 1;
	}
	return false;
}

void
push_identity_refusal(const struct push_identity *identity, enum push_right right, struct push_str channel,
	struct push_error *error)
{
	static const char *const what[PUSH_RIGHT_COUNT] = {
		[PUSH_RIGHT_SUBSCRIBE] = "subscribe to",
		[PUSH_RIGHT_PUBLISH] = "publish to",
		[PUSH_RIGHT_HISTORY] = "read the history of",
	};
	size_t size = push_utf8_cut(channel.bytes, channel.size, PUSH_ERROR_QUOTE_BYTES_MAX);

	snprintf(error->text, sizeof(error->text),
		push_identity_status(identity) == 401 ? "no right to %s '%.*s%s' without a token"
						      : "no right to %s '%.*s%s'",
		what[right], (int)size, channel.bytes, size < channel.size ? "..." : "");
}

unsigned int
push_identity_status(const struct push_identity *identity)
{
	return !identity || identity->facts.is_anonymous ? 401 : 403;
}

enum push_auth_refusal
push_identity_refused_as(const struct push_identity *identity)
{
	return push_identity_status(identity) == 401 ? PUSH_AUTH_MISSING : PUSH_AUTH_FORBIDDEN;
}

struct push_identity_facts
push_identity_facts(const struct push_identity *identity)
{
	return identity->facts;
}

struct push_str
push_identity_channels(const struct push_identity *identity)
{
	return identity->channels;
}

struct push_str
push_identity_space(const struct push_identity *identity)
{
	return identity->space;
}

struct push_identity_rights
push_identity_rights(const struct push_identity *identity)
{
	struct push_identity_rights rights = {.channels = identity->channels};

	PUSH_ASSERT(identity != &everybody);
	memcpy(rights.patterns, identity->patterns, sizeof(rights.patterns));
	return rights;
}

/* Whether these may be compiled patterns, each with its end. */
static bool
are_patterns(struct push_str patterns)
{
	return !patterns.size ||
	       (patterns.bytes[0] != PATTERN_END && patterns.bytes[patterns.size - 1] == PATTERN_END &&
		       !memmem(patterns.bytes, patterns.size, (char[]){PATTERN_END, PATTERN_END}, 2));
}

static bool
are_channels(struct push_str channels)
{
	struct push_error error;
	const char *at = channels.bytes, *end;

	if (!channels.size)
		return true;
	for (end = at + channels.size; at <= end;) {
		const char *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
		size_t size = (size_t)((comma ? comma : end) - at);

		if (push_channel_name_check(at, size, PUSH_PATTERN_BYTES_MAX, &error) != PUSH_OK)
			return false;
		at += size + 1;
	}
	return true;
}

enum push_status
push_identity_restore(struct push_identity_builder *builder, const struct push_identity_rights *rights)
{
	enum push_status status;

	PUSH_ASSERT(!size_of_rights(builder));
	if (!are_channels(rights->channels))
		return PUSH_INVALID;
	push_buf_append(&builder->channels, rights->channels.bytes, rights->channels.size);
	status = builder->channels.status;
	for (int right = 0; right < PUSH_RIGHT_COUNT && status == PUSH_OK; right++) {
		struct push_buf *patterns = &builder->patterns[right];

		if (!are_patterns(rights->patterns[right]))
			return PUSH_INVALID;
		push_buf_append(patterns, rights->patterns[right].bytes, rights->patterns[right].size);
		status = patterns->status;
	}
	if (status == PUSH_OK && size_of_rights(builder) > PUSH_IDENTITY_BYTES_MAX)
		status = PUSH_TOO_LARGE;
	return status == PUSH_TOO_LARGE ? PUSH_INVALID : status;
}

size_t
push_identity_bytes(const struct push_identity *identity)
{
	return identity->size_bytes + PUSH_MALLOC_BYTES;
}

const struct push_identity *
push_identity_with_ticket(const struct push_identity *identity, struct push_str ticket)
{
	const struct push_identity_rights rights = push_identity_rights(identity);
	struct push_identity_facts facts = identity->facts;
	struct push_identity_builder *builder;

	facts.ticket = ticket;
	builder = push_identity_build(&facts);
	if (builder && push_identity_restore(builder, &rights) == PUSH_OK)
		return push_identity_done(builder);
	push_identity_abandon(builder);
	return NULL;
}
