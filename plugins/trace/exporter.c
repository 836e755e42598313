/* exporter.c - see exporter.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/backoff.h"
#include "core/http_url.h"
#include "loop/http_client.h"
#include "loop/limits.h"
#include "trace/exporter.h"
#include "trace/otlp.h"

_Static_assert(
	PUSH_TRACE_BATCH_BYTES_MAX + 2 * PUSH_OPTION_TEXT_BYTES_MAX + 512 <= PUSH_HTTP_REQUEST_BYTES_MAX,
	"a batch is one request");

struct push_exporter {
	const struct push_options *options;
	struct push_tracer *tracer;
	void (*log)(void *context, enum push_log_level level, const char *line);
	void *context;
	struct push_http_url url;
	struct push_http_client *client;
	struct push_http_origin *origin;
	struct push_http_call *call; /* under way; NULL: none */
	uint64_t now_us, begin_us;   /* begin_us: not before */
	uint64_t random;
	unsigned int failures;          /* since spans were taken, or refused for good */
	uint64_t finish_us;             /* 0: not finishing */
	struct push_trace_batch *batch; /* on its way, or to be sent again; NULL: none */
	bool is_well, is_ill;           /* what was logged last */
};

/* --- how it goes --- */

static void
say(struct push_exporter *exporter, bool is_bad, const char *why)
{
	char line[PUSH_OPTION_TEXT_BYTES_MAX + 128];

	if (is_bad ? exporter->is_ill : exporter->is_well)
		return;
	exporter->is_ill = is_bad;
	exporter->is_well = !is_bad;
	if (is_bad)
		snprintf(line, sizeof(line), "traces: %s does not accept spans: %s",
			exporter->options->trace_url, why);
	else
		snprintf(line, sizeof(line), "traces: %s accepts spans", exporter->options->trace_url);
	exporter->log(exporter->context, is_bad ? PUSH_LOG_WARN : PUSH_LOG_INFO, line);
}

static void
batch_done(struct push_exporter *exporter, uint64_t failed)
{
	push_tracer_done(exporter->tracer, exporter->batch, failed);
	exporter->batch = NULL;
}

/* It may be sent again, after a pause.  @retry_after_s: 0: the collector does not say. */
static void
try_again(struct push_exporter *exporter, const char *why, unsigned int retry_after_s)
{
	uint64_t pause_us = retry_after_s < PUSH_TRACE_RETRY_AFTER_S_MAX
				    ? retry_after_s * 1000000ull
				    : PUSH_TRACE_RETRY_AFTER_S_MAX * 1000000ull;

	say(exporter, true, why);
	if (exporter->now_us - exporter->batch->since_us > PUSH_TRACE_BATCH_AGE_US)
		batch_done(exporter, UINT64_MAX);
	if (!pause_us)
		pause_us = push_backoff_us(exporter->failures, PUSH_TRACE_BACKOFF_FIRST_US,
			PUSH_TRACE_BACKOFF_LAST_US, &exporter->random);
	exporter->begin_us = exporter->now_us + pause_us;
	exporter->failures++;
}

/* Whether the same may be sent again (OTLP, "Retryable Response Codes"). */
static bool
is_passing(unsigned int status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

static void
answered(struct push_exporter *exporter, const struct push_http_result *result)
{
	uint64_t count = exporter->batch->count, rejected = count;
	char why[48];

	snprintf(why, sizeof(why), "it answers with status %u", result->http_status);
	if (is_passing(result->http_status)) {
		try_again(exporter, why, result->retry_after_s);
		return;
	}
	exporter->failures = 0;
	if (result->http_status >= 200 && result->http_status < 300) {
		say(exporter, false, "");
		rejected = push_otlp_rejected(result->body.bytes, result->body.size);
	} else {
		say(exporter, true, why);
	}
	batch_done(exporter, rejected < count ? rejected : count);
}

static void
on_answer(void *context, const struct push_http_result *result)
{
	struct push_exporter *exporter = context;

	exporter->call = NULL;
	exporter->now_us = result->now_us;
	/* of a body that is too long the status counts */
	if (result->status == PUSH_OK || result->status == PUSH_TOO_LARGE)
		answered(exporter, result);
	else
		try_again(exporter, result->error, 0);
}

static void
begin(struct push_exporter *exporter)
{
	static const struct push_http_header json = {"Content-Type", {"application/json", 16}};
	const struct push_buf *text = &exporter->batch->text;
	const struct push_http_ask ask = {
		.request = {.is_post = true,
			.url = &exporter->url,
			.headers = &json,
			.header_count = 1,
			.body = {text->bytes, text->size}},
		.deadline_us = exporter->now_us + PUSH_TRACE_EXCHANGE_US,
		.body_max = PUSH_TRACE_BODY_BYTES_MAX,
		.done = on_answer,
		.context = exporter,
	};

	if (push_http_call(exporter->origin, &ask, exporter->now_us, &exporter->call) == PUSH_OK)
		return;
	exporter->call = NULL;
	try_again(exporter, push_status_text(PUSH_OUT_OF_MEMORY), 0);
}

void
push_exporter_ready(struct push_exporter *exporter, uint64_t now_us)
{
	push_http_client_ready(exporter->client, now_us);
}

void
push_exporter_tick(struct push_exporter *exporter, uint64_t now_us)
{
	push_http_client_tick(exporter->client, now_us);
	exporter->now_us = now_us;
	if (exporter->call || now_us < exporter->begin_us)
		return;
	if (!exporter->batch)
		exporter->batch = push_tracer_take(exporter->tracer, exporter->finish_us);
	if (exporter->batch)
		begin(exporter);
}

bool
push_exporter_finish(struct push_exporter *exporter, uint64_t now_us)
{
	if (!exporter->finish_us) {
		exporter->finish_us = now_us;
		exporter->begin_us = 0; /* a last attempt, whatever the pause */
	}
	return (exporter->batch || !push_tracer_is_empty(exporter->tracer)) &&
	       now_us - exporter->finish_us < PUSH_TRACE_LAST_US;
}

/* --- its life --- */

struct push_exporter *
push_exporter_create(const struct push_options *options, struct push_tracer *tracer, uint64_t seed,
	void (*log)(void *context, enum push_log_level level, const char *line), void *context)
{
	static const struct push_http_limits limits = {.calls_max = 1};
	struct push_exporter *exporter = calloc(1, sizeof(*exporter));
	struct push_error error = {""};

	if (!exporter)
		return NULL;
	exporter->options = options;
	exporter->tracer = tracer;
	exporter->log = log;
	exporter->context = context;
	exporter->random = seed | 1;
	exporter->client = push_http_client_create();
	if (exporter->client &&
		push_http_url_parse(&exporter->url, "push.trace.url", options->trace_url, &error) ==
			PUSH_OK &&
		(!exporter->url.is_tls ||
			push_http_client_trust(exporter->client, "push.trace.url", "", &error) == PUSH_OK))
		exporter->origin = push_http_client_add(exporter->client, &exporter->url, &limits);
	if (exporter->origin)
		return exporter;
	push_exporter_destroy(exporter);
	return NULL;
}

void
push_exporter_destroy(struct push_exporter *exporter)
{
	if (!exporter)
		return;
	if (exporter->call)
		push_http_call_cancel(exporter->call);
	if (exporter->batch)
		batch_done(exporter, UINT64_MAX);
	push_http_client_destroy(exporter->client);
	free(exporter);
}

int
push_exporter_fd(const struct push_exporter *exporter)
{
	return push_http_client_fd(exporter->client);
}
