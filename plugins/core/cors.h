/*
 * cors.h - which web pages may call (WHATWG Fetch, 3.2 "CORS protocol").
 */
#ifndef PUSH_CORE_CORS_H
#define PUSH_CORE_CORS_H

#include <stddef.h>

/*
 * push_cors_allowed_origin - the value of Access-Control-Allow-Origin for a request.
 *
 * @allowed: push.cors.allowed.origins, comma-separated; `*` allows all.
 * @origin: the request's Origin header, or NULL where it has none.
 * Returns "*", `origin` itself, or NULL where the header is to be left out.
 */
const char *
push_cors_allowed_origin(const char *allowed, const char *origin);

#endif
