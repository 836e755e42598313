/* A TLS session and the bytes of its connection, with OpenSSL's own client at the other end of a socket. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certificate_maker.h"
#include "direct/bytes.h"
#include "direct/limits.h"
#include "tls/limits.h"

#define YEAR 31536000L

/* So small a buffer of the kernel's that one record does not fit in. */
#define SMALL_SOCKET_BYTES 4608

struct world {
	SSL_CTX *server_context, *client_context;
	int server_fd, client_fd;
	SSL *client;
	struct direct_bytes bytes; /* of the server */
};

static int
take_any(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
	unsigned int in_size, void *context)
{
	(void)ssl;
	(void)context;
	(void)in_size;
	*out = in + 1;
	*out_size = *in;
	return SSL_TLSEXT_ERR_OK;
}

static void
set_up(struct world *world, uint64_t options, int buffer)
{
	struct certificate certificate;
	int ends[2];

	assert_false(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
	*world = (struct world){.server_fd = ends[0], .client_fd = ends[1]};
	if (buffer)
		assert_false(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)));
	certificate_init(&certificate, "localhost", NULL, YEAR);
	world->server_context = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(world->server_context, certificate.x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(world->server_context, certificate.key), 1);
	SSL_CTX_set_mode(world->server_context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(world->server_context, 1);
	SSL_CTX_set_options(world->server_context, SSL_OP_IGNORE_UNEXPECTED_EOF | options);
	SSL_CTX_set_alpn_select_cb(world->server_context, take_any, NULL);
	certificate_fini(&certificate);
	world->client_context = SSL_CTX_new(TLS_client_method());
	world->client = SSL_new(world->client_context);
	assert_int_equal(SSL_set_alpn_protos(world->client, (const unsigned char *)"\x02h2", 3), 0);
	SSL_set_fd(world->client, world->client_fd);
	SSL_set_connect_state(world->client);
	world->bytes.tls = push_tls_session_create(world->server_context, world->server_fd);
	assert_non_null(world->bytes.tls);
}

static void
tear_down(struct world *world)
{
	direct_bytes_fini(&world->bytes);
	SSL_free(world->client);
	SSL_CTX_free(world->client_context);
	SSL_CTX_free(world->server_context);
	close(world->client_fd);
	if (world->server_fd >= 0)
		close(world->server_fd);
	assert_int_equal(ERR_peek_error(), 0);
}

static void
shake_hands(struct world *world)
{
	enum push_tls_progress progress = PUSH_TLS_AGAIN;

	for (int i = 0; i < 1000 && (progress != PUSH_TLS_DONE || !SSL_is_init_finished(world->client));
		i++) {
		(void)SSL_do_handshake(world->client);
		assert_true(direct_bytes_flush(&world->bytes));
		if (progress != PUSH_TLS_DONE)
			progress = push_tls_session_handshake(world->bytes.tls);
		assert_int_not_equal(progress, PUSH_TLS_FAILED);
	}
	assert_int_equal(progress, PUSH_TLS_DONE);
	ERR_clear_error();
}

/* All that the client can read now, appended at `to`. */
static size_t
client_read(struct world *world, char *to, size_t size)
{
	size_t total = 0, got;

	while (total < size && SSL_read_ex(world->client, to + total, size - total, &got))
		total += got;
	ERR_clear_error();
	return total;
}

static void
client_write(struct world *world, const char *bytes, size_t size)
{
	size_t done;

	assert_int_equal(SSL_write_ex(world->client, bytes, size, &done), 1);
	assert_int_equal(done, size);
}

static char
letter(size_t at)
{
	return (char)('a' + at % 23);
}

static void
what_is_agreed_upon_is_known(void **state)
{
	struct world world;

	(void)state;
	set_up(&world, 0, 0);
	shake_hands(&world);
	assert_true(push_tls_session_speaks_h2(world.bytes.tls));
	assert_false(push_tls_session_kernel_seals(world.bytes.tls));
	tear_down(&world);
}

static void
a_handshake_goes_on_where_a_small_socket_has_stopped_it(void **state)
{
	struct world world;

	(void)state;
	set_up(&world, 0, 1);
	shake_hands(&world);
	tear_down(&world);
}

