/* authenticator.c - see authenticator.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/anonymous.h"
#include "auth/authenticator.h"
#include "auth/certificate.h"
#include "auth/checks.h"
#include "auth/claims.h"
#include "auth/hook.h"
#include "auth/identity_text.h"
#include "auth/jwks_source.h"
#include "auth/jws.h"
#include "auth/key_set.h"
#include "auth/notice.h"
#include "auth/order.h"
#include "auth/publish_keys.h"
#include "auth/revocations.h"
#include "auth/tickets.h"
#include "auth/token_cache.h"
#include "core/json.h"
#include "loop/http_client.h"

/* How often files are looked at: a stat(2) each. */
#define LOOK_US 2000000ull

struct authenticator {
	struct push_authenticator base; /* first: the two are cast into each other */
	const struct push_options *options;
	struct push_engine *engine;
	const struct push_authenticator_host *host;
	const struct push_identity *anonymous;
	struct push_key_set *keys; /* of push.auth.keys; NULL: none */
	uint64_t keys_mark;
	struct push_http_client *client;        /* NULL: nobody is called */
	struct push_jwks_source *source;        /* push.auth.jwks.url; NULL: none */
	struct push_key_set *source_keys;       /* that it has fetched; NULL: none yet */
	struct push_hook *hook;                 /* NULL: the application is not asked */
	struct push_publish_keys *publish_keys; /* NULL: none */
	struct push_token_cache *cache;
	struct push_checks checks; /* of tokens that it does not know */
	struct push_revocations *revocations;
	struct push_tickets tickets;
	uint64_t look_us;    /* at files, then */
	uint64_t jwks_set_s; /* when the source's keys came, since 1970 */
	/* of these the stats have been told */
	struct push_hook_counts hook_counted;
	struct push_jwks_counts jwks_counted;
};

static uint64_t
wall_us(const struct authenticator *self)
{
	return self->host->wall_us();
}

static int64_t
wall_s(const struct authenticator *self)
{
	return (int64_t)(wall_us(self) / 1000000);
}

/* A time since 1970 by this process' own clock. */
static uint64_t
monotonic_us(const struct authenticator *self, int64_t at_s)
{
	uint64_t now_us = self->host->now_us(), now_wall_us = wall_us(self), at_us;

	if (at_s > PUSH_NOTICE_SECONDS_MAX) /* PUSH_NOTICE_WHENEVER */
		return UINT64_MAX;
	at_us = (uint64_t)at_s * 1000000;
	if (at_us >= now_wall_us)
		return now_us + (at_us - now_wall_us);
	return now_wall_us - at_us < now_us ? now_us - (now_wall_us - at_us) : 0;
}

static void
say(const struct authenticator *self, enum push_log_level level, const char *line)
{
	self->host->log(self->host->context, level, line);
}

/* --- verdicts --- */

static void
refuse(const struct authenticator *self, unsigned int status, enum push_auth_refusal why, const char *code,
	const char *text, push_verdict_fn done, void *context)
{
	const struct push_verdict verdict = {.status = status, .why = why, .code = code, .text = text};
	char line[PUSH_ERROR_TEXT_BYTES_MAX + 32];

	snprintf(line, sizeof(line), "a client is refused: %s", text);
	say(self, PUSH_LOG_DEBUG, line);
	done(context, &verdict);
}

static void
refuse_token(const struct authenticator *self, enum push_token_refusal refusal, const char *text,
	push_verdict_fn done, void *context)
{
	static const enum push_auth_refusal reasons[PUSH_TOKEN_REFUSAL_COUNT] = {
		[PUSH_TOKEN_TOO_LONG] = PUSH_AUTH_MALFORMED,
		[PUSH_TOKEN_MALFORMED] = PUSH_AUTH_MALFORMED,
		[PUSH_TOKEN_HEADER] = PUSH_AUTH_MALFORMED,
		[PUSH_TOKEN_ALGORITHM] = PUSH_AUTH_KEY,
		[PUSH_TOKEN_UNKNOWN_KEY] = PUSH_AUTH_KEY,
		[PUSH_TOKEN_SIGNATURE] = PUSH_AUTH_SIGNATURE,
		[PUSH_TOKEN_CLAIMS] = PUSH_AUTH_CLAIMS,
		[PUSH_TOKEN_EXPIRED] = PUSH_AUTH_EXPIRED,
		[PUSH_TOKEN_NOT_YET] = PUSH_AUTH_EXPIRED,
		[PUSH_TOKEN_ISSUER] = PUSH_AUTH_CLAIMS,
		[PUSH_TOKEN_AUDIENCE] = PUSH_AUTH_CLAIMS,
		[PUSH_TOKEN_MEMORY] = PUSH_AUTH_UNAVAILABLE,
	};

	if (refusal == PUSH_TOKEN_MEMORY)
		refuse(self, 503, PUSH_AUTH_UNAVAILABLE, NULL, push_token_refusal_text(refusal), done,
			context);
	else
		refuse(self, 401, reasons[refusal], "invalid_token", text, done, context);
}

