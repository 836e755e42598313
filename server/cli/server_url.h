/* server_url.h - which server a command is about: --url, or PUSH_URL, or the one on this machine. */
#ifndef PUSH_CLI_SERVER_URL_H
#define PUSH_CLI_SERVER_URL_H

#include "arguments.h"
#include "url.h"

#define SERVER_URL_VARIABLE     "PUSH_URL"
#define SERVER_URL_DEFAULT      "http://localhost:8080"
#define MANAGEMENT_URL_VARIABLE "PUSH_MANAGEMENT_URL"
#define MANAGEMENT_URL_DEFAULT  "http://localhost:8000"

/* server_url - false, with a line on stderr, when it is malformed. */
bool
server_url(const struct cli_arguments *arguments, struct url *ret_url);

/* server_url_management - likewise of the management port: --management, PUSH_MANAGEMENT_URL. */
bool
server_url_management(const struct cli_arguments *arguments, struct url *ret_url);

/* server_url_hint - after an error: what to do if no server is at the place that nobody has named. */
void
server_url_hint(const struct cli_arguments *arguments);

#endif
