/*
 * limits.h - the fixed limits of a request, on every wire, with their units, their reasons and what happens
 * there.
 */
#ifndef PUSH_REQUEST_LIMITS_H
#define PUSH_REQUEST_LIMITS_H

/* The longest head of a request; longer ones are answered with 431.  What proxies and browsers send is below.
 */
#define PUSH_HEAD_BYTES_MAX 16384

/* A body of which nothing comes for so long is answered with 408, and so is one that takes longer than the
 * total. Below lws' own 5 s, which close without a word. */
#define PUSH_BODY_STALL_US 4000000ull
#define PUSH_BODY_TOTAL_US 30000000ull

/* The longest body that operators may send: a list of names. */
#define PUSH_PAGE_BODY_BYTES_MAX 16384

/* When a refused client is to try again, in seconds (RFC 9110, 10.2.3). */
#define PUSH_RETRY_AFTER_S 1

/* How long a browser may keep the answer to a preflight, in seconds. */
#define PUSH_PREFLIGHT_AGE_TEXT "86400"

/* Of a number in a header. */
#define PUSH_NUMBER_TEXT_BYTES 16

#endif