static void
accept_unless_revoked(const struct authenticator *self, const struct push_identity *identity,
	const char *revoked, push_verdict_fn done, void *context)
{
	const struct push_verdict verdict = {.identity = identity};

	if (push_revocations_covers(self->revocations, identity, wall_s(self)))
		refuse(self, 401, PUSH_AUTH_REVOKED, "invalid_token", revoked, done, context);
	else
		done(context, &verdict);
}

static void
accept(const struct authenticator *self, const struct push_identity *identity, push_verdict_fn done,
	void *context)
{
	accept_unless_revoked(self, identity, "the token was revoked", done, context);
}

/* --- tokens --- */

static bool
has_keys(const struct authenticator *self)
{
	return self->keys || self->source;
}

/* A token whose key may be among newer ones. */
struct waiting {
	struct authenticator *self;
	push_verdict_fn done;
	void *context;
	size_t size;
	char token[];
};

static void
on_keys(void *context, enum push_status status)
{
	struct waiting *waiting = context;

	if (status == PUSH_OK)
		push_checks_submit(
			&waiting->self->checks, &(struct push_check){.token = {waiting->token, waiting->size},
							.done = waiting->done,
							.context = waiting->context});
	else
		refuse(waiting->self, 503, PUSH_AUTH_UNAVAILABLE, NULL,
			"the keys cannot be reached now, try again", waiting->done, waiting->context);
	explicit_bzero(waiting->token, waiting->size);
	free(waiting);
}

/* Returns false if there is nothing to wait for: the keys are fresh, and the token's is not among them. */
static bool
wait_for_keys(struct authenticator *self, struct push_str token, push_verdict_fn done, void *context)
{
	struct waiting *waiting = malloc(sizeof(*waiting) + token.size);
	enum push_status status = PUSH_OUT_OF_MEMORY;

	if (waiting) {
		*waiting = (struct waiting){self, done, context, token.size};
		memcpy(waiting->token, token.bytes, token.size);
		status = push_jwks_source_wait(self->source, self->host->now_us(), on_keys, waiting);
	}
	if (status == PUSH_OK)
		return true;
	free(waiting);
	if (status == PUSH_NOT_FOUND)
		return false;
	refuse(self, 503, PUSH_AUTH_UNAVAILABLE, NULL, "the keys cannot be reached now, try again", done,
		context);
	return true;
}

/* Returns false if the cache does not know it. */
static bool
know_token(struct authenticator *self, struct push_str token, push_verdict_fn done, void *context)
{
	struct push_token_finding finding;

	switch (push_token_cache_find(self->cache, token, self->host->now_us(), &finding)) {
	case PUSH_TOKEN_IS_GOOD: accept(self, finding.identity, done, context); return true;
	case PUSH_TOKEN_IS_REFUSED:
		refuse_token(self, finding.refusal, finding.why, done, context);
		return true;
	default: return false;
	}
}

static void
check_token(void *context, const struct push_check *check)
{
	struct authenticator *self = context;
	const struct push_key_set *const sets[] = {self->keys, self->source_keys};
	const struct push_claims_clock clock = {wall_us(self), self->host->now_us()};
	const struct push_identity *identity = NULL;
	enum push_token_refusal refusal;
	struct push_jws jws;
	struct push_error error = {""};

	if (check->has_waited && know_token(self, check->token, check->done, check->context))
		return;
	refusal = push_jws_verify(sets, sizeof(sets) / sizeof(sets[0]), check->token, &jws, &error);
	if (refusal != PUSH_TOKEN_OK)
		push_checks_charge(&self->checks, self->host->now_us() - clock.now_us);
	if (refusal == PUSH_TOKEN_UNKNOWN_KEY && check->may_wait && self->source &&
		wait_for_keys(self, check->token, check->done, check->context))
		return;
	if (refusal == PUSH_TOKEN_OK)
		refusal = push_claims_read((struct push_str){jws.payload, jws.payload_size}, self->options,
			&clock, jws.signer, &identity, &error);
	if (refusal != PUSH_TOKEN_OK) {
		push_token_cache_put_refusal(self->cache, check->token, refusal, &error, clock.now_us);
		refuse_token(self, refusal, error.text, check->done, check->context);
		return;
	}
	push_token_cache_put(self->cache, check->token, identity, clock.now_us);
	accept(self, identity, check->done, check->context);
	push_identity_unref(identity);
}

static void
give_up_check(void *context, const struct push_check *check)
{
	refuse(context, 503, PUSH_AUTH_UNAVAILABLE, NULL, "too many tokens are being checked, try again",
		check->done, check->context);
}

