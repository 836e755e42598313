/* hook.c - see hook.h. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/hook.h"
#include "auth/hook_answer.h"
#include "auth/hook_cache.h"
#include "auth/limits.h"
#include "core/cache_control.h"
#include "core/http_url.h"
#include "core/list.h"
#include "loop/http_client.h"

#define SECOND_US 1000000ull

struct push_hook {
	struct push_hook_host host;
	struct push_http_url url;
	struct push_http_origin *origin;
	struct push_options options; /* as an answer is read by: nothing of tokens counts */
	struct push_hook_options rules;
	struct push_hook_cache *cache;
	struct push_list asks; /* under way */
	bool is_well, is_ill;  /* what was logged last */
	uint64_t said_us;
	struct push_hook_counts counts;
};

/* A question under way, with its own copy of what the answer is read by. */
struct ask {
	struct push_list node;
	struct push_hook *hook;
	struct push_http_call *call;
	push_verdict_fn done;
	void *context;
	uint64_t begun_us;
	struct push_hook_question question; /* asked and user point into here */
	struct push_asked asked;            /* of which the right and the channels are kept */
	unsigned char hash[PUSH_HOOK_HASH_BYTES];
	char texts[]; /* the channels, then the user */
};

/* --- what is said --- */

/* The URL without its query, which may be a secret. */
static void
say(struct push_hook *hook, enum push_log_level level, const char *text)
{
	const struct push_http_url *url = &hook->url;
	char line[2 * PUSH_OPTION_TEXT_BYTES_MAX + PUSH_ERROR_TEXT_BYTES_MAX];

	snprintf(line, sizeof(line), "the application at %s://%s%.*s: %s", url->is_tls ? "https" : "http",
		url->authority, (int)strcspn(url->path, "?"), url->path, text);
	hook->host.log(hook->host.context, level, line);
}

/* A change, and not more often than once in PUSH_HOOK_SAY_US: an application may fail every other time. */
static void
say_change(struct push_hook *hook, bool is_ill, const char *why, uint64_t now_us)
{
	char text[PUSH_ERROR_TEXT_BYTES_MAX + 64];

	if ((is_ill ? hook->is_ill : hook->is_well) ||
		(hook->said_us && now_us - hook->said_us < PUSH_HOOK_SAY_US))
		return;
	/* that it answers from the start is no news */
	if (is_ill || hook->is_ill) {
		snprintf(text, sizeof(text), "%s; clients get 503", why);
		say(hook, is_ill ? PUSH_LOG_WARN : PUSH_LOG_INFO, is_ill ? text : "answers again");
		hook->said_us = now_us;
	}
	hook->is_ill = is_ill;
	hook->is_well = !is_ill;
}

/* --- answers --- */

static void
count(struct push_hook *hook, const struct push_verdict *verdict)
{
	if (!verdict->status)
		hook->counts.allowed++;
	else
		hook->counts.refused++;
}

/* How long it may be kept; 0: it may not. */
static uint64_t
kept_us(const struct push_http_result *result)
{
	struct push_cache_control control = push_cache_control_parse(result->cache_control);
	uint64_t age_s = strtoull(result->age, NULL, 10), us;

	if (result->is_cache_control_long || control.no_store || control.max_age_s == PUSH_MAX_AGE_NONE ||
		control.max_age_s <= age_s)
		return 0;
	us = (control.max_age_s - age_s) * SECOND_US;
	return us < PUSH_HOOK_CACHE_US_MAX ? us : PUSH_HOOK_CACHE_US_MAX;
}

static bool
is_revoked(const struct push_hook *hook, const struct push_verdict *verdict)
{
	return verdict->identity && hook->host.is_revoked &&
	       hook->host.is_revoked(hook->host.context, verdict->identity);
}

/* Not longer than the rights last. */
static void
keep(struct push_hook *hook, const struct ask *ask, const struct push_verdict *verdict,
	const struct push_http_result *result)
{
	uint64_t us = kept_us(result), until_us = result->now_us + us;

	if (us && verdict->identity && push_identity_facts(verdict->identity).expires_us < until_us)
		until_us = push_identity_facts(verdict->identity).expires_us;
	if (us)
		push_hook_cache_put(hook->cache, ask->hash, verdict, result->now_us, until_us);
}

static void
free_ask(struct ask *ask)
{
	push_list_remove(&ask->node);
	explicit_bzero(ask->hash, sizeof(ask->hash));
	free(ask);
}

static void
count_call(struct push_hook *hook, uint64_t us)
{
	uint64_t scaled = us >> PUSH_HOOK_FIRST_BITS;
	unsigned int bucket = scaled ? 64u - (unsigned int)__builtin_clzll(scaled) : 0;

	hook->counts.call_buckets[bucket < PUSH_HOOK_BUCKET_COUNT ? bucket : PUSH_HOOK_BUCKET_COUNT]++;
	hook->counts.call_sum_us += us;
}

