/* index.h - what there is on the management port, and the metrics by name: for people who look around. */
#ifndef PUSH_HTTP_INDEX_H
#define PUSH_HTTP_INDEX_H

#include "request/page.h"

/* index_root - a list of the pages: HTML for a browser, text otherwise. */
void
index_root(const struct push_page_call *call);

/* index_actuator - the same as Spring Boot's /actuator has it: `{"_links":{...}}`. */
void
index_actuator(const struct push_page_call *call);

/* index_channels - those with the most subscribers, if push.channels.list is on. */
void
index_channels(const struct push_page_call *call);

/* index_meters - the names of all meters (core/meters.h). */
void
index_meters(const struct push_page_call *call);

/* index_meter - the one that the path names; `?tag=NAME:VALUE` says which samples of it. */
void
index_meter(const struct push_page_call *call);

#endif
