/* base64url.c - see base64url.h. */
#include <stdint.h>

#include "base64url.h"

static int
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool
push_base64url_decode(struct push_str text, unsigned char *to, size_t room, size_t *ret_size)
{
	size_t size = PUSH_BASE64URL_DECODED_BYTES(text.size), written = 0;
	unsigned int bits = 0, waiting = 0;

	if (text.size % 4 == 1 || size > room)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		int value = value_of(text.bytes[i]);

		if (value < 0)
			return false;
		waiting = (waiting << 6 | (unsigned int)value) & 0xFFFF;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			to[written++] = (unsigned char)(waiting >> bits);
		}
	}
	if (waiting & ((1u << bits) - 1))
		return false;
	*ret_size = written;
	return true;
}

void
push_base64url_encode(const unsigned char *bytes, size_t size, char *to)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned int bits = 0, waiting = 0;

	for (size_t i = 0; i < size; i++) {
		waiting = (waiting << 8 | bytes[i]) & 0xFFFF;
		for (bits += 8; bits >= 6; bits -= 6)
			*to++ = alphabet[waiting >> (bits - 6) & 63];
	}
	if (bits)
		*to = alphabet[waiting << (6 - bits) & 63];
}
