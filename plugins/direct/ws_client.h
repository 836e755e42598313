/*
 * ws_client.h - what a WebSocket client sends, given to its subscriber, whatever carries it.
 *
 * Bytes are parsed where they were read (core/wsreader.h); only a frame that has begun and not ended is kept.
 */
#ifndef PUSH_DIRECT_WS_CLIENT_H
#define PUSH_DIRECT_WS_CLIENT_H

#include "direct/direct_private.h"

struct direct_ws_begun;

/* A client's subscriber, and of a WebSocket what has come of a frame or a message that has not ended. */
struct direct_ws_client {
	struct push_direct *direct;
	struct push_subscriber *subscriber; /* owned by whoever has this */
	struct direct_ws_begun *begun;      /* owned; NULL while no frame has begun */
};

/* In the flags of its connection. */
enum {
	DIRECT_WS_FAILING = 1,  /* its frames could not be read: after our Close frame nothing more is read */
	DIRECT_WS_RELIEVED = 2, /* closed for what it had begun: of its frames only the Close counts */
	DIRECT_WS_ENDED = 4,    /* the connection is over: nothing is given to the subscriber any more */
};

/*
 * direct_ws_read - bytes that have come; unmasked in place.
 *
 * @flags: of the connection, which outlive what has begun.
 * Returns false when memory is out: the connection is to end.
 */
bool PUSH_MUST_USE
direct_ws_read(struct direct_ws_client *client, uint8_t *flags, unsigned char *bytes, size_t size);

/* direct_ws_forget - free what has begun. */
void
direct_ws_forget(struct direct_ws_client *client);

#endif
