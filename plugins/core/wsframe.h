/*
 * wsframe.h - WebSocket frames that a server sends (RFC 6455, 5.2): unmasked, never fragmented.
 */
#ifndef PUSH_CORE_WSFRAME_H
#define PUSH_CORE_WSFRAME_H

#include <stddef.h>

#include "status.h"

/* RFC 6455, 11.8. */
enum push_ws_opcode {
	PUSH_WS_TEXT = 0x1,
	PUSH_WS_BINARY = 0x2,
	PUSH_WS_CLOSE = 0x8,
	PUSH_WS_PING = 0x9,
	PUSH_WS_PONG = 0xA,
};

/* In the first byte: the last, or only, frame of a message. */
#define PUSH_WS_FIN 0x80

/* The longest header of a frame from a server: no mask, 64-bit length. */
#define PUSH_WS_HEADER_BYTES_MAX 10

/* The longest payload of a control frame (RFC 6455, 5.5). */
#define PUSH_WS_CONTROL_BYTES_MAX 125

/*
 * push_ws_put_header - write the header of one whole frame with `size` bytes of payload.
 *
 * @to: at least PUSH_WS_HEADER_BYTES_MAX bytes.  Returns the header's length.
 */
size_t
push_ws_put_header(unsigned char *to, enum push_ws_opcode opcode, size_t size);

/*
 * push_ws_take_header - read back a header that push_ws_put_header() wrote.
 *
 * For connections whose framing is somebody else's job (WebSocket over HTTP/2), which need opcode and payload
 * again.  Returns the header's length and sets *opcode and *size to the payload's.
 */
size_t
push_ws_take_header(const unsigned char *from, enum push_ws_opcode *opcode, size_t *size);

#endif
