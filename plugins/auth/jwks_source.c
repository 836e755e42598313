/* jwks_source.c - see jwks_source.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwks_source.h"
#include "auth/limits.h"
#include "core/backoff.h"
#include "core/cache_control.h"
#include "core/http_url.h"
#include "core/list.h"
#include "core/push_assert.h"
#include "core/random.h"
#include "loop/http_client.h"

struct push_jwks_source {
	struct push_jwks_host host;
	struct push_http_url url;
	struct push_http_origin *origin;
	struct push_http_call *call; /* the fetch under way; NULL: none */
	struct push_list waits;
	unsigned int wait_count;
	uint64_t now_us, due_us;
	uint64_t begun_us;     /* the last fetch; 0: none yet */
	uint64_t unknown_us;   /* the last one for a key that was not known; likewise */
	unsigned int failures; /* since a set came */
	uint64_t random;
	bool is_well, is_ill; /* what was logged last */
	struct push_jwks_counts counts;
};

struct wait {
	struct push_list node;
	push_jwks_done_fn done;
	void *context;
	uint64_t until_us;
};

/* --- what is said --- */

/* The URL without its query, which may be a secret. */
static void
say(struct push_jwks_source *source, enum push_log_level level, const char *text)
{
	const struct push_http_url *url = &source->url;
	char line[2 * PUSH_OPTION_TEXT_BYTES_MAX + PUSH_ERROR_TEXT_BYTES_MAX];

	snprintf(line, sizeof(line), "keys of %s://%s%.*s: %s", url->is_tls ? "https" : "http",
		url->authority, (int)strcspn(url->path, "?"), url->path, text);
	source->host.log(source->host.context, level, line);
}

static void
say_well(struct push_jwks_source *source)
{
	if (!source->is_well)
		say(source, PUSH_LOG_INFO, "fetched");
	source->is_well = true;
	source->is_ill = false;
}

static void
say_ill(struct push_jwks_source *source, const char *why)
{
	char text[PUSH_ERROR_TEXT_BYTES_MAX + 64];

	if (source->is_ill)
		return;
	snprintf(text, sizeof(text), "%s; %s", why,
		source->counts.fetched_us ? "those fetched before stay in use"
					  : "until they come, tokens get 503");
	say(source, PUSH_LOG_WARN, text);
	source->is_ill = true;
	source->is_well = false;
}

/* --- those who wait --- */

static void
end_wait(struct push_jwks_source *source, struct wait *wait, enum push_status status)
{
	push_list_remove(&wait->node);
	source->wait_count--;
	wait->done(wait->context, status);
	free(wait);
}

/* Those who begin to wait meanwhile wait for the next fetch. */
static void
end_waits(struct push_jwks_source *source, enum push_status status)
{
	struct push_list ending;

	push_list_take_all(&ending, &source->waits);
	while (!push_list_is_empty(&ending))
		end_wait(source, push_container_of(ending.next, struct wait, node), status);
}

static void
end_late_waits(struct push_jwks_source *source)
{
	struct push_list *item = source->waits.next;

	/* in the order of their ends, which are equally far from their beginnings */
	while (item != &source->waits) {
		struct wait *wait = push_container_of(item, struct wait, node);

		if (source->now_us < wait->until_us)
			return;
		item = item->next;
		end_wait(source, wait, PUSH_UNAVAILABLE);
	}
}

/* --- a fetch --- */

static void
fetch_failed(struct push_jwks_source *source, const char *why)
{
	source->counts.failures++;
	source->due_us = source->now_us + push_backoff_us(source->failures, PUSH_JWKS_RETRY_FIRST_US,
						  PUSH_JWKS_RETRY_LAST_US, &source->random);
	source->failures++;
	say_ill(source, why);
	end_waits(source, PUSH_UNAVAILABLE);
}

/* By its age and max-age (some providers say no-cache, and mean browsers), and a tenth less at random, so that not all processes come at once. */
static uint64_t
lifetime_us(struct push_jwks_source *source, const struct push_http_result *result)
{
	struct push_cache_control control = push_cache_control_parse(result->cache_control);
	uint64_t age_s = strtoull(result->age, NULL, 10), us = PUSH_JWKS_LIFETIME_US;

	if (control.max_age_s != PUSH_MAX_AGE_NONE)
		us = (control.max_age_s > age_s ? control.max_age_s - age_s : 0) * 1000000ull;
	us = us < PUSH_JWKS_LIFETIME_US_MIN ? PUSH_JWKS_LIFETIME_US_MIN : us;
	us = us > PUSH_JWKS_LIFETIME_US_MAX ? PUSH_JWKS_LIFETIME_US_MAX : us;
	return us - push_random_upto(&source->random, us / 10);
}

