/* server_context.c - see server_context.h. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/certificate.h"
#include "tls/context.h"
#include "tls/server_name.h"
#include "tls/tickets.h"

struct vhost {
	struct push_tls_vhost settings;
	struct push_tls_protocols protocols;
	SSL_CTX *context;
	int64_t expiry_s;
	struct push_tls_stamp stamp; /* of what was tried last */
	bool is_stale;               /* it could not be used */
	bool is_hidden;              /* files cannot be looked at, which was logged */
	uint64_t say_expiry_us;      /* when that it expires may be logged again */
};

struct push_tls_server {
	const struct push_tls_ticket_keys *keys;
	uint64_t look_us; /* when files are looked at again */
	size_t count;
	struct vhost vhosts[];
};

/* --- which vhost --- */

static const struct vhost *
find(const struct push_tls_server *server, struct push_str name)
{
	for (size_t i = 0; i < server->count; i++)
		if (push_tls_name_is(name, server->vhosts[i].settings.name))
			return &server->vhosts[i];
	for (size_t i = 0; i < server->count; i++)
		if (push_tls_name_is_below(name, server->vhosts[i].settings.name))
			return &server->vhosts[i];
	return &server->vhosts[0];
}

/* SSL_set_SSL_CTX(3) leaves some settings as they were. */
static bool
use(SSL *ssl, const struct vhost *vhost)
{
	SSL_CTX *context = vhost->context;

	if (!SSL_set_SSL_CTX(ssl, context))
		return false;
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context), NULL);
	(void)SSL_clear_options(ssl, SSL_get_options(ssl) & ~SSL_CTX_get_options(context));
	(void)SSL_set_options(ssl, SSL_CTX_get_options(context));
	return push_tls_curves_use(ssl, &vhost->settings);
}

/*
 * Chosen here and not in the callback for names, which comes after a ticket was opened: a session of one vhost would be
 * resumed for another one, which may ask for certificates of clients (CVE-2025-23419 in nginx).  OpenSSL compares the
 * scope of sessions, which is the chosen vhost's by then.
 */
static int
on_client_hello(SSL *ssl, int *alert, void *context)
{
	struct push_str name = push_tls_server_name(ssl);
	const struct vhost *vhost = name.bytes ? find(context, name) : NULL;

	if (!vhost || vhost->context == SSL_get_SSL_CTX(ssl) || use(ssl, vhost))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}

/* A server says that it has used the name. */
static int
on_name(SSL *ssl, int *alert, void *context)
{
	(void)ssl;
	(void)alert;
	(void)context;
	return SSL_TLSEXT_ERR_OK;
}

/* --- certificates --- */

/* Sets the vhost's context only if all is well. */
static bool
read_files(struct push_tls_server *server, struct vhost *vhost, struct push_error *error)
{
	SSL_CTX *context;

	/* first: what is written meanwhile is another change */
	push_tls_stamp_read(&vhost->settings, &vhost->stamp);
	context = push_tls_context_of_vhost(&vhost->settings, &vhost->protocols, error);
	if (context && server->keys && !push_tls_tickets_use(context, server->keys)) {
		(void)push_tls_fail(&vhost->settings, "host-ssl-cert", vhost->settings.cert, NULL, error);
		SSL_CTX_free(context);
		context = NULL;
	}
	vhost->is_stale = !context;
	if (!context)
		return false;
	if (server->count > 1) {
		SSL_CTX_set_client_hello_cb(context, on_client_hello, server);
		(void)SSL_CTX_set_tlsext_servername_callback(context, on_name);
	}
	SSL_CTX_free(vhost->context);
	vhost->context = context;
	vhost->expiry_s = push_tls_expiry_s(context);
	return true;
}

static const char *
or_null(const char *text)
{
	return text && *text ? text : NULL;
}

static bool
open_vhost(struct push_tls_server *server, struct vhost *vhost, struct push_error *error)
{
	struct push_tls_vhost *settings = &vhost->settings;

	settings->cert = or_null(settings->cert);
	settings->key = or_null(settings->key);
	settings->ca = or_null(settings->ca);
	if (push_tls_protocols_read(settings->alpn, &vhost->protocols))
		return read_files(server, vhost, error);
	(void)push_tls_fail(settings, "alpn", settings->alpn, "too long", error);
	return false;
}