/* This kernel or this socket has no kTLS: it goes on without. */
static void
where_the_kernel_does_not_seal_openssl_does(void **state)
{
	struct world world;
	char text[16];

	(void)state;
	set_up(&world, SSL_OP_ENABLE_KTLS, 0);
	shake_hands(&world);
	assert_false(push_tls_session_kernel_seals(world.bytes.tls));
	assert_int_equal(direct_bytes_send(&world.bytes, world.server_fd, "hello", 5), 5);
	assert_int_equal(client_read(&world, text, sizeof(text)), 5);
	client_write(&world, "there", 5);
	assert_int_equal(direct_bytes_read(&world.bytes, world.server_fd, text, sizeof(text)), 5);
	assert_memory_equal(text, "there", 5);
	tear_down(&world);
}

/* Whatever is written next: a record that waits is not the caller's any more. */
static void
what_a_full_socket_does_not_take_is_sent_later_and_nothing_twice(void **state)
{
	enum { TOTAL = 300000 };
	static char sent[TOTAL], got[TOTAL];
	size_t written = 0, read = 0, blocked = 0;
	struct world world;

	(void)state;
	set_up(&world, 0, SMALL_SOCKET_BYTES);
	shake_hands(&world);
	for (size_t i = 0; i < TOTAL; i++)
		sent[i] = letter(i);
	while (read < TOTAL) {
		ssize_t taken = direct_bytes_send(&world.bytes, world.server_fd, sent + written,
			TOTAL - written < 50000 ? TOTAL - written : 50000);

		if (taken < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(direct_bytes_is_blocked(&world.bytes));
			blocked++;
		} else {
			written += (size_t)taken;
		}
		read += client_read(&world, got + read, TOTAL - read);
		assert_true(direct_bytes_flush(&world.bytes));
	}
	assert_int_equal(written, TOTAL);
	assert_true(blocked > 0);
	assert_memory_equal(got, sent, TOTAL);
	assert_false(direct_bytes_is_blocked(&world.bytes));
	tear_down(&world);
}

/* RFC 8446, 4.6.3: each asks for one of ours.  The client reads none of them. */
static void
a_client_that_asks_for_answers_and_does_not_read_them_is_cut_off(void **state)
{
	static char fill[64 * 1024];
	struct world world;
	ssize_t got = 0;
	char byte;

	(void)state;
	set_up(&world, 0, SMALL_SOCKET_BYTES);
	shake_hands(&world);
	assert_true(direct_bytes_send(&world.bytes, world.server_fd, fill, sizeof(fill)) > 0);
	assert_true(direct_bytes_is_blocked(&world.bytes));
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(SSL_key_update(world.client, SSL_KEY_UPDATE_REQUESTED), 1);
		(void)SSL_do_handshake(world.client);
		ERR_clear_error();
		got = direct_bytes_read(&world.bytes, world.server_fd, &byte, 1);
		if (!got || (got < 0 && errno != EAGAIN))
			break;
	}
	assert_true(got == -1 && errno == EPROTO);
	tear_down(&world);
}

/* --- looking --- */

static void
what_is_looked_at_stays_until_it_is_taken(void **state)
{
	char scratch[PUSH_READ_BYTES];
	const char *bytes;
	struct world world;

	(void)state;
	set_up(&world, 0, 0);
	shake_hands(&world);
	client_write(&world, "first half", 10);
	assert_int_equal(
		direct_bytes_look(&world.bytes, world.server_fd, scratch, sizeof(scratch), &bytes), 10);
	direct_bytes_take(&world.bytes, world.server_fd, 0);
	assert_false(direct_bytes_has_more(&world.bytes));
	memset(scratch, 'x', sizeof(scratch));
	/* nothing more has come: there is nothing new to look at */
	assert_int_equal(
		direct_bytes_look(&world.bytes, world.server_fd, scratch, sizeof(scratch), &bytes), -1);
	assert_int_equal(errno, EAGAIN);
	client_write(&world, ", second", 8);
	assert_int_equal(
		direct_bytes_look(&world.bytes, world.server_fd, scratch, sizeof(scratch), &bytes), 18);
	assert_memory_equal(bytes, "first half, second", 18);
	direct_bytes_take(&world.bytes, world.server_fd, 12);
	assert_true(direct_bytes_has_more(&world.bytes));
	assert_int_equal(direct_bytes_held(&world.bytes).size, 6);
	assert_int_equal(direct_bytes_read(&world.bytes, world.server_fd, scratch, 3), 3);
	assert_memory_equal(scratch, "sec", 3);
	direct_bytes_again(&world.bytes);
	assert_int_equal(
		direct_bytes_look(&world.bytes, world.server_fd, scratch, sizeof(scratch), &bytes), 3);
	assert_memory_equal(bytes, "ond", 3);
	direct_bytes_take(&world.bytes, world.server_fd, 3);
	direct_bytes_settle(&world.bytes);
	assert_null(world.bytes.held);
	tear_down(&world);
}