static void
on_fetched(void *context, const struct push_http_result *result)
{
	struct push_jwks_source *source = context;
	struct push_error error = {""};

	source->call = NULL;
	source->now_us = result->now_us;
	source->counts.fetches++;
	if (result->status != PUSH_OK) {
		fetch_failed(source, result->error);
		return;
	}
	if (result->http_status != 200) {
		snprintf(error.text, sizeof(error.text), "answered with status %u", result->http_status);
		fetch_failed(source, error.text);
		return;
	}
	if (source->host.parse(source->host.context, result->body, &error) != PUSH_OK) {
		fetch_failed(source, *error.text ? error.text : "out of memory");
		return;
	}
	source->failures = 0;
	source->counts.fetched_us = source->now_us;
	source->due_us = source->now_us + lifetime_us(source, result);
	say_well(source);
	end_waits(source, PUSH_OK);
}

static void
fetch(struct push_jwks_source *source)
{
	static const struct push_http_header accept = {
		"Accept", {"application/jwk-set+json, application/json", 42}};
	const struct push_http_ask ask = {
		.request = {.url = &source->url, .headers = &accept, .header_count = 1},
		.deadline_us = source->now_us + PUSH_JWKS_FETCH_US,
		.body_max = PUSH_JWKS_BYTES_MAX,
		.is_repeatable = true,
		.done = on_fetched,
		.context = source,
	};

	source->begun_us = source->now_us;
	if (push_http_call(source->origin, &ask, source->now_us, &source->call) == PUSH_OK)
		return;
	source->counts.fetches++;
	fetch_failed(source, "out of memory");
}

void
push_jwks_source_tick(struct push_jwks_source *source, uint64_t now_us)
{
	source->now_us = now_us;
	if (!source->call && now_us >= source->due_us)
		fetch(source);
	end_late_waits(source);
}

/* --- waiting for one --- */

bool
push_jwks_source_has_set(const struct push_jwks_source *source)
{
	return source->counts.fetched_us != 0;
}

enum push_status
push_jwks_source_wait(struct push_jwks_source *source, uint64_t now_us, push_jwks_done_fn done, void *context)
{
	/* also just after a fetch that was due, since keys may be rotated at any time, but not after one that failed */
	uint64_t last_us = source->failures ? source->begun_us : source->unknown_us;
	bool may_begin = !last_us || now_us - last_us >= PUSH_JWKS_UNKNOWN_US;
	struct wait *wait;

	source->now_us = now_us;
	if (!source->call && !may_begin)
		return push_jwks_source_has_set(source) && !source->failures ? PUSH_NOT_FOUND
									     : PUSH_UNAVAILABLE;
	if (source->wait_count >= PUSH_JWKS_WAITS_MAX)
		return PUSH_TOO_MANY;
	wait = malloc(sizeof(*wait));
	if (!wait)
		return PUSH_OUT_OF_MEMORY;
	*wait = (struct wait){.done = done, .context = context, .until_us = now_us + PUSH_JWKS_WAIT_US};
	if (!source->call) {
		source->unknown_us = now_us;
		fetch(source);
	}
	if (!source->call) { /* it could not begin */
		free(wait);
		return PUSH_UNAVAILABLE;
	}
	push_list_append(&source->waits, &wait->node);
	source->wait_count++;
	return PUSH_OK;
}

struct push_jwks_counts
push_jwks_source_counts(const struct push_jwks_source *source)
{
	struct push_jwks_counts counts = source->counts;

	counts.waiting = source->wait_count;
	return counts;
}

/* --- its life --- */

struct push_jwks_source *
push_jwks_source_create(struct push_http_client *client, const struct push_options *options,
	const struct push_jwks_host *host, uint64_t seed)
{
	static const struct push_http_limits limits = {.calls_max = 1};
	struct push_jwks_source *source = calloc(1, sizeof(*source));
	struct push_error error = {""};

	if (!source)
		return NULL;
	source->host = *host;
	source->random = seed | 1;
	push_list_init(&source->waits);
	if (push_http_url_parse(&source->url, "push.auth.jwks.url", options->auth_jwks_url, &error) ==
		PUSH_OK)
		source->origin = push_http_client_add(client, &source->url, &limits);
	if (!source->origin) {
		free(source);
		return NULL;
	}
	if (!source->url.is_tls && !push_http_url_is_local(&source->url))
		say(source, PUSH_LOG_WARN,
			"http, not https: whoever is between here and there can exchange them");
	return source;
}

void
push_jwks_source_destroy(struct push_jwks_source *source)
{
	if (!source)
		return;
	if (source->call)
		push_http_call_cancel(source->call);
	source->call = NULL;
	end_waits(source, PUSH_UNAVAILABLE);
	free(source);
}
