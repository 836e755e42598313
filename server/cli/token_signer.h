/*
 * token_signer.h - private keys: made, written to a file, read from one, and used.  Only the command line has
 * them; a server verifies.
 *
 * A key file is a JWK (RFC 7517), a set with one private key, or PEM (PKCS #8 and what OpenSSL reads besides).
 */
#ifndef PUSH_CLI_TOKEN_SIGNER_H
#define PUSH_CLI_TOKEN_SIGNER_H

#include <openssl/types.h>

#include "auth/key.h"
#include "auth/limits.h"
#include "core/buf.h"

/* A key file, and what is made of one: RSA with 8192 bits takes 7 kB. */
#define TOKEN_KEY_FILE_BYTES_MAX (256u * 1024)

struct token_signer {
	enum push_key_algorithm algorithm;
	EVP_PKEY *pkey; /* owned; NULL: it is a secret */
	unsigned char secret[PUSH_KEY_SECRET_BYTES_MAX];
	size_t secret_size;
	char id[PUSH_KEY_ID_BYTES_MAX + 1]; /* `kid`; "": none */
};

/* token_signer_generate - a new key; its id is its thumbprint (RFC 7638), of a secret a random text.  Returns
 * false with a line in `error`. */
bool
token_signer_generate(
	struct token_signer *ret_signer, enum push_key_algorithm algorithm, struct push_error *error);

/*
 * token_signer_read - the private key in a file.
 *
 * @algorithm: for an RSA key whose file does not say RS256 or PS256; NULL: RS256.
 * @id: the key of a set to take, and the id in place of the file's; NULL: as the file says.
 */
bool
token_signer_read(struct token_signer *ret_signer, const char *path, const char *algorithm, const char *id,
	struct push_error *error);

/* token_signer_set_thumbprint - make its id of its public key. */
bool
token_signer_set_thumbprint(struct token_signer *signer);

/* token_signer_fini - free it, and wipe what is secret. */
void
token_signer_fini(struct token_signer *signer);

/* token_signer_append_jwk - the key as JSON, with its private part or without; of a secret there is no other. */
bool
token_signer_append_jwk(const struct token_signer *signer, bool is_private, struct push_buf *to);

/* token_signer_append_pem - the private key in PEM; false: a secret, or out of memory. */
bool
token_signer_append_pem(const struct token_signer *signer, struct push_buf *to);

/* token_signer_sign - append the signature of a text, in base64url. */
bool
token_signer_sign(const struct token_signer *signer, struct push_str text, struct push_buf *to);

/* token_append_base64url - append bytes as RFC 7515 (2) has it. */
void
token_append_base64url(struct push_buf *to, const void *bytes, size_t size);

#endif
