/* index.c - see index.h. */
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/meters.h"
#include "core/paths.h"
#include "http/index.h"
#include "request/limits.h"
#include "request/query.h"

#define INDEX_BYTES_MAX  8192
#define METERS_BYTES_MAX (64 * 1024)

/* A hundred names of 258 bytes, escaped at worst. */
#define CHANNELS_BYTES_MAX (256 * 1024)

/* The channels only if they are switched on. */
static bool
is_listed(const struct push_page *page, const struct push_broker_link *link)
{
	return page->what &&
	       (page->get != index_channels || (link && link->ops->options(link->broker)->channels_list));
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
append_text_list(struct push_buf *to, const struct push_pages *pages)
{
	int port = clients_port(pages->link);

	push_buf_append_text(to, "Push, the management port\n\n");
	for (const struct push_page *page = pages->list; page < pages->list + pages->count; page++)
		if (is_listed(page, pages->link))
			push_buf_printf(to, "%-28s %s\n", page->path, page->what);
	if (port)
		push_buf_printf(to, "\nClients, publishers and the console: port %d\n", port);
}

static void
append_html_list(struct push_buf *to, const struct push_pages *pages)
{
	int port = clients_port(pages->link);

	push_buf_append_text(to, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
				 "<meta name=\"viewport\" content=\"width=device-width\"><title>Push, the "
				 "management port</title>"
				 "<h1>Push, the management port</h1><dl>");
	for (const struct push_page *page = pages->list; page < pages->list + pages->count; page++)
		if (is_listed(page, pages->link))
			push_buf_printf(
				to, "<dt><a href=\"%s\">%s</a><dd>%s", page->path, page->path, page->what);
	push_buf_append_text(to, "</dl>");
	if (port)
		push_buf_printf(to, "<p>Clients, publishers and the console: port %d", port);
	push_buf_append_text(to, "\n");
}

void
index_root(const struct push_page_call *call)
{
	static const char html[] = "text/html";
	const struct push_str accept = call->request->accept;
	bool is_html = accept.bytes && memmem(accept.bytes, accept.size, html, sizeof(html) - 1);
	struct push_buf body;

	push_buf_init(&body, INDEX_BYTES_MAX);
	if (is_html)
		append_html_list(&body, call->pages);
	else
		append_text_list(&body, call->pages);
	push_page_answer(
		call, 200, is_html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8", &body);
}

/* As the client calls this server, if that is known; a Host has no byte that a JSON string could not have. */
static void
append_link(struct push_buf *to, const struct push_request *request, const char *path)
{
	if (request->host.size && push_str_is_host(request->host)) {
		push_buf_append_text(to, request->is_tls ? "https://" : "http://");
		push_buf_append(to, request->host.bytes, request->host.size);
	}
	push_buf_append_text(to, path);
}

void
index_actuator(const struct push_page_call *call)
{
	const struct push_pages *pages = call->pages;
	struct push_buf body;

	push_buf_init(&body, INDEX_BYTES_MAX);
	push_buf_append_text(&body, "{\"_links\":{\"self\":{\"href\":\"");
	append_link(&body, call->request, PUSH_PATH_ACTUATOR);
	push_buf_append_text(&body, "\",\"templated\":false}");
	for (const struct push_page *page = pages->list; page < pages->list + pages->count; page++) {
		if (!page->rel || !is_listed(page, pages->link))
			continue;
		push_buf_printf(&body, ",\"%s\":{\"href\":\"", page->rel);
		append_link(&body, call->request, page->path);
		push_buf_append_text(&body, "\",\"templated\":false}");
		if (!page->more_rel)
			continue;
		push_buf_printf(&body, ",\"%s\":{\"href\":\"", page->more_rel);
		append_link(&body, call->request, page->path);
		push_buf_printf(&body, "/%s\",\"templated\":true}", page->more);
	}
	push_buf_append_text(&body, "}}");
	push_page_answer(call, 200, NULL, &body);
}

void
index_channels(const struct push_page_call *call)
{
	const struct push_broker_link *link = call->pages->link;
	struct push_buf body;

	push_buf_init(&body, CHANNELS_BYTES_MAX);
	if (link->ops->render_channels(link->broker, &body) == PUSH_OK) {
		push_page_answer(call, 200, NULL, &body);
		return;
	}
	push_buf_fini(&body);
	push_page_refuse(
		call, 404, "channels are not listed here; push.channels.list=on switches the list on");
}

/* The metrics' text; false: memory is out, and answered. */
static bool
render(const struct push_page_call *call, struct push_buf *text)
{
	const struct push_broker_link *link = call->pages->link;

	push_buf_init(text, PUSH_METRICS_BYTES_MAX);
	link->ops->render_metrics(link->broker, text);
	if (text->status == PUSH_OK)
		return true;
	push_page_answer(call, 503, NULL, text);
	return false;
}

void
index_meters(const struct push_page_call *call)
{
	struct push_buf text, body;

	if (!render(call, &text))
		return;
	push_buf_init(&body, METERS_BYTES_MAX);
	push_meters_list(text.bytes, text.size, &body);
	push_buf_fini(&text);
	push_page_answer(call, 200, NULL, &body);
}

void
index_meter(const struct push_page_call *call)
{
	char name[PUSH_METER_NAME_BYTES_MAX] = "";
	struct push_buf text, body, tags;
	bool found;

	if (!render(call, &text))
		return;
	if (call->name.size < sizeof(name)) {
		memcpy(name, call->name.bytes, call->name.size);
		name[call->name.size] = '\0';
	}
	push_buf_init(&body, METERS_BYTES_MAX);
	push_buf_init(&tags, PUSH_QUERY_BYTES_MAX);
	(void)push_query_values(call->request->query, "tag", &tags);
	found = push_meters_get(text.bytes, text.size, name, &tags, &body);
	push_buf_fini(&text);
	push_buf_fini(&tags);
	if (found) {
		push_page_answer(call, 200, NULL, &body);
		return;
	}
	push_buf_fini(&body);
	push_page_refuse(
		call, 404, "no meter has this name and these tags; " PUSH_PATH_METRICS " lists the names");
}
