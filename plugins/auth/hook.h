/*
 * hook.h - asks the application who a client is and what it may do: push.auth.hook.url.
 *
 *   ask ─▶ answered before, and still good? ──────────────────────────▶ verdict
 *    │                                                                    ▲
 *    └──▶ POST {"event":"connect",...} ─▶ 2xx, 401, 403 ──────────────────┤
 *              │                └──▶ anything else, or nothing in time ─▶ 503
 *              └── too many wait already ─▶ 503                           (never 403)
 *
 * What is sent is in hook_question.h, what an answer means in hook_answer.h.  The client's Authorization and
 * Cookie, where they are passed on, are headers of the call as well, so that the application's own sessions know
 * the user.  Only the client in question waits.  An answer is kept as its Cache-Control: max-age says, for the
 * same question; without that it is not kept.  An answer from before a revocation of its user is not used: the
 * application is asked again.
 */
#ifndef PUSH_AUTH_HOOK_H
#define PUSH_AUTH_HOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/hook_question.h"
#include "broker/authenticator.h"
#include "core/log_level.h"
#include "core/options.h"
#include "core/stats.h"

struct push_http_client;
struct push_hook;

struct push_hook_host {
	uint64_t (*wall_us)(void); /* microseconds since 1970 */
	void (*log)(void *context, enum push_log_level level, const char *line);
	/* Whether this identity has been revoked since the answer; NULL: never. */
	bool (*is_revoked)(void *context, const struct push_identity *identity);
	void *context;
};

/* For metrics.  Each question is in exactly one of the first four, once it is answered. */
struct push_hook_counts {
	uint64_t allowed, refused, failed, turned_away; /* turned_away: too many waited */
	uint64_t cached;                                /* of these, answered without a call */
	unsigned int under_way, waiting;
	size_t cache_entries;
	uint64_t call_buckets[PUSH_HOOK_BUCKET_COUNT + 1], call_sum_us; /* of calls, as they end */
};

/*
 * push_hook_create - NULL if out of memory.
 *
 * @client: borrowed, with the CAs of https; must outlive the hook.
 * @options: checked, with a push.auth.hook.url; borrowed for this call.
 * Where the URL is http and not on this machine, a warning is logged.
 */
struct push_hook *
push_hook_create(struct push_http_client *client, const struct push_options *options,
	const struct push_hook_host *host, uint64_t seed);

/* push_hook_destroy - before the HTTP client; pending questions get 503.  NULL is allowed. */
void
push_hook_destroy(struct push_hook *hook);

/* push_hook_tick - drop expired answers.  Call it every PUSH_TICK_US. */
void
push_hook_tick(struct push_hook *hook, uint64_t now_us);

/* push_hook_asks - whether the application is asked at this event (push.auth.hook.on). */
bool
push_hook_asks(const struct push_hook *hook, enum push_hook_event event);

/*
 * push_hook_ask - what may the client do?
 *
 * The identity of the verdict has what the application grants, or exactly the channels that were asked for.
 * `done` is called exactly once, maybe before this returns.
 */
void
push_hook_ask(struct push_hook *hook, const struct push_hook_question *question, uint64_t now_us,
	push_verdict_fn done, void *context);

/* push_hook_counts - as they are now. */
struct push_hook_counts
push_hook_counts(const struct push_hook *hook);

#endif
