/*
 * ticket_keys.h - the keys of TLS session tickets, which all workers of one pushd share.
 *
 * A ticket is a session, sealed by the server and kept by the client (RFC 5077; RFC 8446, 4.6.1).  A client that comes
 * back may reach any worker, of this generation or the next one, so all have the same keys: pushd makes them, in memory
 * without a name that its workers inherit.  The number of its descriptor is in their environment, and no key is.
 *
 *     key 7  ◀─ oldest, is overwritten next    The newest one seals.  Those before it still open, and what they
 *     key 8  ┐                                 open is sealed anew by the newest one.  Once an hour pushd writes a
 *     key 9  ├ open tickets                    random key over the oldest one, which nobody opens with any more.
 *     key 10 ┘ ◀─ newest, seals
 *
 * Keys are random and not derived from each other: whoever takes the memory has those of the last hours, and can read
 * of what was recorded before that nothing (forward secrecy).  TLS 1.3 adds a key exchange to each resumption, so that
 * these keys open no recorded traffic of it at all; TLS 1.2 does not.
 *
 * The clock is the monotonic one: setting the other one changes nothing here.  A restart of pushd makes new keys, and
 * all clients shake hands in full once.  So they do where they reach another machine.
 *
 * Without pushd a process has keys of its own.
 */
#ifndef PUSH_TLS_TICKET_KEYS_H
#define PUSH_TLS_TICKET_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/limits.h"

struct push_tls_ticket_key {
	unsigned char name[16]; /* shown in the ticket */
	unsigned char cipher[32], mac[32];
};

struct push_tls_ticket_keys;

/* push_tls_ticket_keys_create - random ones.  Returns NULL, with errno, when there is no memory or no randomness. */
struct push_tls_ticket_keys *
push_tls_ticket_keys_create(uint64_t now_us);

/*
 * push_tls_ticket_keys_inherit - the keys of a pushd which has given them to the program that it became, and a new one.
 *
 * In memory of their own, for only a pushd that has created some writes there; those of its workers stay as they are.
 * Returns NULL where it gave none, or of another version, or as push_tls_ticket_keys_create().
 */
struct push_tls_ticket_keys *
push_tls_ticket_keys_inherit(uint64_t now_us);

/* push_tls_ticket_keys_destroy - erase them, if they were created here, and unmap them.  NULL is allowed. */
void
push_tls_ticket_keys_destroy(struct push_tls_ticket_keys *keys);

/* push_tls_ticket_keys_rotate - where they were created: a new one, if it is time.  To be called often. */
void
push_tls_ticket_keys_rotate(struct push_tls_ticket_keys *keys, uint64_t now_us);

/* push_tls_ticket_keys_give - let the program that this process is about to become find them: between fork and exec. */
void
push_tls_ticket_keys_give(const struct push_tls_ticket_keys *keys);

/* push_tls_ticket_keys_join - what pushd gave.  Returns NULL if it gave nothing, or is of another version. */
struct push_tls_ticket_keys *
push_tls_ticket_keys_join(void);

/* push_tls_ticket_keys_newest - what to seal with; borrowed, for the call of OpenSSL's. */
const struct push_tls_ticket_key *
push_tls_ticket_keys_newest(const struct push_tls_ticket_keys *keys);

/* push_tls_ticket_keys_find - what to open with, by its name; borrowed likewise.  NULL: not known, or too old. */
const struct push_tls_ticket_key *
push_tls_ticket_keys_find(const struct push_tls_ticket_keys *keys, const unsigned char name[16]);

#endif
