/* payload.c - see payload.h. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "payload.h"

#define MARK '~'

/* Where each field stands behind the opening mark; each is followed by one byte, a dot or the closing mark.
 */
enum field { RUN, CHANNEL, STREAM, NUMBER, SENT, FIELD_COUNT };

static const struct {
	unsigned char at, digits;
} fields[FIELD_COUNT] = {
	[RUN] = {1, 4},
	[CHANNEL] = {6, 6},
	[STREAM] = {13, 4},
	[NUMBER] = {18, 8},
	[SENT] = {27, 12},
};

int
payload_init(struct payload *payload, uint32_t run, size_t size)
{
	size_t rest = size - PAYLOAD_HEAD_BYTES;

	payload->run = run & 0xffff;
	payload->epoch_ns = clock_ns();
	payload->size = size;
	payload->filling = malloc(rest + 1);
	if (!payload->filling)
		return -1;
	for (size_t i = 0; i < rest; i++)
		payload->filling[i] = (char)('a' + i % 26);
	return 0;
}

void
payload_fini(struct payload *payload)
{
	free(payload->filling);
	payload->filling = NULL;
}

static void
put_field(char *to, enum field field, uint64_t value)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = fields[field].digits; i-- > 0; value >>= 4)
		to[fields[field].at + i] = digits[value & 15];
	to[fields[field].at + fields[field].digits] = '.';
}

void
payload_write(const struct payload *payload, char *to, const struct stamp *stamp)
{
	put_field(to, RUN, payload->run);
	put_field(to, CHANNEL, stamp->channel);
	put_field(to, STREAM, stamp->stream);
	put_field(to, NUMBER, stamp->number);
	put_field(to, SENT, stamp->sent_ns - payload->epoch_ns);
	to[0] = to[PAYLOAD_HEAD_BYTES - 1] = MARK;
	memcpy(to + PAYLOAD_HEAD_BYTES, payload->filling, payload->size - PAYLOAD_HEAD_BYTES);
}

static bool
take_field(const char *from, enum field field, uint64_t *ret)
{
	const char *digit = from + fields[field].at, *end = digit + fields[field].digits;
	uint64_t value = 0;

	for (; digit < end; digit++) {
		if (*digit >= '0' && *digit <= '9')
			value = value << 4 | (uint64_t)(*digit - '0');
		else if (*digit >= 'a' && *digit <= 'f')
			value = value << 4 | (uint64_t)(*digit - 'a' + 10);
		else
			return false;
	}
	*ret = value;
	return *end == (field == SENT ? MARK : '.');
}

static bool
filling_is_whole(const struct payload *payload, const char *text, size_t size)
{
	size_t rest = payload->size - PAYLOAD_HEAD_BYTES;

	if (size < rest || memcmp(text, payload->filling, rest))
		return false;
	/* What follows is the server's: a quote, a line's end, nothing; never more of the alphabet. */
	return size == rest || text[rest] < 'a' || text[rest] > 'z';
}

enum payload_verdict
payload_read(const struct payload *payload, const char *text, size_t size, struct stamp *ret_stamp)
{
	const char *mark = memchr(text, MARK, size);
	uint64_t values[FIELD_COUNT];
	size_t left;

	if (!mark)
		return PAYLOAD_ABSENT;
	left = size - (size_t)(mark - text);
	if (left < PAYLOAD_HEAD_BYTES)
		return PAYLOAD_DAMAGED;
	for (enum field field = RUN; field < FIELD_COUNT; field++)
		if (!take_field(mark, field, &values[field]))
			return PAYLOAD_DAMAGED;
	if (values[RUN] != payload->run)
		return PAYLOAD_ABSENT;
	if (!filling_is_whole(payload, mark + PAYLOAD_HEAD_BYTES, left - PAYLOAD_HEAD_BYTES))
		return PAYLOAD_DAMAGED;
	*ret_stamp = (struct stamp){
		.channel = (uint32_t)values[CHANNEL],
		.stream = (uint32_t)values[STREAM],
		.number = (uint32_t)values[NUMBER],
		.sent_ns = values[SENT] + payload->epoch_ns,
	};
	return PAYLOAD_READ;
}
