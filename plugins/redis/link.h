/*
 * link.h - one connection to one Redis server.
 *
 *   open ─▶ connecting ─▶ (TLS) ─▶ greeting: AUTH, SELECT, ROLE ─▶ up ─▶ down, once, for whatever reason
 *
 * Commands are appended to link->out and leave in one write when the owner flushes, at the end of the turn.
 * Redis answers in the order of the commands, so each is awaited in a queue: push_redis_link_expect().
 * A link for subscriptions hands on messages and confirmations instead; they answer no command.
 *
 * A server that says nothing for settings.timeout_us although it was pinged is dead: a peer whose machine is
 * gone, or that is stopped, closes no connection.
 *
 * A link for commands asks the server for its TIME with the greeting, and three times within timeout_us from
 * then on, so that commands can carry a deadline by the server's clock (server_clock.h).
 *
 * hiredis does the reading and writing, TLS included; connecting is done here, to addresses, since hiredis
 * would hold up the loop for a name.  After `down` the link may be opened again.
 */
#ifndef PUSH_REDIS_LINK_H
#define PUSH_REDIS_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/buf.h"
#include "loop/source.h"
#include "redis/limits.h"
#include "redis/reply.h"
#include "redis/server_clock.h"

struct redisContext;
struct ssl_ctx_st;
struct ssl_st;

enum push_redis_role { PUSH_REDIS_COMMANDS, PUSH_REDIS_SUBSCRIPTIONS, PUSH_REDIS_ROLE_COUNT };

/* What is the same for all links of an engine; borrowed. */
struct push_redis_settings {
	const char *user, *password; /* empty: none */
	unsigned int database;
	uint64_t timeout_us;    /* to connect and be greeted, and of a silent server */
	struct ssl_ctx_st *tls; /* NULL: plain */
	bool must_be_master;    /* ask for the ROLE; a replica is left again */
	bool needs_time;        /* of links for commands: keep `clock` */
	const char *name;       /* for CLIENT SETNAME, so that an operator sees who is connected */
	uint64_t now_us;        /* when this turn of the loop began; kept up to date by the engine */
};

/* A command whose answer is to come. */
struct push_redis_awaited {
	void *context;
	uint32_t kind;  /* the owner's */
	uint32_t count; /* of a subscription link: channels that are still to be confirmed */
};

/* What the owner is told; never from within a call of the owner's, but for `down` from
 * push_redis_link_open(). None of them may close or free the link. */
struct push_redis_link_owner {
	void (*up)(void *context, uint64_t now_us);
	void (*down)(void *context, const char *why, uint64_t now_us);
	void (*item)(void *context, const struct push_redis_awaited *awaited,
		const struct push_redis_place *place, const struct push_redis_reply *item);
	/* The answer to a command, whole; on a subscription link only an error. */
	void (*answer)(void *context, const struct push_redis_awaited *awaited,
		const struct push_redis_reply *reply, uint64_t now_us);
	void (*subscribed)(void *context, bool subscribed, const char *channel, size_t size, uint64_t now_us);
	void (*message)(void *context, const char *channel, size_t channel_size, const char *payload,
		size_t size, uint64_t now_us);
	/* The connection is gone, and this was awaited. */
	void (*lost)(void *context, const struct push_redis_awaited *awaited, uint64_t now_us);
	/* Whether more should not be read now. */
	bool (*is_behind)(void *context);
};

enum push_redis_link_state {
	PUSH_REDIS_CLOSED,
	PUSH_REDIS_CONNECTING,
	PUSH_REDIS_TLS,
	PUSH_REDIS_GREETING,
	PUSH_REDIS_UP,
};

/* What a subscription link is told. */
enum push_redis_push_kind {
	PUSH_REDIS_NO_PUSH,
	PUSH_REDIS_MESSAGE,
	PUSH_REDIS_SUBSCRIBED,
	PUSH_REDIS_UNSUBSCRIBED,
	PUSH_REDIS_PONG
};

struct push_redis_link {
	struct push_source source;
	struct push_sources *sources;
	const struct push_redis_settings *settings;
	const struct push_redis_link_owner *owner;
	void *context;
	struct redisContext *redis; /* NULL: closed */
	struct ssl_st *tls;         /* redis' */
	struct push_redis_reader reader;
	enum push_redis_role role;
	enum push_redis_link_state state;
	bool failed; /* `error` says why; closed at the end of the turn */
	char error[PUSH_REDIS_ERROR_BYTES];
	struct push_buf out;                /* not given to hiredis yet */
	struct push_redis_awaited *awaited; /* a ring */
	uint32_t awaited_head, awaited_count, awaited_capacity;
	unsigned int greetings_left;
	uint64_t opened_us, heard_us, pinged_us, ticked_us; /* pinged_us 0: no PING is under way */
	struct push_server_clock clock;                     /* unknown where TIME is refused */
	bool is_asking_time, is_time_refused;
	uint64_t time_asked_us, time_s; /* time_s: of an answer that is being read */
	/* of the message that is being read on a subscription link: */
	enum push_redis_push_kind push_kind;
	size_t channel_size;
	char *channel; /* owned, grows to PUSH_REDIS_CHANNEL_BYTES_MAX */
	size_t channel_capacity;
};

/* push_redis_link_init - a closed link.  Everything is borrowed. */
void
push_redis_link_init(struct push_redis_link *link, enum push_redis_role role, struct push_sources *sources,
	const struct push_redis_settings *settings, const struct push_redis_link_owner *owner, void *context);

/* push_redis_link_fini - close it without a word to the owner, and free what it holds. */
void
push_redis_link_fini(struct push_redis_link *link);

/*
 * push_redis_link_open - begin to connect a closed link.
 *
 * @host: the name that a certificate must show.  What goes wrong at once is told by `down` as well.
 */
void
push_redis_link_open(struct push_redis_link *link, const struct sockaddr *address, socklen_t address_size,
	const char *host, uint64_t now_us);

/* push_redis_link_fail - leave the server; `down` follows at the end of the turn. */
void
push_redis_link_fail(struct push_redis_link *link, const char *why);

/*
 * push_redis_link_expect - the command that was just appended to link->out will be answered.
 *
 * Returns false where memory or PUSH_REDIS_AWAITED_MAX is out; the command must be taken out of `out` again.
 */
bool
push_redis_link_expect(struct push_redis_link *link, uint32_t kind, uint32_t count, void *context);

/* push_redis_link_learn_time - a command that was sent at `sent_us` was answered with TIME's two numbers,
 * with spaces before them. */
void
push_redis_link_learn_time(struct push_redis_link *link, uint64_t sent_us, const char *text, size_t size);

/* push_redis_link_deadline_ms - the server's TIME when `patience_us` from now are over.  0: not known. */
uint64_t
push_redis_link_deadline_ms(const struct push_redis_link *link, uint64_t patience_us);

/* push_redis_link_backlog - bytes that are still to be written. */
size_t
push_redis_link_backlog(const struct push_redis_link *link);

/* push_redis_link_flush - write what waits. */
void
push_redis_link_flush(struct push_redis_link *link);

/* push_redis_link_tick - watch the server. */
void
push_redis_link_tick(struct push_redis_link *link, uint64_t now_us);

/* push_redis_link_settle - after anything else: if it has failed, close it and tell the owner. */
void
push_redis_link_settle(struct push_redis_link *link, uint64_t now_us);

#endif
