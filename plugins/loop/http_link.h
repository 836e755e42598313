/*
 * http_link.h - one connection to a server: TCP, TLS for https, and one exchange after another.
 *
 *   open ─▶ CONNECTING ─▶ HANDSHAKING ─▶ EXCHANGING ─▶ ended(ANSWERED)
 *               │              │            ▲  │            │ the answer lets it be kept
 *               ▼              ▼            │  ▼            ▼
 *       ended(NOT_CONNECTED) ◀─┘     begin ─┘ ended(LOST)  IDLE ─▶ ended(LOST) when the server closes it
 *
 * What happens is reported by `ended`, once for each exchange and at most once while it is idle, always from the
 * dispatch of its set; but for an ANSWERED that leaves it idle, the link is closed then and not to be used again.
 * Its memory goes with push_sources_reap().
 *
 * OpenSSL writes by write(2): the process ignores SIGPIPE, as lws makes it.
 */
#ifndef PUSH_LOOP_HTTP_LINK_H
#define PUSH_LOOP_HTTP_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/list.h"
#include "core/str.h"
#include "loop/http_answer.h"
#include "loop/source.h"

struct ssl_ctx_st;
struct ssl_st;
struct push_http_link;

enum push_http_link_state {
	PUSH_HTTP_LINK_CONNECTING,
	PUSH_HTTP_LINK_HANDSHAKING,
	PUSH_HTTP_LINK_EXCHANGING,
	PUSH_HTTP_LINK_IDLE,
};

enum push_http_link_end {
	PUSH_HTTP_LINK_ANSWERED,
	PUSH_HTTP_LINK_NOT_CONNECTED, /* nothing has been sent */
	PUSH_HTTP_LINK_LOST,          /* before the answer was whole */
	PUSH_HTTP_LINK_BAD,           /* the answer is not HTTP */
	PUSH_HTTP_LINK_TOO_LARGE,
	PUSH_HTTP_LINK_NO_MEMORY,
};

/* @why: for NOT_CONNECTED and LOST; borrowed. */
typedef void (*push_http_link_ended_fn)(
	struct push_http_link *link, enum push_http_link_end end, const char *why);

struct push_http_link {
	struct push_source source;
	struct push_list node;  /* the owner's */
	void *owner;            /* likewise */
	uint64_t idle_since_us; /* likewise */
	struct push_sources *sources;
	struct ssl_st *tls; /* NULL: http */
	push_http_link_ended_fn ended;
	enum push_http_link_state state;
	bool is_reused;          /* this is not its first exchange */
	bool is_write_over;      /* the server takes no more; it may have answered */
	bool wants_out;          /* TLS waits until it can write */
	struct push_str request; /* borrowed, until the exchange has ended; `sent` bytes of it are gone */
	size_t sent;
	struct push_http_answer *answer; /* likewise; NULL while idle */
};

/*
 * push_http_link_open - begin to connect.
 *
 * @context: of TLS; NULL: http.  @host: that its certificate must be for.
 * Returns NULL, with errno.
 */
struct push_http_link *
push_http_link_open(struct push_sources *sources, const struct sockaddr_storage *address,
	struct ssl_ctx_st *context, const char *host, push_http_link_ended_fn ended);

/* push_http_link_begin - an exchange, over a link that is new or idle.  @answer: initialised. */
void
push_http_link_begin(struct push_http_link *link, struct push_str request, struct push_http_answer *answer);

/* push_http_link_close - nothing is reported any more. */
void
push_http_link_close(struct push_http_link *link);

#endif
