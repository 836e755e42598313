/*
 * proxy_header.h - the PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): what a proxy that does
 * not read HTTP sends in front of a connection to name the client.
 *
 *   PROXY TCP4 203.0.113.7 192.0.2.2 4711 8080\r\n                          version 1, 107 bytes at most
 *   \r\n\r\n\0\r\nQUIT\n | 2, command | family | length | addresses, TLVs    version 2
 *
 * No HTTP request, no TLS and no preface of HTTP/2 begins like either, so that the first bytes say which it is.
 * Only bytes of a trusted proxy may be given to this: whoever is believed may name any address.
 */
#ifndef PUSH_CORE_PROXY_HEADER_H
#define PUSH_CORE_PROXY_HEADER_H

#include "address.h"

/* The longest header: version 2 with TLVs, a client's certificate among them. */
#define PUSH_PROXY_HEADER_BYTES_MAX 8192

enum push_proxy_result {
	PUSH_PROXY_NONE,    /* the connection does not begin with one */
	PUSH_PROXY_PARTIAL, /* it may become one, or its end has not come */
	PUSH_PROXY_WHOLE,
	PUSH_PROXY_BAD /* malformed, or too long: the connection is to be closed without an answer */
};

struct push_proxy_header {
	size_t size;      /* of the header: the connection's own bytes follow */
	bool has_address; /* else the peer is the client: a proxy's own probe, or an unknown family */
	struct push_address address; /* of the client */
};

/* push_proxy_header_read - read the header at the start of a connection's bytes; `ret` is set if it is whole. */
enum push_proxy_result
push_proxy_header_read(struct push_proxy_header *ret, const void *bytes, size_t size);

#endif
