/*
 * jwks_source.h - the keys that an identity provider publishes at push.auth.jwks.url, fetched beside the loop.
 *
 *            ┌──────────── an unknown key, at most every 30 s ◀─┐
 *            ▼                                                  │ wait
 *   due ─▶ fetch ─▶ 200 ─▶ parse ─▶ in use; due again in 10 min, or as Cache-Control says
 *    ▲       └───────┴────────┴──▶ failed: the last set stays in use
 *    └──── a pause that doubles ◀─┘
 *
 * This module does not know the format of keys: its owner parses and keeps them.  Until the first set has arrived,
 * tokens cannot be checked: the answer is 503, not 401.  A change between reachable and unreachable is logged;
 * single attempts are not.
 */
#ifndef PUSH_AUTH_JWKS_SOURCE_H
#define PUSH_AUTH_JWKS_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/log_level.h"
#include "core/options.h"
#include "core/status.h"
#include "core/str.h"

struct push_http_client;
struct push_jwks_source;

struct push_jwks_host {
	/* Make a set of this text and use it from now on; PUSH_OK, or the reason in `error`, and the old one stays. */
	enum push_status (*parse)(void *context, struct push_str text, struct push_error *error);
	void (*log)(void *context, enum push_log_level level, const char *line);
	void *context;
};

/* For metrics. */
struct push_jwks_counts {
	uint64_t fetches, failures; /* that have ended; failures are among the fetches */
	uint64_t fetched_us;        /* when the set in use came, monotonic; 0: there is none */
	unsigned int waiting;       /* for a fetch */
};

/*
 * Called once for each wait that was accepted.
 *
 * @status: PUSH_OK: a set has come, look again; PUSH_UNAVAILABLE: none has come, or not in time (503).
 */
typedef void (*push_jwks_done_fn)(void *context, enum push_status status);

/*
 * push_jwks_source_create - the first fetch begins with the first tick.
 *
 * @client: borrowed, with the CAs of https; must outlive the source's destruction.
 * @options: checked, with a push.auth.jwks.url; borrowed for this call.
 * Returns NULL if out of memory.  Where the URL is http and not on this machine, a warning is logged.
 */
struct push_jwks_source *
push_jwks_source_create(struct push_http_client *client, const struct push_options *options,
	const struct push_jwks_host *host, uint64_t seed);

/* push_jwks_source_destroy - before the HTTP client; pending waits get PUSH_UNAVAILABLE.  NULL is allowed. */
void
push_jwks_source_destroy(struct push_jwks_source *source);

/* push_jwks_source_tick - begin what is due, end waits.  To be called every PUSH_TICK_US. */
void
push_jwks_source_tick(struct push_jwks_source *source, uint64_t now_us);

/* push_jwks_source_has_set - whether any set has arrived. */
bool
push_jwks_source_has_set(const struct push_jwks_source *source);

/*
 * push_jwks_source_wait - a token names a key that is not in the set: is it in a newer one?
 *
 * Joins the fetch that is under way, or begins one.
 * Returns PUSH_OK: `done` will be called, but not from here.  Otherwise it is not: PUSH_NOT_FOUND: the set is
 * fresh, there is no such key (401); PUSH_UNAVAILABLE: there is no set, or the last fetch has failed, and none is on its
 * way now (503);
 * PUSH_TOO_MANY: too many wait (503); PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_jwks_source_wait(
	struct push_jwks_source *source, uint64_t now_us, push_jwks_done_fn done, void *context);

/* push_jwks_source_counts - as they are now. */
struct push_jwks_counts
push_jwks_source_counts(const struct push_jwks_source *source);

#endif
