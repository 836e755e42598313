/* renewal.c - see renewal.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/describe.h"
#include "core/hub.h"
#include "core/identified.h"
#include "core/jsonscan.h"
#include "core/limiter.h"
#include "core/limits.h"
#include "core/tokens.h"
#include "renewal.h"

#define NOT_A_TOKEN "'auth' must be an object with a string 'token'"

struct renewal {
	struct push_renewals *renewals;
	push_answer_fn answer;
	void *context;
	char token[PUSH_TOKEN_BYTES]; /* of the stream */
};

static void
answer_error(unsigned int status, const char *text, push_answer_fn answer, void *context)
{
	struct push_buf buf;

	push_buf_init(&buf, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&buf, text);
	answer(context, &(struct push_answer){status, "application/json", buf.bytes ? buf.bytes : "{}",
				buf.bytes ? buf.size : 2, 0});
	push_buf_fini(&buf);
}

static void
answer_renewed(const struct push_identity *identity, uint64_t now_us, push_answer_fn answer, void *context)
{
	uint64_t end_us = push_identity_facts(identity).expires_us;
	char text[64] = "{\"authenticated\":{}}";

	if (end_us != UINT64_MAX)
		snprintf(text, sizeof(text), "{\"authenticated\":{\"expires_in\":%" PRIu64 "}}",
			(end_us > now_us ? end_us - now_us : 0) / 1000000);
	answer(context, &(struct push_answer){200, "application/json", text, strlen(text), 0});
}

static enum push_status
apply(struct push_authenticator *authenticator, struct push_subscriber *subscriber,
	const struct push_identity *identity, uint64_t now_us)
{
	struct push_str ticket = push_identity_facts(push_subscriber_identity(subscriber)).ticket;
	const struct push_identity *renewed =
		ticket.size ? push_identity_with_ticket(identity, ticket) : push_identity_ref(identity);
	enum push_status status =
		renewed ? push_subscriber_renew(subscriber, renewed, now_us) : PUSH_OUT_OF_MEMORY;

	if (status == PUSH_OK && push_identity_facts(renewed).ticket.size)
		authenticator->ticket_renewed(authenticator, push_identity_facts(renewed).ticket, renewed);
	push_identity_unref(renewed);
	return status;
}

struct push_renewal_refusal
push_renew(struct push_authenticator *authenticator, struct push_hub *hub, struct push_subscriber *subscriber,
	const struct push_identity *identity, uint64_t now_us)
{
	static const char others[] = "the token is another user's";
	static const char named[] =
		"a connection with a client name cannot become a user's: connect again with the token";
	enum push_status status = apply(authenticator, subscriber, identity, now_us);

	switch (status) {
	case PUSH_OK: return (struct push_renewal_refusal){0, NULL};
	case PUSH_REFUSED:
		push_hub_count_refused(hub, PUSH_AUTH_CLAIMS, others);
		return (struct push_renewal_refusal){403, others};
	case PUSH_INVALID:
		push_hub_count_refused(hub, PUSH_AUTH_CLAIMS, named);
		return (struct push_renewal_refusal){403, named};
	case PUSH_LIMITED:
	case PUSH_TOO_OFTEN: return (struct push_renewal_refusal){429, push_user_limit_text(status)};
	case PUSH_UNAVAILABLE: return (struct push_renewal_refusal){503, "not now, try again"};
	case PUSH_TOO_LARGE: return (struct push_renewal_refusal){503, PUSH_MEMORY_SHORT_TEXT};
	default: return (struct push_renewal_refusal){503, push_status_text(PUSH_OUT_OF_MEMORY)};
	}
}

static void
renew_here(struct push_renewals *renewals, const char *token, const struct push_identity *identity,
	push_answer_fn answer, void *context)
{
	struct push_subscriber *subscriber = push_hub_find_stream(renewals->hub, token, PUSH_TOKEN_BYTES);
	uint64_t now_us = renewals->now_us();
	struct push_renewal_refusal refusal = {404, "no event stream has this token"};

	if (subscriber)
		refusal = push_renew(renewals->authenticator, renewals->hub, subscriber, identity, now_us);
	if (refusal.status)
		answer_error(refusal.status, refusal.text, answer, context);
	else
		answer_renewed(identity, now_us, answer, context);
}

static void
renew_there(const struct renewal *renewal, const struct push_identity *identity)
{
	struct push_renewals *renewals = renewal->renewals;
	struct push_buf text;

	push_buf_init(&text, SIZE_MAX); /* what it is made of is bounded */
	push_buf_append(&text, renewal->token, PUSH_TOKEN_BYTES);
	push_buf_append_text(&text, " ");
	renewals->authenticator->write_identity(renewals->authenticator, identity, &text);
	if (text.status == PUSH_OK)
		renewals->ask(renewals->context, renewal->token, PUSH_VERB_RENEW, &text, renewal->answer,
			renewal->context);
	else
		answer_error(503, push_status_text(PUSH_OUT_OF_MEMORY), renewal->answer, renewal->context);
	push_buf_fini(&text);
}

