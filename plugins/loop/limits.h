/*
 * limits.h - the fixed limits of calls to other servers, with their units, their reasons and what happens there.
 */
#ifndef PUSH_LOOP_LIMITS_H
#define PUSH_LOOP_LIMITS_H

/* Of a server's name that are tried in turn, as many as a lookup gives (resolve.c). */
#define PUSH_HTTP_ADDRESSES_MAX 8

/* How long addresses are believed: as long as names of services in Kubernetes are. */
#define PUSH_HTTP_ADDRESS_US 30000000ull

/* The least time that a connection has before the next address is tried (RFC 8305, 5); of a call's time, each
 * address has an equal share. */
#define PUSH_HTTP_CONNECT_US_MIN 250000ull

/* How long an idle connection is kept: node closes its after 5 s, so that ours is closed first. */
#define PUSH_HTTP_IDLE_US 4000000ull

/* The head of an answer, with those of interim answers; a longer one is malformed.  Four times what servers
 * accept of requests. */
#define PUSH_HTTP_ANSWER_HEAD_BYTES_MAX (32u * 1024)

/* The value of a header that is kept; a longer one is as if it had not come, but for Cache-Control, which then
 * forbids to keep the answer. */
#define PUSH_HTTP_VALUE_BYTES_MAX 256u

/* A request, with its body: the largest is a batch of spans (trace/limits.h). */
#define PUSH_HTTP_REQUEST_BYTES_MAX (320u * 1024)

/* Read from a connection in one turn, in pieces, so that no server keeps the loop busy. */
#define PUSH_HTTP_READ_BYTES 16384u
#define PUSH_HTTP_READS_MAX  4

/* The longest Retry-After that is believed. */
#define PUSH_HTTP_RETRY_AFTER_S_MAX 3600u

#endif
