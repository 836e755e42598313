/*
 * limiter.h - the limits by address, user, publish key and connection: push.limit..., those in push.publish.keys,
 * and push.trusted.proxies.
 *
 * One object per broker, created only if one of these options is set; otherwise the check is one for NULL.
 * With limits of publish keys only, connections are not reported to it (push_limiter_knows_clients()).
 * It decides and counts; the caller sends the refusal to the client.
 *
 * A call that asks for something returns true if it is allowed.  With push.limit.dry.run it always does: refusals
 * are then counted separately, and logged.
 *
 * Connections are known by their descriptor.  An accepted connection is opened here, and closed here before its
 * descriptor is, or, if the close is not known (lws), at the latest when the kernel reuses the number.
 * Trusted proxies are not limited themselves: their clients are, when it is known who they are.
 */
#ifndef PUSH_CORE_LIMITER_H
#define PUSH_CORE_LIMITER_H

#include "address.h"
#include "options.h"
#include "quota.h"
#include "stats.h"
#include "str.h"

struct push_limiter;

/* The error text for a refused client: static, with the name of the limit, and without a name of a client. */
const char *
push_limit_text(enum push_limit limit);

/* push_user_limit_text - what a client is told with PUSH_LIMITED, its user has enough subscribers
 * (push.limit.user.connections), and PUSH_TOO_OFTEN, it gets new ones too fast (push.limit.user.connects).  Of any
 * other status: NULL. */
const char *
push_user_limit_text(enum push_status status);

/*
 * push_limiter_create - for options that were checked; borrowed, as `stats` is.
 *
 * @say: called with a line for the log, of level debug.  Returns NULL if out of memory, or if none of the
 * options asks for it: *ret_status says which.
 */
struct push_limiter *
push_limiter_create(const struct push_options *options, struct push_stats *stats, uint64_t seed,
	void (*say)(void *context, const char *line), void *context, enum push_status *ret_status);

/* push_limiter_destroy - NULL is allowed. */
void
push_limiter_destroy(struct push_limiter *limiter);

/* push_limiter_knows_clients - whether connections and clients are to be reported to it. */
bool
push_limiter_knows_clients(const struct push_limiter *limiter);

/* push_limiter_trusts - whether what this peer says of a client is believed. */
bool
push_limiter_trusts(const struct push_limiter *limiter, const struct push_address *peer);

/* push_limiter_trusted - the networks of push.trusted.proxies, borrowed. */
const struct push_networks *
push_limiter_trusted(const struct push_limiter *limiter);

/* --- connections by descriptor --- */

/*
 * push_limiter_open - a connection was accepted.
 *
 * Counts it, unless the peer is a trusted proxy or no limit of addresses is set.  Returns false with *ret_limit
 * if it is one too many: it is not counted then, and may be served a refusal all the same.
 */
bool
push_limiter_open(struct push_limiter *limiter, int fd, const struct push_address *peer, uint64_t now_us,
	enum push_limit *ret_limit);

/* push_limiter_identify - a trusted proxy's PROXY header has named the connection's client.  Returns as above. */
bool
push_limiter_identify(struct push_limiter *limiter, int fd, const struct push_address *client,
	uint64_t now_us, enum push_limit *ret_limit);

/*
 * push_limiter_claim - the connection becomes a stream of this client, by what its request says; if it is
 * counted already, it stays as it is.  Returns as above; one that is refused stays the proxy's.
 */
bool
push_limiter_claim(struct push_limiter *limiter, int fd, const struct push_address *client, uint64_t now_us,
	enum push_limit *ret_limit);

/* push_limiter_address - whose it is, as far as is known: the client's, or the peer's.  Returns false if it was
 * never opened. */
bool
push_limiter_address(const struct push_limiter *limiter, int fd, struct push_address *ret);

/* push_limiter_serial - which of the connections of this number it is; 0: none. */
uint32_t
push_limiter_serial(const struct push_limiter *limiter, int fd);

/* push_limiter_close - it ends; harmless if that was said. */
void
push_limiter_close(struct push_limiter *limiter, int fd);

/* --- streams that share a connection (HTTP/2), and users --- */

/* push_limiter_enter, _leave - a stream of this client, by a proxy's connection that others have, too. */
bool
push_limiter_enter(struct push_limiter *limiter, const struct push_address *client, uint64_t now_us,
	enum push_limit *ret_limit);
void
push_limiter_leave(struct push_limiter *limiter, const struct push_address *client);

/* push_limiter_enter_user, _leave_user - a subscriber of this user begins, or ends.  One without a name is
 * nobody, and is let in. */
bool
push_limiter_enter_user(
	struct push_limiter *limiter, struct push_str user, uint64_t now_us, enum push_limit *ret_limit);
void
push_limiter_leave_user(struct push_limiter *limiter, struct push_str user);

/* --- rates --- */

/* Whose publishes are counted together: a key's, or else a user's, or else an address'.  Nobody's are not. */
struct push_sender {
	struct push_str key, user;
	bool has_address;
	struct push_address address;
};

/* What one publish key may do, in the place of push.limit.publish...; that goes for what has an amount of 0. */
struct push_key_limits {
	struct push_str name;
	struct push_rate messages, bytes;
};

/*
 * push_limiter_set_keys - from now on these keys have limits of their own, and no others.
 *
 * @limits: copied, in any order.  A name that comes twice has the same limits each time.  A limit that has changed
 * begins anew.  Errors: PUSH_OUT_OF_MEMORY; nothing has changed then.
 */
enum push_status PUSH_MUST_USE
push_limiter_set_keys(struct push_limiter *limiter, const struct push_key_limits *limits, size_t count);

/* push_limiter_limits_publishes - whether there is a limit that a publish could reach. */
bool
push_limiter_limits_publishes(const struct push_limiter *limiter);

/* Why something is not let in, and when it could be. */
struct push_limit_refusal {
	enum push_limit limit;
	uint64_t wait_us;
};

/* push_limiter_publish - a message of so many bytes. */
bool
push_limiter_publish(struct push_limiter *limiter, const struct push_sender *sender, size_t bytes,
	uint64_t now_us, struct push_limit_refusal *ret_refusal);

/* push_limiter_message - a WebSocket client has sent something.  @client: its subscriber, as a name only. */
bool
push_limiter_message(
	struct push_limiter *limiter, const void *client, uint64_t now_us, enum push_limit *ret_limit);

/* push_limiter_subscribe - an open stream asks for one more channel. */
bool
push_limiter_subscribe(
	struct push_limiter *limiter, const void *client, uint64_t now_us, enum push_limit *ret_limit);

/* push_limiter_refuse - another limit has been reached (a stream of lines that brings nothing, descriptors).
 * Returns false, unless nothing is refused. */
bool
push_limiter_refuse(struct push_limiter *limiter, enum push_limit limit);

#endif
