/*
 * ws.h - WebSocket frames as a client sees them (RFC 6455, 5): unmasked in, masked out.
 */
#ifndef BENCH_WS_H
#define BENCH_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The key of the example in RFC 6455, 1.3, with its answer: a load tool needs no SHA-1 of its own. */
#define WS_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define WS_CONTINUATION 0x0
#define WS_TEXT         0x1
#define WS_CLOSE        0x8
#define WS_PING         0x9
#define WS_PONG         0xA

#define WS_CONTROL_BYTES_MAX 125
#define WS_CLIENT_HEAD_BYTES 6 /* of a frame of up to 125 bytes */

struct ws_frame {
	bool is_last; /* FIN */
	unsigned char opcode;
	char *text;
	size_t size;
};

/*
 * ws_frame_parse - the frame at the start of `bytes`.
 *
 * Returns the bytes it takes up; 0 if it is not whole yet; -1 if no server may send this (reserved bits, a
 * mask, a fragmented or too long control frame).  The frame points into `bytes`.
 */
long ws_frame_parse(char *bytes, size_t size, struct ws_frame *ret_frame);

/* ws_frame_put - a client's frame of up to WS_CONTROL_BYTES_MAX bytes; returns its length. */
size_t ws_frame_put(char *to, unsigned char opcode, const char *text, size_t size);

#endif
