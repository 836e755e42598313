/* head.c - see head.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lwsio/head.h"
#include "lwsio/request.h"

/* "HTTP/1.1", and what somebody may write instead. */
#define VERSION_BYTES_MAX 32

static bool
is_mux(struct lws *wsi)
{
	return lws_get_network_wsi(wsi) != wsi;
}

/* Room for `size` bytes and a NUL; NULL if there is none. */
static char *
reserve(struct push_lws_head *head, size_t size)
{
	char *place = head->texts + head->used;

	if (size + 1 > sizeof(head->texts) - head->used) {
		head->is_cut = true;
		return NULL;
	}
	head->used += size + 1;
	return place;
}

static struct push_str
token(struct push_lws_head *head, struct lws *wsi, enum lws_token_indexes index)
{
	int size = lws_hdr_total_length(wsi, index);
	char *to = size > 0 ? reserve(head, (size_t)size) : NULL;

	if (!to || (size = lws_hdr_copy(wsi, to, size + 1, index)) < 0)
		return (struct push_str){NULL, 0};
	head->has_nul |= strlen(to) < (size_t)size; /* RFC 9113, 8.2.1 */
	return push_str_trim((struct push_str){to, strlen(to)});
}

/* A header that lws has no token for; over HTTP/2 it drops such (lib/roles/h2/hpack.c, unknown_header). */
static struct push_str
custom(struct push_lws_head *head, struct lws *wsi, const char *name)
{
	int name_size = (int)strlen(name), size = lws_hdr_custom_length(wsi, name, name_size);
	char *to = size >= 0 ? reserve(head, (size_t)size) : NULL;

	if (!to || (size > 0 && lws_hdr_custom_copy(wsi, to, size + 1, name, name_size) < 0))
		return (struct push_str){NULL, 0};
	return push_str_trim((struct push_str){to, (size_t)size});
}

static void
put(struct push_lws_head *head, char byte)
{
	if (head->used == sizeof(head->texts))
		head->is_cut = true;
	else
		head->texts[head->used++] = byte;
}

/* Letters and digits stand for themselves, and so does the first `=`, which ends the name. */
static void
put_encoded(struct push_lws_head *head, const char *bytes, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	bool is_name = true;

	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		if (isalnum(byte) || byte == '_' || byte == '-' || (is_name && byte == '=')) {
			put(head, (char)byte);
		} else {
			put(head, '%');
			put(head, digits[byte >> 4]);
			put(head, digits[byte & 15]);
		}
		is_name &= byte != '=';
	}
}

