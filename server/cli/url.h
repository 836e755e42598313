/* url.h - where a server is: http://host[:port][/path], or https; ws and wss are the same. */
#ifndef PUSH_CLI_URL_H
#define PUSH_CLI_URL_H

#include <libwebsockets.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/options.h"
#include "cli_limits.h"

struct url {
	bool is_tls;
	int port;
	char host[CLI_HOST_BYTES_MAX + 1];       /* without the brackets of IPv6 */
	char authority[CLI_HOST_BYTES_MAX + 16]; /* for the header Host */
	char path[CLI_PATH_BYTES_MAX + 1]; /* in front of Push's own paths, without a slash at its end */
	char text[CLI_HOST_BYTES_MAX + 16 + CLI_PATH_BYTES_MAX + 16]; /* all of it, for people */
};

/*
 * url_parse - without a scheme it is http.
 *
 * Errors: PUSH_INVALID with what is wrong in `error`; `name` is where the text comes from.
 */
enum push_status PUSH_MUST_USE
url_parse(struct url *ret_url, const char *name, const char *text, struct push_error *error);

/* url_append_encoded - percent-encoded for a query: all but letters, digits and - . _ ~ */
void
url_append_encoded(struct push_buf *to, const char *text);

/* url_fill - what leads lws there. */
void
url_fill(const struct url *url, struct lws_client_connect_info *info);

#endif
