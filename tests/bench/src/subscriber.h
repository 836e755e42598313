/*
 * subscriber.h - one subscriber: connects, shakes hands, reads, answers pings, checks what it gets.
 *
 *   NEW ─▶ CONNECTING ─▶ OPEN ─▶ CLOSED      (with --reconnect: and on to CONNECTING, if that was announced)
 *               └─▶ FAILED
 */
#ifndef BENCH_SUBSCRIBER_H
#define BENCH_SUBSCRIBER_H

#include "fleet.h"

/* What is read lands here, behind what was left of the read before; the longest message fits twice. */
#define SUBSCRIBER_SCRATCH_BYTES (2 * PAYLOAD_BYTES_MAX + (256u << 10))

/* subscriber_connect - begin; the fleet counts it as connecting until it is OPEN or FAILED. */
void subscriber_connect(struct subscriber *subscriber, uint32_t source);

/* subscriber_read - take what is there.  @to_the_end: until the socket is empty, else until a short read. */
void subscriber_read(struct subscriber *subscriber, bool to_the_end);

/*
 * What an HTTP/2 connection has for its subscriber: the head of the answer, a part of the body, the end of the stream
 * (`error`: NULL for one in order).
 */
void subscriber_answered(struct subscriber *subscriber, const struct response *response, uint64_t now_ns);
void subscriber_received(struct subscriber *subscriber, const char *bytes, size_t size, uint64_t now_ns);
void subscriber_ended(struct subscriber *subscriber, const char *error);

/* subscriber_fini - close and free what it holds; it counts as nothing any more. */
void subscriber_fini(struct subscriber *subscriber);

#endif
