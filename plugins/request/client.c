/* client.c - whose a request is, by address, and whether the limits of addresses let it in. */
#include <string.h>

#include "request/exchange_private.h"

void
exchange_find_client(struct push_exchange *x, const struct push_request *request)
{
	struct push_address peer;

	x->has_address = false;
	if (!x->wire->peer || !x->wire->peer(x->owner, &peer))
		return;
	x->has_address = true;
	x->address = x->limiter ? push_forwarded_client(push_limiter_trusted(x->limiter), &peer,
					  &request->x_forwarded_for, &request->forwarded)
				: peer;
}

struct push_str
exchange_address_text(const struct push_exchange *x, char to[PUSH_ADDRESS_TEXT_BYTES])
{
	if (!x->has_address)
		return (struct push_str){NULL, 0};
	push_address_print(&x->address, to);
	return (struct push_str){to, strlen(to)};
}

/* Counts a stream's connection.  Returns false with the limit that refuses it. */
static bool
claim(struct push_exchange *x, enum push_limit *ret_limit)
{
	return !x->wire->claim || x->wire->claim(x->owner, x->has_address ? &x->address : NULL, ret_limit);
}

unsigned int
exchange_admit_stream(struct push_exchange *x, const struct push_request *request, struct push_error *error)
{
	enum push_limit limit = PUSH_LIMIT_COUNT;

	if (request->is_over_limit)
		limit = request->over_limit;
	else if (!x->limiter || claim(x, &limit))
		return 0;
	snprintf(error->text, sizeof(error->text), "%s", push_limit_text(limit));
	return limit == PUSH_LIMIT_RESERVED_DESCRIPTORS ? 503 : 429;
}

uint64_t
exchange_idle_left_us(const struct push_exchange *x)
{
	uint64_t idle_us = x->limiter ? x->ops->options(x->broker)->limit_ndjson_idle_us : 0;
	uint64_t now_us = idle_us ? x->ops->now_us() : 0;

	if (!idle_us)
		return UINT64_MAX;
	return now_us - x->brought_us < idle_us ? idle_us - (now_us - x->brought_us) : 0;
}

bool
exchange_has_idled(struct push_exchange *x)
{
	if (exchange_idle_left_us(x))
		return false;
	x->brought_us = x->ops->now_us(); /* a dry run counts it once in a while, not with each byte */
	return !push_limiter_refuse(x->limiter, PUSH_LIMIT_NDJSON_IDLE);
}
