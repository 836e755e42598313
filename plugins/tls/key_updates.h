/*
 * key_updates.h - a bound on how often a client may change its keys (KeyUpdate; RFC 8446, 4.6.3); for the files of tls/.
 *
 * One is 27 bytes and costs 9 us, or 17 us where it asks for an answer: a client that sends nothing else would keep a
 * core busy with two megabytes a second.  OpenSSL has no bound of its own.
 */
#ifndef PUSH_TLS_KEY_UPDATES_H
#define PUSH_TLS_KEY_UPDATES_H

#include <openssl/types.h>

/* push_tls_key_updates_limit - end a session behind PUSH_TLS_KEY_UPDATES_MAX of them: reading it fails then. */
void
push_tls_key_updates_limit(SSL_CTX *context);

#endif
