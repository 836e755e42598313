/*
 * redis_url.h - push.redis.url: where Redis is, and of which kind.
 *
 *   redis://[user:password@]host[:6379][/database]     one server; rediss:// with TLS
 *   unix://[user:password@]/path[?db=N]                the same, by its socket
 *   redis+sentinel://[user:password@]host[:26379],host.../master-name[/database]
 *   redis+cluster://[user:password@]host[:6379],host...
 *
 * and rediss+sentinel, rediss+cluster with TLS.  An IPv6 address stands in brackets; user and password are
 * percent-decoded.
 */
#ifndef PUSH_CORE_REDIS_URL_H
#define PUSH_CORE_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "status.h"

#define PUSH_REDIS_HOSTS_MAX        16
#define PUSH_REDIS_HOST_BYTES_MAX   255 /* a name of DNS, RFC 1035 */
#define PUSH_REDIS_SECRET_BYTES_MAX 127
#define PUSH_REDIS_DATABASE_MAX     65535

enum push_redis_kind { PUSH_REDIS_STANDALONE, PUSH_REDIS_SENTINEL, PUSH_REDIS_CLUSTER };

struct push_redis_host {
	char name[PUSH_REDIS_HOST_BYTES_MAX + 1];
	uint16_t port;
};

struct push_redis_url {
	enum push_redis_kind kind;
	bool tls;
	char user[PUSH_REDIS_SECRET_BYTES_MAX + 1], password[PUSH_REDIS_SECRET_BYTES_MAX + 1];
	char unix_path[108]; /* "": by TCP */
	char master_name[PUSH_REDIS_SECRET_BYTES_MAX + 1];
	unsigned int database;
	struct push_redis_host hosts[PUSH_REDIS_HOSTS_MAX];
	size_t host_count;
};

/*
 * push_redis_url_parse - read it.
 *
 * Errors: PUSH_INVALID with what is wrong in `error`, without the password.
 */
enum push_status PUSH_MUST_USE
push_redis_url_parse(struct push_redis_url *url, const char *text, struct push_error *error);

/* push_redis_url_mask - for logs: the text with `***` for its password, cut to `size`. */
void
push_redis_url_mask(const char *text, char *to, size_t size);

#endif
