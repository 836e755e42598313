/*
 * bytes.h - the bytes of one connection: by its socket alone, or by TLS on it.
 *
 * A plain connection keeps nothing here: what is looked at stays in the kernel, so that it can still be given to lws.
 * What TLS has opened is in our hands: what is left of it is held, and lws gets the rest by a relay (relay.h).
 *
 * epoll(7) knows only of the socket.  So each read takes all that OpenSSL has in hand with it, and where
 * direct_bytes_has_more() says so, more is to be read although the socket is silent.
 */
#ifndef PUSH_DIRECT_BYTES_H
#define PUSH_DIRECT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/str.h"
#include "tls/session.h"

struct direct_bytes {
	struct push_tls_session *tls; /* owned; NULL: plain */
	/* of TLS: */
	struct direct_held *held; /* owned: opened and not taken; NULL: none */
	const char *looked;       /* what the last look has shown, */
	size_t looked_size;       /* until it is taken */
	size_t seen;              /* of what is held: a look at it has led to nothing */
	bool is_over;             /* its end has been read */
};

/* direct_bytes_fini - the socket is not closed. */
void
direct_bytes_fini(struct direct_bytes *bytes);

/*
 * direct_bytes_look - as recv(2) with MSG_PEEK: what is there, in *ret, valid until the next look or read.
 *
 * @scratch: room for `size` bytes, which *ret may point into.
 * direct_bytes_take() must follow, before anything else is read into `scratch`.
 * Returns their number, which may be over `size` for TLS; 0 at the end, -1 with errno.
 */
ssize_t
direct_bytes_look(struct direct_bytes *bytes, int fd, char *scratch, size_t size, const char **ret);

/* direct_bytes_take - the first `size` of them are done with; `size` may be 0, and it may be called several times. */
void
direct_bytes_take(struct direct_bytes *bytes, int fd, size_t size);

/* direct_bytes_again - another look may lead to more, although nothing has come. */
void
direct_bytes_again(struct direct_bytes *bytes);

/* direct_bytes_settle - it waits from now on, and nothing of what a look has shown is used any more. */
void
direct_bytes_drop_taken(struct direct_bytes *bytes);
static inline void
direct_bytes_settle(struct direct_bytes *bytes)
{
	if (bytes->held)
		direct_bytes_drop_taken(bytes);
}

/* direct_bytes_read - as recv(2). */
ssize_t
direct_bytes_read(struct direct_bytes *bytes, int fd, char *to, size_t size);

/* direct_bytes_discard - as recv(2) with MSG_TRUNC: throw away what is there. */
ssize_t
direct_bytes_discard(struct direct_bytes *bytes, int fd, char *scratch, size_t size);

/* direct_bytes_forget_held - throw away what was opened and not taken. */
void
direct_bytes_forget_held(struct direct_bytes *bytes);

/* direct_bytes_has_more - whether bytes are held that no look has seen: they are to be read without being called. */
bool
direct_bytes_holds_unseen(const struct direct_bytes *bytes);
static inline bool
direct_bytes_has_more(const struct direct_bytes *bytes)
{
	return bytes->held && direct_bytes_holds_unseen(bytes);
}

/* direct_bytes_held - what was opened and not taken, valid until the next look or read. */
struct push_str
direct_bytes_held(const struct direct_bytes *bytes);

/* direct_bytes_send - as send(2).  What TLS takes may wait: direct_bytes_is_blocked(). */
ssize_t
direct_bytes_send(struct direct_bytes *bytes, int fd, const char *from, size_t size);

/* direct_bytes_is_blocked - whether sealed bytes wait for the socket to be writable, then: */
static inline bool
direct_bytes_is_blocked(const struct direct_bytes *bytes)
{
	return bytes->tls && push_tls_session_is_blocked(bytes->tls);
}

/* direct_bytes_flush - send them.  Returns false if the connection is beyond use. */
static inline bool
direct_bytes_flush(struct direct_bytes *bytes)
{
	return !bytes->tls || push_tls_session_flush(bytes->tls);
}

/* direct_bytes_end - no more is sent: close_notify, and the socket's sending side is shut. */
void
direct_bytes_end(struct direct_bytes *bytes, int fd);

/* direct_bytes_leave - likewise of a socket that is about to be closed, if its other end is there to read it. */
void
direct_bytes_leave(struct direct_bytes *bytes);

#endif
