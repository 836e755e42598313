/*
 * payload.h - the text of a message, which proves where it belongs.
 *
 *   ~1a2b.000003.0001.0000002f.00012345678a~abcdefgh...
 *    run  channel stream number sent, ns     filling
 *
 * Fixed width and in hexadecimal, so that reading it back is a table look-up per digit: the tool must be
 * cheaper than what it measures.  It needs no escape in JSON and no line break, so that it crosses any server
 * unchanged, in whatever the server wraps it.  The run tells messages of an earlier run apart, the filling is
 * compared, so that a server that cuts or mixes messages is found out.
 */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_HEAD_BYTES   40
#define PAYLOAD_BYTES_MAX    (1u << 20)
#define PAYLOAD_CHANNELS_MAX (1u << 24)
#define PAYLOAD_STREAMS_MAX  (1u << 16)

/* A stream is what one publisher sends to one channel: within it, order is promised. */
struct stamp {
	uint32_t channel, stream;
	uint32_t number; /* from 1, per stream */
	uint64_t sent_ns;
};

struct payload {
	uint32_t run;      /* 16 bits */
	uint64_t epoch_ns; /* times are written relative to it, so that they fit */
	size_t size;
	char *filling; /* what a message of `size` bytes ends with */
};

enum payload_verdict {
	PAYLOAD_READ,
	PAYLOAD_ABSENT,  /* nothing in the text looks like a message of this tool */
	PAYLOAD_DAMAGED, /* something does, but it is not whole */
};

/* payload_init - for messages of `size` bytes, at least PAYLOAD_HEAD_BYTES.  Returns -1 if memory is out. */
int payload_init(struct payload *payload, uint32_t run, size_t size);

void payload_fini(struct payload *payload);

/* payload_write - put a message of payload->size bytes to `to`, without a NUL. */
void payload_write(const struct payload *payload, char *to, const struct stamp *stamp);

/* payload_read - find the message in `text`; *ret_stamp is written for PAYLOAD_READ only. */
enum payload_verdict payload_read(
	const struct payload *payload, const char *text, size_t size, struct stamp *ret_stamp);

#endif
