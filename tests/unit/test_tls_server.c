/* What a port with TLS shows and allows, to OpenSSL's own client over a pair of memory BIOs. */
#include "unit.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include "certificate_maker.h"
#include "tls/server_context.h"

#define YEAR 31536000L

/* One folder with the files of all tests. */
static struct {
	char folder[64];
	struct certificate ca, other_ca, push, example, client, stranger;
} files;

/* Of a ring, so that several may be in use. */
static const char *
path_of(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % COUNT(paths)];

	snprintf(path, PATH_MAX, "%s/%s", files.folder, name);
	return path;
}

static void
write_pair(const struct certificate *certificate, const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.pem", name);
	certificate_write(certificate, &files.ca, path_of(file));
	snprintf(file, sizeof(file), "%s.key", name);
	certificate_write_key(certificate, path_of(file));
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(files.folder, "/tmp/push-tls-XXXXXX");
	assert_non_null(mkdtemp(files.folder));
	certificate_init(&files.ca, "Test CA", NULL, YEAR);
	certificate_init(&files.other_ca, "Other CA", NULL, YEAR);
	certificate_init(&files.push, "push.test", &files.ca, YEAR);
	certificate_init(&files.example, "example.test", &files.ca, YEAR);
	certificate_init(&files.client, "client-1", &files.ca, YEAR);
	certificate_init(&files.stranger, "client-1", &files.other_ca, YEAR);
	write_pair(&files.push, "push");
	write_pair(&files.example, "example");
	certificate_write(&files.ca, NULL, path_of("ca.pem"));
	return 0;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", files.folder);
	certificate_fini(&files.ca);
	certificate_fini(&files.other_ca);
	certificate_fini(&files.push);
	certificate_fini(&files.example);
	certificate_fini(&files.client);
	certificate_fini(&files.stranger);
	return system(command);
}

/* --- a server and a client --- */

static struct push_tls_vhost
vhost_of(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned int next;
	char *cert = paths[next++ % COUNT(paths)], *key = paths[next++ % COUNT(paths)];

	snprintf(cert, PATH_MAX, "%s/%s.pem", files.folder, name);
	snprintf(key, PATH_MAX, "%s/%s.key", files.folder, name);
	return (struct push_tls_vhost){.name = name, .cert = cert, .key = key, .alpn = "h2,http/1.1"};
}

static struct push_tls_server *
server_of(const struct push_tls_vhost *vhosts, size_t count)
{
	struct push_error error = {.text = ""};
	struct push_tls_server *server = push_tls_server_create(vhosts, count, &error);

	assert_string_equal(error.text, "");
	assert_non_null(server);
	return server;
}

static void
assert_refused(const struct push_tls_vhost *vhost, const char *why)
{
	struct push_error error = {.text = ""};

	assert_null(push_tls_server_create(vhost, 1, &error));
	if (!strstr(error.text, why))
		fail_msg("'%s' is not in '%s'", why, error.text);
	assert_int_equal(ERR_peek_error(), 0);
}

struct pair {
	SSL_CTX *context; /* of the client */
	SSL *client, *server;
};

static SSL_CTX *
client_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	assert_non_null(context);
	assert_true(SSL_CTX_load_verify_file(context, path_of("ca.pem")));
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return context;
}

/* `context` is the pair's from here on. */
static struct pair
pair_of(const struct push_tls_server *server, SSL_CTX *context)
{
	struct pair pair = {context, SSL_new(context), SSL_new(push_tls_server_context(server))};
	BIO *client_side, *server_side;

	assert_true(BIO_new_bio_pair(&client_side, 0, &server_side, 0));
	SSL_set_bio(pair.client, client_side, client_side);
	SSL_set_bio(pair.server, server_side, server_side);
	SSL_set_connect_state(pair.client);
	SSL_set_accept_state(pair.server);
	return pair;
}

static void
pair_end(struct pair *pair)
{
	SSL_free(pair->client);
	SSL_free(pair->server);
	SSL_CTX_free(pair->context);
	ERR_clear_error();
}

static bool
is_waiting(const SSL *ssl, int result)
{
	return SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
}

/* Returns whether both are done with it. */
static bool
shake_hands(struct pair *pair)
{
	int at_client = 0, at_server = 0;

	for (int turn = 0; turn < 10 && (at_client != 1 || at_server != 1); turn++) {
		at_client = SSL_do_handshake(pair->client);
		if (at_client != 1 && !is_waiting(pair->client, at_client))
			return false;
		at_server = SSL_do_handshake(pair->server);
		if (at_server != 1 && !is_waiting(pair->server, at_server))
			return false;
	}
	return at_client == 1 && at_server == 1;
}

/* Tickets of TLS 1.3, and whether the server has accepted the client's certificate, come with the first bytes. */
static bool
says_hello(struct pair *pair)
{
	char bytes[8];

	return SSL_write(pair->server, "hello", 5) == 5 &&
	       SSL_read(pair->client, bytes, sizeof(bytes)) == 5 && !memcmp(bytes, "hello", 5);
}

/* The subject of the certificate that a client gets who names `name`; NULL: it names none. */
static const char *
certificate_for(const struct push_tls_server *server, const char *name)
{
	static char subject[64];
	struct pair pair = pair_of(server, client_context());
	X509 *x509;

	if (name)
		assert_true(SSL_set_tlsext_host_name(pair.client, name));
	assert_true(shake_hands(&pair));
	x509 = SSL_get0_peer_certificate(pair.client);
	assert_true(X509_NAME_get_text_by_NID(
			    X509_get_subject_name(x509), NID_commonName, subject, sizeof(subject)) > 0);
	pair_end(&pair);
	return subject;
}

