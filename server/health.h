/*
 * health.h - pushd --health: asks this machine's Push how it is, as a container's health check does.
 *
 * The image has no shell and no curl; and what is asked for is in the configuration, which pushd can read.
 */
#ifndef PUSHD_HEALTH_H
#define PUSHD_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

#include "core/options.h"
#include "settings.h"

/* How long the answer may take: health checks come every few seconds, and a loop that turns answers in
 * milliseconds. */
#define HEALTH_TIMEOUT_MS 2000

/* The answer has 300 bytes; what is longer comes from something else. */
#define HEALTH_ANSWER_BYTES_MAX 4096

/* health_path - what "live" and "ready" ask for; NULL for any other text. */
const char *
health_path(const char *question);

/*
 * health_ask - print the answer to settings->health, a question that has a path.
 *
 * The port is that of the vhost "management", as the configuration and MANAGEMENT_SERVER_PORT say; the rest
 * of the configuration need not be right.  Returns PUSH_OK for UP, or PUSH_INVALID with the reason in `error`.
 */
enum push_status PUSH_MUST_USE
health_ask(const struct settings *settings, struct push_error *error);

/* health_says_up - whether the body of an answer is {"status":"UP"}. */
bool
health_says_up(const char *body);

/*
 * health_read_answer - find the body of an HTTP answer, and whether it says UP.
 *
 * @answer: `size` bytes from whoever listens there, and a NUL behind them.
 * Returns PUSH_OK for status 200 with `{"status":"UP"}`, or PUSH_INVALID with what is wrong in `error`.
 * *ret_body points into the answer, at its end where there is no body.
 */
enum push_status PUSH_MUST_USE
health_read_answer(char *answer, size_t size, const char **ret_body, struct push_error *error);

#endif
