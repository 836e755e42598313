/* certificate.c - see certificate.h. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tls/certificate.h"

enum push_status
push_tls_fail(const struct push_tls_vhost *vhost, const char *key, const char *value, const char *why,
	struct push_error *error)
{
	unsigned long code = ERR_peek_error();

	if (!why && code)
		why = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
	snprintf(error->text, sizeof(error->text), "vhost %.64s: %s=%.250s: %.100s", vhost->name, key, value,
		why ? why : "cannot be used");
	ERR_clear_error();
	return PUSH_INVALID;
}

/* A process without a terminal has nobody to ask. */
static int
no_password(char *to, int size, int is_for_writing, void *context)
{
	(void)to;
	(void)size;
	(void)is_for_writing;
	(void)context;
	return -1;
}

/* Opening anything else may block, or never end. */
static BIO *
open_file(const char *path)
{
	struct stat about;

	if (!stat(path, &about) && !S_ISREG(about.st_mode)) {
		ERR_raise(ERR_LIB_SYS, S_ISDIR(about.st_mode) ? EISDIR : EINVAL);
		return NULL;
	}
	return BIO_new_file(path, "r");
}

static EVP_PKEY *
read_key(const char *path)
{
	BIO *file = open_file(path);
	EVP_PKEY *key = file ? PEM_read_bio_PrivateKey(file, NULL, no_password, NULL) : NULL;

	BIO_free(file);
	return key;
}

enum push_status
push_tls_certificate_use(SSL_CTX *context, const struct push_tls_vhost *vhost, struct push_error *error)
{
	enum push_status status = PUSH_OK;
	EVP_PKEY *key;

	SSL_CTX_set_default_passwd_cb(context, no_password);
	if (!vhost->cert || !vhost->key)
		return push_tls_fail(vhost, vhost->cert ? "host-ssl-key" : "host-ssl-cert", "",
			"a certificate needs its key, and a key its certificate", error);
	if (SSL_CTX_use_certificate_chain_file(context, vhost->cert) != 1)
		return push_tls_fail(vhost, "host-ssl-cert", vhost->cert, NULL, error);
	key = read_key(vhost->key);
	if (!key)
		return push_tls_fail(vhost, "host-ssl-key", vhost->key, NULL, error);
	if (!X509_check_private_key(SSL_CTX_get0_certificate(context), key))
		status = push_tls_fail(
			vhost, "host-ssl-key", vhost->key, "does not belong to the certificate", error);
	else if (SSL_CTX_use_PrivateKey(context, key) != 1)
		status = push_tls_fail(vhost, "host-ssl-key", vhost->key, NULL, error);
	EVP_PKEY_free(key);
	return status;
}

/* What a session depends on: it is resumed where all of it is the same.  OpenSSL compares it. */
static bool
set_session_scope(SSL_CTX *context, const struct push_tls_vhost *vhost)
{
	unsigned char bytes[4096], scope[SSL_MAX_SID_CTX_LENGTH];
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	BIO *file = vhost->ca ? open_file(vhost->ca) : NULL;
	int size = 0;
	bool is_set;

	is_set =
		digest && (file || !vhost->ca) && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) &&
		EVP_DigestUpdate(digest, vhost->name, strlen(vhost->name) + 1) &&
		EVP_DigestUpdate(digest, &vhost->requires_client_cert, sizeof(vhost->requires_client_cert)) &&
		EVP_DigestUpdate(digest, &vhost->asks_client_cert, sizeof(vhost->asks_client_cert));
	while (is_set && file && (size = BIO_read(file, bytes, sizeof(bytes))) > 0)
		is_set = EVP_DigestUpdate(digest, bytes, (size_t)size);
	is_set = is_set && EVP_DigestFinal_ex(digest, scope, NULL) &&
		 SSL_CTX_set_session_id_context(context, scope, sizeof(scope));
	EVP_MD_CTX_free(digest);
	BIO_free(file);
	return is_set;
}

enum push_status
push_tls_ca_use(SSL_CTX *context, const struct push_tls_vhost *vhost, struct push_error *error)
{
	if (vhost->ca && SSL_CTX_load_verify_file(context, vhost->ca) != 1)
		return push_tls_fail(vhost, "host-ssl-ca", vhost->ca, NULL, error);
	if (vhost->ca) /* browsers offer their user those certificates only that these have issued */
		SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(vhost->ca));
	if (!set_session_scope(context, vhost))
		return push_tls_fail(vhost, "host-ssl-ca", vhost->ca ? vhost->ca : "", NULL, error);
	if (vhost->requires_client_cert)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	else if (vhost->asks_client_cert && vhost->ca)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return PUSH_OK;
}

void
push_tls_stamp_read(const struct push_tls_vhost *vhost, struct push_tls_stamp *ret)
{
	const char *const paths[] = {vhost->cert, vhost->key, vhost->ca};

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct stat about;

		if (!paths[i])
			continue;
		if (stat(paths[i], &about)) {
			ret->files[i].error = errno;
			continue;
		}
		ret->files[i].device = about.st_dev;
		ret->files[i].inode = about.st_ino;
		ret->files[i].size = about.st_size;
		ret->files[i].modified = about.st_mtim;
		ret->files[i].changed = about.st_ctim;
	}
}

static bool
is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool
push_tls_stamp_is(const struct push_tls_stamp *a, const struct push_tls_stamp *b)
{
	for (size_t i = 0; i < sizeof(a->files) / sizeof(a->files[0]); i++)
		if (a->files[i].error != b->files[i].error || a->files[i].device != b->files[i].device ||
			a->files[i].inode != b->files[i].inode || a->files[i].size != b->files[i].size ||
			!is_same_time(&a->files[i].modified, &b->files[i].modified) ||
			!is_same_time(&a->files[i].changed, &b->files[i].changed))
			return false;
	return true;
}

bool
push_tls_stamp_is_hidden(const struct push_tls_stamp *stamp)
{
	for (size_t i = 0; i < sizeof(stamp->files) / sizeof(stamp->files[0]); i++)
		if (stamp->files[i].error == EACCES)
			return true;
	return false;
}

int64_t
push_tls_expiry_s(const SSL_CTX *context)
{
	const X509 *x509 = SSL_CTX_get0_certificate(context);
	struct tm when;

	return x509 && ASN1_TIME_to_tm(X509_get0_notAfter(x509), &when) ? timegm(&when) : 0;
}