static void
identify_token(struct authenticator *self, struct push_str token, push_verdict_fn done, void *context)
{
	const struct push_check check = {.token = token, .may_wait = true, .done = done, .context = context};

	if (!has_keys(self))
		refuse(self, 401, PUSH_AUTH_KEY, "invalid_token", "tokens are not accepted here", done,
			context);
	else if (!know_token(self, token, done, context))
		push_checks_submit(&self->checks, &check);
}

/* --- keys of servers --- */

/* Returns false if it is none of theirs. */
static bool
identify_key(struct authenticator *self, struct push_str shown, push_verdict_fn done, void *context)
{
	const struct push_publish_key *key =
		self->publish_keys ? push_publish_keys_find(self->publish_keys, shown) : NULL;

	if (key)
		accept(self, key->identity, done, context);
	return key;
}

/* --- tickets --- */

struct opening {
	struct authenticator *self;
	push_verdict_fn done;
	void *context;
};

/* Whether the key of its token is still there: a ticket does not outlive it. */
static enum push_status
find_signer(const struct authenticator *self, uint64_t signer)
{
	if (!signer || (self->keys && push_key_set_has_signer(self->keys, signer)) ||
		(self->source_keys && push_key_set_has_signer(self->source_keys, signer)))
		return PUSH_OK;
	return self->source && !self->source_keys ? PUSH_UNAVAILABLE : PUSH_NOT_FOUND;
}

static void
on_ticket(void *context, enum push_status status, const struct push_identity *identity)
{
	const struct opening opening = *(struct opening *)context;

	free(context);
	if (status == PUSH_OK)
		status = find_signer(opening.self, push_identity_facts(identity).signer);
	if (status == PUSH_OK)
		accept(opening.self, identity, opening.done, opening.context);
	else if (status == PUSH_NOT_FOUND)
		refuse(opening.self, 401, PUSH_AUTH_MALFORMED, "invalid_token",
			"the ticket is not known, or not any more", opening.done, opening.context);
	else
		refuse(opening.self, 503, PUSH_AUTH_UNAVAILABLE, NULL,
			"tickets cannot be read now, try again", opening.done, opening.context);
}

static void
identify_ticket(struct authenticator *self, struct push_str ticket, push_verdict_fn done, void *context)
{
	struct opening *opening = malloc(sizeof(*opening));

	if (!opening) {
		refuse(self, 503, PUSH_AUTH_UNAVAILABLE, NULL, push_status_text(PUSH_OUT_OF_MEMORY), done,
			context);
		return;
	}
	*opening = (struct opening){self, done, context};
	push_tickets_open(&self->tickets, ticket, on_ticket, opening);
}

/* --- the application --- */

/* To connect is to subscribe, too: one question is enough. */
static enum push_hook_event
event_of(const struct authenticator *self, enum push_right right)
{
	if (right == PUSH_RIGHT_SUBSCRIBE && self->hook && push_hook_asks(self->hook, PUSH_HOOK_CONNECT))
		return PUSH_HOOK_CONNECT;
	return PUSH_HOOK_SUBSCRIBE;
}

/* About a publish it is asked when its channels are known (ask_for_more). */
static bool
asks_at_first(const struct authenticator *self, enum push_right right)
{
	return self->hook && right != PUSH_RIGHT_PUBLISH && push_hook_asks(self->hook, event_of(self, right));
}

/* Returns false if it is not asked now: until then the client is one that has shown nothing. */
static bool
ask_application(
	struct authenticator *self, const struct push_asked *asked, push_verdict_fn done, void *context)
{
	const struct push_hook_question question = {.event = event_of(self, asked->right), .asked = asked};

	if (!asks_at_first(self, asked->right))
		return false;
	push_hook_ask(self->hook, &question, self->host->now_us(), done, context);
	return true;
}

static bool
asks_about_publishes(const struct authenticator *self)
{
	return self->hook && push_hook_asks(self->hook, PUSH_HOOK_PUBLISH);
}

/* Where Push itself takes no tokens, those that are shown are the application's. */
static void
identify_bearer(struct authenticator *self, struct push_str text, const struct push_asked *asked,
	push_verdict_fn done, void *context)
{
	if (!has_keys(self) && ask_application(self, asked, done, context))
		return;
	if (!has_keys(self) && asked->right == PUSH_RIGHT_PUBLISH && asks_about_publishes(self)) {
		accept(self, self->anonymous, done, context);
		return;
	}
	identify_token(self, text, done, context);
}

/* --- certificates --- */

