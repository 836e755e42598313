/* hook_options.c - see hook_options.h. */
#include <stdio.h>
#include <string.h>

#include "hook_options.h"
#include "str.h"

static const char *const events[] = {
#define X(name, word) word,
	PUSH_HOOK_EVENT_MAP(X)
#undef X
};

static const char *const headers[] = {
#define X(name, member, text) text,
	PUSH_HOOK_HEADER_MAP(X)
#undef X
};

/* The bits of a list's words. */
static enum push_status
parse(unsigned int *ret, const char *list, const char *const *words, size_t count)
{
	*ret = 0;
	for (const char *next; *list; list = next) {
		size_t size = strcspn(list, ",");
		struct push_str word = push_str_trim((struct push_str){list, size});
		size_t i = 0;

		next = list + size + (list[size] == ',');
		while (i < count && !push_str_is(word, words[i]))
			i++;
		if (i == count)
			return PUSH_INVALID;
		*ret |= 1u << i;
	}
	return PUSH_OK;
}

static enum push_status
fail(struct push_error *error, const char *name, const char *value, const char *why)
{
	snprintf(error->text, sizeof(error->text), "%s=%.*s: %s", name, PUSH_ERROR_QUOTE_BYTES_MAX, value,
		why);
	return PUSH_INVALID;
}

enum push_status
push_hook_options_parse(
	struct push_hook_options *ret, const struct push_options *options, struct push_error *error)
{
	if (parse(&ret->events, options->auth_hook_on, events, PUSH_HOOK_EVENT_COUNT) != PUSH_OK ||
		!ret->events)
		return fail(error, "push.auth.hook.on", options->auth_hook_on,
			"must be connect, subscribe or publish, or several with commas");
	if (parse(&ret->headers, options->auth_hook_headers, headers, PUSH_HOOK_HEADER_COUNT) != PUSH_OK)
		return fail(error, "push.auth.hook.headers", options->auth_hook_headers,
			"must be authorization, cookie, host or origin, or several with commas");
	return PUSH_OK;
}
