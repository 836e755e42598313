/*
 * lws_log.h - takes over where lws, and so Push in it, writes its log, so that nothing waits for who reads
 * it.
 *
 * lws writes to stderr itself, and waits.  Its logging context has a place for another function, and for what
 * that needs.
 */
#ifndef PUSH_WORKER_LWS_LOG_H
#define PUSH_WORKER_LWS_LOG_H

#include <libwebsockets.h>

#include "broker/line_writer.h"

/*
 * push_lws_log_take - write what lws logs to stderr by a line writer from now on, as long as the process
 * lives.
 *
 * Colours on a terminal go.  Returns the writer, which a second broker of the process gets as well; NULL
 * where memory is out, or lws logs elsewhere: then all stays as it is.
 */
struct push_line_writer *
push_lws_log_take(struct lws_context *context);

#endif
