/*
 * vhost_options.h - Push's options from where they come: the vhost's JSON, then the environment over it.
 */
#ifndef PUSH_LWSIO_VHOST_OPTIONS_H
#define PUSH_LWSIO_VHOST_OPTIONS_H

#include <libwebsockets.h>

#include "core/options.h"

/*
 * push_vhost_options_read - all options of a vhost's broker, checked.
 *
 * @given: what lws hands to LWS_CALLBACK_PROTOCOL_INIT.
 * @shared_vhost: receives push-broker-vhost, or stays as it is.
 * Errors: PUSH_INVALID or PUSH_NOT_FOUND, with one line that names the option in `error`.
 */
enum push_status PUSH_MUST_USE
push_vhost_options_read(struct push_options *options, const struct lws_protocol_vhost_options *given,
	char *shared_vhost, size_t shared_vhost_size, struct push_error *error);

#endif
