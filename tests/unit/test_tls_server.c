/* What a port with TLS shows and allows, to OpenSSL's own client over a pair of memory BIOs. */
#include "unit.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <time.h>

#include "certificate_maker.h"
#include "tls/server_context.h"
#include "tls/ticket_keys.h"

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
server_with(const struct push_tls_vhost *vhosts, size_t count, const struct push_tls_ticket_keys *keys)
{
	struct push_error error = {.text = ""};
	struct push_tls_server *server = push_tls_server_create(vhosts, count, keys, &error);

	assert_string_equal(error.text, "");
	assert_non_null(server);
	return server;
}

static struct push_tls_server *
server_of(const struct push_tls_vhost *vhosts, size_t count)
{
	return server_with(vhosts, count, NULL);
}

static void
assert_refused(const struct push_tls_vhost *vhost, const char *why)
{
	struct push_error error = {.text = ""};

	assert_null(push_tls_server_create(vhost, 1, NULL, &error));
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
	struct push_tls_server *server;

	(void)state;
	vhost.ciphers = "ALL:@SECLEVEL=0"; /* older ones would be possible by it */
	server = server_of(&vhost, 1);
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

/* --- SNI --- */

static void
answers_with_the_certificate_of_the_vhost_that_is_named(void **state)
{
	static const struct {
		const char *name, *subject;
	} rows[] = {
		{"push.test", "push.test"},
		{"example.test", "example.test"},
		{"EXAMPLE.Test", "example.test"},
		{"www.example.test", "example.test"}, /* as lws does it */
		{".example.test", "push.test"},
		{"wwwexample.test", "push.test"},
		{"example.tes", "push.test"},
		{"example.test.org", "push.test"},
		{"", NULL},
	};
	struct push_tls_vhost vhosts[2];
	struct push_tls_server *server;

	(void)state;
	vhosts[0] = vhost_of("push");
	vhosts[1] = vhost_of("example");
	vhosts[0].name = "push.test";
	vhosts[1].name = "example.test";
	server = server_of(vhosts, COUNT(vhosts));
	for (size_t i = 0; rows[i].subject; i++)
		assert_string_equal(certificate_for(server, rows[i].name), rows[i].subject);
	assert_string_equal(certificate_for(server, NULL), "push.test");
	push_tls_server_destroy(server);
}

static void
holds_to_the_settings_of_the_vhost_that_is_named(void **state)
{
	struct push_tls_vhost vhosts[2];
	struct push_tls_server *server;
	const unsigned char *chosen;
	unsigned int size;
	struct pair pair;

	(void)state;
	vhosts[0] = vhost_of("push");
	vhosts[1] = vhost_of("example");
	vhosts[1].name = "example.test";
	vhosts[1].alpn = "http/1.1";
	vhosts[1].options_set = SSL_OP_NO_TLSv1_3;
	vhosts[1].curve = "P-384";
	server = server_of(vhosts, COUNT(vhosts));
	pair = pair_of(server, client_context());
	assert_true(SSL_set_tlsext_host_name(pair.client, "example.test"));
	assert_false(SSL_set_alpn_protos(pair.client, (const unsigned char *)"\x02h2\x08http/1.1", 12));
	assert_true(shake_hands(&pair));
	assert_int_equal(SSL_version(pair.client), TLS1_2_VERSION);
	assert_int_equal(SSL_get_negotiated_group(pair.client), NID_secp384r1);
	SSL_get0_alpn_selected(pair.client, &chosen, &size);
	assert_int_equal(size, 8);
	pair_end(&pair);
	push_tls_server_destroy(server);
}

/* --- certificates of clients --- */

static SSL_CTX *
client_with(const struct certificate *certificate)
{
	SSL_CTX *context = client_context();

	assert_true(SSL_CTX_use_certificate(context, certificate->x509));
	assert_true(SSL_CTX_use_PrivateKey(context, certificate->key));
	return context;
}

static bool
is_admitted(const struct push_tls_vhost *vhost, SSL_CTX *context, const char **ret_subject)
{
	static char subject[64];
	struct push_tls_server *server = server_of(vhost, 1);
	struct pair pair = pair_of(server, context);
	bool is_admitted = shake_hands(&pair) && says_hello(&pair);
	X509 *x509 = SSL_get0_peer_certificate(pair.server);

	*ret_subject = NULL;
	if (x509 && X509_NAME_get_text_by_NID(
			    X509_get_subject_name(x509), NID_commonName, subject, sizeof(subject)) > 0)
		*ret_subject = subject;
	pair_end(&pair);
	push_tls_server_destroy(server);
	return is_admitted;
}

static void
requires_a_client_certificate_of_its_ca_or_asks_for_one_or_does_neither(void **state)
{
	struct push_tls_vhost none = vhost_of("push"), asked, required;
	const char *subject;

	(void)state;
	asked = required = none;
	asked.ca = required.ca = path_of("ca.pem");
	asked.asks_client_cert = required.requires_client_cert = true;

	assert_true(is_admitted(&none, client_with(&files.client), &subject));
	assert_null(subject);
	assert_true(is_admitted(&asked, client_with(&files.client), &subject));
	assert_string_equal(subject, "client-1");
	assert_true(is_admitted(&asked, client_context(), &subject));
	assert_null(subject);
	assert_false(is_admitted(&asked, client_with(&files.stranger), &subject));
	assert_true(is_admitted(&required, client_with(&files.client), &subject));
	assert_string_equal(subject, "client-1");
	assert_false(is_admitted(&required, client_context(), &subject));
	assert_false(is_admitted(&required, client_with(&files.stranger), &subject));
}

static void
requires_the_certificate_that_the_named_vhost_does(void **state)
{
	struct push_tls_vhost vhosts[2];
	struct push_tls_server *server;
	struct pair pair;

	(void)state;
	vhosts[0] = vhost_of("push");
	vhosts[1] = vhost_of("example");
	vhosts[1].name = "example.test";
	vhosts[1].ca = path_of("ca.pem");
	vhosts[1].requires_client_cert = true;
	server = server_of(vhosts, COUNT(vhosts));
	for (int i = 0; i < 2; i++) {
		pair = pair_of(server, i ? client_with(&files.client) : client_context());
		assert_true(SSL_set_tlsext_host_name(pair.client, "example.test"));
		assert_int_equal(shake_hands(&pair) && says_hello(&pair), i);
		pair_end(&pair);
	}
	push_tls_server_destroy(server);
}

/* --- session tickets --- */

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION **kept = SSL_get_app_data(ssl);

	if (!kept)
		return 0;
	SSL_SESSION_free(*kept);
	*kept = session;
	return 1;
}

