/* key_set.c - see key_set.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/jsonscan.h"
#include "jwk.h"
#include "key_set.h"
#include "pem.h"

struct push_key_set {
	struct push_key *keys[PUSH_KEYS_MAX];
	size_t count, skipped;
};

struct push_key_set *
push_key_set_create(void)
{
	return calloc(1, sizeof(struct push_key_set));
}

void
push_key_set_destroy(struct push_key_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++)
		push_key_destroy(set->keys[i]);
	free(set);
}

size_t
push_key_set_count(const struct push_key_set *set)
{
	return set->count;
}

bool
push_key_set_has_signer(const struct push_key_set *set, uint64_t signer)
{
	for (size_t i = 0; i < set->count; i++)
		if (push_key_signer(set->keys[i]) == signer)
			return true;
	return false;
}

size_t
push_key_set_skipped(const struct push_key_set *set)
{
	return set->skipped;
}

static bool
has_algorithm(const struct push_key_set *set, enum push_key_algorithm algorithm)
{
	for (size_t i = 0; i < set->count; i++)
		if (push_key_algorithm(set->keys[i]) == algorithm)
			return true;
	return false;
}

void
push_key_set_describe(const struct push_key_set *set, char *to, size_t size)
{
	struct push_buf line;
	const char *before = ": ";

	push_buf_init(&line, size - 1);
	push_buf_printf(&line, "%zu key%s", set->count, set->count == 1 ? "" : "s");
	for (int i = 0; i < PUSH_KEY_ALGORITHM_COUNT; i++)
		if (has_algorithm(set, (enum push_key_algorithm)i)) {
			push_buf_printf(
				&line, "%s%s", before, push_key_algorithm_name((enum push_key_algorithm)i));
			before = ", ";
		}
	if (set->skipped)
		push_buf_printf(&line, "; %zu left out, which cannot verify tokens", set->skipped);
	snprintf(to, size, "%.*s", (int)line.size, line.bytes ? line.bytes : "");
	push_buf_fini(&line);
}

/* One source while it is read. */
struct source {
	struct push_key_set *set;
	const struct push_key_reading *reading;
	struct push_error *error;
};

