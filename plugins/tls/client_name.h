/*
 * client_name.h - from a client's certificate, which was verified, to its user name and its time.
 *
 * A name must have 1 to PUSH_USER_BYTES_MAX bytes of UTF-8 without control characters: one with a NUL or the like is
 * not shortened or changed, but is no name, and of two common names or subjectAltNames neither counts, since a CA may
 * let its clients choose one of them.
 */
#ifndef PUSH_TLS_CLIENT_NAME_H
#define PUSH_TLS_CLIENT_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/certificate_name.h"
#include "core/identity.h"

struct x509_st;

struct push_tls_client {
	char user[PUSH_USER_BYTES_MAX];
	size_t user_size;
	int64_t from_s, until_s; /* notBefore and notAfter, since 1970 */
};

/*
 * push_tls_client_read - what a certificate (X509) says of its holder.
 *
 * @name: which of its names; of NONE there is none.
 * Returns false if it has no such name, or memory is out.
 */
bool
push_tls_client_read(
	const struct x509_st *certificate, enum push_certificate_name name, struct push_tls_client *ret);

#endif