static void
on_answered(void *context, const struct push_http_result *result)
{
	struct ask *ask = context;
	struct push_hook *hook = ask->hook;
	const struct push_claims_clock clock = {.wall_us = hook->host.wall_us(), .now_us = result->now_us};
	struct push_hook_answer answer;

	count_call(hook, result->now_us - ask->begun_us);
	push_hook_answer_read(&answer, result, &ask->question, &hook->options, &clock);
	if (is_revoked(hook, &answer.verdict)) { /* while it was asked */
		static const struct push_verdict revoked = {.status = 401,
			.why = PUSH_AUTH_REVOKED,
			.code = "invalid_token",
			.text = "the token was revoked"};

		push_hook_answer_fini(&answer);
		answer.verdict = revoked;
		count(hook, &answer.verdict);
	} else if (answer.is_failure) {
		hook->counts.failed++;
	} else {
		count(hook, &answer.verdict);
		keep(hook, ask, &answer.verdict, result);
	}
	if (result->status != PUSH_CLOSED)
		say_change(hook, answer.is_failure, answer.why.text, result->now_us);
	ask->done(ask->context, &answer.verdict);
	push_hook_answer_fini(&answer);
	free_ask(ask);
}

/* --- questions --- */

static void
fail(push_verdict_fn done, void *context, const char *text)
{
	const struct push_verdict verdict = {.status = 503,
		.why = PUSH_AUTH_UNAVAILABLE,
		.text = text,
		.retry_after_s = PUSH_HOOK_RETRY_S};

	done(context, &verdict);
}

/* Keeps what the answer will be read by; NULL when memory is out. */
static struct ask *
create_ask(struct push_hook *hook, const struct push_hook_question *question, push_verdict_fn done,
	void *context)
{
	struct push_str channels = question->asked->channels, user = question->user;
	size_t channels_size = channels.bytes ? channels.size : 0, user_size = user.bytes ? user.size : 0;
	struct ask *ask = calloc(1, sizeof(*ask) + channels_size + user_size + 1);

	if (!ask)
		return NULL;
	ask->hook = hook;
	ask->done = done;
	ask->context = context;
	if (channels_size)
		memcpy(ask->texts, channels.bytes, channels_size);
	if (user_size)
		memcpy(ask->texts + channels_size, user.bytes, user_size);
	ask->asked.right = question->asked->right;
	ask->asked.channels = (struct push_str){ask->texts, channels_size};
	ask->question.event = question->event;
	ask->question.asked = &ask->asked;
	if (user.bytes)
		ask->question.user = (struct push_str){ask->texts + channels_size, user_size};
	push_list_append(&hook->asks, &ask->node);
	return ask;
}

static enum push_status
call(struct push_hook *hook, struct ask *ask, const struct push_hook_question *question, struct push_str body,
	uint64_t now_us)
{
	const unsigned int named = hook->rules.headers;
	const struct push_http_header headers[] = {
		{"Content-Type", {"application/json", 16}},
		{"Accept", {"application/json", 16}},
		{"Authorization", push_hook_question_header(question, PUSH_HOOK_HEADER_AUTHORIZATION, named)},
		{"Cookie", push_hook_question_header(question, PUSH_HOOK_HEADER_COOKIE, named)},
	};
	const struct push_http_ask ask_http = {
		.request = {.is_post = true,
			.url = &hook->url,
			.headers = headers,
			.header_count = sizeof(headers) / sizeof(headers[0]),
			.body = body},
		.deadline_us = now_us + hook->options.auth_hook_timeout_us,
		.body_max = PUSH_HOOK_ANSWER_BYTES_MAX,
		.is_repeatable = true, /* a question changes nothing */
		.done = on_answered,
		.context = ask,
	};

	return push_http_call(hook->origin, &ask_http, now_us, &ask->call);
}

static const char *
describe(enum push_status status)
{
	switch (status) {
	case PUSH_TOO_MANY: return "too many requests wait for the application, try again";
	case PUSH_OUT_OF_MEMORY: return "out of memory";
	default: return "the request cannot be passed on to the application";
	}
}

static void
begin(struct push_hook *hook, const struct push_hook_question *question, struct push_str body,
	const unsigned char *hash, uint64_t now_us, push_verdict_fn done, void *context)
{
	struct ask *ask = create_ask(hook, question, done, context);
	enum push_status status = ask ? call(hook, ask, question, body, now_us) : PUSH_OUT_OF_MEMORY;

	if (status == PUSH_OK) {
		memcpy(ask->hash, hash, PUSH_HOOK_HASH_BYTES);
		ask->begun_us = now_us;
		return;
	}
	if (ask)
		free_ask(ask);
	if (status == PUSH_TOO_MANY)
		hook->counts.turned_away++;
	else
		hook->counts.failed++;
	fail(done, context, describe(status));
}

