/* granted.c - see granted.h. */
#include <string.h>

#include "auth/granted.h"

#define SEPARATORS " ,"

/* The rights that a word stands for, as bits; 0: it is none. */
static unsigned int
rights_of(struct push_str word)
{
	static const char *const words[] = {
#define X(name, word) word,
		PUSH_RIGHT_MAP(X)
#undef X
	};

	for (unsigned int i = 0; i < PUSH_RIGHT_COUNT; i++)
		if (word.size == strlen(words[i]) && !memcmp(word.bytes, words[i], word.size))
			return 1u << i;
	return 0;
}

static enum push_status
grant(struct push_identity_builder *builder, unsigned int rights, struct push_str pattern,
	struct push_error *error)
{
	enum push_status status = PUSH_OK;

	for (unsigned int i = 0; status == PUSH_OK && i < PUSH_RIGHT_COUNT; i++)
		if (rights & 1u << i)
			status = push_identity_grant(builder, (enum push_right)i, pattern, error);
	return status;
}

/* A pattern may have a `=` itself: only a known word in front of the first one is a word. */
static enum push_status
grant_one(struct push_identity_builder *builder, struct push_str text, struct push_error *error)
{
	const char *mark = memchr(text.bytes, '=', text.size);
	unsigned int rights = 0;

	if (mark)
		rights = rights_of((struct push_str){text.bytes, (size_t)(mark - text.bytes)});
	if (rights)
		text = (struct push_str){mark + 1, text.size - (size_t)(mark + 1 - text.bytes)};
	else
		rights = 1u << PUSH_RIGHT_SUBSCRIBE | 1u << PUSH_RIGHT_HISTORY;
	return grant(builder, rights, text, error);
}

enum push_status
push_granted_add(struct push_identity_builder *builder, const char *patterns, struct push_error *error)
{
	enum push_status status = PUSH_OK;

	for (const char *p = patterns + strspn(patterns, SEPARATORS); status == PUSH_OK && *p;
		p += strspn(p, SEPARATORS)) {
		const struct push_str one = {p, strcspn(p, SEPARATORS)};

		status = grant_one(builder, one, error);
		p += one.size;
	}
	return status;
}
