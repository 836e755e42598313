/* management.c - see management.h.  Paths and texts are the origin's. */
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/meters.h"
#include "core/paths.h"
#include "core/utf8.h"
#include "http/index.h"
#include "http/loggers.h"
#include "http/management.h"
#include "lwsio/find_broker.h"
#include "lwsio/request.h"

/* A meter's path, with its name. */
#define PATH_BYTES_MAX (sizeof(PUSH_PATH_METRICS) + PUSH_METER_NAME_BYTES_MAX)

static void
append_text(struct push_buf *to, const char *text)
{
	push_json_append_string(to, text, push_utf8_cut(text, strlen(text), PUSH_TROUBLE_BYTES_MAX));
}

/* @components: what the answer has besides; NULL: nothing. */
static int
answer_health(struct lws *wsi, const char *down_because, const struct push_buf *components)
{
	struct push_buf body;

	push_buf_init(&body, 2 * PUSH_BUF_LINE_BYTES_MAX);
	push_buf_append_text(&body, down_because ? "{\"status\":\"DOWN\",\"reason\":" : "{\"status\":\"UP\"");
	if (down_because)
		append_text(&body, down_because);
	if (components && components->bytes)
		push_buf_append(&body, components->bytes, components->size);
	push_buf_append_text(&body, "}");
	return push_reply_send(
		wsi, (struct push_response){.status = down_because ? 503 : 200, .no_store = true}, &body);
}

/* That this runs at all shows that the event loop turns. */
static int
liveness(struct lws *wsi, struct push_broker_link *link)
{
	(void)link;
	return answer_health(wsi, NULL, NULL);
}

/* Why no client is to be sent here; NULL: all is well. */
static const char *
why_not_ready(struct lws *wsi, const struct push_broker_link *link)
{
	if (!link)
		return push_find_broker_trouble(wsi);
	if (link->ops->is_draining(link->broker))
		return "draining";
	return link->ops->is_ready(link->broker) ? NULL : "the broker cannot be reached";
}

/*
 * A balancer goes by this.  Where Redis refuses publishes it does so for every node: with all of them out of
 * service clients could not even subscribe, and publishers would get no answer instead of a 503.
 */
static int
readiness(struct lws *wsi, struct push_broker_link *link)
{
	return answer_health(wsi, why_not_ready(wsi, link), NULL);
}

/* As Spring Boot shows them; `redis` only if there is one. */
static void
append_components(
	struct push_buf *to, const struct push_broker_link *link, const char *not_ready, const char *trouble)
{
	push_buf_append_text(to,
		",\"components\":{\"livenessState\":{\"status\":\"UP\"},\"ping\":{\"status\":\"UP\"},"
		"\"readinessState\":{\"status\":");
	push_buf_append_text(to, not_ready ? "\"OUT_OF_SERVICE\"}" : "\"UP\"}");
	if (link && link->ops->options(link->broker)->redis_url[0]) {
		push_buf_append_text(to, ",\"redis\":{\"status\":");
		push_buf_append_text(to, trouble ? "\"DOWN\",\"details\":{\"error\":" : "\"UP\"}");
		if (trouble) {
			append_text(to, trouble);
			push_buf_append_text(to, "}}");
		}
	}
	push_buf_append_text(to, "}");
}

/* For people and alerts: whether everything works. */
static int
health(struct lws *wsi, struct push_broker_link *link)
{
	const char *not_ready = why_not_ready(wsi, link), *trouble = NULL;
	char why[PUSH_TROUBLE_BYTES_MAX];
	struct push_buf components;
	int result;

	if (link && !link->ops->accepts(link->broker, why, sizeof(why)))
		trouble = why;
	push_buf_init(&components, PUSH_BUF_LINE_BYTES_MAX);
	append_components(&components, link, not_ready, trouble);
	result = answer_health(wsi, not_ready ? not_ready : trouble, &components);
	push_buf_fini(&components);
	return result;
}

