/* index.c - see index.h. */
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/meters.h"
#include "core/paths.h"
#include "http/index.h"
#include "lwsio/find_broker.h"
#include "lwsio/head.h"
#include "lwsio/request.h"
#include "request/query.h"

#define INDEX_BYTES_MAX  8192
#define METERS_BYTES_MAX (64 * 1024)
#define ACCEPT_BYTES_MAX 256
#define HOST_BYTES_MAX   256

/* A hundred names of 258 bytes, escaped at worst. */
#define CHANNELS_BYTES_MAX (256 * 1024)

/* For a list, and for Spring's links: `rel`, and what stands behind the path where that is a template.  The
 * last one is there only if it is switched on. */
static const struct page {
	const char *path, *what, *rel, *more_rel, *more;
} pages[] = {
	{PUSH_PATH_HEALTH, "whether a publish would succeed: 200, or 503 with the reason", "health",
		"health-path", "{*path}"},
	{PUSH_PATH_LIVENESS, "whether the process runs: for programs that restart it", NULL, NULL, NULL},
	{PUSH_PATH_READINESS, "whether clients may connect: for load balancers", NULL, NULL, NULL},
	{PUSH_PATH_PROMETHEUS, "metrics for Prometheus; /metrics is the same", "prometheus", NULL, NULL},
	{PUSH_PATH_METRICS, "metrics by name, as JSON", "metrics", "metrics-requiredMetricName",
		"{requiredMetricName}"},
	{PUSH_PATH_LOGGER, "the log level; POST {\"configuredLevel\":\"DEBUG\"} changes it", NULL, NULL,
		NULL},
	{PUSH_PATH_LOGGERS, "all levels", "loggers", "loggers-name", "{name}"},
	{PUSH_PATH_CHANNELS, "the channels with the most subscribers, as JSON", "channels", NULL, NULL},
};

static size_t
page_count(const struct push_broker_link *link)
{
	bool lists_channels = link && link->ops->options(link->broker)->channels_list;

	return LWS_ARRAY_SIZE(pages) - !lists_channels;
}

/* 0: not known. */
static int
clients_port(const struct push_broker_link *link)
{
	for (size_t i = 0; link && i < link->port_count; i++)
		if (!link->operators[i])
			return link->ports[i];
	return 0;
}

static void
append_text_list(struct push_buf *to, size_t count, int port)
{
	push_buf_append_text(to, "Push, the management port\n\n");
	for (size_t i = 0; i < count; i++)
		push_buf_printf(to, "%-28s %s\n", pages[i].path, pages[i].what);
	if (port)
		push_buf_printf(to, "\nClients, publishers and the console: port %d\n", port);
}

static void
append_html_list(struct push_buf *to, size_t count, int port)
{
	push_buf_append_text(to, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
				 "<meta name=\"viewport\" content=\"width=device-width\"><title>Push, the "
				 "management port</title>"
				 "<h1>Push, the management port</h1><dl>");
	for (size_t i = 0; i < count; i++)
		push_buf_printf(
			to, "<dt><a href=\"%s\">%s</a><dd>%s", pages[i].path, pages[i].path, pages[i].what);
	push_buf_append_text(to, "</dl>");
	if (port)
		push_buf_printf(to, "<p>Clients, publishers and the console: port %d", port);
	push_buf_append_text(to, "\n");
}

int
index_root(struct lws *wsi, struct push_broker_link *link)
{
	struct push_response reply = {.status = 200, .no_store = true};
	char accept[ACCEPT_BYTES_MAX];
	bool is_html = push_request_header(wsi, WSI_TOKEN_HTTP_ACCEPT, accept, sizeof(accept)) &&
		       strstr(accept, "text/html");
	struct push_buf body;

	push_buf_init(&body, INDEX_BYTES_MAX);
	if (is_html)
		append_html_list(&body, page_count(link), clients_port(link));
	else
		append_text_list(&body, page_count(link), clients_port(link));
	reply.content_type = is_html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8";
	return push_reply_send(wsi, reply, &body);
}

/* What links begin with: as the client calls us, or nothing. */
static void
append_base(struct push_buf *to, struct lws *wsi)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
	char host[HOST_BYTES_MAX];

	if (!push_request_header(wsi, WSI_TOKEN_HOST, host, sizeof(host)) || host[strspn(host, allowed)])
		return;
	push_buf_printf(to, "%s://%s", lws_is_ssl(lws_get_network_wsi(wsi)) ? "https" : "http", host);
}

