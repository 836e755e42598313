/*
 * listeners.h - stop listening for clients, while the management port goes on answering.
 *
 * lws closes all listening sockets of a process or none, and lends no plugin a hand on one of them.  So the
 * socket is found by its port among the process' own descriptors, and its place is taken by an eventfd that
 * is never ready: the kernel stops listening when the last descriptor of a socket goes, and takes it out of
 * every epoll set (epoll(7), Q6); lws closes the stand-in with everything else when it ends.
 */
#ifndef PUSH_LWSIO_LISTENERS_H
#define PUSH_LWSIO_LISTENERS_H

/* push_listeners_close - stop listening on a TCP port, on all its addresses.  Returns how many sockets. */
int
push_listeners_close(int port);

#endif