static bool
identify_by_certificate(struct authenticator *self, const struct push_certificate *certificate,
	const struct push_identity *more, const struct push_identity **ret_identity, push_verdict_fn done,
	void *context)
{
	struct push_error error = {""};
	enum push_status status = push_certificate_identify(
		self->options->auth_certificate_rights, certificate, more, ret_identity, &error);

	if (status == PUSH_TOO_MANY)
		refuse(self, 403, PUSH_AUTH_CLAIMS, NULL, error.text, done, context);
	else if (status != PUSH_OK)
		refuse(self, 503, PUSH_AUTH_UNAVAILABLE, NULL, push_status_text(PUSH_OUT_OF_MEMORY), done,
			context);
	return status == PUSH_OK;
}

static void
accept_certificate(
	struct authenticator *self, const struct push_identity *identity, push_verdict_fn done, void *context)
{
	accept_unless_revoked(self, identity, "the user's certificate was revoked", done, context);
	push_identity_unref(identity);
}

/* While the application is asked what a client with a certificate may do besides. */
struct asking {
	struct authenticator *self;
	push_verdict_fn done;
	void *context;
	struct push_certificate certificate; /* its user is in: */
	char user[PUSH_USER_BYTES_MAX];
};

static void
on_more(void *context, const struct push_verdict *verdict)
{
	struct asking *asking = context;
	const struct push_identity *identity;

	if (verdict->status)
		asking->done(asking->context, verdict);
	else if (identify_by_certificate(asking->self, &asking->certificate, verdict->identity, &identity,
			 asking->done, asking->context))
		accept_certificate(asking->self, identity, asking->done, asking->context);
	free(asking);
}

static bool
grants_all(const struct push_identity *identity, const struct push_asked *asked)
{
	struct push_str channel;
	size_t at = 0;

	while (push_hook_next_channel(asked->channels, &at, &channel))
		if (!push_identity_may(identity, asked->right, channel))
			return false;
	return true;
}

/* Who it is, the certificate says; what it may, the application may add to. */
static void
ask_about_certificate(struct authenticator *self, const struct push_certificate *certificate,
	const struct push_asked *asked, push_verdict_fn done, void *context)
{
	struct asking *asking = malloc(sizeof(*asking));
	struct push_hook_question question = {
		.event = event_of(self, asked->right), .asked = asked, .user = certificate->user};

	if (!asking) {
		refuse(self, 503, PUSH_AUTH_UNAVAILABLE, NULL, push_status_text(PUSH_OUT_OF_MEMORY), done,
			context);
		return;
	}
	asking->self = self;
	asking->done = done;
	asking->context = context;
	asking->certificate = *certificate;
	memcpy(asking->user, certificate->user.bytes, certificate->user.size);
	asking->certificate.user.bytes = asking->user;
	push_hook_ask(self->hook, &question, self->host->now_us(), on_more, asking);
}

/* A resumed TLS session has the certificate of the first one, which OpenSSL does not check again: it may have ended. */
static void
identify_certificate(struct authenticator *self, const struct push_credential *shown,
	const struct push_asked *asked, push_verdict_fn done, void *context)
{
	const struct push_certificate certificate = {
		shown->text, shown->from_s, monotonic_us(self, shown->until_s)};
	const struct push_identity *identity;

	if (shown->until_s <= wall_s(self)) {
		refuse(self, 401, PUSH_AUTH_EXPIRED, "invalid_token", "the client certificate has expired",
			done, context);
		return;
	}
	if (!identify_by_certificate(self, &certificate, NULL, &identity, done, context))
		return;
	if (asks_at_first(self, asked->right) && !grants_all(identity, asked)) {
		push_identity_unref(identity);
		ask_about_certificate(self, &certificate, asked, done, context);
		return;
	}
	accept_certificate(self, identity, done, context);
}

/* --- the interface --- */

static void
identify(struct push_authenticator *base, const struct push_credential *credential,
	const struct push_asked *asked, push_verdict_fn done, void *context)
{
	struct authenticator *self = (struct authenticator *)base;

	switch (credential->kind) {
	case PUSH_CREDENTIAL_NONE:
		if (!ask_application(self, asked, done, context))
			accept(self, self->anonymous, done, context);
		break;
	case PUSH_CREDENTIAL_BEARER:
		if (!identify_key(self, credential->text, done, context))
			identify_bearer(self, credential->text, asked, done, context);
		break;
	case PUSH_CREDENTIAL_KEY:
		if (!identify_key(self, credential->text, done, context))
			refuse(self, 401, PUSH_AUTH_KEY, "invalid_token", "the key is not known", done,
				context);
		break;
	case PUSH_CREDENTIAL_TOKEN: identify_token(self, credential->text, done, context); break;
	case PUSH_CREDENTIAL_TICKET:
		if (asked->right == PUSH_RIGHT_SUBSCRIBE)
			identify_ticket(self, credential->text, done, context);
		else
			refuse(self, 401, PUSH_AUTH_MALFORMED, "invalid_token",
				"a ticket is for event streams and WebSockets only", done, context);
		break;
	case PUSH_CREDENTIAL_CERTIFICATE: identify_certificate(self, credential, asked, done, context); break;
	default: refuse(self, 400, PUSH_AUTH_MALFORMED, "invalid_request", credential->why, done, context);
	}
}

