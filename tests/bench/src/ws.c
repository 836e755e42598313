/* ws.c - see ws.h. */
#include <string.h>

#include "ws.h"

static uint64_t
big_endian(const unsigned char *bytes, size_t count)
{
	uint64_t value = 0;

	while (count--)
		value = value << 8 | *bytes++;
	return value;
}

static bool
may_be_sent(const unsigned char *head)
{
	bool is_control = head[0] & 0x08;

	if (head[0] & 0x70 || head[1] & 0x80)
		return false;
	return !is_control || (head[0] & 0x80 && (head[1] & 0x7f) <= WS_CONTROL_BYTES_MAX);
}

long
ws_frame_parse(char *bytes, size_t size, struct ws_frame *ret_frame)
{
	const unsigned char *head = (const unsigned char *)bytes;
	size_t head_size = 2;
	uint64_t length;

	if (size < 2)
		return 0;
	if (!may_be_sent(head))
		return -1;
	length = head[1] & 0x7f;
	if (length >= 126) {
		head_size = length == 126 ? 4 : 10;
		if (size < head_size)
			return 0;
		length = big_endian(head + 2, head_size - 2);
	}
	if (size - head_size < length)
		return 0;
	*ret_frame = (struct ws_frame){
		.is_last = head[0] & 0x80,
		.opcode = head[0] & 0x0f,
		.text = bytes + head_size,
		.size = (size_t)length,
	};
	return (long)(head_size + length);
}

size_t
ws_frame_put(char *to, unsigned char opcode, const char *text, size_t size)
{
	static const char mask[4] = {0x50, 0x75, 0x73, 0x68};

	to[0] = (char)(0x80 | opcode);
	to[1] = (char)(0x80 | size);
	memcpy(to + 2, mask, sizeof(mask));
	for (size_t i = 0; i < size; i++)
		to[WS_CLIENT_HEAD_BYTES + i] = (char)(text[i] ^ mask[i % 4]);
	return WS_CLIENT_HEAD_BYTES + size;
}
