/* resp.c - see resp.h. */
#include <string.h>

#include "redis/resp.h"

#define HEADER_BYTES_MAX 24 /* a letter, 20 digits, CR LF */

/* snprintf would take longer than everything else here. */
static void
append_header(struct push_buf *to, char mark, unsigned long long number)
{
	char text[HEADER_BYTES_MAX], *at = text + sizeof(text);

	*--at = '\n';
	*--at = '\r';
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	*--at = mark;
	push_buf_append(to, at, (size_t)(text + sizeof(text) - at));
}

void
push_resp_command(struct push_buf *to, size_t count)
{
	append_header(to, '*', count);
}

void
push_resp_bulk(struct push_buf *to, const char *bytes, size_t size)
{
	push_resp_bulk2(to, bytes, size, "", 0);
}

void
push_resp_bulk2(
	struct push_buf *to, const char *first, size_t first_size, const char *second, size_t second_size)
{
	append_header(to, '$', first_size + second_size);
	push_buf_append(to, first, first_size);
	push_buf_append(to, second, second_size);
	push_buf_append(to, "\r\n", 2);
}

void
push_resp_text(struct push_buf *to, const char *text)
{
	push_resp_bulk(to, text, strlen(text));
}

void
push_resp_number(struct push_buf *to, unsigned long long number)
{
	char digits[HEADER_BYTES_MAX], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	push_resp_bulk(to, at, (size_t)(digits + sizeof(digits) - at));
}
