/* index.h - what there is on the management port, and the metrics by name: for people who look around. */
#ifndef PUSH_HTTP_INDEX_H
#define PUSH_HTTP_INDEX_H

#include <libwebsockets.h>

#include "broker/broker.h"

/* index_root - a list of the pages: HTML for a browser, text otherwise. */
int
index_root(struct lws *wsi, struct push_broker_link *link);

/* index_actuator - the same as Spring Boot's /actuator has it: `{"_links":{...}}`. */
int
index_actuator(struct lws *wsi, struct push_broker_link *link);

/* index_channels - those with the most subscribers, if push.channels.list is on. */
int
index_channels(struct lws *wsi, struct push_broker_link *link);

/* index_meters - the names of all meters (core/meters.h). */
int
index_meters(struct lws *wsi, struct push_broker_link *link);

/* index_meter - one of them; `?tag=NAME:VALUE` says which samples of it. */
int
index_meter(struct lws *wsi, struct push_broker_link *link, const char *name);

#endif
