/* traceparent.c - see traceparent.h. */
#include <string.h>

#include "traceparent.h"

/* Where the parts are. */
#define AT_TRACE_ID 3
#define AT_SPAN_ID  36
#define AT_FLAGS    53

#define VERSION_NONE 0xff

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns false where one of them is no digit. */
static bool
read_hex(const char *text, unsigned char *to, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (unsigned char)(high * 16 + low);
	}
	return true;
}

static bool
is_zero(const unsigned char *bytes, size_t size)
{
	unsigned char sum = 0;

	for (size_t i = 0; i < size; i++)
		sum |= bytes[i];
	return !sum;
}

bool
push_traceparent_parse(struct push_trace *ret, const char *text, size_t size)
{
	struct push_trace trace;
	unsigned char version;

	if (size < PUSH_TRACEPARENT_BYTES || text[AT_TRACE_ID - 1] != '-' || text[AT_SPAN_ID - 1] != '-' ||
		text[AT_FLAGS - 1] != '-' || !read_hex(text, &version, 1) ||
		!read_hex(text + AT_TRACE_ID, trace.trace_id, sizeof(trace.trace_id)) ||
		!read_hex(text + AT_SPAN_ID, trace.span_id, sizeof(trace.span_id)) ||
		!read_hex(text + AT_FLAGS, &trace.flags, 1))
		return false;
	if (version == VERSION_NONE || is_zero(trace.trace_id, sizeof(trace.trace_id)) ||
		is_zero(trace.span_id, sizeof(trace.span_id)))
		return false;
	if (size > PUSH_TRACEPARENT_BYTES && (!version || text[PUSH_TRACEPARENT_BYTES] != '-'))
		return false;
	trace.flags &= (uint8_t)(version ? PUSH_TRACE_SAMPLED : PUSH_TRACE_SAMPLED | PUSH_TRACE_RANDOM);
	*ret = trace;
	return true;
}

void
push_hex_write(const unsigned char *bytes, size_t size, char *to)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		to[2 * i] = digits[bytes[i] >> 4];
		to[2 * i + 1] = digits[bytes[i] & 15];
	}
}

void
push_traceparent_write(const struct push_trace *trace, char to[PUSH_TRACEPARENT_BYTES + 1])
{
	memset(to, '-', PUSH_TRACEPARENT_BYTES);
	to[0] = to[1] = '0';
	push_hex_write(trace->trace_id, sizeof(trace->trace_id), to + AT_TRACE_ID);
	push_hex_write(trace->span_id, sizeof(trace->span_id), to + AT_SPAN_ID);
	push_hex_write(&trace->flags, 1, to + AT_FLAGS);
	to[PUSH_TRACEPARENT_BYTES] = '\0';
}
