/* pages.c - see pages.h.  Paths are the origin's, which were Spring Boot's. */
#include "core/limits.h"
#include "core/paths.h"
#include "http/health.h"
#include "http/index.h"
#include "http/loggers.h"
#include "http/pages.h"
#include "http/taking_back.h"

static void
metrics(const struct push_page_call *call)
{
	const struct push_broker_link *link = call->pages->link;
	struct push_buf body;

	push_buf_init(&body, PUSH_METRICS_BYTES_MAX);
	link->ops->render_metrics(link->broker, &body);
	push_page_answer(call, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

/* In the order in which they are listed. */
static const struct push_page pages[] = {
	{.path = "/", .get = index_root, .without_broker = true},
	{.path = PUSH_PATH_ACTUATOR, .get = index_actuator, .without_broker = true},
	{.path = PUSH_PATH_HEALTH,
		.get = health_get,
		.without_broker = true,
		.what = "whether a publish would succeed: 200, or 503 with the reason",
		.rel = "health",
		.more_rel = "health-path",
		.more = "{*path}"},
	{.path = PUSH_PATH_LIVENESS,
		.get = health_liveness,
		.without_broker = true,
		.what = "whether the process runs: for programs that restart it"},
	{.path = PUSH_PATH_READINESS,
		.get = health_readiness,
		.without_broker = true,
		.what = "whether clients may connect: for load balancers"},
	{.path = PUSH_PATH_PROMETHEUS,
		.get = metrics,
		.what = "metrics for Prometheus; /metrics is the same",
		.rel = "prometheus"},
	{.path = PUSH_PATH_SHORT_METRICS, .get = metrics},
	{.path = PUSH_PATH_METRICS,
		.get = index_meters,
		.what = "metrics by name, as JSON",
		.rel = "metrics",
		.more_rel = "metrics-requiredMetricName",
		.more = "{requiredMetricName}"},
	{.path = PUSH_PATH_METRICS, .takes_name = true, .get = index_meter},
	{.path = PUSH_PATH_LOGGER,
		.get = loggers_get,
		.post = loggers_post,
		.what = "the log level; POST {\"configuredLevel\":\"DEBUG\"} changes it"},
	{.path = PUSH_PATH_LOGGERS,
		.get = loggers_list,
		.what = "all levels",
		.rel = "loggers",
		.more_rel = "loggers-name",
		.more = "{name}"},
	{.path = PUSH_PATH_CHANNELS,
		.get = index_channels,
		.what = "the channels with the most subscribers, as JSON",
		.rel = "channels"},
	{.path = PUSH_PATH_REVOKE,
		.post = taking_back_revoke,
		.what = "POST {\"user\":\"ann\"}: tokens of a user, a jti or a key are not accepted any "
			"more"},
	{.path = PUSH_PATH_DISCONNECT,
		.post = taking_back_disconnect,
		.what = "POST {\"channel\":\"news\"}: end connections of a user, jti, key, channel or "
			"client"},
};

const struct push_page *
pages_table(size_t *ret_count)
{
	*ret_count = sizeof(pages) / sizeof(pages[0]);
	return pages;
}
