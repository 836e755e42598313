/*
 * authenticator.h - the interface by which the broker identifies clients.
 *
 * auth/ implements it.  The composition root creates the authenticator and passes it to the broker, so that neither
 * folder depends on the other.  Without one, everybody is push_identity_everybody().
 */
#ifndef PUSH_BROKER_AUTHENTICATOR_H
#define PUSH_BROKER_AUTHENTICATOR_H

#include "core/buf.h"
#include "core/disconnect.h"
#include "core/identity.h"
#include "core/limiter.h"
#include "core/log_level.h"
#include "core/stats.h"
#include "core/str.h"

/* The longest token, key or ticket. */
#define PUSH_SECRET_BYTES_MAX 4096

/* The longest message of a client, and body of a control request, where clients may have to show who they are: an `auth`
 * with the longest token.  Everything else is held to push.client.message.max.size. */
#define PUSH_AUTH_MESSAGE_BYTES_MAX (PUSH_SECRET_BYTES_MAX + 128)

/* What a client has shown. */
enum push_credential_kind {
	PUSH_CREDENTIAL_NONE,
	PUSH_CREDENTIAL_BEARER, /* a token or a publish key */
	PUSH_CREDENTIAL_TOKEN,
	PUSH_CREDENTIAL_KEY,
	PUSH_CREDENTIAL_TICKET,
	PUSH_CREDENTIAL_CERTIFICATE, /* of its TLS connection, verified */
	PUSH_CREDENTIAL_BROKEN       /* something that is none of these: `why` says what is wrong with it */
};

struct push_credential {
	enum push_credential_kind kind;
	struct push_str
		text;    /* a secret: it is in no log, metric, trace or error; of a certificate, its user */
	const char *why; /* static */
	int64_t from_s, until_s; /* of a certificate, since 1970 */
};

/* What is asked for with it, as far as an application that is asked may want to know. */
struct push_asked {
	enum push_right right;
	struct push_str method, path, query, origin, host, cookie, authorization;
	struct push_str channels; /* joined by commas */
	struct push_str address;  /* of the client, as text */
};

/* Borrowed until the function that is given it returns. */
struct push_verdict {
	unsigned int status;        /* 0: this is `identity`; else of HTTP: 400, 401, 403, 503 */
	enum push_auth_refusal why; /* else; for metrics */
	const char *code;           /* of WWW-Authenticate (RFC 6750, 3.1): invalid_token; NULL: none */
	const char *text;           /* for the client */
	unsigned int retry_after_s; /* 0: it need not try again */
	const struct push_identity *identity; /* the caller takes a reference if it keeps it */
};

/* Called exactly once for each question, maybe before the call that asked returns. */
typedef void (*push_verdict_fn)(void *context, const struct push_verdict *verdict);

/* How a ticket was made, called exactly once: its text, borrowed, and how long it is good for a first use. */
typedef void (*push_ticket_fn)(
	void *context, enum push_status status, const char *ticket, uint64_t expires_in_s);

/* What an authenticator needs of the broker around it; all are called with `context`. */
struct push_authenticator_host {
	void (*log)(void *context, enum push_log_level level, const char *line);
	/* A notice came: end these connections (push_hub_disconnect). */
	void (*disconnect)(void *context, const struct push_disconnect *what);
	/* These publish keys have limits of their own, and no others.  Returns false if out of memory: then they
	 * stay as they were. */
	bool (*limit_keys)(void *context, const struct push_key_limits *limits, size_t count);
	uint64_t (*now_us)(void);  /* monotonic */
	uint64_t (*wall_us)(void); /* since 1970 */
	void *context;
};

/* How an order was carried out, called exactly once: of HTTP, and a line of JSON. */
typedef void (*push_order_fn)(void *context, unsigned int status, const char *json);

/* All are called with the authenticator, from the event loop's thread; texts are borrowed until the call
 * returns. */
struct push_authenticator {
	/* Identify the client that shows this. */
	void (*identify)(struct push_authenticator *authenticator, const struct push_credential *credential,
		const struct push_asked *asked, push_verdict_fn done, void *context);
	/* A client asks for channels that its identity does not grant this right for: is somebody asked? */
	bool (*asks_for_more)(struct push_authenticator *authenticator, const struct push_identity *identity,
		enum push_right right);
	/* Only then: may it?  The verdict's identity has what it may besides: asked->right for asked->channels, or what else
	 * it says.  @user: without bytes: not known. */
	void (*ask_for_more)(struct push_authenticator *authenticator, struct push_str user,
		const struct push_asked *asked, push_verdict_fn done, void *context);
	/* Whether an identity has been revoked since it was made. */
	bool (*is_revoked)(struct push_authenticator *authenticator, const struct push_identity *identity);
	/* An identity of a token as text, for another node, and of such a text: a reference; NULL: it is none, or
	 * out of memory.  Failure to write shows in to->status. */
	void (*write_identity)(struct push_authenticator *authenticator, const struct push_identity *identity,
		struct push_buf *to);
	const struct push_identity *(*read_identity)(
		struct push_authenticator *authenticator, struct push_str text);
	/* Make a ticket for the identity: `done` is given its text, or why there is none. */
	void (*issue_ticket)(struct push_authenticator *authenticator, const struct push_identity *identity,
		push_ticket_fn done, void *context);
	/* A connection that a ticket has opened has ended. */
	void (*ticket_used)(struct push_authenticator *authenticator, struct push_str ticket,
		const struct push_identity *identity);
	/* ... has another identity now, which the ticket is good for from here on. */
	void (*ticket_renewed)(struct push_authenticator *authenticator, struct push_str ticket,
		const struct push_identity *identity);
	/* An operator's order, as JSON: revoke tokens, or end connections. */
	void (*take_back)(struct push_authenticator *authenticator, bool is_revocation, struct push_str order,
		push_order_fn done, void *context);
	void (*tick)(struct push_authenticator *authenticator, uint64_t now_us);
	/* Add what it has counted since, and set what is now. */
	void (*count)(struct push_authenticator *authenticator, struct push_stats *to);
	/* Readable when ready() has something to do; -1: never. */
	int fd;
	void (*ready)(struct push_authenticator *authenticator, uint64_t now_us);
	void (*destroy)(struct push_authenticator *authenticator);
};

#endif
