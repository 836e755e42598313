/* wsframe.c - see wsframe.h. */
#include <stdint.h>

#include "push_assert.h"
#include "wsframe.h"

#define LENGTH_16 126
#define LENGTH_64 127

size_t
push_ws_put_header(unsigned char *to, enum push_ws_opcode opcode, size_t size)
{
	to[0] = (unsigned char)(PUSH_WS_FIN | opcode);
	if (size < LENGTH_16) {
		to[1] = (unsigned char)size;
		return 2;
	}
	PUSH_ASSERT(opcode == PUSH_WS_TEXT);
	if (size <= UINT16_MAX) {
		to[1] = LENGTH_16;
		to[2] = (unsigned char)(size >> 8);
		to[3] = (unsigned char)size;
		return 4;
	}
	to[1] = LENGTH_64;
	for (int i = 0; i < 8; i++)
		to[2 + i] = (unsigned char)((uint64_t)size >> (8 * (7 - i)));
	return PUSH_WS_HEADER_BYTES_MAX;
}

size_t
push_ws_take_header(const unsigned char *from, enum push_ws_opcode *opcode, size_t *size)
{
	*opcode = (enum push_ws_opcode)(from[0] & 0x0F);
	*size = from[1];
	if (from[1] < LENGTH_16)
		return 2;
	if (from[1] == LENGTH_16) {
		*size = (size_t)from[2] << 8 | from[3];
		return 4;
	}
	*size = 0;
	for (int i = 0; i < 8; i++)
		*size = *size << 8 | from[2 + i];
	return PUSH_WS_HEADER_BYTES_MAX;
}