static int
metrics(struct lws *wsi, struct push_broker_link *link)
{
	const struct push_response reply = {
		.status = 200, .content_type = "text/plain; version=0.0.4; charset=utf-8", .no_store = true};
	struct push_buf body;

	if (!link)
		return push_reply_error(
			wsi, (struct push_response){.status = 503}, push_find_broker_trouble(wsi));
	push_buf_init(&body, PUSH_METRICS_BYTES_MAX);
	link->ops->render_metrics(link->broker, &body);
	return push_reply_send(wsi, reply, &body);
}

static const struct page {
	const char *path;
	int (*answer)(struct lws *wsi, struct push_broker_link *link);
} pages[] = {
	{"/", index_root},
	{PUSH_PATH_ACTUATOR, index_actuator},
	{PUSH_PATH_HEALTH, health},
	{PUSH_PATH_LIVENESS, liveness},
	{PUSH_PATH_READINESS, readiness},
	{PUSH_PATH_PROMETHEUS, metrics},
	{PUSH_PATH_SHORT_METRICS, metrics},
	{PUSH_PATH_METRICS, index_meters},
	{PUSH_PATH_CHANNELS, index_channels},
	{PUSH_PATH_LOGGERS, loggers_list},
	{PUSH_PATH_LOGGER, loggers_get},
};

/* The meter that the path names; NULL: none. */
static const char *
meter_of(const char *path)
{
	static const char start[] = PUSH_PATH_METRICS "/";

	return !strncmp(path, start, sizeof(start) - 1) && path[sizeof(start) - 1] ? path + sizeof(start) - 1
										   : NULL;
}

/* HEAD is answered wherever GET is (RFC 9110, 9.3.2); the body is left out where it is written. */
static bool
is_read(enum push_method method)
{
	return method == PUSH_METHOD_GET || method == PUSH_METHOD_HEAD;
}

/* Of a method that has no answer of its own.  A body may follow, which nobody reads: the connection ends. */
static int
answer_method(struct lws *wsi, enum push_method method, bool is_logger)
{
	struct push_response reply = {.status = method == PUSH_METHOD_OPTIONS ? 204 : 405,
		.allow = is_logger ? "GET, HEAD, POST, OPTIONS" : "GET, HEAD, OPTIONS",
		.closes = true};

	if (method == PUSH_METHOD_OPTIONS)
		return push_response_send(wsi, &reply, false);
	return push_reply_error(wsi, reply,
		is_logger ? "method not allowed, use GET or POST" : "method not allowed, use GET");
}

static int
answer_page(
	struct lws *wsi, const struct page *page, enum push_method method, struct loggers_change **session)
{
	bool is_logger = page->answer == loggers_get;

	if (is_read(method))
		return page->answer(wsi, push_find_broker(wsi));
	if (method == PUSH_METHOD_POST && is_logger)
		return loggers_post(wsi, push_find_broker(wsi), session);
	return answer_method(wsi, method, is_logger);
}

int
management_request(struct lws *wsi, struct loggers_change **session)
{
	struct push_response reply = {.status = 404};
	enum push_method method = push_request_method(wsi);
	char path[PATH_BYTES_MAX];
	struct push_error error;
	const char *meter;

	push_request_path(wsi, path, sizeof(path));
	for (size_t i = 0; i < LWS_ARRAY_SIZE(pages); i++)
		if (push_path_is(path, pages[i].path))
			return answer_page(wsi, &pages[i], method, session);
	meter = meter_of(path);
	if (meter && is_read(method))
		return index_meter(wsi, push_find_broker(wsi), meter);
	if (meter)
		return answer_method(wsi, method, false);
	(void)push_path_not_found(PUSH_PORT_OPERATORS, path, &error);
	reply.closes = !is_read(method);
	return push_reply_error(wsi, reply, error.text);
}

int
management_upgrade(struct lws *wsi)
{
	(void)push_reply_error(wsi, (struct push_response){.status = 404, .closes = true},
		"no WebSocket here; " PUSH_PATH_WS " is on the main port (8080 by default)");
	return -1;
}
