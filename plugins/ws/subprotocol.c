/* subprotocol.c - see subprotocol.h. */
#include <stdbool.h>
#include <string.h>

#include "lwsio/request.h"
#include "ws/subprotocol.h"

/* The longest list that a stock lws reads. */
#define OFFER_BYTES_MAX 126

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

void
subprotocol_on_upgrade(struct lws *wsi)
{
	char offer[OFFER_BYTES_MAX + 1];
	bool named = false;

	/* without one there is nothing to do, and a longer one is not for a stock lws */
	if (!push_request_header(wsi, WSI_TOKEN_PROTOCOL, offer, sizeof(offer)))
		return;
	for (int line = 0; !named && line_of_offer(wsi, line, offer); line++)
		named = offers(offer, SUBPROTOCOL_NAME);
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
	size_t size = sizeof(named) - 1;

	if (!strcmp(lws_get_protocol(wsi)->name, SUBPROTOCOL_ALIAS) &&
		!memcmp(headers->p - size, named, size))
		headers->p -= size;
}