static SSL_CTX *
client_of(int version)
{
	SSL_CTX *context = client_context();

	assert_true(SSL_CTX_set_max_proto_version(context, version));
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	return context;
}

/* Connects with a session, and has another one afterwards if the server has sent one.  Returns whether it was resumed. */
static bool
resumes_with(const struct push_tls_server *server, SSL_CTX *context, const char *name, SSL_SESSION **session)
{
	struct pair pair = pair_of(server, context);
	bool is_resumed;

	SSL_set_app_data(pair.client, session);
	if (name)
		assert_true(SSL_set_tlsext_host_name(pair.client, name));
	if (*session)
		assert_true(SSL_set_session(pair.client, *session));
	assert_true(shake_hands(&pair));
	assert_true(says_hello(&pair));
	is_resumed = SSL_session_reused(pair.client);
	/* OpenSSL's client has a renewed ticket of TLS 1.2, and says nothing of it */
	if (SSL_version(pair.client) == TLS1_2_VERSION)
		keep_session(pair.client, SSL_get1_session(pair.client));
	SSL_shutdown(pair.client);
	pair_end(&pair);
	return is_resumed;
}

static bool
resumes(const struct push_tls_server *server, int version, SSL_SESSION **session)
{
	return resumes_with(server, client_of(version), NULL, session);
}

static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};

