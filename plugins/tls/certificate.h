/*
 * certificate.h - the files of a vhost: its certificate with its key, and the CA of its clients.
 */
#ifndef PUSH_TLS_CERTIFICATE_H
#define PUSH_TLS_CERTIFICATE_H

#include <sys/stat.h>

#include "tls/server_context.h"

/* push_tls_fail - write "vhost NAME: KEY=VALUE: why"; why NULL: what OpenSSL says.  Clears its queue.  Returns
 * PUSH_INVALID. */
enum push_status
push_tls_fail(const struct push_tls_vhost *vhost, const char *key, const char *value, const char *why,
	struct push_error *error);

/* push_tls_certificate_use - read a chain and its key, and use them if they belong together.  Errors: PUSH_INVALID. */
enum push_status PUSH_MUST_USE
push_tls_certificate_use(SSL_CTX *context, const struct push_tls_vhost *vhost, struct push_error *error);

/* push_tls_ca_use - read the CA, if there is one, and ask for client certificates where they are required.  Errors:
 * PUSH_INVALID. */
enum push_status PUSH_MUST_USE
push_tls_ca_use(SSL_CTX *context, const struct push_tls_vhost *vhost, struct push_error *error);

/* What stat(2) says of the files of a vhost: where one was written, replaced or made readable, it is another. */
struct push_tls_stamp {
	struct {
		int error; /* 0: the rest is known */
		dev_t device;
		ino_t inode;
		off_t size;
		struct timespec modified, changed;
	} files[3];
};

/* push_tls_stamp_read - links are followed.  Every byte is set, to be compared with memcmp(3). */
void
push_tls_stamp_read(const struct push_tls_vhost *vhost, struct push_tls_stamp *ret);

/* push_tls_stamp_is - whether no file has changed between the two. */
bool
push_tls_stamp_is(const struct push_tls_stamp *a, const struct push_tls_stamp *b);

/* push_tls_stamp_is_hidden - whether this process may not even look. */
bool
push_tls_stamp_is_hidden(const struct push_tls_stamp *stamp);

/* push_tls_expiry_s - until when the certificate of a context is valid, since 1970. */
int64_t
push_tls_expiry_s(const SSL_CTX *context);

#endif
