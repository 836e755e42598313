/* management.c - see management.h.  Paths and texts are the origin's. */
#include <string.h>

#include "http/loggers.h"
#include "http/management.h"
#include "lwsio/find_broker.h"
#include "lwsio/request.h"

#define METRICS_BYTES_MAX (256 * 1024)
#define PATH_BYTES_MAX    64
#define PATH_LOGGER       "/actuator/loggers/ROOT" /* the one that can be changed */

static int
answer_health(struct lws *wsi, const char *down_because)
{
	struct push_buf body;

	push_buf_init(&body, PUSH_BUF_LINE_BYTES_MAX);
	if (down_because)
		push_buf_printf(&body, "{\"status\":\"DOWN\",\"reason\":\"%s\"}", down_because);
	else
		push_buf_append_text(&body, "{\"status\":\"UP\"}");
	return push_reply_send_buf(
		wsi, (struct push_reply){.status = down_because ? 503 : 200, .no_store = true}, &body);
}

/* That this runs at all shows that the event loop turns. */
static int
liveness(struct lws *wsi, struct push_broker_link *link)
{
	(void)link;
	return answer_health(wsi, NULL);
}

static int
readiness(struct lws *wsi, struct push_broker_link *link)
{
	const char *reason = NULL;

	if (!link)
		reason = "no broker";
	else if (link->ops->is_draining(link->broker))
		reason = "draining";
	else if (!link->ops->is_ready(link->broker))
		reason = "the broker cannot be reached";
	return answer_health(wsi, reason);
}

static int
metrics(struct lws *wsi, struct push_broker_link *link)
{
	const struct push_reply reply = {
		.status = 200, .content_type = "text/plain; version=0.0.4; charset=utf-8", .no_store = true};
	struct push_buf body;

	if (!link)
		return push_reply_error(wsi, (struct push_reply){.status = 503}, "no broker");
	push_buf_init(&body, METRICS_BYTES_MAX);
	link->ops->render_metrics(link->broker, &body);
	return push_reply_send_buf(wsi, reply, &body);
}

static const struct {
	const char *path;
	int (*answer)(struct lws *wsi, struct push_broker_link *link);
} pages[] = {
	{"/actuator/health", readiness},
	{"/actuator/health/liveness", liveness},
	{"/actuator/health/readiness", readiness},
	{"/actuator/prometheus", metrics},
	{"/actuator/loggers", loggers_list},
	{PATH_LOGGER, loggers_get},
};

int
management_request(struct lws *wsi, struct loggers_change **session)
{
	struct push_reply reply = {.status = 404};
	char path[PATH_BYTES_MAX];
	bool is_logger;
	enum push_method method = push_request_method(wsi);

	push_request_path(wsi, path, sizeof(path));
	for (size_t i = 0; i < LWS_ARRAY_SIZE(pages); i++) {
		if (strcmp(path, pages[i].path))
			continue;
		if (method == PUSH_METHOD_GET)
			return pages[i].answer(wsi, push_find_broker(wsi));
		is_logger = !strcmp(path, PATH_LOGGER);
		if (method == PUSH_METHOD_POST && is_logger)
			return loggers_post(wsi, push_find_broker(wsi), session);
		reply.status = 405;
		reply.allow = is_logger ? "GET, POST" : "GET";
		reply.close = true;
		return push_reply_error(wsi, reply,
			is_logger ? "method not allowed, use GET or POST" : "method not allowed, use GET");
	}
	reply.close = method != PUSH_METHOD_GET;
	return push_reply_error(wsi, reply, "not found");
}

int
management_upgrade(struct lws *wsi)
{
	(void)push_reply_error(wsi, (struct push_reply){.status = 404, .close = true}, "no WebSocket here");
	return -1;
}
