/* publish.h - the requests of push pub: one message, or a batch of lines (pub.c decides which). */
#ifndef PUSH_CLI_PUBLISH_H
#define PUSH_CLI_PUBLISH_H

#include "arguments.h"
#include "login.h"
#include "core/buf.h"
#include "loop.h"
#include "url.h"

/* publish_append - {"channel":...,"message":...,"ttl":...}; returns what is wrong with the message, or NULL.
 */
const char *
publish_append(struct push_buf *to, const struct cli_arguments *arguments, const char *message, size_t size);

/* publish_one - send the only message of the command line, again where a key makes that safe. */
enum cli_exit
publish_one(struct loop *loop, const struct url *url, const struct login *login);

/* publish_lines - send each line of stdin as a message, until its end. */
enum cli_exit
publish_lines(struct loop *loop, const struct url *url, struct login *login);

#endif