static struct push_str
query(struct push_lws_head *head, struct lws *wsi)
{
	char argument[PUSH_HEAD_BYTES_MAX + 1];
	struct push_str query = {NULL, 0};
	int size;

	for (int i = 0; (size = lws_hdr_copy_fragment(
				 wsi, argument, sizeof(argument), WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
		i++) {
		if (!query.bytes)
			query.bytes = head->texts + head->used;
		else
			put(head, '&');
		put_encoded(head, argument, (size_t)size);
	}
	if (query.bytes)
		query.size = (size_t)(head->texts + head->used - query.bytes);
	return query;
}

/* `29`, but not `29,  30`, which is how lws shows two headers (RFC 9112, 6.3). */
static bool
read_length(struct push_request *request, struct push_str text)
{
	char *end;

	if (!text.size || !isdigit((unsigned char)*text.bytes))
		return false;
	errno = 0;
	request->length = strtoull(text.bytes, &end, 10);
	request->has_length = !errno && end == text.bytes + text.size;
	return request->has_length;
}

/* lws shows several lines as one list. */
static void
read_forwarded(struct push_forwarded *forwarded, struct push_str text)
{
	if (text.bytes)
		push_forwarded_add(forwarded, text);
}

static void
read_fields(struct push_lws_head *head, struct lws *wsi)
{
	struct push_request *request = &head->request;

	request->host =
		is_mux(wsi) ? token(head, wsi, WSI_TOKEN_HTTP_COLON_AUTHORITY) : (struct push_str){NULL, 0};
	if (!request->host.bytes)
		request->host = token(head, wsi, WSI_TOKEN_HOST);
	request->content_type = token(head, wsi, WSI_TOKEN_HTTP_CONTENT_TYPE);
	request->content_encoding = token(head, wsi, WSI_TOKEN_HTTP_CONTENT_ENCODING);
	request->origin = token(head, wsi, WSI_TOKEN_ORIGIN);
	request->authorization = token(head, wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
	request->cookie = token(head, wsi, WSI_TOKEN_HTTP_COOKIE);
	request->push_key = custom(head, wsi, "push-key:");
	request->ws_token = push_str_token_after(token(head, wsi, WSI_TOKEN_PROTOCOL), PUSH_WS_TOKEN_PREFIX);
	request->expect = is_mux(wsi) ? (struct push_str){NULL, 0} : token(head, wsi, WSI_TOKEN_HTTP_EXPECT);
	if (request->place == PUSH_PLACE_OPERATORS)
		request->accept = token(head, wsi, WSI_TOKEN_HTTP_ACCEPT);
	request->ws_key = token(head, wsi, WSI_TOKEN_KEY);
	request->ws_version = token(head, wsi, WSI_TOKEN_VERSION);
	read_forwarded(&request->x_forwarded_for, token(head, wsi, WSI_TOKEN_X_FORWARDED_FOR));
	read_forwarded(&request->forwarded, custom(head, wsi, "forwarded:"));
	request->last_event_id = custom(head, wsi, "last-event-id:");
	request->idempotency_key = custom(head, wsi, "idempotency-key:");
	request->traceparent = custom(head, wsi, "traceparent:");
}

static bool
is_version(const char *text)
{
	return strlen(text) == 8 && !memcmp(text, "HTTP/", 5) && isdigit((unsigned char)text[5]) &&
	       text[6] == '.' && isdigit((unsigned char)text[7]);
}

/* What lws leaves to its users of HTTP/1.x: it shows two headers as one, with a comma and spaces, and no
 * empty one. */
static unsigned int
check_http_1(const struct push_request *request, struct lws *wsi, struct push_error *error)
{
	char version[VERSION_BYTES_MAX];

	(void)push_request_header(wsi, WSI_TOKEN_HTTP, version, sizeof(version));
	if (!is_version(version)) {
		snprintf(error->text, sizeof(error->text), "the head of the request is malformed: %s",
			"one space must separate the method, the target and HTTP/1.1");
		return 400;
	}
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) {
		snprintf(error->text, sizeof(error->text), "the version must be HTTP/1.0 or HTTP/1.1");
		return 505;
	}
	if (version[7] == '1' && !request->host.bytes) {
		snprintf(error->text, sizeof(error->text), "Host is missing");
		return 400;
	}
	if (!push_str_is_host(request->host)) {
		snprintf(error->text, sizeof(error->text), "Host is malformed");
		return 400;
	}
	return 0;
}

unsigned int
push_lws_head_read(struct push_lws_head *head, struct lws *wsi, const struct push_broker_link *link,
	enum push_place place, const char *rest, struct push_error *error)
{
	struct push_request *request = &head->request;
	struct push_str length;
	char *path;
	int path_size = 0;

	memset(head, 0, offsetof(struct push_lws_head, texts));
	request->method = push_request_method(wsi);
	request->place = place;
	request->rest = (struct push_str){rest, strlen(rest)};
	request->is_tls = lws_is_ssl(lws_get_network_wsi(wsi));
	if (link && link->broker)
		link->ops->show_certificate(link->broker, (int)lws_get_socket_fd(lws_get_network_wsi(wsi)),
			request, &head->client);
	request->is_http_2 = request->may_have_been_cut = is_mux(wsi);
	if (lws_http_get_uri_and_method(wsi, &path, &path_size) >= 0)
		request->path = (struct push_str){path, (size_t)path_size};
	read_fields(head, wsi);
	request->query = query(head, wsi);
	length = token(head, wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
	if (!push_request_is_whole(wsi)) {
		snprintf(error->text, sizeof(error->text), "the query has a control character");
		return 400; /* what lws took for headers is not */
	}
	if (!is_mux(wsi)) {
		unsigned int status = check_http_1(request, wsi, error);

		if (status)
			return status;
	}
	if (head->has_nul) {
		snprintf(error->text, sizeof(error->text), "the head of the request is malformed: %s",
			"a header has a NUL");
		return 400;
	}
	if (head->is_cut) {
		snprintf(error->text, sizeof(error->text), "the head of the request is over 16 kB");
		return 431;
	}
	request->has_body = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
			    (is_mux(wsi) && request->method == PUSH_METHOD_POST);
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) <= 0 && length.bytes &&
		!read_length(request, length)) {
		snprintf(error->text, sizeof(error->text), "Content-Length must be one number");
		return 400;
	}
	request->has_body |= request->length > 0;
	request->awaits_continue = request->expect.bytes != NULL;
	return 0;
}
