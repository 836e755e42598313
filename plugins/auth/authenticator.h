/*
 * authenticator.h - maps a client's credentials to its identity: the one place where keys, tokens, tickets,
 * revocations and the application's hook meet.
 *
 *   nothing ──▶ the application, if it is asked ─▶ otherwise push.auth.anonymous
 *   key ──────▶ push.publish.keys
 *   token ────▶ seen before? ─▶ signature (push.auth.keys, push.auth.jwks.url) ─▶ claims ─▶ revoked?
 *   ticket ───▶ the engine, which keeps its identity ─▶ revoked?
 *   certificate ─▶ push.auth.certificate.rights, of its user ─▶ revoked?
 *
 * There is an authenticator only if one of these is configured.  With push.publish.keys alone, everybody may
 * subscribe and read history, and only keys publish.
 *
 * Files are checked every few seconds.  A file that has changed is read again; if it is broken, the keys read
 * before stay in use.
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
