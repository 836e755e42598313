/* tickets.h - OpenSSL's session tickets, sealed and opened with the keys of ticket_keys.h; for the files of tls/. */
#ifndef PUSH_TLS_TICKETS_H
#define PUSH_TLS_TICKETS_H

#include <openssl/types.h>
#include <stdbool.h>

#include "tls/ticket_keys.h"

/* push_tls_tickets_use - by AES-256-CBC and HMAC-SHA-256.  `keys`: borrowed for as long as the context may shake hands. */
bool
push_tls_tickets_use(SSL_CTX *context, const struct push_tls_ticket_keys *keys);

#endif
