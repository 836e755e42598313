/*
 * authenticator.h - who a client is, by what it shows: the one place where keys, tokens, tickets, revocations
 * and the application come together.
 *
 *   nothing ──▶ the application, if it is asked ─▶ else what everybody may (push.auth.anonymous)
 *   key ──────▶ push.publish.keys
 *   token ────▶ seen before? ─▶ signature (push.auth.keys, push.auth.jwks.url) ─▶ claims ─▶ taken back?
 *   ticket ───▶ the engine, which keeps its identity ─▶ taken back?
 *
 * It is made where one of these is configured; without them nobody has to show anything, and there is none.
 * Where only push.publish.keys is set, everybody may subscribe and read history, and servers publish.
 *
 * Files are looked at every few seconds: a file that has changed is read, and one that is broken leaves what was
 * there in use.
 */
#ifndef PUSH_AUTH_AUTHENTICATOR_H
#define PUSH_AUTH_AUTHENTICATOR_H

#include "broker/authenticator.h"
#include "broker/engine.h"

/* push_authenticator_is_wanted - whether clients have to show who they are, by these options. */
bool
push_authenticator_is_wanted(const struct push_options *options);

/*
 * push_authenticator_create - by these options, which want one.
 *
 * @options, @engine, @host: borrowed; they outlive it.
 * Returns NULL with a line in `error` that names the option.
 */
struct push_authenticator *
push_authenticator_create(const struct push_options *options, struct push_engine *engine,
	const struct push_authenticator_host *host, uint64_t seed, uint64_t now_us, struct push_error *error);

#endif
