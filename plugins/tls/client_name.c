/* client_name.c - see client_name.h. */
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "core/utf8.h"
#include "tls/client_name.h"

static bool
take(struct push_tls_client *client, const void *text, size_t size)
{
	if (!size || size > sizeof(client->user) || !push_utf8_is_valid(text, size) ||
		push_utf8_has_control(text, size))
		return false;
	memcpy(client->user, text, size);
	client->user_size = size;
	return true;
}

/* As RFC 4514 writes it: the last part of the name comes first, and special characters are escaped. */
static bool
take_subject(struct push_tls_client *client, const X509_NAME *subject)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool is_taken = false;
	char *text;
	long size;

	if (bio && X509_NAME_print_ex(bio, subject, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		size = BIO_get_mem_data(bio, &text);
		is_taken = size > 0 && take(client, text, (size_t)size);
	}
	BIO_free(bio);
	return is_taken;
}

static bool
take_common_name(struct push_tls_client *client, const X509_NAME *subject)
{
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), size;
	const ASN1_STRING *data;
	unsigned char *text;
	bool is_taken;

	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return take_subject(client, subject);
	data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	if (!ASN1_STRING_length(data))
		return take_subject(client, subject);
	size = ASN1_STRING_to_UTF8(&text, data);
	if (size < 0)
		return false;
	is_taken = take(client, text, (size_t)size);
	OPENSSL_free(text);
	return is_taken;
}

/* All three kinds are IA5Strings (RFC 5280, 4.2.1.6). */
static bool
take_alternative(struct push_tls_client *client, const X509 *certificate, int kind)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	const ASN1_STRING *found = NULL;
	bool is_taken = false;
	int count = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != kind)
			continue;
		found = name->d.ia5;
		count++;
	}
	if (count == 1)
		is_taken = take(client, ASN1_STRING_get0_data(found), (size_t)ASN1_STRING_length(found));
	GENERAL_NAMES_free(names);
	return is_taken;
}

static bool
take_name(struct push_tls_client *client, const X509 *certificate, enum push_certificate_name name)
{
	switch (name) {
	case PUSH_CERTIFICATE_NAME_CN: return take_common_name(client, X509_get_subject_name(certificate));
	case PUSH_CERTIFICATE_NAME_SUBJECT: return take_subject(client, X509_get_subject_name(certificate));
	case PUSH_CERTIFICATE_NAME_DNS: return take_alternative(client, certificate, GEN_DNS);
	case PUSH_CERTIFICATE_NAME_EMAIL: return take_alternative(client, certificate, GEN_EMAIL);
	case PUSH_CERTIFICATE_NAME_URI: return take_alternative(client, certificate, GEN_URI);
	default: return false;
	}
}

static bool
read_time(const ASN1_TIME *time, int64_t *ret_s)
{
	struct tm parts;

	if (!ASN1_TIME_to_tm(time, &parts))
		return false;
	*ret_s = timegm(&parts);
	return true;
}

bool
push_tls_client_read(
	const struct x509_st *certificate, enum push_certificate_name name, struct push_tls_client *ret)
{
	bool is_read = take_name(ret, certificate, name) &&
		       read_time(X509_get0_notBefore(certificate), &ret->from_s) &&
		       read_time(X509_get0_notAfter(certificate), &ret->until_s);

	ERR_clear_error();
	return is_read;
}
