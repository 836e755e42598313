/* response.c - see response.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request/limits.h"
#include "request/response.h"

/* What a page of another origin may send.  The last three (W3C Trace Context, Baggage) are added by browser
 * agents, also if nothing is traced here. */
#define ALLOWED_HEADERS                                                                                      \
	"Content-Type, Authorization, Cache-Control, Last-Event-ID, Idempotency-Key, traceparent, "          \
	"tracestate, baggage"

const char *
push_status_words(unsigned int status)
{
	switch (status) {
	case 101: return "Switching Protocols";
	case 200: return "OK";
	case 202: return "Accepted";
	case 204: return "No Content";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 409: return "Conflict";
	case 411: return "Length Required";
	case 413: return "Content Too Large";
	case 415: return "Unsupported Media Type";
	case 417: return "Expectation Failed";
	case 422: return "Unprocessable Content";
	case 426: return "Upgrade Required";
	case 429: return "Too Many Requests";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 501: return "Not Implemented";
	case 503: return "Service Unavailable";
	case 505: return "HTTP Version Not Supported";
	default: return "";
	}
}

void
push_response_fields(const struct push_response *response,
	void (*add)(void *context, const char *name, const char *value), void *context)
{
	char seconds[PUSH_NUMBER_TEXT_BYTES];

	if (response->retries) {
		snprintf(seconds, sizeof(seconds), "%u",
			response->retry_after_s ? response->retry_after_s : PUSH_RETRY_AFTER_S);
		add(context, "retry-after", seconds);
	}
	if (response->www_authenticate)
		add(context, "www-authenticate", response->www_authenticate);
	if (response->content_type)
		add(context, "content-type", response->content_type);
	if (response->allow)
		add(context, "allow", response->allow);
	if (response->upgrades) {
		add(context, "upgrade", "websocket");
		add(context, "sec-websocket-version", "13");
	}
	if (response->cors.allow_origin)
		add(context, "access-control-allow-origin", response->cors.allow_origin);
	if (response->cors.allows_credentials)
		add(context, "access-control-allow-credentials", "true");
	if (response->cors.varies)
		add(context, "vary", "Origin");
	if (response->is_preflight) {
		add(context, "access-control-allow-methods", response->allow);
		add(context, "access-control-allow-headers",
			response->allows_key ? ALLOWED_HEADERS ", Push-Key" : ALLOWED_HEADERS);
		add(context, "access-control-max-age", PUSH_PREFLIGHT_AGE_TEXT);
	}
	if (response->is_stream)
		add(context, "cache-control", "no-cache, no-store");
	else if (response->no_store)
		add(context, "cache-control", "no-store");
	if (response->is_stream)
		add(context, "x-accel-buffering", "no");
}

/* Appends a text of the response to those that are kept; NULL stays NULL. */
static const char *
keep_text(const char *text, char **to)
{
	char *kept = *to;

	if (!text)
		return NULL;
	*to += strlen(text) + 1;
	return strcpy(kept, text);
}

struct push_kept_response *
push_response_keep(const struct push_response *response)
{
	const char *origin = response->cors.allow_origin, *challenge = response->www_authenticate;
	size_t size = (origin ? strlen(origin) + 1 : 0) + (challenge ? strlen(challenge) + 1 : 0);
	struct push_kept_response *kept = malloc(sizeof(*kept) + size + response->body.size);
	char *to;

	if (!kept)
		return NULL;
	kept->response = *response;
	to = kept->texts;
	kept->response.cors.allow_origin = keep_text(origin, &to);
	kept->response.www_authenticate = keep_text(challenge, &to);
	if (response->body.size)
		kept->response.body.bytes = memcpy(to, response->body.bytes, response->body.size);
	return kept;
}