static void
on_verdict(void *context, const struct push_verdict *verdict)
{
	const struct renewal renewal = *(struct renewal *)context;
	struct push_renewals *renewals = renewal.renewals;

	free(context);
	if (verdict->status) {
		renewals->stats->auth_refused[verdict->why]++;
		answer_error(verdict->status, verdict->text, renewal.answer, renewal.context);
	} else if (renewals->is_here(renewals->context, renewal.token)) {
		renew_here(renewals, renewal.token, verdict->identity, renewal.answer, renewal.context);
	} else {
		renew_there(&renewal, verdict->identity);
	}
}

/* `auth`, and what must not stand beside it. */
static bool
scan(const struct push_control_request *request, struct push_json_member members[3])
{
	struct push_error error;

	members[0] = (struct push_json_member){.name = "auth"};
	members[1] = (struct push_json_member){.name = "subscribe"};
	members[2] = (struct push_json_member){.name = "unsubscribe"};
	return push_json_scan_object(request->body, request->size, members, 3, &error) == PUSH_OK &&
	       members[0].text;
}

bool
push_renewal_is(const struct push_renewals *renewals, const struct push_control_request *request)
{
	struct push_json_member members[3];

	return renewals->authenticator && request->token_size == PUSH_TOKEN_BYTES && scan(request, members);
}

const char *
push_read_token(const struct push_json_member *member, struct push_buf *text)
{
	push_json_decode_string(text, member->text, member->size);
	if (text->status == PUSH_TOO_LARGE)
		return "the token is over 4 kB";
	if (text->status != PUSH_OK)
		return push_status_text(text->status);
	return text->size ? NULL : "the token is empty";
}

/* Decoded, in `text`.  Returns what is wrong with it; NULL: nothing. */
static const char *
read_token(const struct push_json_member *auth, struct push_buf *text)
{
	struct push_json_member member = {.name = "token"};
	struct push_error error;

	if (push_json_scan_object(auth->text, auth->size, &member, 1, &error) != PUSH_OK ||
		!push_json_is_string(&member))
		return NOT_A_TOKEN;
	return push_read_token(&member, text);
}

static void
identify(struct push_renewals *renewals, const struct push_control_request *request,
	const struct push_buf *token, push_answer_fn answer, void *context)
{
	const struct push_credential credential = {
		.kind = PUSH_CREDENTIAL_TOKEN, .text = {token->bytes, token->size}};
	const struct push_asked asked = {.right = PUSH_RIGHT_SUBSCRIBE};
	struct renewal *renewal = malloc(sizeof(*renewal));

	if (!renewal) {
		answer_error(503, push_status_text(PUSH_OUT_OF_MEMORY), answer, context);
		return;
	}
	*renewal = (struct renewal){.renewals = renewals, .answer = answer, .context = context};
	memcpy(renewal->token, request->token, PUSH_TOKEN_BYTES);
	renewals->authenticator->identify(renewals->authenticator, &credential, &asked, on_verdict, renewal);
}

void
push_renewal_request(struct push_renewals *renewals, const struct push_control_request *request,
	push_answer_fn answer, void *context)
{
	struct push_json_member members[3];
	struct push_buf token;
	const char *wrong;

	push_buf_init(&token, PUSH_SECRET_BYTES_MAX);
	wrong = scan(request, members) ? read_token(&members[0], &token) : NOT_A_TOKEN;
	if (wrong)
		answer_error(token.status == PUSH_OUT_OF_MEMORY ? 503 : 400, wrong, answer, context);
	else if (members[1].text || members[2].text)
		answer_error(400, "'auth' must be sent by itself", answer, context);
	else
		identify(renewals, request, &token, answer, context);
	if (token.bytes)
		explicit_bzero(token.bytes, token.size);
	push_buf_fini(&token);
}

enum push_status
push_renewal_serve(
	struct push_renewals *renewals, const char *text, size_t size, push_answer_fn answer, void *context)
{
	struct push_authenticator *authenticator = renewals->authenticator;
	const struct push_identity *identity;

	if (!authenticator || size <= PUSH_TOKEN_BYTES || text[PUSH_TOKEN_BYTES] != ' ')
		return PUSH_NOT_FOUND;
	identity = authenticator->read_identity(
		authenticator, (struct push_str){text + PUSH_TOKEN_BYTES + 1, size - PUSH_TOKEN_BYTES - 1});
	if (!identity)
		return PUSH_NOT_FOUND;
	if (authenticator->is_revoked(authenticator, identity))
		answer_error(401, "the token was revoked", answer, context);
	else
		renew_here(renewals, text, identity, answer, context);
	push_identity_unref(identity);
	return PUSH_OK;
}