static void
resumes_sessions_of_all_servers_with_its_keys(void **state)
{
	struct push_tls_vhost vhost = vhost_of("push");
	struct push_tls_ticket_keys *keys = push_tls_ticket_keys_create(0),
				    *others = push_tls_ticket_keys_create(0);
	struct push_tls_server *one = server_with(&vhost, 1, keys), *another = server_with(&vhost, 1, keys),
			       *stranger = server_with(&vhost, 1, others);

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_SESSION *session = NULL;

		assert_false(resumes(one, versions[i], &session));
		assert_non_null(session);
		assert_true(resumes(another, versions[i], &session));
		assert_true(resumes(one, versions[i], &session));
		assert_false(resumes(stranger, versions[i], &session));
		SSL_SESSION_free(session);
	}
	push_tls_server_destroy(one);
	push_tls_server_destroy(another);
	push_tls_server_destroy(stranger);
	push_tls_ticket_keys_destroy(keys);
	push_tls_ticket_keys_destroy(others);
}

static void
opens_tickets_of_keys_before_until_they_are_too_old(void **state)
{
	struct push_tls_vhost vhost = vhost_of("push");
	uint64_t now_us = 1;
	struct push_tls_ticket_keys *keys = push_tls_ticket_keys_create(now_us);
	struct push_tls_server *server = server_with(&vhost, 1, keys);

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_SESSION *old = NULL, *renewed = NULL;

		assert_false(resumes(server, versions[i], &old));
		for (int age = 1; age <= PUSH_TLS_TICKET_KEYS_MAX; age++) {
			SSL_SESSION *copy = SSL_SESSION_dup(old);

			now_us += PUSH_TLS_TICKET_ROTATE_US;
			push_tls_ticket_keys_rotate(keys, now_us - 1); /* not yet */
			push_tls_ticket_keys_rotate(keys, now_us);
			assert_int_equal(resumes(server, versions[i], &copy), age < PUSH_TLS_TICKET_KEYS_MAX);
			if (age == 1)
				renewed = copy;
			else
				SSL_SESSION_free(copy);
		}
		/* what was resumed got a ticket of the newest key then */
		assert_true(resumes(server, versions[i], &renewed));
		SSL_SESSION_free(old);
		SSL_SESSION_free(renewed);
	}
	push_tls_server_destroy(server);
	push_tls_ticket_keys_destroy(keys);
}

static void
resumes_no_session_of_another_vhost_or_another_ca(void **state)
{
	struct push_tls_vhost vhosts[2], other_ca;
	struct push_tls_ticket_keys *keys = push_tls_ticket_keys_create(0);
	struct push_tls_server *server, *changed;

	(void)state;
	vhosts[0] = vhost_of("push");
	vhosts[1] = vhost_of("example");
	vhosts[0].name = "push.test";
	vhosts[1].name = "example.test";
	server = server_with(vhosts, COUNT(vhosts), keys);
	other_ca = vhosts[0];
	other_ca.ca = path_of("ca.pem");
	changed = server_with(&other_ca, 1, keys);
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_SESSION *session = NULL, *copy;

		assert_false(resumes_with(server, client_of(versions[i]), "push.test", &session));
		copy = SSL_SESSION_dup(session);
		assert_true(resumes_with(server, client_of(versions[i]), "push.test", &session));
		assert_false(resumes_with(server, client_of(versions[i]), "example.test", &copy));
		assert_true(resumes_with(server, client_of(versions[i]), "example.test", &copy));
		assert_false(resumes_with(changed, client_of(versions[i]), "push.test", &session));
		SSL_SESSION_free(session);
		SSL_SESSION_free(copy);
	}
	push_tls_server_destroy(server);
	push_tls_server_destroy(changed);
	push_tls_ticket_keys_destroy(keys);
}

static void
a_ticket_of_a_client_with_a_certificate_names_it_still(void **state)
{
	struct push_tls_vhost vhost = vhost_of("push");
	struct push_tls_server *server;

	(void)state;
	vhost.ca = path_of("ca.pem");
	vhost.requires_client_cert = true;
	server = server_of(&vhost, 1);
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_SESSION *session = NULL;
		SSL_CTX *context = client_of(versions[i]);
		struct pair pair;

		assert_true(SSL_CTX_use_certificate(context, files.client.x509));
		assert_true(SSL_CTX_use_PrivateKey(context, files.client.key));
		assert_false(resumes_with(server, context, NULL, &session));
		pair = pair_of(server, client_of(versions[i]));
		SSL_set_app_data(pair.client, &session);
		assert_true(SSL_set_session(pair.client, session));
		assert_true(shake_hands(&pair));
		assert_true(SSL_session_reused(pair.server));
		assert_non_null(SSL_get0_peer_certificate(pair.server));
		assert_int_equal(SSL_get_verify_result(pair.server), X509_V_OK);
		pair_end(&pair);
		SSL_SESSION_free(session);
	}
	push_tls_server_destroy(server);
}

