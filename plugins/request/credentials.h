/*
 * credentials.h - what a request shows of who sent it.
 *
 *   Authorization: Bearer TOKEN-OR-KEY    RFC 6750, 2.1; other schemes are somebody else's
 *   Push-Key: KEY                         of a server that publishes
 *   Sec-WebSocket-Protocol: push.v1, push.token.TOKEN
 *   ?ticket=TICKET                        of an EventSource (POST /auth/tickets)
 *   ?token=TOKEN                          only with push.auth.query: it stands in every proxy's log
 *   Cookie: NAME=TOKEN                    push.auth.cookie; what a browser adds by itself counts if nothing else
 *                                         was shown, and only where origins are checked
 *
 *   the TLS connection's certificate      push.auth.certificate; if nothing else was shown, not even the cookie
 *
 * Two of them at once are refused, but for the cookie (RFC 6750, 2).  A browser adds a certificate by itself, too: of a
 * page whose origin is neither listed nor Push's own it is refused, or any page could use it.
 */
#ifndef PUSH_REQUEST_CREDENTIALS_H
#define PUSH_REQUEST_CREDENTIALS_H

#include "broker/authenticator.h"
#include "core/buf.h"
#include "core/options.h"
#include "request/request.h"

/*
 * push_credentials_read - what the request shows; PUSH_CREDENTIAL_NONE: nothing.
 *
 * @text: holds the credential where that is not in the request; the caller frees it, and clears it before.
 */
struct push_credential
push_credentials_read(
	const struct push_request *request, const struct push_options *options, struct push_buf *text);

/* push_credentials_forget - overwrite what was decoded, and free it. */
void
push_credentials_forget(struct push_buf *text);

#endif
