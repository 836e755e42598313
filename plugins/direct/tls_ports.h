/* tls_ports.h - which ports have TLS, and with which certificates, as far as pushd has told (vhosts.h). */
#ifndef PUSH_DIRECT_TLS_PORTS_H
#define PUSH_DIRECT_TLS_PORTS_H

#include "direct/direct_private.h"
#include "tls/server_context.h"

/* direct_tls_of - the certificates of a port; borrowed.  NULL: lws serves it, or it has no TLS. */
struct push_tls_server *
direct_tls_of(const struct push_direct *direct, int port);

/* direct_tls_open - read the certificates of all ports of direct->vhosts, once; what cannot be read is logged and left
 * to lws. */
void
direct_tls_open(struct push_direct *direct);

/* direct_tls_close - no handshake may go on. */
void
direct_tls_close(struct push_direct *direct);

/* direct_tls_tick - look at the files of certificates, if it is time. */
void
direct_tls_tick(struct push_direct *direct);

#endif
