/* health.c - see health.h.  Texts are the origin's. */
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/utf8.h"
#include "http/health.h"

static void
append_text(struct push_buf *to, const char *text)
{
	push_json_append_string(to, text, push_utf8_cut(text, strlen(text), PUSH_TROUBLE_BYTES_MAX));
}

/* @components: what the answer has besides; NULL: nothing. */
static void
answer_health(const struct push_page_call *call, const char *down_because, const struct push_buf *components)
{
	struct push_buf body;

	push_buf_init(&body, 2 * PUSH_BUF_LINE_BYTES_MAX);
	push_buf_append_text(&body, down_because ? "{\"status\":\"DOWN\",\"reason\":" : "{\"status\":\"UP\"");
	if (down_because)
		append_text(&body, down_because);
	if (components && components->bytes)
		push_buf_append(&body, components->bytes, components->size);
	push_buf_append_text(&body, "}");
	push_page_answer(call, down_because ? 503 : 200, NULL, &body);
}

/* That this runs at all shows that the event loop turns. */
void
health_liveness(const struct push_page_call *call)
{
	answer_health(call, NULL, NULL);
}

/* Why no client is to be sent here; NULL: all is well. */
static const char *
why_not_ready(const struct push_pages *pages)
{
	const struct push_broker_link *link = pages->link;

	if (!link)
		return pages->trouble;
	if (link->ops->is_draining(link->broker))
		return "draining";
	return link->ops->is_ready(link->broker) ? NULL : "the broker cannot be reached";
}

/*
 * A balancer goes by this.  Where Redis refuses publishes it does so for every node: with all of them out of
 * service clients could not even subscribe, and publishers would get no answer instead of a 503.
 */
void
health_readiness(const struct push_page_call *call)
{
	answer_health(call, why_not_ready(call->pages), NULL);
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
void
health_get(const struct push_page_call *call)
{
	const struct push_broker_link *link = call->pages->link;
	const char *not_ready = why_not_ready(call->pages), *trouble = NULL;
	char why[PUSH_TROUBLE_BYTES_MAX];
	struct push_buf components;

	if (link && !link->ops->accepts(link->broker, why, sizeof(why)))
		trouble = why;
	push_buf_init(&components, PUSH_BUF_LINE_BYTES_MAX);
	append_components(&components, link, not_ready, trouble);
	answer_health(call, not_ready ? not_ready : trouble, &components);
	push_buf_fini(&components);
}
