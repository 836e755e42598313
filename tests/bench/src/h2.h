/*
 * h2.h - HTTP/2 connections whose streams are event streams, as a browser with many tabs has them.
 *
 *   subscriber i  ─ stream ─┐
 *   subscriber i+1 ─ stream ┼─ connection i / --streams ─ wire
 *
 * nghttp2 knows the protocol and no sockets: bytes go in (what was read) and out (one write for all requests and
 * acknowledgements of a turn).  Its windows are those of browsers.  A connection that the server gives up (GOAWAY) gets
 * no new streams; the next one that is wanted opens another in its place.
 */
#ifndef BENCH_H2_H
#define BENCH_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fleet;
struct subscriber;
struct h2_pool;

/* h2_pool_create - for the connections of a fleet of `count` subscribers; NULL if memory is out. */
struct h2_pool *h2_pool_create(struct fleet *fleet, size_t count);

/* h2_pool_destroy - closes all; NULL is fine. */
void h2_pool_destroy(struct h2_pool *pool);

/*
 * h2_subscribe - ask for an event stream on the connection of this subscriber's number, opened if need be.
 *
 * The subscriber gets to know by subscriber_answered(), _received() and _ended(), never within this call.
 * Returns NULL, or what is wrong.
 */
const char *h2_subscribe(struct subscriber *subscriber, uint32_t source, const char *path);

/* h2_leave - reset the stream of this subscriber, which is told nothing any more. */
void h2_leave(struct subscriber *subscriber);

/* h2_read_on - after a stall. */
void h2_read_on(struct subscriber *subscriber);

/* h2_pool_flush - after each turn: send what it has made. */
void h2_pool_flush(struct h2_pool *pool);

#endif
