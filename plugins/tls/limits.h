/*
 * limits.h - the fixed limits of TLS on Push's own sockets, with their units, their reasons and what happens there.
 */
#ifndef PUSH_TLS_LIMITS_H
#define PUSH_TLS_LIMITS_H

#include <stdint.h>

/* Virtual hosts of one port, as many as a configuration has files; more are an error. */
#define PUSH_TLS_VHOSTS_MAX 64

/* Of a list of protocols in ALPN: twice what `h2,http/1.1` takes, and more than lws keeps. */
#define PUSH_TLS_ALPN_BYTES_MAX 31

/* KeyUpdates of one connection (key_updates.h): one an hour for five days, and a millisecond or two of work.  Beyond, it
 * is closed. */
#define PUSH_TLS_KEY_UPDATES_MAX 128

/* How often the files of certificates are looked at, by three stat(2): 5 us. */
#define PUSH_TLS_LOOK_US 2000000ull

/* How long before a certificate expires that is logged, and how often. */
#define PUSH_TLS_EXPIRES_SOON_S (7 * 86400)
#define PUSH_TLS_EXPIRES_SAY_US 86400000000ull

/* How long a ticket may be used: a laptop that was asleep over lunch comes back cheaply. */
#define PUSH_TLS_TICKET_S 7200

/* How often its keys change (ticket_keys.h): as long as TLS 1.2 has no forward secrecy beyond the life of a ticket. */
#define PUSH_TLS_TICKET_ROTATE_US 3600000000ull

/* Keys that open tickets, the newest one among them: one that seals no longer is needed for a ticket's time. */
#define PUSH_TLS_TICKET_KEYS_MAX 3

_Static_assert(
	PUSH_TLS_TICKET_S *UINT64_C(1000000) <= (PUSH_TLS_TICKET_KEYS_MAX - 1) * PUSH_TLS_TICKET_ROTATE_US,
	"the last ticket of a key can be opened to its end");

/* What is sealed in one record, at most (RFC 8446, 5.1). */
#define PUSH_TLS_RECORD_BYTES (16 * 1024)

/* What is read from a socket in one call. */
#define PUSH_TLS_RECV_BYTES 4096

/* Sealed bytes that wait for a socket: one record with its overhead, and answers to alerts and key updates.  A client
 * that asks for more of those and does not read is cut off. */
#define PUSH_TLS_SEALED_BYTES_MAX (PUSH_TLS_RECORD_BYTES + 4096)

#endif