static void
workers_find_the_keys_that_pushd_gives(void **state)
{
	struct push_tls_ticket_keys *keys = push_tls_ticket_keys_create(0), *joined;
	unsigned char name[16];

	(void)state;
	assert_null(push_tls_ticket_keys_join());
	push_tls_ticket_keys_give(keys);
	joined = push_tls_ticket_keys_join();
	assert_non_null(joined);
	memcpy(name, push_tls_ticket_keys_newest(keys)->name, sizeof(name));
	assert_memory_equal(push_tls_ticket_keys_newest(joined), push_tls_ticket_keys_newest(keys),
		sizeof(struct push_tls_ticket_key));
	push_tls_ticket_keys_rotate(keys, PUSH_TLS_TICKET_ROTATE_US);
	assert_memory_equal(push_tls_ticket_keys_newest(joined), push_tls_ticket_keys_newest(keys),
		sizeof(struct push_tls_ticket_key));
	assert_memory_not_equal(push_tls_ticket_keys_newest(joined)->name, name, sizeof(name));
	assert_non_null(push_tls_ticket_keys_find(joined, name));
	/* those of workers are not theirs to change or to erase */
	push_tls_ticket_keys_rotate(joined, 2 * PUSH_TLS_TICKET_ROTATE_US);
	push_tls_ticket_keys_destroy(joined);
	assert_non_null(push_tls_ticket_keys_find(keys, name));
	push_tls_ticket_keys_destroy(keys);
	assert_null(push_tls_ticket_keys_join());
	assert_int_equal(setenv("PUSHD_TLS_TICKETS", "0", 1), 0);
	assert_null(push_tls_ticket_keys_join());
	assert_int_equal(unsetenv("PUSHD_TLS_TICKETS"), 0);
}

static void
a_pushd_that_takes_anothers_place_has_its_keys_and_makes_new_ones(void **state)
{
	struct push_tls_ticket_keys *before = push_tls_ticket_keys_create(0), *after;
	unsigned char name[16];

	(void)state;
	assert_null(push_tls_ticket_keys_inherit(0));
	push_tls_ticket_keys_give(before);
	memcpy(name, push_tls_ticket_keys_newest(before)->name, sizeof(name));
	after = push_tls_ticket_keys_inherit(5);
	assert_non_null(after);
	assert_null(getenv("PUSHD_TLS_TICKETS"));
	/* tickets of before are opened; new ones are sealed by a key of its own, and by another one each hour */
	assert_non_null(push_tls_ticket_keys_find(after, name));
	assert_memory_not_equal(push_tls_ticket_keys_newest(after)->name, name, sizeof(name));
	memcpy(name, push_tls_ticket_keys_newest(after)->name, sizeof(name));
	push_tls_ticket_keys_rotate(after, 5 + PUSH_TLS_TICKET_ROTATE_US);
	assert_memory_not_equal(push_tls_ticket_keys_newest(after)->name, name, sizeof(name));
	push_tls_ticket_keys_destroy(after);
	push_tls_ticket_keys_destroy(before);
}

/* --- what a client may not do, and what a vhost may choose --- */

static void
does_not_renegotiate(void **state)
{
	struct push_tls_vhost vhost = vhost_of("push");
	struct push_tls_server *server;
	struct pair pair;
	char byte;

	(void)state;
	vhost.options_set = SSL_OP_NO_TLSv1_3 | SSL_OP_ALLOW_CLIENT_RENEGOTIATION; /* in vain */
	vhost.options_clear = SSL_OP_NO_RENEGOTIATION;                             /* likewise */
	server = server_of(&vhost, 1);
	pair = pair_of(server, client_context());
	assert_true(shake_hands(&pair));
	assert_true(SSL_renegotiate(pair.client));
	assert_true(SSL_do_handshake(pair.client) <= 0);
	assert_true(SSL_read(pair.server, &byte, 1) <= 0);
	assert_true(SSL_do_handshake(pair.client) <= 0);
	assert_true(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NO_RENEGOTIATION);
	pair_end(&pair);
	push_tls_server_destroy(server);
}