/* Of an identity that has a right for less than it asks for. */
static enum push_hook_event
event_of_more(enum push_right right)
{
	return right == PUSH_RIGHT_PUBLISH ? PUSH_HOOK_PUBLISH : PUSH_HOOK_SUBSCRIBE;
}

/* The rights of a token are all that its issuer meant to give; a certificate says who its client is. */
static bool
asks_for_more(struct push_authenticator *base, const struct push_identity *identity, enum push_right right)
{
	const struct authenticator *self = (const struct authenticator *)base;
	struct push_identity_facts facts;

	if (!self->hook || !push_hook_asks(self->hook, event_of_more(right)))
		return false;
	facts = push_identity_facts(identity);
	return facts.is_anonymous || facts.asks_application;
}

static void
ask_for_more(struct push_authenticator *base, struct push_str user, const struct push_asked *asked,
	push_verdict_fn done, void *context)
{
	struct authenticator *self = (struct authenticator *)base;
	const struct push_hook_question question = {
		.event = event_of_more(asked->right), .asked = asked, .user = user};

	push_hook_ask(self->hook, &question, self->host->now_us(), done, context);
}

static bool
is_revoked(struct push_authenticator *base, const struct push_identity *identity)
{
	const struct authenticator *self = (const struct authenticator *)base;
	const struct push_str key = push_identity_facts(identity).key_name;

	return push_revocations_covers(self->revocations, identity, wall_s(self)) ||
	       (key.size && self->publish_keys && push_publish_keys_has_lost(self->publish_keys, key));
}

static void
write_identity(struct push_authenticator *base, const struct push_identity *identity, struct push_buf *to)
{
	push_identity_text_print(to, identity, ((struct authenticator *)base)->host->now_us(),
		wall_us((struct authenticator *)base));
}

static const struct push_identity *
read_identity(struct push_authenticator *base, struct push_str text)
{
	const struct push_identity *identity = NULL;

	if (push_identity_text_parse(&identity, text.bytes, text.size, (struct push_str){NULL, 0},
		    ((struct authenticator *)base)->host->now_us(),
		    wall_us((struct authenticator *)base)) != PUSH_OK)
		return NULL;
	return identity;
}

static void
issue_ticket(struct push_authenticator *base, const struct push_identity *identity, push_ticket_fn done,
	void *context)
{
	push_tickets_issue(&((struct authenticator *)base)->tickets, identity, done, context);
}

static void
ticket_used(struct push_authenticator *base, struct push_str ticket, const struct push_identity *identity)
{
	push_tickets_end(&((struct authenticator *)base)->tickets, ticket, identity);
}

static void
ticket_renewed(struct push_authenticator *base, struct push_str ticket, const struct push_identity *identity)
{
	push_tickets_renew(&((struct authenticator *)base)->tickets, ticket, identity);
}

/* --- taking back --- */

static enum push_disconnect_by
by_of(enum push_notice_by by)
{
	switch (by) {
	case PUSH_NOTICE_BY_USER: return PUSH_DISCONNECT_USER;
	case PUSH_NOTICE_BY_TOKEN_ID: return PUSH_DISCONNECT_TOKEN_ID;
	case PUSH_NOTICE_BY_KEY: return PUSH_DISCONNECT_KEY;
	case PUSH_NOTICE_BY_CHANNEL: return PUSH_DISCONNECT_CHANNEL;
	default: return PUSH_DISCONNECT_CLIENT;
	}
}

static void
disconnect(const struct authenticator *self, const struct push_notice *notice)
{
	struct push_disconnect what = {.by = by_of(notice->by),
		.name = {notice->name, notice->name_size},
		.is_revoked = notice->act == PUSH_NOTICE_REVOKE};

	if (what.is_revoked)
		what.issued_before_s = notice->before_s;
	else
		what.began_before_us = monotonic_us(self, notice->before_s);
	self->host->disconnect(self->host->context, &what);
}

static void
on_notice(void *context, const char *text, size_t size)
{
	struct authenticator *self = context;
	struct push_notice notice;
	struct push_error error = {""};
	enum push_status status = push_notice_parse(&notice, text, size, &error);
	bool is_news = true;

	if (status == PUSH_OK && notice.act == PUSH_NOTICE_REVOKE)
		status = push_revocations_add(self->revocations, &notice, wall_s(self), &is_news);
	if (status != PUSH_OK) {
		say(self, PUSH_LOG_ERROR,
			status == PUSH_INVALID
				? "a notice of another node cannot be read, and is ignored"
				: "a revocation cannot be kept: there are too many, or no memory");
		return;
	}
	if (is_news)
		disconnect(self, &notice);
}

