/*
 * limits.h - the fixed limits of direct sockets, with their units, their reasons and what happens there.
 */
#ifndef PUSH_DIRECT_LIMITS_H
#define PUSH_DIRECT_LIMITS_H

#include "core/limits.h"
#include "request/limits.h"

/* Events taken in one look at an epoll set, before everybody else in the process has a turn: a millisecond or
 * so each.  To take leave of a client costs most, 20 to 30 us in the kernel. */
#define PUSH_PUBLISHERS_BATCH 64
#define PUSH_ARRIVALS_BATCH   32
#define PUSH_STREAMS_BATCH    32

/* ... or so long: what one client asks for may cost half a millisecond, and others wait for as many as are in
 * a batch. */
#define PUSH_BATCH_SLICE_US 2000ull

/* Connections accepted in one turn; the others wait in the kernel's queue. */
#define PUSH_ACCEPT_BATCH 32

/* ... of which one that is refused (push.limit.address...) counts for so many: a crowd of them must not make others
 * wait. */
#define PUSH_ACCEPT_REFUSED 8

/* Connections accepted in the turn that closes a listening socket for good, since the kernel resets those
 * that are left in its queue: as many as Linux lets wait (net.core.somaxconn), a tenth of a second's work. */
#define PUSH_ACCEPT_LAST_MAX 4096

/* Descriptors that clients leave to the management port and to everything else, of few a smaller share: past
 * them, a new connection is closed at once. */
#define PUSH_RESERVED_FILES_MAX   64
#define PUSH_RESERVED_FILES_SHARE 8

/* Descriptors that are open for operators' connections when no other is left: a scrape, two probes, and a
 * person who looks why. */
#define PUSH_RESERVE_FILES 8

/* How long the kernel keeps a connection to itself until its first bytes come (TCP_DEFER_ACCEPT, tcp(7)): one
 * that is accepted can be served at once.  After it a silent one is accepted, too, and has PUSH_HEAD_US. */
#define PUSH_DEFER_S 1

/* Handshakes of TLS gone on with in one turn, each with 0.1 to 0.7 ms of crypto, and the time for them, past which
 * others have theirs: a storm of them is limited by the CPU, and must not be by everybody's. */
#define PUSH_HANDSHAKES_BATCH    16
#define PUSH_HANDSHAKES_SLICE_US 1000ull

/* How long accepting rests when there are no descriptors left. */
#define PUSH_ACCEPT_REST_US 100000ull

/* Connections over push.limit.address... whose requests are answered with why, at a time; beyond, they get the
 * answer at once, unread, and a close: a crowd of them costs four system calls each. */
#define PUSH_REFUSALS_MAX 64

/* Descriptors given to lws that are looked at in one tick, to see whether they are closed: of so many a thousand
 * are known to be gone within a sixth of a second. */
#define PUSH_HANDED_LOOKS 64

/* What is read in one call: any head, and most bodies with it. */
#define PUSH_READ_BYTES (16 * 1024)

_Static_assert(PUSH_READ_BYTES >= PUSH_HEAD_BYTES_MAX, "a head is looked at as a whole");

/* What OpenSSL has opened, and nobody has asked for yet, is taken from it in such pieces. */
#define PUSH_TLS_REST_BYTES 4096

/* ... and of a WebSocket's frames, which are small: who sends without a pause has a turn like all others. */
#define PUSH_FRAMES_READ_BYTES 512

/* The time for a request's head, from the connection or from its first byte on. */
#define PUSH_HEAD_US 5000000ull

/* How long a head rests that is called for without a byte more. */
#define PUSH_HEAD_REST_US 10000ull

/* How long a publisher may keep a connection that it does not use. */
#define PUSH_KEEP_ALIVE_US 75000000ull

/* How long publishers wait for a flush that does not catch up, before each is served once. */
#define PUSH_PUBLISHERS_WAIT_US 20000ull

/* How long answers wait for a client that does not read them. */
#define PUSH_ANSWERS_US 30000000ull

/* How often a connection of HTTP/2 is sent from in one turn, each time with all that it may keep: a long answer waits for
 * the turns of others. */
#define PUSH_H2_ROUNDS 8

/* How long what is written to a connection of HTTP/2 waits for more of a long flush, so that it is one write. */
#define PUSH_H2_FLUSH_US 5000ull

/* How long streams that a client begins are still served, when it is told that its connection ends: a round trip. */
#define PUSH_H2_LEAVE_US 1000000ull

/* How long an answered connection that is to end is read, so that the client sees the answer and no reset. */
#define PUSH_LINGER_US 2000000ull

/* What a relay keeps in each direction: what it has read and its other end has not taken. */
#define PUSH_RELAY_PIECE_BYTES PUSH_READ_BYTES

/* What the local sockets of a relay hold in each direction (SO_SNDBUF, of which the kernel lets lws fill a quarter at
 * once): less, and a download takes more turns. */
#define PUSH_RELAY_SOCKET_BYTES (128 * 1024)

/* What a relay moves in one direction in a turn: with TLS a tenth of a millisecond. */
#define PUSH_RELAY_TURN_BYTES (4 * PUSH_RELAY_PIECE_BYTES)

/* The body of a request to lws by itself (lws_request.h), as far as lws has not taken it: what HTTP/2 lets a client send
 * before it is told to go on.  Past it the request ends. */
#define PUSH_LWS_BODY_BYTES 65536

/* Requests of one HTTP/2 connection that lws serves at a time, each by two descriptors: the files of a page all at once.
 * Past it a stream is refused (REFUSED_STREAM), and the client sends its request again. */
#define PUSH_H2_FOREIGN_MAX 100

/* Routes learned, and probes at a time; beyond, requests go through lws as if this were not here. */
#define PUSH_ROUTES_MAX 128
#define PUSH_PROBES_MAX 128

/* How often lws is asked about a new route, each with 128 at once at most: a probe costs five times the CPU
 * of a publish, and whoever connects may name any Host.  Past it a request goes to lws' own sockets, which
 * serve it as with push.direct=off (no chunked body, 2.5 kB a client), and is counted
 * (push_routes_limited_total). Routes that are known are not affected. */
#define PUSH_PROBES_A_SECOND 16
#define PUSH_PROBES_BURST    PUSH_PROBES_MAX

/* How long lws may take for a probe. */
#define PUSH_PROBE_US 2000000ull

/* Headers that a vhost adds to every answer. */
#define PUSH_EXTRA_HEADERS_BYTES_MAX 2048

/* Answers to pipelined requests that wait for a client to read: past it, no further request is looked at. */
#define PUSH_ANSWERS_BYTES_MAX (64 * 1024)

/* ... of which so much memory is kept for the next ones. */
#define PUSH_ANSWERS_KEPT_BYTES 1024

/* One answer: the vhost's headers, our own, and a body; the largest is history with one message more than
 * fits in. */
#define PUSH_ANSWER_BYTES_MAX (8 * 1024 + 2 * PUSH_READ_MESSAGES_BYTES + PUSH_SIZE_MAX)

#endif
