/* server_name.h - the name that a client asks for in its ClientHello (SNI; RFC 6066, 3), and whose it is. */
#ifndef PUSH_TLS_SERVER_NAME_H
#define PUSH_TLS_SERVER_NAME_H

#include <openssl/types.h>
#include <stdbool.h>

#include "core/str.h"

/* push_tls_server_name - in a callback of SSL_CTX_set_client_hello_cb(3); borrowed.  Without bytes: there is none, or it
 * is malformed, which OpenSSL refuses later. */
struct push_str
push_tls_server_name(SSL *ssl);

/* push_tls_name_is - whether it is this vhost's, in any case. */
bool
push_tls_name_is(struct push_str name, const char *vhost);

/* push_tls_name_is_below - whether it is a subdomain of the vhost's: lws gives those to it, too. */
bool
push_tls_name_is_below(struct push_str name, const char *vhost);

#endif