int
index_actuator(struct lws *wsi, struct push_broker_link *link)
{
	struct push_buf body, base;

	push_buf_init(&body, INDEX_BYTES_MAX);
	push_buf_init(&base, PUSH_BUF_LINE_BYTES_MAX);
	append_base(&base, wsi);
	push_buf_append(&base, "", 1);
	if (base.status != PUSH_OK)
		body.status = base.status;
	push_buf_printf(&body, "{\"_links\":{\"self\":{\"href\":\"%s%s\",\"templated\":false}",
		base.bytes ? base.bytes : "", PUSH_PATH_ACTUATOR);
	for (size_t i = 0; base.bytes && i < page_count(link); i++) {
		const struct page *page = &pages[i];

		if (page->rel)
			push_buf_printf(&body, ",\"%s\":{\"href\":\"%s%s\",\"templated\":false}", page->rel,
				base.bytes, page->path);
		if (page->more_rel)
			push_buf_printf(&body, ",\"%s\":{\"href\":\"%s%s/%s\",\"templated\":true}",
				page->more_rel, base.bytes, page->path, page->more);
	}
	push_buf_append_text(&body, "}}");
	push_buf_fini(&base);
	return push_reply_send(wsi, (struct push_response){.status = 200, .no_store = true}, &body);
}

/* The metrics' text; false where it is answered that there is none. */
static bool
render(struct lws *wsi, struct push_broker_link *link, struct push_buf *text, int *ret)
{
	if (link) {
		push_buf_init(text, PUSH_METRICS_BYTES_MAX);
		link->ops->render_metrics(link->broker, text);
		if (text->status == PUSH_OK)
			return true;
		push_buf_fini(text);
	}
	*ret = push_reply_error(wsi, (struct push_response){.status = 503},
		link ? push_status_text(PUSH_OUT_OF_MEMORY) : push_find_broker_trouble(wsi));
	return false;
}

int
index_channels(struct lws *wsi, struct push_broker_link *link)
{
	struct push_buf body;

	if (!link)
		return push_reply_error(
			wsi, (struct push_response){.status = 503}, push_find_broker_trouble(wsi));
	push_buf_init(&body, CHANNELS_BYTES_MAX);
	if (link->ops->render_channels(link->broker, &body) == PUSH_OK)
		return push_reply_send(wsi, (struct push_response){.status = 200, .no_store = true}, &body);
	push_buf_fini(&body);
	return push_reply_error(wsi, (struct push_response){.status = 404},
		"channels are not listed here; push.channels.list=on switches the list on");
}

int
index_meters(struct lws *wsi, struct push_broker_link *link)
{
	struct push_buf text, body;
	int result;

	if (!render(wsi, link, &text, &result))
		return result;
	push_buf_init(&body, METERS_BYTES_MAX);
	push_meters_list(text.bytes, text.size, &body);
	push_buf_fini(&text);
	return push_reply_send(wsi, (struct push_response){.status = 200, .no_store = true}, &body);
}

int
index_meter(struct lws *wsi, struct push_broker_link *link, const char *name)
{
	struct push_buf text, body, tags;
	struct push_lws_head head;
	struct push_error error;
	bool found;
	int result;

	if (!render(wsi, link, &text, &result))
		return result;
	push_buf_init(&body, METERS_BYTES_MAX);
	push_buf_init(&tags, PUSH_QUERY_BYTES_MAX);
	/* whatever else is wrong with the head: here only its query is asked for */
	(void)push_lws_head_read(&head, wsi, PUSH_PLACE_NONE, "", &error);
	(void)push_query_values(head.request.query, "tag", &tags);
	found = push_meters_get(text.bytes, text.size, name, &tags, &body);
	push_buf_fini(&text);
	push_buf_fini(&tags);
	if (found)
		return push_reply_send(wsi, (struct push_response){.status = 200, .no_store = true}, &body);
	push_buf_fini(&body);
	return push_reply_error(wsi, (struct push_response){.status = 404},
		"no meter has this name and these tags; " PUSH_PATH_METRICS " lists the names");
}
