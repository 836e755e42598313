/*
 * hook_options.h - push.auth.hook.on and push.auth.hook.headers: when the application is asked, and what it is
 * given of the client's request.
 */
#ifndef PUSH_CORE_HOOK_OPTIONS_H
#define PUSH_CORE_HOOK_OPTIONS_H

#include "options.h"
#include "status.h"

/* X(NAME, word) */
#define PUSH_HOOK_EVENT_MAP(X)                                                                               \
	X(CONNECT, "connect")                                                                                \
	X(SUBSCRIBE, "subscribe")                                                                            \
	X(PUBLISH, "publish")

enum push_hook_event {
#define X(name, word) PUSH_HOOK_##name,
	PUSH_HOOK_EVENT_MAP(X)
#undef X
		PUSH_HOOK_EVENT_COUNT
};

/* X(NAME, member of struct push_asked, name) */
#define PUSH_HOOK_HEADER_MAP(X)                                                                              \
	X(AUTHORIZATION, authorization, "authorization")                                                     \
	X(COOKIE, cookie, "cookie")                                                                          \
	X(HOST, host, "host")                                                                                \
	X(ORIGIN, origin, "origin")

enum push_hook_header {
#define X(name, member, text) PUSH_HOOK_HEADER_##name,
	PUSH_HOOK_HEADER_MAP(X)
#undef X
		PUSH_HOOK_HEADER_COUNT
};

struct push_hook_options {
	unsigned int events, headers; /* a bit for each of the enums above */
};

/*
 * push_hook_options_parse - read both: words separated by commas, in any case.
 *
 * Errors: PUSH_INVALID, with the option and the word in `error`.
 */
enum push_status PUSH_MUST_USE
push_hook_options_parse(
	struct push_hook_options *ret, const struct push_options *options, struct push_error *error);

#endif
