/* token_key.c - push token key: a new private key, and the public one beside it. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "say.h"
#include "token_files.h"
#include "token_key.h"
#include "token_signer.h"

#define PRIVATE_MODE  0600
#define PUBLIC_MODE   0644
#define PUBLIC_SUFFIX ".pub"

static bool
is_pem(const char *path)
{
	size_t size = strlen(path);

	return size > 4 && !strcmp(path + size - 4, ".pem");
}

static bool
append_private(const struct token_signer *signer, const char *path, struct push_buf *to)
{
	bool is_made;

	if (is_pem(path))
		return token_signer_append_pem(signer, to);
	is_made = token_signer_append_jwk(signer, true, to);
	push_buf_append(to, "\n", 1);
	return is_made && to->status == PUSH_OK;
}

static bool
append_public(const struct token_signer *signer, struct push_buf *to)
{
	bool is_made;

	push_buf_append_text(to, "{\"keys\":[");
	is_made = token_signer_append_jwk(signer, false, to);
	push_buf_append_text(to, "]}\n");
	return is_made && to->status == PUSH_OK;
}

/* The path that an option of a server takes, whatever its folder is. */
static void
print_path(const char *what, const char *path, const char *for_what)
{
	char *whole = realpath(path, NULL);

	printf("%-8s %s\n         %s\n", what, whole ? whole : path, for_what);
	free(whole);
}

static void
report(const struct token_signer *signer, const char *path, const char *public_path)
{
	char line[128];

	snprintf(line, sizeof(line), "%s, kid %s; readable by you only: for the server that makes tokens",
		push_key_algorithm_name(signer->algorithm), signer->id);
	if (!signer->pkey) {
		snprintf(line, sizeof(line),
			"HS256, kid %s; readable by you only: for the server that makes tokens,\n"
			"         and for push.auth.keys",
			signer->id);
		print_path("secret", path, line);
		return;
	}
	print_path("private", path, line);
	print_path("public", public_path, "for push.auth.keys");
}

static bool
write_files(const struct token_signer *signer, const char *path, const char *public_path)
{
	struct push_buf private_text, public_text;
	bool is_written;

	push_buf_init(&private_text, TOKEN_KEY_FILE_BYTES_MAX);
	push_buf_init(&public_text, TOKEN_KEY_FILE_BYTES_MAX);
	is_written = append_private(signer, path, &private_text) && append_public(signer, &public_text);
	if (!is_written)
		say("OpenSSL cannot write the key");
	is_written = is_written && token_write_new(path, PRIVATE_MODE, &private_text);
	if (is_written && signer->pkey && !token_write_new(public_path, PUBLIC_MODE, &public_text)) {
		unlink(path);
		is_written = false;
	}
	/* of a secret it is the same */
	if (private_text.bytes)
		OPENSSL_cleanse(private_text.bytes, private_text.capacity);
	if (public_text.bytes)
		OPENSSL_cleanse(public_text.bytes, public_text.capacity);
	push_buf_fini(&private_text);
	push_buf_fini(&public_text);
	return is_written;
}

enum cli_exit
token_key_run(const struct cli_arguments *arguments)
{
	const char *name = arguments->alg ? arguments->alg : "ES256", *path = arguments->out;
	enum push_key_algorithm algorithm;
	struct token_signer signer;
	struct push_error error;
	char *public_path;
	bool is_done;

	if (!push_key_algorithm_parse((struct push_str){name, strlen(name)}, &algorithm)) {
		say("--alg %s: must be ES256, ES384, EdDSA, RS256, PS256 or HS256", name);
		return CLI_USAGE;
	}
	if (!path || !*path) {
		say("--out FILE: say where the private key goes");
		return CLI_USAGE;
	}
	if (algorithm == PUSH_KEY_HS256 && is_pem(path)) {
		say("--out %s: a secret has no PEM; choose a name that does not end with .pem", path);
		return CLI_USAGE;
	}
	if (!token_is_id(arguments->kid))
		return CLI_USAGE;
	if (!token_signer_generate(&signer, algorithm, &error)) {
		say("%s", error.text);
		return CLI_NO;
	}
	if (arguments->kid)
		snprintf(signer.id, sizeof(signer.id), "%s", arguments->kid);
	public_path = malloc(strlen(path) + sizeof(PUBLIC_SUFFIX));
	is_done = public_path != NULL;
	if (is_done) {
		sprintf(public_path, "%s" PUBLIC_SUFFIX, path);
		is_done = write_files(&signer, path, public_path);
	}
	if (is_done)
		report(&signer, path, public_path);
	free(public_path);
	token_signer_fini(&signer);
	return is_done ? CLI_DONE : CLI_NO;
}
