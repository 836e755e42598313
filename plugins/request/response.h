/*
 * response.h - what an answer says, whichever wire it goes over.
 *
 * A wire adds what is its own: the status line, the length or the coding of the body, what the vhost's
 * configuration adds, and over HTTP/1.x `connection:`.
 */
#ifndef PUSH_REQUEST_RESPONSE_H
#define PUSH_REQUEST_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/cors.h"
#include "core/str.h"

/* Unset members are left out.  Texts are borrowed until the function that is given it returns. */
struct push_response {
	unsigned int status;
	const char *content_type; /* of `body`, or of what follows; NULL: the answer has no body (204, 101) */
	struct push_str body;
	const char *allow; /* a 405, and OPTIONS: the methods of the path */
	bool is_preflight; /* the methods and headers that pages may send */
	struct push_cors cors;
	bool allows_key;              /* is_preflight: pages may send Push-Key */
	const char *www_authenticate; /* a 401 or 403 (RFC 6750, 3) */
	unsigned int retry_after_s;   /* with `retries`; 0: PUSH_RETRY_AFTER_S */
	bool retries;                 /* the client may try again soon */
	bool no_store;                /* no cache may keep it */
	bool is_stream;               /* events that do not end: no proxy may hold them back */
	bool upgrades;                /* 426: to what (RFC 9110, 15.5.22; RFC 6455, 4.4) */
	bool is_chunked;              /* what follows its head comes in chunks, which the wire has made */
	bool closes;                  /* the connection cannot be used again, or is not to be */
};

/* push_status_words - "Not Found"; "" for a status that is not used. */
const char *
push_status_words(unsigned int status);

/*
 * push_response_fields - call `add` for each header field of the answer, in a fixed order.
 *
 * @add: gets names in lower case without a colon, as HTTP/2 wants them.
 */
void
push_response_fields(const struct push_response *response,
	void (*add)(void *context, const char *name, const char *value), void *context);

/* An answer that waits to be written, with its texts. */
struct push_kept_response {
	struct push_response response;
	char texts[];
};

/* push_response_keep - a copy.  Returns NULL when memory is out; the caller frees it. */
struct push_kept_response *
push_response_keep(const struct push_response *response);

#endif
