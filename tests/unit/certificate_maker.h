/* certificate_maker.h - certificates of P-256 keys, and their PEM files in a folder of the test's own. */
#ifndef PUSH_TESTS_CERTIFICATE_MAKER_H
#define PUSH_TESTS_CERTIFICATE_MAKER_H

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct certificate {
	EVP_PKEY *key;
	X509 *x509;
};

static inline void
certificate_extend(X509 *x509, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_true(X509_add_ext(x509, extension, -1));
	X509_EXTENSION_free(extension);
}

/* certificate_init - valid from an hour ago until `seconds` from now; `issuer` NULL: signed by itself, and a CA. */
static inline void
certificate_init(struct certificate *made, const char *name, const struct certificate *issuer, long seconds)
{
	static long serial = 1;
	X509_NAME *subject;

	made->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	made->x509 = X509_new();
	assert_non_null(made->key);
	assert_non_null(made->x509);
	subject = X509_get_subject_name(made->x509);
	assert_true(X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0));
	assert_true(X509_set_version(made->x509, X509_VERSION_3));
	assert_true(ASN1_INTEGER_set(X509_get_serialNumber(made->x509), serial++));
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(made->x509), -3600));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(made->x509), seconds));
	assert_true(X509_set_pubkey(made->x509, made->key));
	assert_true(X509_set_issuer_name(made->x509, issuer ? X509_get_subject_name(issuer->x509) : subject));
	if (!issuer)
		certificate_extend(made->x509, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(made->x509, issuer ? issuer->key : made->key, EVP_sha256()) > 0);
}

static inline void
certificate_fini(struct certificate *made)
{
	X509_free(made->x509);
	EVP_PKEY_free(made->key);
}

/* certificate_write - its chain up to `issuer`, if there is one. */
static inline void
certificate_write(const struct certificate *made, const struct certificate *issuer, const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(PEM_write_X509(file, made->x509));
	if (issuer)
		assert_true(PEM_write_X509(file, issuer->x509));
	assert_int_equal(fclose(file), 0);
}

static inline void
certificate_write_key(const struct certificate *made, const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(PEM_write_PrivateKey(file, made->key, NULL, NULL, 0, NULL, NULL));
	assert_int_equal(fclose(file), 0);
}

#endif
