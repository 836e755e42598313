/*
 * resp.h - what Redis says, as far as a subscriber and a publisher hear it (RESP2).
 *
 *   *3 $9 subscribe $3 ch0 :1        a SUBSCRIBE is in force
 *   *3 $7 message $3 ch0 $100 ...    a message
 *   :7                               the answer to a PUBLISH: how many it went to
 *   -ERR ...                         a refusal
 */
#ifndef BENCH_RESP_H
#define BENCH_RESP_H

#include <stddef.h>
#include <stdint.h>

#define RESP_PARTS_MAX 4

struct resp_text {
	const char *bytes;
	size_t size;
};

struct resp {
	char kind;      /* + - : $ or *, RESP's own marks */
	uint64_t value; /* of ':' */
	size_t count;   /* of parts: 1, or the length of an array */
	/* Texts point into what was parsed; that of a number is its digits. */
	struct resp_text parts[RESP_PARTS_MAX];
};

/*
 * resp_parse - the reply at the start of `bytes`.
 *
 * Returns the bytes it takes up; 0 if it is not whole yet; -1 if Redis says no such thing to this tool
 * (arrays in arrays, longer than RESP_PARTS_MAX, without a length).
 */
long resp_parse(const char *bytes, size_t size, struct resp *ret_reply);

/* resp_put - a command of `count` words, each a bulk string; returns its length. */
size_t resp_put(char *to, const struct resp_text *words, size_t count);

/* resp_size - the most that resp_put() may write. */
size_t resp_size(const struct resp_text *words, size_t count);

#endif