static void
ends_a_session_that_changes_its_keys_all_the_time(void **state)
{
	struct push_tls_vhost vhost = vhost_of("push");
	struct push_tls_server *server = server_of(&vhost, 1);
	struct pair pair = pair_of(server, client_context());
	char byte;
	int result;

	(void)state;
	assert_true(shake_hands(&pair));
	assert_true(says_hello(&pair)); /* and tickets */
	for (int i = 0; i <= PUSH_TLS_KEY_UPDATES_MAX; i++) {
		assert_true(SSL_key_update(
			pair.client, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED));
		assert_int_equal(SSL_do_handshake(pair.client), 1);
		result = SSL_read(pair.server, &byte, 1);
		assert_true(is_waiting(pair.server, result)); /* each is taken before it is counted */
		if (i == PUSH_TLS_KEY_UPDATES_MAX - 1)
			assert_true(says_hello(&pair));
	}
	assert_int_equal(SSL_write(pair.client, "x", 1), 1);
	result = SSL_read(pair.server, &byte, 1);
	assert_true(result <= 0 && !is_waiting(pair.server, result));
	assert_true(SSL_write(pair.server, "x", 1) <= 0);
	pair_end(&pair);
	push_tls_server_destroy(server);
}

static void
sets_and_then_clears_the_options_that_a_vhost_has(void **state)
{
	struct push_tls_vhost vhost = vhost_of("push");
	struct push_tls_server *server = server_of(&vhost, 1);
	uint64_t options = SSL_CTX_get_options(push_tls_server_context(server));

	(void)state;
	assert_true(options & SSL_OP_CIPHER_SERVER_PREFERENCE);
	assert_false(options & (SSL_OP_NO_TLSv1_3 | SSL_OP_NO_TICKET | SSL_OP_ENABLE_KTLS));
	push_tls_server_destroy(server);
	vhost.options_set = SSL_OP_NO_TLSv1_3 | SSL_OP_NO_TICKET | SSL_OP_ENABLE_KTLS;
	vhost.options_clear = SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION;
	server = server_of(&vhost, 1);
	options = SSL_CTX_get_options(push_tls_server_context(server));
	assert_true(options & SSL_OP_NO_TLSv1_3);
	assert_true(options & SSL_OP_NO_COMPRESSION);
	assert_false(options & (SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_ENABLE_KTLS));
	push_tls_server_destroy(server);
	vhost.allows_ktls = true;
	server = server_of(&vhost, 1);
	assert_true(SSL_CTX_get_options(push_tls_server_context(server)) & SSL_OP_ENABLE_KTLS);
	push_tls_server_destroy(server);
}

static void
uses_the_ciphers_and_the_curve_that_a_vhost_has(void **state)
{
	struct push_tls_vhost vhost = vhost_of("push");
	struct push_tls_server *server;
	struct pair pair;

	(void)state;
	vhost.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
	vhost.tls13_ciphers = "TLS_CHACHA20_POLY1305_SHA256";
	vhost.curve = "prime256v1";
	server = server_of(&vhost, 1);
	pair = pair_of(server, client_context());
	assert_true(shake_hands(&pair));
	assert_string_equal(SSL_get_cipher_name(pair.client), "TLS_CHACHA20_POLY1305_SHA256");
	assert_int_equal(SSL_get_negotiated_group(pair.client), NID_X9_62_prime256v1);
	pair_end(&pair);
	pair = pair_of(server, client_of(TLS1_2_VERSION));
	assert_true(shake_hands(&pair));
	assert_string_equal(SSL_get_cipher_name(pair.client), "ECDHE-ECDSA-AES256-GCM-SHA384");
	pair_end(&pair);
	push_tls_server_destroy(server);
}

/* --- certificates that are replaced --- */

struct heard {
	enum push_log_level level;
	unsigned int count;
	char line[512];
};

static void
hear(void *context, enum push_log_level level, const char *line)
{
	struct heard *heard = context;

	heard->level = level;
	heard->count++;
	snprintf(heard->line, sizeof(heard->line), "%s", line);
}

