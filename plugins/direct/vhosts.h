/*
 * vhosts.h - what pushd says of lws' virtual hosts and their mounts, so that lws need not be asked (probe.c).
 *
 * pushd writes the configuration that lwsws reads, and puts what it says into the environment of each worker
 * (PUSH_VHOSTS_ENV): lines whose words are parted by tabs, all vhosts in lws' order.
 *
 *   v PORT NAME DEFAULT              DEFAULT, the vhost's default protocol: sockets | lws | ?
 *   t CERT KEY CA CIPHERS TLS13-CIPHERS CURVE ALPN SET CLEAR CLIENT-CERT
 *                                    the vhost has TLS (tls/server_context.h); a text may be empty, SET and CLEAR
 *                                    are numbers, CLIENT-CERT is 1 where one is required, else 0
 *   m MOUNTPOINT KIND                publish | events | sockets: Push's plugins; lws: anything else
 *   m MOUNTPOINT file FOLDER PAGE    files; PAGE is that of the folder itself
 *
 * `?` is a vhost that pushd does not understand well enough.  Its port is unknown, and so is one of several
 * vhosts, between which lws chooses by the Host: lws is asked then, as under stock lwsws.  The rules are those
 * of lws 4.3 (lws_find_mount, lws_http_serve); what it makes of unusual paths is not repeated here: those are
 * unknown, too.
 */
#ifndef PUSH_DIRECT_VHOSTS_H
#define PUSH_DIRECT_VHOSTS_H

#include "broker/broker.h"
#include "core/str.h"
#include "tls/server_context.h"

#define PUSH_VHOSTS_ENV "PUSHD_VHOSTS"

/* Of the text; a configuration that needs more is not told, and lws is asked. */
#define PUSH_VHOSTS_BYTES_MAX (64 * 1024)

struct push_vhosts;
struct push_vhost;

enum push_whose { PUSH_WHOSE_UNKNOWN, PUSH_WHOSE_LWS, PUSH_WHOSE_PUSH };

/* push_vhosts_create - read the text.  Returns NULL if it is malformed, NULL, or memory is out. */
struct push_vhosts *
push_vhosts_create(const char *text);

/* push_vhosts_destroy - NULL is allowed. */
void
push_vhosts_destroy(struct push_vhosts *vhosts);

/* What to ask for. */
struct push_vhosts_key {
	int port;
	bool is_upgrade;
	bool is_tls; /* it came by TLS that was ended here: what came otherwise finds no vhost with TLS */
	struct push_str path;
};

/* If it is Push's: */
struct push_vhosts_found {
	struct push_vhost *vhost;
	enum push_place place;
	size_t rest_size; /* of the path behind the mount */
};

/* push_vhosts_find - whose a request is. */
enum push_whose
push_vhosts_find(const struct push_vhosts *vhosts, const struct push_vhosts_key *key,
	struct push_vhosts_found *ret_found);

/* push_vhosts_ports - each port once.  Returns their number, at most `max`. */
size_t
push_vhosts_ports(const struct push_vhosts *vhosts, int *ret, size_t max);

/*
 * push_vhosts_tls - the vhosts of a port with TLS, in lws' order; their texts live as long as `vhosts`.
 *
 * Returns their number; 0 where one of the port has no TLS, is not understood, or there are more than
 * PUSH_TLS_VHOSTS_MAX.
 */
size_t
push_vhosts_tls(const struct push_vhosts *vhosts, int port, struct push_tls_vhost ret[PUSH_TLS_VHOSTS_MAX]);

/* push_vhost_name - borrowed. */
const char *
push_vhost_name(const struct push_vhost *vhost);

/* push_vhost_route - where the caller keeps the route of a place of this vhost: NULL at first, unref()ed with
 * the vhost. */
struct push_route **
push_vhost_route(struct push_vhost *vhost, enum push_place place);

#endif
