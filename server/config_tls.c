/* config_tls.c - see config_tls.h. */
#include <json-c/json.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config_keys.h"
#include "config_tls.h"

/* What lws offers where neither the vhost nor "default-alpn" says something else. */
#define DEFAULT_ALPN "h2,http/1.1"

void
config_tls_read(const struct config *config, struct config_tls *ret)
{
	*ret = (struct config_tls){.alpn = DEFAULT_ALPN};
	for (size_t i = 0; i < config->file_count; i++) {
		struct json_object *global;
		const char *alpn;

		if (!json_object_object_get_ex(config->files[i].tree, "global", &global))
			continue;
		ret->is_on |= config_flag(global, "init-ssl");
		alpn = config_text(global, "default-alpn");
		if (alpn)
			ret->alpn = alpn;
	}
}

static uint64_t
number_of(struct json_object *vhost, const char *name)
{
	const char *text = config_text(vhost, name);

	return text ? strtoull(text, NULL, 10) : 0;
}

bool
config_tls_vhost(struct json_object *vhost, const struct config_tls *tls, struct push_tls_vhost *ret)
{
	const char *alpn = config_text(vhost, "alpn");

	*ret = (struct push_tls_vhost){.name = config_text(vhost, "name"),
		.cert = config_text(vhost, "host-ssl-cert"),
		.key = config_text(vhost, "host-ssl-key"),
		.ca = config_text(vhost, "host-ssl-ca"),
		.ciphers = config_text(vhost, "ciphers"),
		.tls13_ciphers = config_text(vhost, "tls13-ciphers"),
		.curve = config_text(vhost, "ecdh-curve"),
		.alpn = alpn ? alpn : tls->alpn,
		.options_set = number_of(vhost, "ssl-option-set"),
		.options_clear = number_of(vhost, "ssl-option-clear"),
		.requires_client_cert = config_flag(vhost, "client-cert-required")};
	return tls->is_on && ret->cert && !config_flag(vhost, "unix-socket");
}

/* lws makes an SSL_CTX, too, and knows curves by the short names of OpenSSL's objects, one at a time. */
static bool
is_curve_of_lws(const char *name)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(OBJ_sn2nid(name));
	bool is_known = group;

	EC_GROUP_free(group);
	ERR_clear_error();
	return is_known;
}

enum push_status
config_tls_check(const struct config_file *file, struct json_object *vhost, const struct config_tls *tls,
	struct push_error *error)
{
	struct push_tls_vhost settings;
	struct push_tls_server *server;
	struct push_error why;

	if (!config_tls_vhost(vhost, tls, &settings)) {
		/* nobody who names a certificate wants to be served in the clear */
		if (settings.cert && !tls->is_on)
			return config_fail(error, file, "host-ssl-cert", settings.cert,
				"has no effect without \"init-ssl\": \"yes\" in \"global\"");
		return PUSH_OK;
	}
	if (settings.curve && !is_curve_of_lws(settings.curve))
		return config_fail(error, file, "ecdh-curve", settings.curve,
			"must be one curve, such as prime256v1 or secp384r1");
	server = push_tls_server_create(&settings, 1, NULL, &why);
	push_tls_server_destroy(server);
	if (server)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "%s: %.310s", file->name, why.text);
	return PUSH_INVALID;
}

static bool
is_same(const char *one, const char *other)
{
	return one && other ? !strcmp(one, other) : one == other;
}

enum push_status
config_tls_agree(const struct config_file *file, struct json_object *vhost, struct json_object *other,
	const struct config_tls *tls, struct push_error *error)
{
	struct push_tls_vhost settings, others;

	if (!config_tls_vhost(vhost, tls, &settings) || !config_tls_vhost(other, tls, &others))
		return config_fail(
			error, file, "port", config_text(vhost, "port"), "another vhost listens there");
	if (settings.requires_client_cert != others.requires_client_cert)
		return config_fail(error, file, "client-cert-required",
			settings.requires_client_cert ? "yes" : "no",
			"must be the same for all vhosts of a port, since a request may name another one "
			"than "
			"the handshake");
	if (!is_same(settings.ca, others.ca))
		return config_fail(error, file, "host-ssl-ca", settings.ca,
			"must be the same for all vhosts of a port, since a request may name another one "
			"than "
			"the handshake");
	return PUSH_OK;
}

struct expiry {
	struct config_tls tls;
	int64_t wall_s;
	struct push_error *line;
};

static enum push_status
look_at_expiry(const struct config_file *file, struct json_object *vhost, void *context)
{
	const struct expiry *expiry = context;
	struct push_tls_certificate certificate = {.expiry_s = INT64_MAX};
	struct push_tls_vhost settings;
	struct push_tls_server *server;
	struct push_error error;
	char date[32] = "";
	struct tm parts;
	time_t when;

	if (!config_tls_vhost(vhost, &expiry->tls, &settings))
		return PUSH_OK;
	server = push_tls_server_create(&settings, 1, NULL, &error);
	if (server)
		(void)push_tls_server_certificate(server, 0, &certificate);
	push_tls_server_destroy(server);
	if (certificate.expiry_s - PUSH_TLS_EXPIRES_SOON_S > expiry->wall_s)
		return PUSH_OK;
	when = certificate.expiry_s;
	if (gmtime_r(&when, &parts))
		(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &parts);
	snprintf(expiry->line->text, sizeof(expiry->line->text), "%s: host-ssl-cert=%.250s: %s on %s",
		file->name, settings.cert, certificate.expiry_s > expiry->wall_s ? "expires" : "expired",
		date);
	return PUSH_INVALID;
}

bool
config_tls_expires(const struct config *config, int64_t wall_s, struct push_error *ret_line)
{
	struct expiry expiry = {.wall_s = wall_s, .line = ret_line};

	config_tls_read(config, &expiry.tls);
	return config_for_each_vhost(config, look_at_expiry, &expiry) != PUSH_OK;
}
