/* server_context.c - see server_context.h. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/certificate.h"
#include "tls/context.h"

struct vhost {
	struct push_tls_vhost settings;
	struct push_tls_protocols protocols;
	SSL_CTX *context;
};

struct push_tls_server {
	size_t count;
	struct vhost vhosts[];
};

static bool
open_vhost(struct vhost *vhost, struct push_error *error)
{
	const char *alpn = vhost->settings.alpn;

	if (!push_tls_protocols_read(alpn, &vhost->protocols)) {
		(void)push_tls_fail(&vhost->settings, "alpn", alpn, "too long", error);
		return false;
	}
	vhost->context = push_tls_context_of_vhost(&vhost->settings, &vhost->protocols, error);
	return vhost->context;
}

struct push_tls_server *
push_tls_server_create(const struct push_tls_vhost *vhosts, size_t count, struct push_error *error)
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
	for (; server->count < count; server->count++) {
		struct vhost *vhost = &server->vhosts[server->count];

		vhost->settings = vhosts[server->count];
		if (!open_vhost(vhost, error)) {
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
