/*
 * taking_back.h - operators take rights back: POST /tokens/revoke and POST /connections/disconnect.
 *
 *   {"user":"ann"}   {"jti":"..."}   {"key":"orders"}            [,"before":SECONDS] [,"until":SECONDS]
 *   for disconnect, too: {"channel":"news"}   {"client":"tab-7"}
 */
#ifndef PUSH_HTTP_TAKING_BACK_H
#define PUSH_HTTP_TAKING_BACK_H

#include "request/page.h"

void
taking_back_revoke(const struct push_page_call *call);

void
taking_back_disconnect(const struct push_page_call *call);

#endif
