/* http_url.h - the address of a server that Push itself calls by HTTP: `https://host:port/path`. */
#ifndef PUSH_CORE_HTTP_URL_H
#define PUSH_CORE_HTTP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "options.h"
#include "status.h"

struct push_http_url {
	char host[PUSH_OPTION_TEXT_BYTES_MAX + 1]; /* a name or an address, without brackets */
	uint16_t port;
	bool is_tls;                                    /* https */
	char path[PUSH_OPTION_TEXT_BYTES_MAX + 2];      /* with its query; "/" where there is none */
	char authority[PUSH_OPTION_TEXT_BYTES_MAX + 1]; /* as written, for the Host header */
};

/*
 * push_http_url_parse - read it.
 *
 * @name: of the option, for errors.
 * Errors: PUSH_INVALID, with what is wrong in `error`: another scheme, a user, a fragment, a character that
 * has no place in a URL.
 */
enum push_status PUSH_MUST_USE
push_http_url_parse(struct push_http_url *ret, const char *name, const char *text, struct push_error *error);

/* push_http_url_is_local - whether its host is this machine by its name: localhost, 127.0.0.0/8 or ::1. */
bool
push_http_url_is_local(const struct push_http_url *url);

#endif