struct order {
	push_order_fn done;
	void *context;
};

static void
on_noticed(void *context, enum push_status status)
{
	const struct order order = *(struct order *)context;

	free(context);
	if (status == PUSH_OK)
		order.done(order.context, 202, "{}");
	else /* here it is done; elsewhere it may not be */
		order.done(order.context, 503,
			"{\"error\":\"carried out here, but the broker cannot be reached: other nodes may "
			"not know, "
			"try again\"}");
}

static void
take_back(struct push_authenticator *base, bool is_revocation, struct push_str text, push_order_fn done,
	void *context)
{
	struct authenticator *self = (struct authenticator *)base;
	struct order *order = malloc(sizeof(*order));
	struct push_notice notice;
	struct push_error error = {""};
	struct push_buf buf;
	uint64_t ttl_us = 0;
	bool is_news = true;
	enum push_status status = push_order_read(is_revocation, text, wall_s(self), &notice, &error);

	push_buf_init(&buf, PUSH_NOTICE_BYTES_MAX);
	if (status == PUSH_INVALID || !order) {
		if (status == PUSH_INVALID) {
			push_json_append_error(&buf, error.text);
			push_buf_append(&buf, "", 1); /* its NUL */
		}
		done(context, status == PUSH_INVALID ? 400 : 503,
			buf.bytes && buf.status == PUSH_OK ? buf.bytes : "{\"error\":\"out of memory\"}");
		free(order);
		push_buf_fini(&buf);
		return;
	}
	/* here at once, so that a revocation for which there is no room is not spread either */
	if (is_revocation &&
		push_revocations_add(self->revocations, &notice, wall_s(self), &is_news) != PUSH_OK) {
		done(context, 503, "{\"error\":\"too many revocations: change the key instead\"}");
		free(order);
		push_buf_fini(&buf);
		return;
	}
	if (is_revocation && is_news)
		disconnect(self, &notice);
	*order = (struct order){done, context};
	push_notice_print(&buf, &notice);
	if (is_revocation)
		ttl_us = (uint64_t)(notice.until_s - wall_s(self) + 1) * 1000000;
	if (ttl_us > PUSH_NOTICE_TTL_US_MAX)
		ttl_us = PUSH_NOTICE_TTL_US_MAX;
	self->engine->notify(
		self->engine, buf.bytes, buf.size, ttl_us, self->host->now_us(), on_noticed, order);
	push_buf_fini(&buf);
}

/* --- files, and the clock --- */

static struct push_key_set *
read_keys(const struct authenticator *self, struct push_error *error)
{
	const struct push_key_reading reading = {.is_lenient = false};
	struct push_key_set *set = push_key_set_create();
	struct push_error why;
	enum push_status status;

	snprintf(why.text, sizeof(why.text), "%s", push_status_text(PUSH_OUT_OF_MEMORY));
	status = set ? push_key_set_add_path(set, self->options->auth_keys, &reading, &why)
		     : PUSH_OUT_OF_MEMORY;
	if (status == PUSH_OK)
		return set;
	push_key_set_destroy(set);
	snprintf(error->text, sizeof(error->text), "push.auth.keys=%s: %s", self->options->auth_keys,
		why.text);
	return NULL;
}

/* An RSA key in PEM is for RS256 only, for example: what was understood is in the log. */
static void
say_keys(const struct authenticator *self, const char *what)
{
	char keys[128], line[PUSH_ERROR_TEXT_BYTES_MAX + 192];

	push_key_set_describe(self->keys, keys, sizeof(keys));
	snprintf(line, sizeof(line), "push.auth.keys=%s: %s, %s", self->options->auth_keys, what, keys);
	say(self, PUSH_LOG_INFO, line);
}

/* A broken file leaves the keys that are there in use; it is said once. */
static void
look_at_keys(struct authenticator *self)
{
	uint64_t mark = push_key_path_mark(self->options->auth_keys);
	struct push_key_set *set;
	struct push_error error = {""};
	char line[PUSH_ERROR_TEXT_BYTES_MAX + 64];

	if (mark == self->keys_mark)
		return;
	self->keys_mark = mark;
	set = read_keys(self, &error);
	if (!set) {
		snprintf(line, sizeof(line), "%s; the keys that were read before stay in use", error.text);
		say(self, PUSH_LOG_ERROR, line);
		return;
	}
	push_key_set_destroy(self->keys);
	self->keys = set;
	push_token_cache_forget_all(self->cache);
	say_keys(self, "read again");
}

