/*
 * hook_answer.h - what the application's answer means.
 *
 *   2xx, empty or {}     allowed: exactly the channels asked for
 *   2xx, an object       {"sub":"ann","expires_in":60,"push":{...}}: `push` as in a token (claims.h); without it
 *                        exactly the channels asked for
 *   401, 403             refused, for the reason of {"error":"..."}
 *   anything else        failed: 503; the client may try again
 *
 * A requested channel is granted by its name.  A name with a wildcard would be a pattern: it is left out, and
 * needs a right in the answer.  More names than an identity may have (PUSH_IDENTITY_...) are a
 * failure: rights by pattern are for that.
 */
#ifndef PUSH_AUTH_HOOK_ANSWER_H
#define PUSH_AUTH_HOOK_ANSWER_H

#include "auth/claims.h"
#include "auth/hook_question.h"
#include "auth/limits.h"
#include "loop/http_client.h"

struct push_hook_answer {
	struct push_verdict verdict; /* its identity is owned, its text is `text` or static */
	char text[PUSH_HOOK_REASON_BYTES_MAX + 1];
	bool is_failure; /* of the application: `why` is for the operator */
	struct push_error why;
};

/*
 * push_hook_answer_read - read it.
 *
 * @options: the limits of channel names; the options of tokens do not apply.
 * The caller must call push_hook_answer_fini().
 */
void
push_hook_answer_read(struct push_hook_answer *ret, const struct push_http_result *result,
	const struct push_hook_question *question, const struct push_options *options,
	const struct push_claims_clock *clock);

/* push_hook_answer_fail - a failure of which there is no answer.  @why: for the operator. */
void
push_hook_answer_fail(struct push_hook_answer *ret, const char *why, unsigned int retry_after_s);

/* push_hook_answer_fini - drop the identity. */
void
push_hook_answer_fini(struct push_hook_answer *answer);

#endif
