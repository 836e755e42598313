/*
 * limits.h - the fixed limits of an HTTP/2 connection, with their units, their reasons and what happens there.
 */
#ifndef PUSH_H2_LIMITS_H
#define PUSH_H2_LIMITS_H

#include "core/limits.h"
#include "request/limits.h"

/* Streams of one connection that are open at a time (SETTINGS_MAX_CONCURRENT_STREAMS): a browser has one connection for
 * all its tabs, and some have a hundred.  Past it a stream is refused (REFUSED_STREAM), and the client waits or opens
 * another connection. */
#define PUSH_H2_STREAMS_MAX 256

/* The fields of one head, with 32 bytes for each (RFC 9113, 6.5.2): answered with 431. */
#define PUSH_H2_HEAD_BYTES_MAX PUSH_HEAD_BYTES_MAX

/* ... with which the answer is 431, up to so many bytes of names and values: a field that is remembered takes one byte of the
 * client's (RFC 7541, 6.1) and all that it has here, to be checked.  Past it the connection ends. */
#define PUSH_H2_LIST_BYTES_MAX (4 * PUSH_H2_HEAD_BYTES_MAX)

/* ... and their number: each costs a look-up, however small it is. */
#define PUSH_H2_FIELDS_MAX 128

/* CONTINUATION frames of one head (CVE-2024-28182): one is enough for the bytes above, in any frame size.  Past it the
 * connection ends. */
#define PUSH_H2_CONTINUATIONS_MAX 8

/* What a client may send of one body before Push has taken it: what a TCP receive buffer has room for, and HTTP/2's own
 * default, which a client may use before it has seen our SETTINGS. */
#define PUSH_H2_STREAM_WINDOW_BYTES 65535

/* ... and of all bodies of a connection: none has to wait for another that is not taken. */
#define PUSH_H2_WINDOW_BYTES (PUSH_H2_STREAMS_MAX * PUSH_H2_STREAM_WINDOW_BYTES)

/* What is made for a socket before it has taken it: one TLS record's worth of a few streams.  Past it answers and
 * subscribers wait. */
#define PUSH_H2_OUT_BYTES_MAX 65536

/* ... and frames without data, which nghttp2 keeps back then. */
#define PUSH_H2_OUT_CONTROL_BYTES_MAX 16384

/* ... of which so much memory is kept when all is out. */
#define PUSH_H2_OUT_KEPT_BYTES 1024

/* Answers to PING and SETTINGS that wait to be sent. Past it the connection ends. */
#define PUSH_H2_ACKS_MAX 128

/* Frames of any kind, but for that: four of each stream.  A client that does not read can ask for refusals and resets without
 * end.  Past it the connection ends. */
#define PUSH_H2_QUEUE_MAX (4 * PUSH_H2_STREAMS_MAX)

/* Settings in one SETTINGS frame; RFC 9113 and its extensions define nine.  Past it the connection ends. */
#define PUSH_H2_SETTINGS_MAX 32

/* Requests that end in a reset before they are answered: a client that leaves a page gives up many at once, but not all
 * the time (CVE-2023-44487).  Past it the connection ends. */
#define PUSH_H2_RESETS_BURST    200
#define PUSH_H2_RESETS_A_SECOND 20

/* Frames that bring nothing: PING, SETTINGS, PRIORITY, unknown ones, DATA without bytes.  Clients send a few when they
 * connect and one in some seconds later.  Past it the connection ends. */
#define PUSH_H2_QUIET_BURST    512
#define PUSH_H2_QUIET_A_SECOND 50

/* WINDOW_UPDATE frames beyond two for each DATA frame that was sent: one for the stream, one for the connection.  Past it
 * the connection ends. */
#define PUSH_H2_UPDATES_BURST    1024
#define PUSH_H2_UPDATES_A_SECOND 100

/* One answer, and what a stream of lines has yet to send. */
#define PUSH_H2_ANSWER_BYTES_MAX (128 * 1024 + 2 * PUSH_READ_MESSAGES_BYTES + PUSH_SIZE_MAX)

#endif
