/*
 * resp.h - commands as Redis reads them: an array of bulk strings (Redis serialization protocol, RESP2).
 *
 *   push_resp_command(buf, 2); push_resp_text(buf, "GET"); push_resp_bulk(buf, key, size);
 *
 * Failure to append shows in buf->status, and then part of a command may be in the buffer.
 */
#ifndef PUSH_REDIS_RESP_H
#define PUSH_REDIS_RESP_H

#include <stddef.h>

#include "core/buf.h"

/* push_resp_command - begin a command of `count` parts, its name included. */
void
push_resp_command(struct push_buf *to, size_t count);

/* push_resp_bulk - one part: any bytes. */
void
push_resp_bulk(struct push_buf *to, const char *bytes, size_t size);

/* push_resp_bulk2 - one part that is put together of two. */
void
push_resp_bulk2(
	struct push_buf *to, const char *first, size_t first_size, const char *second, size_t second_size);

void
push_resp_text(struct push_buf *to, const char *text);

void
push_resp_number(struct push_buf *to, unsigned long long number);

#endif
