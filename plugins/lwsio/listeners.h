/*
 * listeners.h - take listening sockets away from lws: to stop listening for clients while the management port
 * goes on answering, or to accept them without lws.
 *
 * lws closes all listening sockets of a process or none, and lends no plugin a hand on one of them.  So the
 * socket is found by its port among the process' own descriptors, and its place is taken by an eventfd that
 * is never ready: the kernel stops listening when the last descriptor of a socket goes, and takes it out of
 * every epoll set (epoll(7), Q6); lws closes the stand-in with everything else when it ends.
 */
#ifndef PUSH_LWSIO_LISTENERS_H
#define PUSH_LWSIO_LISTENERS_H

#include <libwebsockets.h>

/*
 * push_listeners_take - as push_listeners_close(), but the sockets live on: each is given to `taken`, which
 * owns it from there on.
 *
 * lws' loop waited for them, and the kernel keeps a descriptor in an epoll set for as long as its socket is
 * open under any number (epoll(7), Q6), so they are taken out of it first.  Returns how many; 0 also where
 * the loop is not libuv's.
 */
int
push_listeners_take(
	struct lws_context *context, int port, void (*taken)(void *owner, int fd, int port), void *owner);

/*
 * push_listeners_close - stop listening on a TCP port, on all its addresses; 0: on all ports.
 *
 * Where another process has the socket it goes on listening there (server/kept_sockets.h).  Returns how many.
 */
int
push_listeners_close(struct lws_context *context, int port);

#endif