static enum push_status
fail(struct source *source, enum push_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum push_status
fail(struct source *source, enum push_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(source->error->text, sizeof(source->error->text), format, args);
	va_end(args);
	return status;
}

static enum push_status
add(void *context, struct push_key *key)
{
	struct source *source = context;

	if (source->set->count == PUSH_KEYS_MAX) {
		push_key_destroy(key);
		return fail(source, PUSH_TOO_MANY, "more than %d keys", PUSH_KEYS_MAX);
	}
	source->set->keys[source->set->count++] = key;
	return PUSH_OK;
}

static void
skip(struct source *source, const char *why)
{
	source->set->skipped++;
	if (source->reading->note)
		source->reading->note(source->reading->context, why);
}

/* @number: of a set's key, from 1; 0: the text is one key. */
static enum push_status
add_jwk(struct source *source, struct push_str text, size_t number)
{
	struct push_key *key;
	struct push_error why;
	enum push_status status = push_jwk_read(text, &key, &why);
	char line[sizeof(why.text) + 32];

	if (status == PUSH_OK)
		return add(source, key);
	if (status == PUSH_OUT_OF_MEMORY)
		return status;
	if (number)
		snprintf(line, sizeof(line), "key %zu: %s", number, why.text);
	else
		snprintf(line, sizeof(line), "%s", why.text);
	if (status != PUSH_NOT_FOUND && !source->reading->is_lenient)
		return fail(source, PUSH_INVALID, "%s", line);
	skip(source, line);
	return PUSH_OK;
}

static enum push_status
add_jwks(struct source *source, const struct push_json_member *keys)
{
	const char *at = keys->text, *element;
	enum push_status status = PUSH_OK;
	size_t count, size;

	if (push_json_scan_array(keys->text, keys->size, &count, source->error) != PUSH_OK)
		return fail(source, PUSH_INVALID, "'keys' is not an array");
	for (size_t i = 1;
		status == PUSH_OK && push_json_next_element(&at, keys->text + keys->size, &element, &size);
		i++)
		status = add_jwk(source, (struct push_str){element, size}, i);
	return status;
}

static enum push_status
add_json(struct source *source, struct push_str text)
{
	struct push_json_member members[] = {{.name = "keys"}, {.name = "kty"}};
	enum push_status status = push_json_scan_object(text.bytes, text.size, members, 2, source->error);

	if (status != PUSH_OK)
		return status;
	if (members[0].text)
		return add_jwks(source, &members[0]);
	if (members[1].text)
		return add_jwk(source, text, 0);
	return fail(source, PUSH_INVALID, "neither a JWK set ('keys') nor a JWK ('kty')");
}

static enum push_status
add_pem(struct source *source, struct push_str text)
{
	size_t before = source->set->count;
	enum push_status status = push_pem_read(text, add, source, source->error);
	char why[sizeof(source->error->text)];

	if (status != PUSH_NOT_FOUND && status != PUSH_INVALID)
		return status;
	snprintf(why, sizeof(why), "%s", source->error->text);
	return fail(source, PUSH_INVALID, "key %zu: %s", source->set->count - before + 1, why);
}

/* The first byte that is neither white space nor a byte order mark; 0: there is none. */
static char
first_of(struct push_str text)
{
	size_t i = text.size >= 3 && !memcmp(text.bytes, "\xef\xbb\xbf", 3) ? 3 : 0;

	while (i < text.size && memchr(" \t\r\n", text.bytes[i], 4))
		i++;
	return i < text.size ? text.bytes[i] : '\0';
}

/* Anything but JSON may be in front of the first block of PEM. */
static enum push_status
add_text(struct source *source, struct push_str text)
{
	char first = first_of(text);

	if (first == '{' || first == '[')
		return add_json(source, text);
	if (first && memmem(text.bytes, text.size, "-----BEGIN ", 11))
		return add_pem(source, text);
	return fail(source, PUSH_INVALID, "%s",
		first ? "neither PEM nor JSON (DER: openssl pkey -pubin -in FILE; a secret for HS256: a JWK)"
		      : "it is empty");
}

enum push_status
push_key_set_add(struct push_key_set *set, struct push_str text, const struct push_key_reading *reading,
	struct push_error *error)
{
	struct source source = {.set = set, .reading = reading, .error = error};
	size_t before = set->count;
	enum push_status status;

	status = add_text(&source, text);
	if (status == PUSH_OK && set->count == before)
		return fail(&source, PUSH_NOT_FOUND, "none of its keys can be used%s",
			set->skipped ? ": they are for something else" : "");
	return status;
}

static bool
has_id(const struct push_key *key, struct push_str id)
{
	struct push_str own = push_key_id(key);

	return own.size == id.size && (!id.size || !memcmp(own.bytes, id.bytes, id.size));
}

/* Which keys are looked for. */
enum which { ANY_ID, THIS_ID, NO_ID };

static void
collect(const struct push_key_set *set, enum push_key_algorithm algorithm, struct push_str id,
	enum which which, struct push_key_candidates *candidates)
{
	static const struct push_str none = {"", 0};

	for (size_t i = 0; set && i < set->count; i++) {
		const struct push_key *key = set->keys[i];

		if ((which == THIS_ID && !has_id(key, id)) || (which == NO_ID && !has_id(key, none)))
			continue;
		candidates->is_id_known |= which == THIS_ID;
		if (push_key_algorithm(key) == algorithm && candidates->count < PUSH_KEY_CANDIDATES_MAX)
			candidates->keys[candidates->count++] = key;
	}
}

void
push_key_set_find(const struct push_key_set *const *sets, size_t set_count, enum push_key_algorithm algorithm,
	struct push_str id, struct push_key_candidates *candidates)
{
	*candidates = (struct push_key_candidates){.count = 0};
	for (size_t i = 0; i < set_count; i++)
		collect(sets[i], algorithm, id, id.size ? THIS_ID : ANY_ID, candidates);
	for (size_t i = 0; id.size && !candidates->is_id_known && i < set_count; i++)
		collect(sets[i], algorithm, id, NO_ID, candidates);
}