/* --- what is served --- */

static void
shows_its_certificate_with_the_chain(void **state)
{
	struct push_tls_vhost vhost = vhost_of("push");
	struct push_tls_server *server = server_of(&vhost, 1);
	struct pair pair = pair_of(server, client_context());

	(void)state;
	assert_true(shake_hands(&pair));
	assert_true(says_hello(&pair));
	assert_int_equal(SSL_get_verify_result(pair.client), X509_V_OK);
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(pair.client)), 2);
	pair_end(&pair);
	assert_string_equal(certificate_for(server, NULL), "push.test");
	assert_string_equal(certificate_for(server, "nobody.test"), "push.test");
	push_tls_server_destroy(server);
}

static void
speaks_tls_1_2_and_1_3_only(void **state)
{
	static const struct {
		int version;
		bool is_spoken;
	} rows[] = {{TLS1_3_VERSION, true}, {TLS1_2_VERSION, true}, {TLS1_1_VERSION, false},
		{TLS1_VERSION, false}};
	struct push_tls_vhost vhost = vhost_of("push");
	struct push_tls_server *server = server_of(&vhost, 1);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		SSL_CTX *context = client_context();
		struct pair pair;

		SSL_CTX_set_security_level(context, 0);
		assert_true(SSL_CTX_set_min_proto_version(context, rows[i].version));
		assert_true(SSL_CTX_set_max_proto_version(context, rows[i].version));
		pair = pair_of(server, context);
		assert_int_equal(shake_hands(&pair), rows[i].is_spoken);
		if (rows[i].is_spoken)
			assert_int_equal(SSL_version(pair.client), rows[i].version);
		pair_end(&pair);
	}
	push_tls_server_destroy(server);
}

static void
chooses_the_protocol_that_it_prefers(void **state)
{
	static const struct {
		const char *alpn, *offered, *chosen;
	} rows[] = {
		{"h2,http/1.1", "\x08http/1.1\x02h2", "h2"},
		{"h2,http/1.1", "\x08http/1.1", "http/1.1"},
		{"http/1.1, h2", "\x02h2\x08http/1.1", "http/1.1"},
		{"http/1.1", "\x02h2\x08http/1.1", "http/1.1"},
		{"http/1.1", "\x02h2", ""},
		{"h2,http/1.1", "", ""},
		{"", "\x02h2", ""},
		{NULL, "\x02h2", ""},
		{",h2,", "\x02h2", "h2"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_tls_vhost vhost = vhost_of("push");
		struct push_tls_server *server;
		struct pair pair;
		const unsigned char *chosen;
		unsigned int size;

		vhost.alpn = rows[i].alpn;
		server = server_of(&vhost, 1);
		pair = pair_of(server, client_context());
		assert_int_equal(SSL_set_alpn_protos(pair.client, (const unsigned char *)rows[i].offered,
					 (unsigned int)strlen(rows[i].offered)),
			0);
		assert_true(shake_hands(&pair));
		SSL_get0_alpn_selected(pair.client, &chosen, &size);
		assert_int_equal(size, strlen(rows[i].chosen));
		assert_true(!size || !memcmp(chosen, rows[i].chosen, size));
		pair_end(&pair);
		push_tls_server_destroy(server);
	}
}

/* --- what is refused --- */

static void
names_the_key_and_the_value_that_it_cannot_use(void **state)
{
	struct push_tls_vhost vhost = vhost_of("push");

	(void)state;
	vhost.cert = path_of("missing.pem");
	assert_refused(&vhost, "vhost push: host-ssl-cert=");
	assert_refused(&vhost, "missing.pem: No such file or directory");
	vhost = vhost_of("push");
	vhost.cert = files.folder;
	assert_refused(&vhost, "host-ssl-cert=");
	vhost = vhost_of("push");
	vhost.cert = vhost.key;
	assert_refused(&vhost, "no start line");
	vhost = vhost_of("push");
	vhost.key = files.folder;
	assert_refused(&vhost, "host-ssl-key=/tmp");
	vhost = vhost_of("push");
	vhost.key = path_of("example.key");
	assert_refused(&vhost, "example.key: does not belong to the certificate");
	vhost = vhost_of("push");
	vhost.ciphers = "NONE-SUCH";
	assert_refused(&vhost, "ciphers=NONE-SUCH: no cipher match");
	vhost = vhost_of("push");
	vhost.tls13_ciphers = "NONE-SUCH";
	assert_refused(&vhost, "tls13-ciphers=NONE-SUCH: no cipher match");
	vhost = vhost_of("push");
	vhost.curve = "p-none";
	assert_refused(&vhost, "ecdh-curve=p-none: unknown");
	vhost = vhost_of("push");
	vhost.ca = path_of("push.key");
	assert_refused(&vhost, "host-ssl-ca=");
	vhost = vhost_of("push");
	vhost.alpn = "a-protocol-with-a-very-long-name,h2";
	assert_refused(&vhost, "alpn=a-protocol-with-a-very-long-name,h2: too long");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_its_certificate_with_the_chain),
		cmocka_unit_test(speaks_tls_1_2_and_1_3_only),
		cmocka_unit_test(chooses_the_protocol_that_it_prefers),
		cmocka_unit_test(names_the_key_and_the_value_that_it_cannot_use),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
