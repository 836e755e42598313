/*
 * cors.h - which web pages may have what Push gives (WHATWG Fetch, 3.2 "CORS protocol"; RFC 6454).
 *
 * A browser names a page's origin with each request that another site could not make otherwise.  It keeps
 * answers from pages that they are not for, but not WebSockets, and not what a request does: so where origins
 * are listed, Push refuses the others' requests itself.  A request without an origin comes from no page.
 */
#ifndef PUSH_CORE_CORS_H
#define PUSH_CORE_CORS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "options.h"

/*
 * push_cors_check - the list of push.cors.allowed.origins.
 *
 * Each entry is `*`, or an origin as browsers write it: a scheme, a host, and a port unless it is the
 * scheme's.  Errors: PUSH_INVALID, with the entry in `error`; it would match no page.
 */
enum push_status PUSH_MUST_USE
push_cors_check(const char *allowed, struct push_error *error);

/*
 * push_cors_admits - whether a request may be served: it has no origin, or one that is listed, or that of its
 * own Host (with the same port; of the scheme, a proxy may have made another one).
 *
 * @origin, @host: of the request's headers; NULL or of no size: there is none.
 */
bool
push_cors_admits(
	const char *allowed, const char *origin, size_t origin_size, const char *host, size_t host_size);

/*
 * push_cors_trusts - whether what a browser adds to a request by itself, such as a client certificate, may count: as
 * push_cors_admits(), but `*` admits no page here.
 */
bool
push_cors_trusts(
	const char *allowed, const char *origin, size_t origin_size, const char *host, size_t host_size);

/* What an answer says of the pages that may read it. */
struct push_cors {
	const char
		*allow_origin;   /* Access-Control-Allow-Origin: "*" or the request's, borrowed; NULL: none */
	bool allows_credentials; /* Access-Control-Allow-Credentials: true */
	bool varies;             /* Vary: Origin */
};

/* push_cors_answer - for a request with this origin; NULL: it has none. */
struct push_cors
push_cors_answer(const char *allowed, const char *origin);

#endif
