/* management.c - see management.h.  Paths and texts are the origin's. */
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/utf8.h"
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
	if (down_because) {
		push_buf_append_text(&body, "{\"status\":\"DOWN\",\"reason\":");
		push_json_append_string(&body, down_because,
			push_utf8_cut(down_because, strlen(down_because), PUSH_TROUBLE_BYTES_MAX));
		push_buf_append_text(&body, "}");
	} else {
		push_buf_append_text(&body, "{\"status\":\"UP\"}");
	}
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

/* Why no client is to be sent here; NULL: all is well. */
static const char *
why_not_ready(const struct push_broker_link *link)
{
	if (!link)
		return "no broker";
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
	return answer_health(wsi, why_not_ready(link));
}

/* For people and alerts: whether everything works. */
static int
health(struct lws *wsi, struct push_broker_link *link)
{
	const char *reason = why_not_ready(link);
	char why[PUSH_TROUBLE_BYTES_MAX];

	if (!reason && !link->ops->accepts(link->broker, why, sizeof(why)))
		reason = why;
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
	{"/actuator/health", health},
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
