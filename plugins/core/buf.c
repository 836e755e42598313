/* buf.c - see buf.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "memory.h"
#include "push_assert.h"

#define BUF_FIRST_CAPACITY 256

void
push_buf_init(struct push_buf *buf, size_t max)
{
	*buf = (struct push_buf){.max = max};
}

void
push_buf_charge(struct push_buf *buf, struct push_account *account)
{
	PUSH_ASSERT(!buf->bytes);
	buf->account = account;
}

void
push_buf_reset(struct push_buf *buf)
{
	size_t max = buf->max;
	struct push_account *account = buf->account;

	push_buf_fini(buf);
	push_buf_init(buf, max);
	buf->account = account;
}

void
push_buf_fini(struct push_buf *buf)
{
	if (buf->account)
		push_account_take(buf->account, buf->capacity);
	free(buf->bytes);
	*buf = (struct push_buf){0};
}

void
push_buf_clear(struct push_buf *buf)
{
	buf->size = 0;
	buf->status = PUSH_OK;
}

/* Makes room for `size` more bytes; doubles, so that appending is O(1) on average. */
static bool
reserve(struct push_buf *buf, size_t size)
{
	size_t capacity = buf->capacity ? buf->capacity : BUF_FIRST_CAPACITY;
	char *bytes;

	if (buf->status != PUSH_OK)
		return false;
	if (size > buf->max - buf->size) {
		buf->status = PUSH_TOO_LARGE;
		return false;
	}
	if (size <= buf->capacity - buf->size)
		return true;

	while (capacity < buf->size + size)
		capacity *= 2;
	if (capacity > buf->max)
		capacity = buf->max;
	bytes = realloc(buf->bytes, capacity);
	if (!bytes) {
		buf->status = PUSH_OUT_OF_MEMORY;
		return false;
	}
	if (buf->account)
		push_account_change(buf->account, buf->capacity, capacity);
	buf->bytes = bytes;
	buf->capacity = capacity;
	PUSH_ASSERT(buf->size <= buf->capacity && buf->capacity <= buf->max);
	return true;
}

void
push_buf_append(struct push_buf *buf, const void *bytes, size_t size)
{
	if (!size || !reserve(buf, size))
		return;
	memcpy(buf->bytes + buf->size, bytes, size);
	buf->size += size;
}

void
push_buf_append_text(struct push_buf *buf, const char *text)
{
	push_buf_append(buf, text, strlen(text));
}

char *
push_buf_reserve(struct push_buf *buf, size_t size)
{
	return reserve(buf, size) ? buf->bytes + buf->size : NULL;
}

void
push_buf_printf(struct push_buf *buf, const char *format, ...)
{
	char line[PUSH_BUF_LINE_BYTES_MAX];
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	PUSH_ASSERT(size >= 0 && (size_t)size < sizeof(line));
	push_buf_append(buf, line, (size_t)size);
}
