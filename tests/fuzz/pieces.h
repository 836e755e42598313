/*
 * pieces.h - inputs made of pieces: a byte from 0x80 on stands for one of them, each other for itself.
 *
 * So a fuzzer finds its way into a request within seconds, where bytes alone take hours.
 */
#ifndef PUSH_FUZZ_PIECES_H
#define PUSH_FUZZ_PIECES_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/* pieces_expand - append what the input stands for; failure shows in to->status. */
static inline void
pieces_expand(struct push_buf *to, const char *const *pieces, size_t count, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char byte = (char)data[i];

		if (data[i] < 0x80)
			push_buf_append(to, &byte, 1);
		else
			push_buf_append_text(to, pieces[(data[i] - 0x80u) % count]);
	}
}

#endif
