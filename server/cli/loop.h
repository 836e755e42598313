/*
 * loop.h - one lws context: connections of any kind, timers (lws_sul), signals and descriptors, in one
 * thread.
 *
 * lws logs nothing: what is worth reporting reaches the callbacks.  SIGINT and SIGTERM are read from a
 * descriptor of their own, so that nothing is interrupted in the middle.
 */
#ifndef PUSH_CLI_LOOP_H
#define PUSH_CLI_LOOP_H

#include <libwebsockets.h>
#include <stdbool.h>

#include "core/options.h"

/* Names of lws protocols: which callback a connection has. */
#define LOOP_HTTP   "push-http"
#define LOOP_WS     "push-ws"
#define LOOP_SSE    "push-sse"
#define LOOP_SIGNAL "push-signal"

struct loop {
	struct lws_context *context;
	struct lws_vhost *vhost;
	int signal_fd;
	int signal; /* that came; 0: none */
	bool is_stopped;
	void (*on_signal)(void *owner); /* NULL: the loop stops */
	void (*on_turn)(void *owner);   /* after what was ready has been served; NULL: nothing */
	void *owner;
};

/* loop_init - false, with a line on stderr, when lws has no memory.  Blocks SIGINT and SIGTERM, ignores
 * SIGPIPE. */
bool
loop_init(struct loop *loop);

void
loop_fini(struct loop *loop);

/* loop_run - until loop_stop(), or a signal. */
void
loop_run(struct loop *loop);

void
loop_stop(struct loop *loop);

/* loop_pause - for so long, or until a signal. */
void
loop_pause(struct loop *loop, uint64_t us);

/* loop_await_input - until there is something to read; false: a signal came first. */
bool
loop_await_input(struct loop *loop, int fd);

/* loop_failure_text - what lws says of a connection that failed, in words for people; NULL: it has said
 * nothing. */
const char *
loop_failure_text(const char *text);

#endif