/* epoll(7) would never call for the second record. */
static void
all_records_that_came_together_are_in_hand_after_one_read(void **state)
{
	static char big[8000];
	char scratch[PUSH_READ_BYTES];
	struct world world;
	size_t total = 0;
	ssize_t got;

	(void)state;
	set_up(&world, 0, 0);
	shake_hands(&world);
	memset(big, 'b', sizeof(big));
	client_write(&world, "a", 1);
	client_write(&world, big, 1000);
	client_write(&world, "c", 1);
	assert_int_equal(direct_bytes_read(&world.bytes, world.server_fd, scratch, 512), 1);
	assert_true(direct_bytes_has_more(&world.bytes));
	while (direct_bytes_has_more(&world.bytes))
		total += (size_t)direct_bytes_read(&world.bytes, world.server_fd, scratch, 512);
	assert_int_equal(total, 1001);
	assert_int_equal(scratch[(total - 1) % 512], 'c');
	/* a record in parts, each less than the kernel has: the rest is the kernel's to call for */
	client_write(&world, big, sizeof(big));
	got = direct_bytes_read(&world.bytes, world.server_fd, scratch, sizeof(scratch));
	assert_true(got == -1 && errno == EAGAIN);
	assert_false(direct_bytes_has_more(&world.bytes));
	got = direct_bytes_read(&world.bytes, world.server_fd, scratch, sizeof(scratch));
	assert_int_equal(got, sizeof(big));
	tear_down(&world);
}

/* --- ends --- */

static void
the_end_comes_behind_all_bytes_whether_or_not_it_is_announced(void **state)
{
	for (int announced = 0; announced < 2; announced++) {
		char scratch[64];
		struct world world;

		(void)state;
		set_up(&world, 0, 0);
		shake_hands(&world);
		client_write(&world, "last", 4);
		if (announced)
			SSL_shutdown(world.client);
		shutdown(world.client_fd, SHUT_WR);
		assert_int_equal(direct_bytes_read(&world.bytes, world.server_fd, scratch, 2), 2);
		assert_int_equal(
			direct_bytes_read(&world.bytes, world.server_fd, scratch, sizeof(scratch)), 2);
		assert_int_equal(
			direct_bytes_read(&world.bytes, world.server_fd, scratch, sizeof(scratch)), 0);
		assert_int_equal(
			direct_bytes_read(&world.bytes, world.server_fd, scratch, sizeof(scratch)), 0);
		tear_down(&world);
	}
}

static void
our_end_is_announced(void **state)
{
	struct world world;
	char byte;

	(void)state;
	set_up(&world, 0, 0);
	shake_hands(&world);
	direct_bytes_end(&world.bytes, world.server_fd);
	assert_int_equal(SSL_read(world.client, &byte, 1), 0);
	assert_int_equal(SSL_get_error(world.client, 0), SSL_ERROR_ZERO_RETURN);
	tear_down(&world);
}

static void
junk_breaks_the_session_and_not_the_server(void **state)
{
	struct world world;
	char byte;

	(void)state;
	set_up(&world, 0, 0);
	shake_hands(&world);
	assert_int_equal(
		write(world.client_fd, "\x17\x03\x03\x00\x20 no record of anybody's, surely", 37), 37);
	assert_int_equal(direct_bytes_read(&world.bytes, world.server_fd, &byte, 1), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(direct_bytes_send(&world.bytes, world.server_fd, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_false(direct_bytes_flush(&world.bytes));
	direct_bytes_leave(&world.bytes);
	tear_down(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_agreed_upon_is_known),
		cmocka_unit_test(a_handshake_goes_on_where_a_small_socket_has_stopped_it),
		cmocka_unit_test(where_the_kernel_does_not_seal_openssl_does),
		cmocka_unit_test(what_a_full_socket_does_not_take_is_sent_later_and_nothing_twice),
		cmocka_unit_test(a_client_that_asks_for_answers_and_does_not_read_them_is_cut_off),
		cmocka_unit_test(what_is_looked_at_stays_until_it_is_taken),
		cmocka_unit_test(all_records_that_came_together_are_in_hand_after_one_read),
		cmocka_unit_test(the_end_comes_behind_all_bytes_whether_or_not_it_is_announced),
		cmocka_unit_test(our_end_is_announced),
		cmocka_unit_test(junk_breaks_the_session_and_not_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
