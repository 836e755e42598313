/* claim.c - see claim.h. */
#include <string.h>

#include "lwsio/claim.h"

/* lws puts them behind the status line. */
size_t
push_claim_headers(struct lws *wsi, char *to, size_t size)
{
	unsigned char head[LWS_PRE + PUSH_CLAIM_HEADERS_BYTES_MAX], *start = head + LWS_PRE, *p = start;
	char *line_end;

	if (lws_add_http_header_status(wsi, HTTP_STATUS_OK, &p, head + sizeof(head)))
		return 0;
	line_end = memmem(start, (size_t)(p - start), "\r\n", 2);
	if (!line_end || (size_t)(p - (unsigned char *)line_end) - 2 > size)
		return 0;
	size = (size_t)(p - (unsigned char *)line_end) - 2;
	memcpy(to, line_end + 2, size);
	return size;
}

bool
push_claim(struct lws *wsi, const struct push_broker_link *link, enum push_place place, const char *rest)
{
	char headers[PUSH_CLAIM_HEADERS_BYTES_MAX];
	struct push_claim claim = {.place = place, .rest_size = strlen(rest), .extra = headers};
	const struct push_options *options = link->ops->options(link->broker);

	if (!options->direct || lws_get_network_wsi(wsi) != wsi)
		return false;
	claim.extra_size = push_claim_headers(wsi, headers, sizeof(headers));
	return link->ops->direct_claim(link->broker, (int)lws_get_socket_fd(wsi), &claim);
}