/* A server of a vhost whose files are replaced, and its clock. */
struct reloaded {
	struct push_tls_server *server;
	struct heard heard;
	uint64_t now_us;
	int64_t wall_s;
};

static void
look(struct reloaded *reloaded)
{
	const struct push_tls_host host = {hear, &reloaded->heard};

	reloaded->heard = (struct heard){.count = 0};
	reloaded->now_us += PUSH_TLS_LOOK_US;
	assert_true(push_tls_server_tick(reloaded->server, reloaded->now_us, reloaded->wall_s, &host));
	assert_false(push_tls_server_tick(
		reloaded->server, reloaded->now_us + PUSH_TLS_LOOK_US - 1, reloaded->wall_s, &host));
}

static void
replace(const char *from, const char *to)
{
	assert_int_equal(rename(path_of(from), path_of(to)), 0);
}

static bool
is_stale(const struct reloaded *reloaded)
{
	struct push_tls_certificate certificate;

	assert_true(push_tls_server_certificate(reloaded->server, 0, &certificate));
	assert_false(push_tls_server_certificate(reloaded->server, 1, &certificate));
	return certificate.is_stale;
}

static void
serves_a_certificate_that_was_replaced_and_keeps_whom_it_serves(void **state)
{
	struct push_tls_vhost vhost;
	struct reloaded reloaded = {.wall_s = time(NULL)};
	struct pair pair;

	(void)state;
	write_pair(&files.push, "live");
	write_pair(&files.example, "new");
	vhost = vhost_of("live");
	reloaded.server = server_of(&vhost, 1);
	pair = pair_of(reloaded.server, client_context());
	assert_true(shake_hands(&pair));
	look(&reloaded);
	assert_int_equal(reloaded.heard.count, 0);

	replace("new.pem", "live.pem"); /* and not yet its key */
	look(&reloaded);
	assert_int_equal(reloaded.heard.count, 1);
	assert_int_equal(reloaded.heard.level, PUSH_LOG_ERROR);
	assert_non_null(strstr(
		reloaded.heard.line, "live.key: does not belong to the certificate; the certificate before"));
	assert_true(is_stale(&reloaded));
	assert_string_equal(certificate_for(reloaded.server, NULL), "push.test");
	look(&reloaded); /* once is enough */
	assert_int_equal(reloaded.heard.count, 0);

	replace("new.key", "live.key");
	look(&reloaded);
	assert_int_equal(reloaded.heard.count, 1);
	assert_int_equal(reloaded.heard.level, PUSH_LOG_INFO);
	assert_non_null(strstr(reloaded.heard.line, "vhost live: its certificate was replaced"));
	assert_false(is_stale(&reloaded));
	assert_string_equal(certificate_for(reloaded.server, NULL), "example.test");
	assert_true(says_hello(&pair));
	pair_end(&pair);
	push_tls_server_destroy(reloaded.server);
}

/* As Kubernetes replaces a Secret: the files are links into ..data, which is a link to a folder. */
static void
follows_links_that_are_replaced(void **state)
{
	struct push_tls_vhost vhost;
	struct reloaded reloaded = {.wall_s = time(NULL)};

	(void)state;
	assert_int_equal(mkdir(path_of("first"), 0700), 0);
	assert_int_equal(mkdir(path_of("second"), 0700), 0);
	write_pair(&files.push, "first/tls");
	write_pair(&files.example, "second/tls");
	assert_int_equal(symlink("first", path_of("..data")), 0);
	assert_int_equal(symlink("..data/tls.pem", path_of("tls.pem")), 0);
	assert_int_equal(symlink("..data/tls.key", path_of("tls.key")), 0);
	vhost = vhost_of("tls");
	reloaded.server = server_of(&vhost, 1);
	assert_string_equal(certificate_for(reloaded.server, NULL), "push.test");
	assert_int_equal(symlink("second", path_of("..new")), 0);
	replace("..new", "..data");
	look(&reloaded);
	assert_int_equal(reloaded.heard.level, PUSH_LOG_INFO);
	assert_string_equal(certificate_for(reloaded.server, NULL), "example.test");
	push_tls_server_destroy(reloaded.server);
}

