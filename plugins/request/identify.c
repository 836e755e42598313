/*
 * identify.c - whose request it is, before anything is done for it.
 *
 * The authenticator may answer at once, or later: keys or an application may have to be asked first.  Then the
 * request is kept, nothing more is read of its connection, and the exchange goes on from the answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/jsonscan.h"
#include "core/push_assert.h"
#include "request/credentials.h"
#include "request/exchange_private.h"
#include "request/query.h"

/* Of an error_description, with what stands around it. */
#define CHALLENGE_BYTES_MAX (PUSH_ERROR_TEXT_BYTES_MAX + 80)

static struct push_account *
account(const struct push_exchange *x)
{
	return &x->ops->memory(x->broker)->accounts[PUSH_MEMORY_REQUESTS];
}

/* It may have secrets in it. */
static void
free_kept(const struct push_exchange *x, struct push_request *kept, size_t bytes)
{
	if (!kept)
		return;
	push_account_take(account(x), bytes);
	explicit_bzero(kept, bytes);
	free(kept);
}

bool
exchange_keep(struct push_exchange *x, const struct push_request *request)
{
	PUSH_ASSERT(!x->kept);
	x->kept = push_request_keep(request, &x->kept_bytes);
	if (x->kept)
		push_account_add(account(x), x->kept_bytes);
	return x->kept;
}

void
exchange_forget_kept(struct push_exchange *x)
{
	free_kept(x, x->kept, x->kept_bytes);
	x->kept = NULL;
}

void
exchange_forget_identity(struct push_exchange *x)
{
	push_identity_unref(x->identity);
	x->identity = NULL;
}

/* Within quotes nothing but ASCII without quotes and backslashes (RFC 6750, 3). */
static void
quote(const char *text, char *to, size_t size)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < size; i++) {
		unsigned char c = (unsigned char)text[i];

		to[i] = c < 0x20 || c > 0x7E ? '?' : c == '"' || c == '\\' ? '\'' : (char)c;
	}
	to[i] = '\0';
}

static void
write_challenge(char challenge[CHALLENGE_BYTES_MAX], const char *code, const char *text)
{
	char quoted[PUSH_ERROR_TEXT_BYTES_MAX];

	quote(text, quoted, sizeof(quoted));
	snprintf(challenge, CHALLENGE_BYTES_MAX, "Bearer error=\"%s\", error_description=\"%s\"", code,
		quoted);
}

void
exchange_deny(struct push_exchange *x, unsigned int status, const char *code, const char *text)
{
	char challenge[CHALLENGE_BYTES_MAX];

	if (code && (status == 401 || status == 403)) {
		write_challenge(challenge, code, text);
		x->head.www_authenticate = challenge;
	}
	exchange_refuse(x, status, text);
	x->head.www_authenticate = NULL;
}

/* Whose rights do not suffice has shown something; who has shown nothing is told no more than that (RFC 6750, 3.1). */
static const char *
code_of(const struct push_exchange *x, unsigned int status)
{
	if (status == 403)
		return "insufficient_scope";
	return x->verb == EXCHANGE_CHANGE || !push_identity_facts(x->identity).is_anonymous ? "invalid_token"
											    : NULL;
}

/* The text of `{"error":"text"}`; returns false if it is none. */
static bool
read_error(const struct push_answer *answer, char text[PUSH_ERROR_TEXT_BYTES_MAX])
{
	struct push_json_member member = {.name = "error"};
	struct push_error error;
	struct push_buf why;
	bool is_read;

	push_buf_init(&why, PUSH_ERROR_TEXT_BYTES_MAX - 1);
	if (push_json_scan_object(answer->body, answer->size, &member, 1, &error) == PUSH_OK &&
		push_json_is_string(&member))
		push_json_decode_string(&why, member.text, member.size);
	is_read = why.status == PUSH_OK && why.size;
	if (is_read) {
		memcpy(text, why.bytes, why.size);
		text[why.size] = '\0';
	}
	push_buf_fini(&why);
	return is_read;
}

void
exchange_answer_denied(struct push_exchange *x, const struct push_answer *answer)
{
	char challenge[CHALLENGE_BYTES_MAX], text[PUSH_ERROR_TEXT_BYTES_MAX];
	const char *code = code_of(x, answer->status);

	if (code && read_error(answer, text)) {
		write_challenge(challenge, code, text);
		x->head.www_authenticate = challenge;
	}
	exchange_answer(
		x, answer->status, answer->content_type, (struct push_str){answer->body, answer->size});
	x->head.www_authenticate = NULL;
}

