/* subprotocol.c - see subprotocol.h. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/str.h"
#include "lwsio/request.h"
#include "request/limits.h"
#include "ws/subprotocol.h"

/* The longest list that a stock lws reads. */
#define OFFER_BYTES_MAX 126

/* Of Connection, as far as lws reads it. */
#define CONNECTION_BYTES_MAX 126

/* lws keeps the headers of a request in one block of 4096 bytes, the path first. */
#define LWS_HEADER_BYTES 4000

/* A token that names no protocol. */
#define NOTHING "-"

static bool
offers(const char *offer, const char *name)
{
	size_t size = strlen(name);

	for (offer += strspn(offer, ", "); *offer; offer += strspn(offer, ", ")) {
		size_t length = strcspn(offer, ", ");

		if (length == size && !memcmp(offer, name, size))
			return true;
		offer += length;
	}
	return false;
}

/* One line of the offer; false where there is no such. */
static bool
line_of_offer(struct lws *wsi, int line, char *to)
{
	return lws_hdr_copy_fragment(wsi, to, OFFER_BYTES_MAX + 1, WSI_TOKEN_PROTOCOL, line) > 0;
}

/* The same text may be in the path or in another header: it is the line where a change of it shows. */
static bool
is_place_of(struct lws *wsi, int line, char *place)
{
	char text[OFFER_BYTES_MAX + 1], before = *place;
	bool shows;

	*place = before == '!' ? '#' : '!';
	shows = line_of_offer(wsi, line, text) && *text == *place;
	*place = before;
	return shows;
}

/* NULL: not to be found. */
static char *
find_line(struct lws *wsi, int line, const char *text)
{
	char *start, *place;
	size_t size = strlen(text);
	int path_size;

	if (lws_http_get_uri_and_method(wsi, &start, &path_size) < 0)
		return NULL;
	for (char *p = start, *end = start + LWS_HEADER_BYTES; p < end; p = place + 1) {
		place = memmem(p, (size_t)(end - p), text, size);
		if (!place || is_place_of(wsi, line, place))
			return place;
	}
	return NULL;
}

static void
replace_line(struct lws *wsi, int line, const char *text, const char *name)
{
	char *place = find_line(wsi, line, text);
	size_t size = strlen(name);

	if (!place || size > strlen(text))
		return;
	memset(place, ' ', strlen(text));
	memcpy(place, name, size);
}

/* Of an offer of push.v1. */
struct kept {
	size_t token_size;
	char token[];
};

struct push_str
subprotocol_token(const struct lws *wsi)
{
	const struct kept *kept = lws_get_opaque_user_data(wsi);

	return kept && kept->token_size ? (struct push_str){kept->token, kept->token_size}
					: (struct push_str){NULL, 0};
}

void
subprotocol_forget(struct lws *wsi)
{
	struct kept *kept = lws_get_opaque_user_data(wsi);

	if (kept)
		explicit_bzero(kept->token, kept->token_size);
	free(kept);
	lws_set_opaque_user_data(wsi, NULL);
}

/*
 * Whether lws goes on with the upgrade: it reads Connection twice, and where it cannot read it the second time it ends the
 * connection, of which nobody is told.  A short list of words is what it reads, and what clients send.
 */
static bool
goes_on(struct lws *wsi)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-";
	char list[CONNECTION_BYTES_MAX + 1];
	const char *at = list;

	if (!push_request_header(wsi, WSI_TOKEN_CONNECTION, list, sizeof(list)))
		return false;
	while (strspn(at, letters)) {
		at += strspn(at, letters);
		if (!*at)
			return true;
		at += *at == ',';
		at += *at == ' ';
	}
	return false;
}

/* Without memory the offer is one that is not known. */
static void
keep(struct lws *wsi)
{
	char text[PUSH_HEAD_BYTES_MAX];
	struct push_str offer, token;
	struct kept *kept = NULL;

	if (!goes_on(wsi) || !push_request_header(wsi, WSI_TOKEN_PROTOCOL, text, sizeof(text)))
		return;
	offer = (struct push_str){text, strlen(text)};
	if (offer.size != (size_t)lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL))
		offer.size = 0; /* it has a NUL */
	token = push_str_token_after(offer, PUSH_WS_TOKEN_PREFIX);
	if (push_str_has_token(offer, PUSH_WS_V1_PROTOCOL))
		kept = malloc(sizeof(*kept) + token.size);
	if (kept) {
		kept->token_size = token.size;
		if (token.size)
			memcpy(kept->token, token.bytes, token.size);
		lws_set_opaque_user_data(wsi, kept);
	}
	explicit_bzero(text, sizeof(text));
}

void
subprotocol_on_upgrade(struct lws *wsi)
{
	char offer[OFFER_BYTES_MAX + 1];
	bool named = false;

	keep(wsi);
	/* without one there is nothing to do, and a longer one is not for a stock lws */
	if (!push_request_header(wsi, WSI_TOKEN_PROTOCOL, offer, sizeof(offer)))
		return;
	for (int line = 0; !named && line_of_offer(wsi, line, offer); line++)
		named = !lws_get_opaque_user_data(wsi) && offers(offer, SUBPROTOCOL_NAME);
	for (int line = 0; line_of_offer(wsi, line, offer); line++) {
		bool is_ours = named ? offers(offer, SUBPROTOCOL_NAME) : !line;

		replace_line(wsi, line, offer,
			!is_ours ? NOTHING : (named ? SUBPROTOCOL_NAME : SUBPROTOCOL_ALIAS));
	}
}

void
subprotocol_on_headers(struct lws *wsi, struct lws_process_html_args *headers)
{
	static const char named[] = "Sec-WebSocket-Protocol: " SUBPROTOCOL_ALIAS "\r\n";
	static const char v1[] = "Sec-WebSocket-Protocol: " PUSH_WS_V1_PROTOCOL "\r\n";
	size_t size = sizeof(named) - 1, size_of_v1 = sizeof(v1) - 1;

	if (!strcmp(lws_get_protocol(wsi)->name, SUBPROTOCOL_ALIAS) &&
		!memcmp(headers->p - size, named, size))
		headers->p -= size;
	if (lws_get_opaque_user_data(wsi) && size_of_v1 < (size_t)headers->max_len) {
		memcpy(headers->p, v1, size_of_v1);
		headers->p += size_of_v1;
	}
}
