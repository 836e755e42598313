/* pages.h - what there is on the management port. */
#ifndef PUSH_HTTP_PAGES_H
#define PUSH_HTTP_PAGES_H

#include "request/page.h"

/* pages_table - the table (request/page.h); static. */
const struct push_page *
pages_table(size_t *ret_count);

#endif