/* Their limits.  Returns false when memory is out. */
static bool
limit_publish_keys(const struct authenticator *self)
{
	size_t count;
	const struct push_key_limits *limits = push_publish_keys_limits(self->publish_keys, &count);

	return self->host->limit_keys(self->host->context, limits, count);
}

static void
look_at_publish_keys(const struct authenticator *self)
{
	if (push_publish_keys_refresh(self->publish_keys) && !limit_publish_keys(self))
		say(self, PUSH_LOG_ERROR,
			"push.publish.keys: out of memory: the limits read before stay in use");
}

static void
tick(struct push_authenticator *base, uint64_t now_us)
{
	struct authenticator *self = (struct authenticator *)base;

	push_token_cache_tick(self->cache, now_us);
	push_checks_tick(&self->checks, now_us);
	push_revocations_tick(self->revocations, wall_s(self));
	if (self->source)
		push_jwks_source_tick(self->source, now_us);
	if (self->hook)
		push_hook_tick(self->hook, now_us);
	if (self->client)
		push_http_client_tick(self->client, now_us);
	if (now_us < self->look_us)
		return;
	self->look_us = now_us + LOOK_US;
	if (self->options->auth_keys[0])
		look_at_keys(self);
	if (self->publish_keys)
		look_at_publish_keys(self);
}

static void
count_hook(struct authenticator *self, struct push_stats *to)
{
	const struct push_hook_counts now = push_hook_counts(self->hook), *before = &self->hook_counted;

	to->hook_results[PUSH_HOOK_RESULT_ALLOWED] += now.allowed - before->allowed;
	to->hook_results[PUSH_HOOK_RESULT_REFUSED] += now.refused - before->refused;
	to->hook_results[PUSH_HOOK_RESULT_FAILED] += now.failed - before->failed;
	to->hook_results[PUSH_HOOK_RESULT_TURNED_AWAY] += now.turned_away - before->turned_away;
	to->hook_cached += now.cached - before->cached;
	for (size_t i = 0; i <= PUSH_HOOK_BUCKET_COUNT; i++)
		to->hook_buckets[i] += now.call_buckets[i] - before->call_buckets[i];
	to->hook_sum_us += now.call_sum_us - before->call_sum_us;
	to->hook_calls = now.under_way;
	to->hook_waiting = now.waiting;
	to->hook_answers = now.cache_entries;
	self->hook_counted = now;
}

static void
count(struct push_authenticator *base, struct push_stats *to)
{
	struct authenticator *self = (struct authenticator *)base;
	struct push_jwks_counts jwks;

	if (self->hook)
		count_hook(self, to);
	if (!self->source)
		return;
	jwks = push_jwks_source_counts(self->source);
	to->jwks_failed += jwks.failures - self->jwks_counted.failures;
	to->jwks_fetched +=
		jwks.fetches - jwks.failures - (self->jwks_counted.fetches - self->jwks_counted.failures);
	to->jwks_set_s = self->jwks_set_s;
	self->jwks_counted = jwks;
}

static void
ready(struct push_authenticator *base, uint64_t now_us)
{
	push_http_client_ready(((struct authenticator *)base)->client, now_us);
}

static void
destroy(struct push_authenticator *base)
{
	struct authenticator *self = (struct authenticator *)base;

	if (!self)
		return;
	push_hook_destroy(self->hook);
	push_jwks_source_destroy(self->source);
	push_checks_fini(&self->checks);
	push_http_client_destroy(self->client);
	push_key_set_destroy(self->source_keys);
	push_token_cache_destroy(self->cache);
	push_revocations_destroy(self->revocations);
	push_publish_keys_destroy(self->publish_keys);
	push_key_set_destroy(self->keys);
	push_identity_unref(self->anonymous);
	free(self);
}

/* --- the start --- */

bool
push_authenticator_is_wanted(const struct push_options *options)
{
	return options->auth_keys[0] || options->auth_jwks_url[0] || options->auth_hook_url[0] ||
	       options->auth_anonymous[0] || options->auth_certificate[0] || options->publish_keys[0];
}

static bool
identifies_readers(const struct push_options *options)
{
	return options->auth_keys[0] || options->auth_jwks_url[0] || options->auth_hook_url[0] ||
	       options->auth_certificate[0];
}

/* --- who is called --- */

static enum push_status
on_fetched(void *context, struct push_str text, struct push_error *error)
{
	const struct push_key_reading reading = {.is_lenient = true};
	struct authenticator *self = context;
	struct push_key_set *set = push_key_set_create();
	enum push_status status = set ? push_key_set_add(set, text, &reading, error) : PUSH_OUT_OF_MEMORY;

	if (status != PUSH_OK) {
		push_key_set_destroy(set);
		return status;
	}
	push_key_set_destroy(self->source_keys);
	self->source_keys = set;
	self->jwks_set_s = wall_us(self) / 1000000;
	push_token_cache_forget_all(self->cache);
	return PUSH_OK;
}