void
push_hook_ask(struct push_hook *hook, const struct push_hook_question *question, uint64_t now_us,
	push_verdict_fn done, void *context)
{
	unsigned char hash[PUSH_HOOK_HASH_BYTES];
	const struct push_verdict *known;
	struct push_buf body;

	push_buf_init(&body, PUSH_HTTP_REQUEST_BYTES_MAX);
	push_hook_question_write(&body, question, hook->rules.headers);
	if (body.status != PUSH_OK || !EVP_Digest(body.bytes, body.size, hash, NULL, EVP_sha256(), NULL)) {
		push_buf_fini(&body);
		hook->counts.failed++;
		fail(done, context, "out of memory");
		return;
	}
	known = push_hook_cache_find(hook->cache, hash, now_us);
	if (known && !is_revoked(hook, known)) {
		/* `done` may ask again, and so change the cache */
		struct push_verdict verdict = *known;
		char text[PUSH_HOOK_REASON_BYTES_MAX + 1];

		if (verdict.text) {
			snprintf(text, sizeof(text), "%s", verdict.text);
			verdict.text = text;
		}
		(void)push_identity_ref(verdict.identity);
		hook->counts.cached++;
		count(hook, &verdict);
		done(context, &verdict);
		push_identity_unref(verdict.identity);
	} else {
		begin(hook, question, (struct push_str){body.bytes, body.size}, hash, now_us, done, context);
	}
	explicit_bzero(body.bytes, body.size); /* cookies */
	push_buf_fini(&body);
}

/* --- its life --- */

bool
push_hook_asks(const struct push_hook *hook, enum push_hook_event event)
{
	return hook->rules.events & 1u << event;
}

void
push_hook_tick(struct push_hook *hook, uint64_t now_us)
{
	push_hook_cache_tick(hook->cache, now_us);
}

struct push_hook_counts
push_hook_counts(const struct push_hook *hook)
{
	struct push_hook_counts counts = hook->counts;

	push_http_origin_count(hook->origin, &counts.under_way, &counts.waiting);
	counts.cache_entries = push_hook_cache_count(hook->cache);
	return counts;
}

/* Rights in an answer are as in a token; who may issue it, and when it ends, is not. */
static void
take_options(struct push_hook *hook, const struct push_options *options)
{
	hook->options = *options;
	hook->options.auth_issuer[0] = hook->options.auth_audience[0] = '\0';
	hook->options.auth_leeway_us = 0;
	hook->options.auth_exp_required = false;
}

struct push_hook *
push_hook_create(struct push_http_client *client, const struct push_options *options,
	const struct push_hook_host *host, uint64_t seed)
{
	static const struct push_http_limits limits = {.calls_max = PUSH_HOOK_CALLS_MAX,
		.waiting_max = PUSH_HOOK_WAITING_MAX,
		.idle_max = PUSH_HOOK_IDLE_MAX};
	struct push_hook *hook = calloc(1, sizeof(*hook));
	struct push_error error = {""};

	if (!hook)
		return NULL;
	hook->host = *host;
	take_options(hook, options);
	push_list_init(&hook->asks);
	hook->cache = push_hook_cache_create(seed, PUSH_HOOK_CACHE_MAX, PUSH_HOOK_CACHE_BYTES_MAX);
	if (hook->cache && push_hook_options_parse(&hook->rules, options, &error) == PUSH_OK &&
		push_http_url_parse(&hook->url, "push.auth.hook.url", options->auth_hook_url, &error) ==
			PUSH_OK)
		hook->origin = push_http_client_add(client, &hook->url, &limits);
	if (!hook->origin) {
		push_hook_cache_destroy(hook->cache);
		free(hook);
		return NULL;
	}
	if (!hook->url.is_tls && !push_http_url_is_local(&hook->url))
		say(hook, PUSH_LOG_WARN,
			"http, not https: whoever is between here and there reads cookies and tokens");
	return hook;
}

void
push_hook_destroy(struct push_hook *hook)
{
	struct push_list *item;

	if (!hook)
		return;
	item = hook->asks.next;
	while (item != &hook->asks) {
		struct ask *ask = push_container_of(item, struct ask, node);

		item = item->next;
		push_http_call_cancel(ask->call);
		fail(ask->done, ask->context, "the server is ending");
		free_ask(ask);
	}
	push_hook_cache_destroy(hook->cache);
	free(hook);
}