static void
serves_on_while_files_are_missing(void **state)
{
	struct push_tls_vhost vhost;
	struct reloaded reloaded = {.wall_s = time(NULL)};

	(void)state;
	write_pair(&files.push, "live");
	vhost = vhost_of("live");
	reloaded.server = server_of(&vhost, 1);
	replace("live.key", "gone.key");
	look(&reloaded);
	assert_int_equal(reloaded.heard.level, PUSH_LOG_ERROR);
	assert_non_null(strstr(reloaded.heard.line, "live.key: No such file or directory"));
	assert_string_equal(certificate_for(reloaded.server, NULL), "push.test");
	replace("gone.key", "live.key");
	look(&reloaded);
	assert_int_equal(reloaded.heard.level, PUSH_LOG_INFO);
	push_tls_server_destroy(reloaded.server);
}

static void
warns_once_a_day_when_a_certificate_is_about_to_expire(void **state)
{
	struct push_tls_vhost vhost;
	struct push_tls_certificate certificate;
	struct reloaded reloaded = {.wall_s = time(NULL)};

	(void)state;
	write_pair(&files.push, "live");
	vhost = vhost_of("live");
	reloaded.server = server_of(&vhost, 1);
	assert_true(push_tls_server_certificate(reloaded.server, 0, &certificate));
	assert_string_equal(certificate.vhost, "live");
	assert_true(certificate.expiry_s > reloaded.wall_s + YEAR - 3600 &&
		    certificate.expiry_s <= reloaded.wall_s + YEAR);
	reloaded.wall_s = certificate.expiry_s - PUSH_TLS_EXPIRES_SOON_S - 1;
	look(&reloaded);
	assert_int_equal(reloaded.heard.count, 0);
	reloaded.wall_s++;
	look(&reloaded);
	assert_int_equal(reloaded.heard.count, 1);
	assert_int_equal(reloaded.heard.level, PUSH_LOG_WARN);
	assert_non_null(strstr(reloaded.heard.line, "vhost live: its certificate expires on "));
	look(&reloaded);
	assert_int_equal(reloaded.heard.count, 0);
	reloaded.now_us += PUSH_TLS_EXPIRES_SAY_US;
	reloaded.wall_s = certificate.expiry_s;
	look(&reloaded);
	assert_non_null(strstr(reloaded.heard.line, "its certificate expired on "));
	push_tls_server_destroy(reloaded.server);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_its_certificate_with_the_chain),
		cmocka_unit_test(speaks_tls_1_2_and_1_3_only),
		cmocka_unit_test(chooses_the_protocol_that_it_prefers),
		cmocka_unit_test(names_the_key_and_the_value_that_it_cannot_use),
		cmocka_unit_test(answers_with_the_certificate_of_the_vhost_that_is_named),
		cmocka_unit_test(holds_to_the_settings_of_the_vhost_that_is_named),
		cmocka_unit_test(requires_a_client_certificate_of_its_ca_or_asks_for_one_or_does_neither),
		cmocka_unit_test(requires_the_certificate_that_the_named_vhost_does),
		cmocka_unit_test(resumes_sessions_of_all_servers_with_its_keys),
		cmocka_unit_test(opens_tickets_of_keys_before_until_they_are_too_old),
		cmocka_unit_test(resumes_no_session_of_another_vhost_or_another_ca),
		cmocka_unit_test(a_ticket_of_a_client_with_a_certificate_names_it_still),
		cmocka_unit_test(workers_find_the_keys_that_pushd_gives),
		cmocka_unit_test(a_pushd_that_takes_anothers_place_has_its_keys_and_makes_new_ones),
		cmocka_unit_test(does_not_renegotiate),
		cmocka_unit_test(ends_a_session_that_changes_its_keys_all_the_time),
		cmocka_unit_test(sets_and_then_clears_the_options_that_a_vhost_has),
		cmocka_unit_test(uses_the_ciphers_and_the_curve_that_a_vhost_has),
		cmocka_unit_test(serves_a_certificate_that_was_replaced_and_keeps_whom_it_serves),
		cmocka_unit_test(follows_links_that_are_replaced),
		cmocka_unit_test(serves_on_while_files_are_missing),
		cmocka_unit_test(warns_once_a_day_when_a_certificate_is_about_to_expire),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
