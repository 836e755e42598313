/* health.h - whether Push runs, whether clients may come, and whether all works. */
#ifndef PUSH_HTTP_HEALTH_H
#define PUSH_HTTP_HEALTH_H

#include "request/page.h"

void
health_get(const struct push_page_call *call);

void
health_liveness(const struct push_page_call *call);

void
health_readiness(const struct push_page_call *call);

#endif
