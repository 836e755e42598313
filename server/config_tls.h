/*
 * config_tls.h - what a configuration says of TLS as a server; see config.h.
 */
#ifndef PUSHD_CONFIG_TLS_H
#define PUSHD_CONFIG_TLS_H

#include "config.h"
#include "tls/server_context.h"

/* What "global" says of it. */
struct config_tls {
	bool is_on;       /* init-ssl */
	const char *alpn; /* default-alpn, or lws' own default; borrowed */
};

/* config_tls_read - of all files, as lwsws reads them. */
void
config_tls_read(const struct config *config, struct config_tls *ret);

/* config_tls_vhost - a vhost's settings, borrowed from the tree.  Returns false if it has no TLS. */
bool
config_tls_vhost(struct json_object *vhost, const struct config_tls *tls, struct push_tls_vhost *ret);

/*
 * config_tls_check - whether a vhost's certificate, key and the rest can be used, by whoever calls this.
 *
 * Errors: PUSH_INVALID.
 */
enum push_status PUSH_MUST_USE
config_tls_check(const struct config_file *file, struct json_object *vhost, const struct config_tls *tls,
	struct push_error *error);

/*
 * config_tls_agree - whether two vhosts with one port may share it: both have TLS, and the same of clients.
 *
 * Errors: PUSH_INVALID.
 */
enum push_status PUSH_MUST_USE
config_tls_agree(const struct config_file *file, struct json_object *vhost, struct json_object *other,
	const struct config_tls *tls, struct push_error *error);

/* config_tls_expires - whether a certificate has expired or is about to, with a line that says which. */
bool
config_tls_expires(const struct config *config, int64_t wall_s, struct push_error *ret_line);

#endif