struct push_asked
exchange_asked(const struct push_request *request, enum push_right right)
{
	static const char *const methods[] = {[PUSH_METHOD_GET] = "GET",
		[PUSH_METHOD_HEAD] = "HEAD",
		[PUSH_METHOD_POST] = "POST",
		[PUSH_METHOD_OPTIONS] = "OPTIONS",
		[PUSH_METHOD_OTHER] = ""};
	struct push_str method = {methods[request->method], 0};

	while (method.bytes[method.size])
		method.size++;
	return (struct push_asked){.right = right,
		.method = method,
		.path = request->path,
		.query = request->query,
		.origin = request->origin,
		.host = request->host,
		.cookie = request->cookie,
		.authorization = request->authorization};
}

/* What the query names.  A publish names its channels in its body, which has not come, and is asked about later. */
static struct push_str
channels_of(const struct push_request *request, enum push_right right, struct push_buf *buf)
{
	if (right == PUSH_RIGHT_PUBLISH ||
		push_query_values(request->query, right == PUSH_RIGHT_HISTORY ? "channel" : "channels",
			buf) != PUSH_QUERY_FOUND)
		return (struct push_str){NULL, 0};
	return (struct push_str){buf->bytes, buf->size};
}

static void
go_on(struct push_exchange *x, const struct push_request *request, const struct push_verdict *verdict)
{
	if (!request) {
		x->head.closes = true;
		exchange_refuse(x, 503, push_status_text(PUSH_OUT_OF_MEMORY));
	} else if (verdict->status) {
		/* what was not read of the body would be taken for the next request */
		x->head.closes |= request->has_body;
		x->head.retry_after_s = verdict->retry_after_s;
		x->ops->count_auth_refused(x->broker, verdict->why, NULL);
		exchange_deny(x, verdict->status, verdict->code, verdict->text);
	} else {
		x->identity = push_identity_ref(verdict->identity);
		x->then(x, request);
	}
}

bool
push_exchange_awaits_identity(const struct push_exchange *x)
{
	return x->awaits_identity;
}

static void
on_verdict(void *context, const struct push_verdict *verdict)
{
	struct push_exchange *x = context;
	const struct push_request *request = x->asking;
	struct push_request *kept = x->kept;
	size_t kept_bytes = x->kept_bytes;

	x->awaits_identity = false;
	if (request) {
		x->asking = NULL;
		go_on(x, request, verdict);
		return;
	}
	x->kept = NULL;
	if (!x->owner) { /* its client has gone */
		free_kept(x, kept, kept_bytes);
		x->state = PUSH_EXCHANGE_ANSWERED;
		push_exchange_drop(x);
		return;
	}
	x->in_call = true;
	go_on(x, kept, verdict);
	x->in_call = false;
	free_kept(x, kept, kept_bytes);
	x->wire->turn(x->owner);
}

void
exchange_identify(struct push_exchange *x, const struct push_request *request, enum push_right right,
	exchange_then_fn then)
{
	char address[PUSH_ADDRESS_TEXT_BYTES];
	struct push_credential credential;
	struct push_asked asked;
	struct push_buf text, channels;

	if (!x->ops->is_guarded(x->broker)) {
		x->identity = push_identity_everybody();
		then(x, request);
		return;
	}
	credential = push_credentials_read(request, x->ops->options(x->broker), &text);
	asked = exchange_asked(request, right);
	push_buf_init(&channels, PUSH_HEAD_BYTES_MAX);
	if (x->ops->options(x->broker)->auth_hook_url[0]) { /* nobody else wants to know */
		asked.address = exchange_address_text(x, address);
		asked.channels = channels_of(request, right, &channels);
	}
	x->then = then;
	x->asking = request;
	x->ops->identify(x->broker, &credential, &asked, on_verdict, x);
	push_credentials_forget(&text);
	push_buf_fini(&channels);
	if (!x->asking)
		return;
	x->asking = NULL;
	x->state = PUSH_EXCHANGE_ASKED;
	x->awaits_identity = true;
	(void)exchange_keep(x, request); /* without memory answered with 503, in the end */
}
