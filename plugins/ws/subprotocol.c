/* subprotocol.c - see subprotocol.h. */
#include <stdbool.h>
#include <string.h>

#include "lwsio/request.h"
#include "ws/subprotocol.h"

#define OFFER_BYTES_MAX 128

/* lws keeps the headers of a request in one block of 4096 bytes, the path first. */
#define LWS_HEADER_BYTES 4000

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

void
subprotocol_on_upgrade(struct lws *wsi)
{
	char offer[OFFER_BYTES_MAX], *path, *place;
	int path_size;

	if (!push_request_header(wsi, WSI_TOKEN_PROTOCOL, offer, sizeof(offer)) ||
		offers(offer, SUBPROTOCOL_NAME) || lws_http_get_uri_and_method(wsi, &path, &path_size) < 0)
		return;
	place = memmem(path, LWS_HEADER_BYTES, offer, strlen(offer));
	if (!place)
		return;
	memset(place, ' ', strlen(offer));
	memcpy(place, SUBPROTOCOL_ALIAS, sizeof(SUBPROTOCOL_ALIAS) - 1);
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