struct push_tls_server *
push_tls_server_create(const struct push_tls_vhost *vhosts, size_t count,
	const struct push_tls_ticket_keys *keys, struct push_error *error)
{
	struct push_tls_server *server;

	if (!count || count > PUSH_TLS_VHOSTS_MAX) {
		snprintf(error->text, sizeof(error->text), "%zu vhosts with TLS on one port, must be 1 to %d",
			count, PUSH_TLS_VHOSTS_MAX);
		return NULL;
	}
	server = calloc(1, sizeof(*server) + count * sizeof(server->vhosts[0]));
	if (!server) {
		snprintf(error->text, sizeof(error->text), "vhost %.64s: out of memory", vhosts[0].name);
		return NULL;
	}
	server->keys = keys;
	server->count = count;
	for (size_t i = 0; i < count; i++) {
		server->vhosts[i].settings = vhosts[i];
		if (!open_vhost(server, &server->vhosts[i], error)) {
			push_tls_server_destroy(server);
			return NULL;
		}
	}
	return server;
}

void
push_tls_server_destroy(struct push_tls_server *server)
{
	if (!server)
		return;
	for (size_t i = 0; i < server->count; i++)
		SSL_CTX_free(server->vhosts[i].context);
	free(server);
}

SSL_CTX *
push_tls_server_context(const struct push_tls_server *server)
{
	return server->vhosts[0].context;
}

bool
push_tls_server_certificate(
	const struct push_tls_server *server, size_t index, struct push_tls_certificate *ret)
{
	const struct vhost *vhost = &server->vhosts[index];

	if (index >= server->count)
		return false;
	*ret = (struct push_tls_certificate){vhost->settings.name, vhost->expiry_s, vhost->is_stale};
	return true;
}

/* --- as time goes by --- */

static void
say(const struct push_tls_host *host, enum push_log_level level, const struct vhost *vhost, const char *what,
	const char *why)
{
	char line[PUSH_ERROR_TEXT_BYTES_MAX + 128];

	snprintf(line, sizeof(line), "vhost %.64s: %s%s", vhost->settings.name, what, why);
	host->log(host->context, level, line);
}

static void
date_of(int64_t wall_s, char to[32])
{
	time_t when = wall_s;
	struct tm parts;

	if (!gmtime_r(&when, &parts) || !strftime(to, 32, "%Y-%m-%d %H:%M UTC", &parts))
		*to = '\0';
}

static void
look(struct push_tls_server *server, struct vhost *vhost, const struct push_tls_host *host)
{
	struct push_tls_stamp stamp;
	struct push_error error;
	char date[32];

	push_tls_stamp_read(&vhost->settings, &stamp);
	if (push_tls_stamp_is_hidden(&stamp)) {
		if (!vhost->is_hidden)
			say(host, PUSH_LOG_WARN, vhost,
				"may not look at its certificate any more, so that a new one is not noticed: "
				"send "
				"pushd SIGHUP then: ",
				vhost->settings.cert);
		vhost->is_hidden = true;
		return;
	}
	vhost->is_hidden = false;
	if (push_tls_stamp_is(&stamp, &vhost->stamp))
		return;
	if (read_files(server, vhost, &error)) {
		vhost->say_expiry_us = 0;
		date_of(vhost->expiry_s, date);
		say(host, PUSH_LOG_INFO, vhost, "its certificate was replaced, the new one is valid until ",
			date);
		return;
	}
	strncat(error.text, "; the certificate before is served",
		sizeof(error.text) - strlen(error.text) - 1);
	host->log(host->context, PUSH_LOG_ERROR, error.text);
}

static void
look_at_expiry(struct vhost *vhost, uint64_t now_us, int64_t wall_s, const struct push_tls_host *host)
{
	char date[32];

	if (wall_s < vhost->expiry_s - PUSH_TLS_EXPIRES_SOON_S || now_us < vhost->say_expiry_us)
		return;
	vhost->say_expiry_us = now_us + PUSH_TLS_EXPIRES_SAY_US;
	date_of(vhost->expiry_s, date);
	say(host, PUSH_LOG_WARN, vhost,
		wall_s < vhost->expiry_s ? "its certificate expires on " : "its certificate expired on ",
		date);
}

bool
push_tls_server_tick(
	struct push_tls_server *server, uint64_t now_us, int64_t wall_s, const struct push_tls_host *host)
{
	if (now_us < server->look_us)
		return false;
	server->look_us = now_us + PUSH_TLS_LOOK_US;
	for (size_t i = 0; i < server->count; i++) {
		look(server, &server->vhosts[i], host);
		look_at_expiry(&server->vhosts[i], now_us, wall_s, host);
	}
	return true;
}
