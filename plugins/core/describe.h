/*
 * describe.h - what a log says of a client, as members of a JSON object; nothing of what it is sent.
 */
#ifndef PUSH_CORE_DESCRIBE_H
#define PUSH_CORE_DESCRIBE_H

#include "buf.h"
#include "subscriber.h"

/* Who wants to hear of each connection; called from the loop's thread, and may not call back. */
struct push_hub_observer {
	void (*opened)(void *context, const struct push_subscriber *subscriber);
	/* `reason` is settled; the socket may be gone already. */
	void (*closed)(void *context, const struct push_subscriber *subscriber);
	/* A client has no right for something; NULL: of no interest. */
	void (*refused)(void *context, const char *text);
	void *context;
};

/* push_hub_count_refused - a client has no right for something: count it, and report why. */
void
push_hub_count_refused(struct push_hub *hub, enum push_auth_refusal why, const char *text);

/* push_hub_observe - from now on, borrowed; NULL: nobody. */
void
push_hub_observe(struct push_hub *hub, const struct push_hub_observer *observer);

/* push_describe_client - append `"transport":"ws","peer":"127.0.0.1:4711"`; a peer only where it is known. */
void
push_describe_client(const struct push_subscriber *subscriber, struct push_buf *to);

/*
 * push_describe_channels - append `"channels":["a","b"],"channel_count":2`.
 *
 * As many names as fit into PUSH_LOG_NAMES_BYTES_MAX.
 */
void
push_describe_channels(const struct push_subscriber *subscriber, struct push_buf *to);

/* push_describe_reason - append `"reason":"lifetime"`. */
void
push_describe_reason(const struct push_subscriber *subscriber, struct push_buf *to);

#endif
