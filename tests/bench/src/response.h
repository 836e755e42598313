/*
 * response.h - HTTP/1.1 answers: the head, and a chunked body (RFC 9112, 4 and 7.1).
 */
#ifndef BENCH_RESPONSE_H
#define BENCH_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESPONSE_HEAD_BYTES_MAX (64u << 10)

struct response {
	unsigned int status;
	bool has_length, is_chunked, closes;
	uint64_t length;
	char content_type[64];
	char accept[64]; /* Sec-WebSocket-Accept */
};

/*
 * response_parse - the head at the start of `bytes`, its blank line included.
 *
 * Returns the bytes it takes up; 0 if it is not whole yet; -1 if this is no answer in HTTP/1.
 */
long response_parse(const char *bytes, size_t size, struct response *ret_response);

/* Decodes a chunked body piece by piece; all zero is where it begins. */
struct chunked {
	uint64_t left; /* of the chunk */
	enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_DONE } state;
	bool line_has_bytes; /* in the trailer */
};

/*
 * chunked_decode - take the framing out of `bytes`, in place.
 *
 * Returns the bytes of body that now stand at the front, -1 if the framing is broken.  *ret_used: the bytes
 * that were taken in, all of them unless the body has ended (state CHUNK_DONE).
 */
long chunked_decode(struct chunked *chunked, char *bytes, size_t size, size_t *ret_used);

#endif
