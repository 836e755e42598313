/*
 * hook_question.h - the question to the application, as JSON:
 *
 *   {"event":"connect","method":"GET","path":"/sse/messages","query":"channels=a","headers":{"cookie":"..."},
 *    "address":"192.0.2.1","channels":["a"],"user":"ann"}
 *
 * `query`, `address` and `user` are left out if there is none.  Text that is not UTF-8 is treated as Latin-1, which
 * old browsers send in paths and cookies.
 */
#ifndef PUSH_AUTH_HOOK_QUESTION_H
#define PUSH_AUTH_HOOK_QUESTION_H

#include "broker/authenticator.h"
#include "core/buf.h"
#include "core/hook_options.h"

struct push_hook_question {
	enum push_hook_event event;
	const struct push_asked *asked;
	struct push_str user; /* the client's user, if it is known; otherwise without bytes */
};

/* push_hook_question_write - append it.  @headers: bits of enum push_hook_header.  Failure shows in to->status. */
void
push_hook_question_write(
	struct push_buf *to, const struct push_hook_question *question, unsigned int headers);

/* push_hook_question_header - the client's header, without bytes if there is none or it is not passed on. */
struct push_str
push_hook_question_header(
	const struct push_hook_question *question, enum push_hook_header header, unsigned int headers);

/* push_hook_next_channel - go through asked->channels.  @at: 0 at first.  Returns false at the end. */
bool
push_hook_next_channel(struct push_str channels, size_t *at, struct push_str *ret_channel);

#endif
