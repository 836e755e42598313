/* tls_ports.c - see tls_ports.h. */
#include <stdio.h>
#include <time.h>

#include "direct/tls_ports.h"
#include "tls/ticket_keys.h"

struct push_tls_server *
direct_tls_of(const struct push_direct *direct, int port)
{
	for (size_t i = 0; i < direct->tls_port_count; i++)
		if (direct->tls_ports[i].port == port)
			return direct->tls_ports[i].server;
	return NULL;
}

struct ssl_ctx_st *
direct_tls_context(struct push_direct *direct, int port)
{
	const struct push_tls_server *server = direct_tls_of(direct, port);

	return server ? push_tls_server_context(server) : NULL;
}

/* lws reads the same files: where this fails for a reason of theirs, lws has said so, too. */
static void
say_left_to_lws(const struct push_direct *direct, int port, const struct push_error *error)
{
	char line[PUSH_ERROR_TEXT_BYTES_MAX + 64];

	snprintf(line, sizeof(line), "port %d: libwebsockets serves TLS: %s", port, error->text);
	direct->host.log(direct->host.context, PUSH_LOG_ERROR, line);
}

/* As under stock lwsws, which tells no vhosts: nothing is lost but what the operator wanted. */
static void
say_without_certificates(const struct push_direct *direct, const char *option)
{
	char line[PUSH_ERROR_TEXT_BYTES_MAX];

	snprintf(line, sizeof(line),
		"push.auth.certificate=%s: no user has one, since libwebsockets serves TLS and passes none "
		"on",
		option);
	direct->host.log(direct->host.context, PUSH_LOG_ERROR, line);
}

void
direct_tls_open(struct push_direct *direct)
{
	const struct push_options *options = direct->ops->options(direct->broker);
	int ports[PUSH_BROKER_PORTS_MAX];
	size_t port_count = push_vhosts_ports(direct->vhosts, ports, PUSH_BROKER_PORTS_MAX);
	bool verifies = false;

	if (!options->direct)
		return;
	for (size_t i = 0; i < port_count; i++) {
		struct push_tls_vhost vhosts[PUSH_TLS_VHOSTS_MAX];
		size_t count = push_vhosts_tls(direct->vhosts, ports[i], vhosts);
		struct direct_tls_port *port = &direct->tls_ports[direct->tls_port_count];
		struct push_error error;

		if (!count)
			continue;
		if (!direct->ticket_keys)
			direct->ticket_keys = push_tls_ticket_keys_join();
		if (!direct->ticket_keys)
			direct->ticket_keys = push_tls_ticket_keys_create(direct->ops->now_us());
		for (size_t j = 0; j < count; j++) {
			verifies |= vhosts[j].ca != NULL;
			vhosts[j].allows_ktls = options->tls_ktls;
			vhosts[j].asks_client_cert = options->auth_certificate[0];
		}
		*port = (struct direct_tls_port){
			ports[i], push_tls_server_create(vhosts, count, direct->ticket_keys, &error)};
		if (port->server)
			direct->tls_port_count++;
		else
			say_left_to_lws(direct, ports[i], &error);
	}
	if (options->auth_certificate[0] && !verifies)
		say_without_certificates(direct, options->auth_certificate);
}

void
direct_tls_close(struct push_direct *direct)
{
	while (direct->tls_port_count)
		push_tls_server_destroy(direct->tls_ports[--direct->tls_port_count].server);
	push_tls_ticket_keys_destroy(direct->ticket_keys);
	direct->ticket_keys = NULL;
}

static void
count_certificates(struct push_direct *direct)
{
	uint64_t expiry_s = 0, stale_count = 0;

	for (size_t i = 0; i < direct->tls_port_count; i++) {
		struct push_tls_certificate one;

		for (size_t j = 0; push_tls_server_certificate(direct->tls_ports[i].server, j, &one); j++) {
			stale_count += one.is_stale;
			if (!expiry_s || (uint64_t)one.expiry_s < expiry_s)
				expiry_s = (uint64_t)one.expiry_s;
		}
	}
	direct->ops->set_certificates(direct->broker, expiry_s, stale_count);
}

void
direct_tls_tick(struct push_direct *direct)
{
	const struct push_tls_host host = {direct->host.log, direct->host.context};
	uint64_t now_us = direct->ops->now_us();
	bool has_looked = false;

	if (direct->ticket_keys)
		push_tls_ticket_keys_rotate(direct->ticket_keys, now_us);
	for (size_t i = 0; i < direct->tls_port_count; i++)
		has_looked |= push_tls_server_tick(direct->tls_ports[i].server, now_us, time(NULL), &host);
	if (has_looked)
		count_certificates(direct);
}
