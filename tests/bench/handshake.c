/*
 * handshake.c - what a TLS handshake costs a server, and which part of it is cryptography that nobody can leave out.
 *
 * Client and server are two SSL objects of one process with memory between them: no kernel, no HTTP.  Only the server's
 * half is timed, from SSL_new() to SSL_free(), with the ticket that it sends.  Beside it the operations that its
 * handshake is made of are timed alone.
 *
 * usage: handshake CERTIFICATE KEY [COUNT]
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COUNT     1000
#define PIPE_SIZE 65536

/* Of the version's full and resumed handshakes. */
struct costs {
	double full_us, resumed_us;
};

static SSL_SESSION *session; /* the newest that the client got */

_Noreturn static void
die(const char *what)
{
	fprintf(stderr, "handshake: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

/* CPU time of this thread, so that others on the machine are not counted. */
static double
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int
keep_session(SSL *ssl, SSL_SESSION *fresh)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = fresh;
	return 1;
}

static SSL_CTX *
make_context(const SSL_METHOD *method, int version)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (!context || !SSL_CTX_set_min_proto_version(context, version) ||
		!SSL_CTX_set_max_proto_version(context, version) ||
		!SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
		!SSL_CTX_set_cipher_list(context, "ECDHE+AES128+AESGCM"))
		die("context");
	return context;
}

static SSL_CTX *
make_server(int version, const char *certificate, const char *key)
{
	SSL_CTX *context = make_context(TLS_server_method(), version);

	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
		SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		die("certificate or key");
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 1);
	return context;
}

static SSL_CTX *
make_client(int version)
{
	SSL_CTX *context = make_context(TLS_client_method(), version);

	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	return context;
}

/* One handshake; returns what it cost the server. */
static double
shake_hands(SSL_CTX *server_context, SSL_CTX *client_context, bool resumes)
{
	SSL *client = SSL_new(client_context), *server;
	BIO *near, *far;
	double spent_us, begun_us = now_us();
	char byte;

	server = SSL_new(server_context);
	spent_us = now_us() - begun_us;
	if (!client || !server || !BIO_new_bio_pair(&near, PIPE_SIZE, &far, PIPE_SIZE))
		die("memory");
	SSL_set_bio(client, near, near);
	SSL_set_bio(server, far, far);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	if (resumes && !SSL_set_session(client, session))
		die("session");
	for (int i = 0; i < 4; i++) {
		SSL_do_handshake(client);
		begun_us = now_us();
		SSL_do_handshake(server);
		spent_us += now_us() - begun_us;
	}
	SSL_read(client, &byte, 1); /* the ticket */
	if (!SSL_is_init_finished(client) || !SSL_is_init_finished(server) ||
		SSL_session_reused(server) != resumes)
		die("the handshake has not ended as wanted");
	/* or its session would count as broken, and could not be resumed */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	begun_us = now_us();
	SSL_free(server);
	return spent_us + now_us() - begun_us;
}

static struct costs
measure(int version, const char *certificate, const char *key, int count)
{
	SSL_CTX *server = make_server(version, certificate, key), *client = make_client(version);
	struct costs costs = {0};

	shake_hands(server, client, false);
	for (int i = 0; i < count; i++) {
		costs.full_us += shake_hands(server, client, false) / count;
		costs.resumed_us += shake_hands(server, client, true) / count;
	}
	SSL_SESSION_free(session);
	session = NULL;
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	return costs;
}

static double
measure_sign(const char *key_file, int count)
{
	FILE *file = fopen(key_file, "re");
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
	unsigned char text[130] = {0}, signature[512]; /* as long as what a server signs (RFC 8446, 4.4.3) */
	double begun_us;

	if (!key)
		die(key_file);
	fclose(file);
	begun_us = now_us();
	for (int i = 0; i < count; i++) {
		EVP_MD_CTX *context = EVP_MD_CTX_new();
		size_t size = sizeof(signature);

		if (!context || !EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) ||
			!EVP_DigestSign(context, signature, &size, text, sizeof(text)))
			die("sign");
		EVP_MD_CTX_free(context);
	}
	begun_us = now_us() - begun_us;
	EVP_PKEY_free(key);
	return begun_us / count;
}

/* A key of one's own and the secret with the other's, as each side does in each handshake. */
static double
measure_exchange(const char *name, int count)
{
	const char *group = *name == 'P' ? name : NULL;
	EVP_PKEY *other = group ? EVP_EC_gen(group) : EVP_PKEY_Q_keygen(NULL, NULL, name);
	double begun_us = now_us();

	for (int i = 0; i < count; i++) {
		EVP_PKEY *own = group ? EVP_EC_gen(group) : EVP_PKEY_Q_keygen(NULL, NULL, name);
		EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
		unsigned char secret[64];
		size_t size = sizeof(secret);

		if (!context || EVP_PKEY_derive_init(context) != 1 ||
			EVP_PKEY_derive_set_peer(context, other) != 1 ||
			EVP_PKEY_derive(context, secret, &size) != 1)
			die(name);
		EVP_PKEY_CTX_free(context);
		EVP_PKEY_free(own);
	}
	begun_us = now_us() - begun_us;
	EVP_PKEY_free(other);
	return begun_us / count;
}

static void
print(const char *version, const struct costs *costs, double sign_us, double exchange_us, bool exchanges)
{
	double full_us = sign_us + exchange_us, resumed_us = exchanges ? exchange_us : 0;

	printf("%-8s full    %6.0f us, of it %4.0f sign, %4.0f key exchange, %4.0f the rest\n", version,
		costs->full_us, sign_us, exchange_us, costs->full_us - full_us);
	printf("%-8s resumed %6.0f us, of it    0 sign, %4.0f key exchange, %4.0f the rest\n", version,
		costs->resumed_us, resumed_us, costs->resumed_us - resumed_us);
}

int
main(int argc, char **argv)
{
	int count = argc > 3 ? atoi(argv[3]) : COUNT;
	double sign_us, exchange_us;
	struct costs costs;

	if (argc < 3 || count < 1)
		die("usage: handshake CERTIFICATE KEY [COUNT]");
	sign_us = measure_sign(argv[2], count);
	exchange_us = measure_exchange("X25519", count);
	printf("sign %.0f us, X25519 %.0f us, P-256 %.0f us\n", sign_us, exchange_us,
		measure_exchange("P-256", count));
	costs = measure(TLS1_3_VERSION, argv[1], argv[2], count);
	print("TLS 1.3", &costs, sign_us, exchange_us, true);
	costs = measure(TLS1_2_VERSION, argv[1], argv[2], count);
	print("TLS 1.2", &costs, sign_us, exchange_us, false);
	return 0;
}
