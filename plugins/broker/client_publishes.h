/*
 * client_publishes.h - what WebSocket clients publish, where push.ws.publish is on.
 *
 *   {"event":"publish","data":{"channel":"a","message":1,"ref":7}}
 *     ─▶ {"event":"published","data":{"subscribers":3,"ref":7}}
 *     ─▶ {"event":"error","data":{"error":"...","ref":7}}
 *
 * `data` is what the body of a publish request is.  Of one client up to PUSH_WS_PUBLISHES_MAX may be without
 * an answer; more are refused.  A client that goes away gets no answer; what it published is published.
 *
 * If the application is to be asked about one of them (permission.h), the client's later publishes wait behind it in their
 * order, and everything else that it sends goes on.  What waits is bounded; meanwhile the client is not read from.
 */
#ifndef PUSH_BROKER_CLIENT_PUBLISHES_H
#define PUSH_BROKER_CLIENT_PUBLISHES_H

#include "core/json.h"
#include "core/list.h"
#include "publishing.h"

struct push_subscriber;

#define PUSH_CLIENT_PUBLISHES_BUCKETS 64

/* Those that are under way, by client. */
struct push_client_publishes {
	struct push_publisher *publisher;
	size_t count, asking_count; /* asking_count: clients that the application is asked about */
	struct push_list buckets[PUSH_CLIENT_PUBLISHES_BUCKETS];
};

void
push_client_publishes_init(struct push_client_publishes *publishes, struct push_publisher *publisher);

/* push_client_publish - see above; `context` is the struct, as the hub gives it (push_hub_let_publish). */
void
push_client_publish(void *context, struct push_subscriber *subscriber, const struct push_command *command);

/* push_client_publishes_forget - a client is gone. */
void
push_client_publishes_forget(
	struct push_client_publishes *publishes, const struct push_subscriber *subscriber);

#endif
