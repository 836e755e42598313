/*
 * wire.h - the bytes of one connection: those of its socket, or what TLS makes of them.
 *
 * All connections of a process share one SSL_CTX.  A client's buffers are only there while they hold something, and
 * its socket is read once for all records that have come: ten thousand clients in one thread must be cheap.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net.h"
#include "options.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct bio_method_st;

/* TLS as all connections of this process speak it. */
struct tls {
	struct ssl_ctx_st *context;
	struct bio_method_st *method;
	struct ssl_session_st *session; /* the newest, to be resumed; NULL: none, or none is wanted */
	const char *host;               /* of the certificate, and of SNI unless it is an address */
	bool has_address;               /* `host` is one */
	uint64_t handshakes, resumed;
	char name[80]; /* of the first connection: "TLSv1.3 TLS_AES_128_GCM_SHA256" */
};

struct wire {
	int fd;               /* -1: not connected */
	bool is_empty;        /* the last read of the socket was short: nothing more before the next edge */
	bool may_end;         /* the other side has closed: a short read proves nothing */
	struct ssl_st *tls;   /* NULL: plain */
	struct tls *settings; /* of `tls` */
};

enum wire_progress { WIRE_READY, WIRE_AGAIN, WIRE_FAILED };

/* tls_init - returns NULL, or what is wrong.  @host: as in --target, without its port. */
const char *tls_init(struct tls *tls, const struct options *options, const char *host);

void tls_fini(struct tls *tls);

/*
 * wire_open - begin to connect, as net_connect(); TLS if the target has it.
 *
 * @alpn: the one protocol to offer, NULL for none.  The wire must stay where it is until wire_close().
 * Returns -1 with errno.
 */
int wire_open(
	struct wire *wire, const struct target *target, uint32_t index, int receive_buffer, const char *alpn);

/* wire_wake - an edge has come: there may be something to read again.  @ends: and an end, perhaps. */
void wire_wake(struct wire *wire, bool ends);

/* wire_handshake - go on until both sides may write.  *ret_error is written for WIRE_FAILED only. */
enum wire_progress wire_handshake(struct wire *wire, const char **ret_error);

/* wire_speaks - whether the server has chosen this protocol; true without TLS. */
bool wire_speaks(const struct wire *wire, const char *alpn);

/* wire_read, wire_write - as read(2) and write(2).  With TLS, a short read proves nothing. */
ssize_t wire_read(struct wire *wire, void *to, size_t size);
ssize_t wire_write(struct wire *wire, const void *from, size_t size);

void wire_close(struct wire *wire);

#endif
