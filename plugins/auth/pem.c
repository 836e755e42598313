/* pem.c - see pem.h. */
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "pem.h"

struct block {
	char *name;
	char *header;
	unsigned char *bytes;
	long size;
};

static void
free_block(struct block *block)
{
	OPENSSL_free(block->name);
	OPENSSL_free(block->header);
	if (block->bytes)
		OPENSSL_clear_free(block->bytes, (size_t)block->size);
}

/* NULL for what is none of the three, or malformed. */
static EVP_PKEY *
decode(const struct block *block)
{
	const unsigned char *at = block->bytes;
	EVP_PKEY *pkey;
	X509 *certificate;

	if (!strcmp(block->name, PEM_STRING_PUBLIC))
		return d2i_PUBKEY(NULL, &at, block->size);
	if (!strcmp(block->name, PEM_STRING_RSA_PUBLIC))
		return d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, block->size);
	if (strcmp(block->name, PEM_STRING_X509) != 0)
		return NULL;
	certificate = d2i_X509(NULL, &at, block->size);
	if (!certificate)
		return NULL;
	pkey = X509_get_pubkey(certificate);
	X509_free(certificate);
	return pkey;
}

static enum push_status
fail(struct push_error *error, const char *text)
{
	snprintf(error->text, sizeof(error->text), "%s", text);
	return PUSH_INVALID;
}

static enum push_status
read_block(const struct block *block, struct push_key **ret_key, struct push_error *error)
{
	static const struct push_key_facts none;
	EVP_PKEY *pkey;

	if (strstr(block->name, "PRIVATE KEY"))
		return fail(error,
			"a private key; Push must have the public key only (openssl pkey -in FILE -pubout)");
	pkey = decode(block);
	if (pkey)
		return push_key_create(pkey, &none, ret_key, error);
	snprintf(error->text, sizeof(error->text), "'%.40s' is not a public key or a certificate",
		block->name);
	return PUSH_INVALID;
}

static enum push_status
read_blocks(BIO *bio, enum push_status (*found)(void *context, struct push_key *key), void *context,
	struct push_error *error)
{
	enum push_status status = PUSH_OK;
	size_t count = 0;

	while (status == PUSH_OK) {
		struct block block = {.name = NULL};
		struct push_key *key;

		if (PEM_read_bio(bio, &block.name, &block.header, &block.bytes, &block.size) != 1) {
			if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE || !count)
				status = fail(error, "a PEM block is malformed");
			break;
		}
		count++;
		/* what `openssl ecparam -genkey` writes in front of a key */
		if (strcmp(block.name, PEM_STRING_ECPARAMETERS) != 0) {
			status = read_block(&block, &key, error);
			if (status == PUSH_OK)
				status = found(context, key);
		}
		free_block(&block);
	}
	return status;
}

enum push_status
push_pem_read(struct push_str text, enum push_status (*found)(void *context, struct push_key *key),
	void *context, struct push_error *error)
{
	enum push_status status;
	BIO *bio;

	if (text.size > INT_MAX)
		return PUSH_INVALID;
	ERR_clear_error();
	bio = BIO_new_mem_buf(text.bytes, (int)text.size);
	status = bio ? read_blocks(bio, found, context, error) : PUSH_OUT_OF_MEMORY;
	BIO_free(bio);
	ERR_clear_error();
	return status;
}
