/*
 * buf.h - a growing buffer of bytes that knows its cap from the start.
 *
 * Appending past the cap, or running out of memory, marks the buffer as failed; further appends do nothing.
 * So a text is put together without a check after every piece, and asked once at the end.
 *
 * Invariants: size <= capacity <= max; failed buffers keep what they held.
 */
#ifndef PUSH_CORE_BUF_H
#define PUSH_CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

/* The longest line that push_buf_printf() can make; longer ones are a bug. */
#define PUSH_BUF_LINE_BYTES_MAX 1024

struct push_account;

struct push_buf {
	char *bytes;
	size_t size, capacity, max;
	struct push_account *account; /* borrowed: what its memory is charged to; NULL: nothing (memory.h) */
	enum push_status status;      /* PUSH_OK, PUSH_TOO_LARGE or PUSH_OUT_OF_MEMORY */
};

/* push_buf_init - an empty buffer that may hold up to `max` bytes; nothing is allocated yet. */
void
push_buf_init(struct push_buf *buf, size_t max);

/* push_buf_charge - charge what it takes from now on; of an empty buffer, behind push_buf_init(). */
void
push_buf_charge(struct push_buf *buf, struct push_account *account);

/* push_buf_reset - free the bytes; the buffer is as it was at first. */
void
push_buf_reset(struct push_buf *buf);

/* push_buf_fini - free the bytes; the buffer may be used again after push_buf_init() only. */
void
push_buf_fini(struct push_buf *buf);

/* push_buf_clear - forget the content and a failure, keep the memory. */
void
push_buf_clear(struct push_buf *buf);

/* push_buf_append - copy `size` bytes to the end. */
void
push_buf_append(struct push_buf *buf, const void *bytes, size_t size);

/* push_buf_append_text - copy a NUL-terminated text, without its NUL. */
void
push_buf_append_text(struct push_buf *buf, const char *text);

/* push_buf_reserve - room for `size` bytes behind the content, which the caller fills, and counts in buf->size; NULL: the
 * buffer has failed. */
char *
push_buf_reserve(struct push_buf *buf, size_t size);

/* push_buf_printf - append formatted text. */
void
push_buf_printf(struct push_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