static void
log_of_source(void *context, enum push_log_level level, const char *line)
{
	say(context, level, line);
}

static bool
is_users_answer_revoked(void *context, const struct push_identity *identity)
{
	const struct authenticator *self = context;

	return push_revocations_covers(self->revocations, identity, wall_s(self));
}

static bool
open_callers(struct authenticator *self, uint64_t seed, struct push_error *error)
{
	const struct push_options *options = self->options;
	const struct push_jwks_host source_host = {on_fetched, log_of_source, self};
	const struct push_hook_host hook_host = {
		self->host->wall_us, log_of_source, is_users_answer_revoked, self};

	if (!options->auth_jwks_url[0] && !options->auth_hook_url[0])
		return true;
	self->client = push_http_client_create();
	if (!self->client || push_http_client_trust(self->client, "push.auth.tls.ca", options->auth_tls_ca,
				     error) != PUSH_OK)
		return false;
	self->base.fd = push_http_client_fd(self->client);
	if (options->auth_jwks_url[0])
		self->source = push_jwks_source_create(self->client, options, &source_host, seed);
	if (options->auth_hook_url[0])
		self->hook = push_hook_create(self->client, options, &hook_host, seed);
	return (self->source || !options->auth_jwks_url[0]) && (self->hook || !options->auth_hook_url[0]);
}

/* Whether the rights can be granted to every user, the one with the longest name too. */
static bool
check_certificate_rights(const struct push_options *options, struct push_error *error)
{
	char name[PUSH_USER_BYTES_MAX];
	const struct push_certificate longest = {.user = {name, sizeof(name)}};
	const struct push_identity *identity;

	memset(name, 'x', sizeof(name));
	if (push_certificate_identify(options->auth_certificate_rights, &longest, NULL, &identity, error) !=
		PUSH_OK)
		return false;
	push_identity_unref(identity);
	return true;
}

static bool
open_all(struct authenticator *self, uint64_t seed, struct push_error *error)
{
	const struct push_options *options = self->options;
	bool reads_all = !identifies_readers(options) && !options->auth_anonymous[0];

	snprintf(error->text, sizeof(error->text), "%s", push_status_text(PUSH_OUT_OF_MEMORY));
	self->cache = push_token_cache_create(seed, PUSH_TOKEN_CACHE_MAX, PUSH_TOKEN_CACHE_BYTES_MAX);
	self->revocations = push_revocations_create(seed);
	if (!self->cache || !self->revocations)
		return false;
	if (push_anonymous_create(options->auth_anonymous, reads_all, &self->anonymous, error) != PUSH_OK ||
		!check_certificate_rights(options, error))
		return false;
	if (options->auth_keys[0]) {
		self->keys_mark = push_key_path_mark(options->auth_keys);
		self->keys = read_keys(self, error);
		if (!self->keys)
			return false;
		say_keys(self, "read");
	}
	if (!open_callers(self, seed, error))
		return false;
	return !options->publish_keys[0] ||
	       (push_publish_keys_open(options->publish_keys, self->host->log, self->host->context,
			&self->publish_keys, error) == PUSH_OK &&
		       limit_publish_keys(self));
}

struct push_authenticator *
push_authenticator_create(const struct push_options *options, struct push_engine *engine,
	const struct push_authenticator_host *host, uint64_t seed, uint64_t now_us, struct push_error *error)
{
	struct authenticator *self = calloc(1, sizeof(*self));

	snprintf(error->text, sizeof(error->text), "%s", push_status_text(PUSH_OUT_OF_MEMORY));
	if (!self)
		return NULL;
	self->base = (struct push_authenticator){.identify = identify,
		.asks_for_more = asks_for_more,
		.ask_for_more = ask_for_more,
		.is_revoked = is_revoked,
		.write_identity = write_identity,
		.read_identity = read_identity,
		.issue_ticket = issue_ticket,
		.ticket_used = ticket_used,
		.ticket_renewed = ticket_renewed,
		.take_back = take_back,
		.tick = tick,
		.count = count,
		.fd = -1,
		.ready = ready,
		.destroy = destroy};
	self->options = options;
	self->engine = engine;
	self->host = host;
	self->look_us = now_us + LOOK_US;
	push_checks_init(
		&self->checks, &(struct push_checks_host){check_token, give_up_check, host->now_us, self});
	self->tickets = (struct push_tickets){.engine = engine,
		.now_us = host->now_us,
		.wall_us = host->wall_us,
		.connection_max_us = options->lifetime_max_us + options->grace_us};
	if (!open_all(self, seed, error)) {
		destroy(&self->base);
		return NULL;
	}
	engine->on_notice(engine, on_notice, self);
	return &self->base;
}
