/*
 * order.h - an operator's order to revoke tokens or end connections: from JSON to the notice (notice.h) that all
 * nodes get.
 *
 *   {"user":"ann"} {"jti":"..."} {"key":"orders"} {"channel":"news"} {"client":"tab-7"}: exactly one of them,
 *   the last two for disconnect only
 *   "before": only tokens issued, or connections begun, before that Unix second; now, if it is left out
 *   "until": when a revocation may be forgotten: the end of the last token that it covers; PUSH_REVOCATION_S from
 *   now, if it is left out
 */
#ifndef PUSH_AUTH_ORDER_H
#define PUSH_AUTH_ORDER_H

#include "auth/notice.h"

/* As long as any token should live, and a little. */
#define PUSH_REVOCATION_S (31 * 24 * 3600)

/* push_order_read - Errors: PUSH_INVALID, with what is wrong in `error`; PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
push_order_read(bool is_revocation, struct push_str text, int64_t wall_s, struct push_notice *ret_notice,
	struct push_error *error);

#endif
