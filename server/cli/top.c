/*
 * top.c - push top: two looks at the metrics, a second apart, make one block; a terminal gets a new one each
 * second.
 *
 * The queue of a single client is in no metric: what waits for all of them is, and how many were closed as
 * slow.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "login.h"
#include "metrics.h"
#include "say.h"
#include "server_url.h"
#include "top.h"

#define INTERVAL_US    1000000ull
#define METRICS_PATH   "/actuator/prometheus"
#define CLEAR_SCREEN   "\x1b[H\x1b[2J"
#define TEXT_SIZE      32
#define WORKERS_A_LINE 6

struct look {
	struct http_answer answer;
	lws_usec_t at;
};

/* Two of them, and the time between. */
struct view {
	const char *before, *after;
	double seconds;
};

static double
rate(const struct view *view, const char *name)
{
	return (metrics_sum(view->after, name) - metrics_sum(view->before, name)) / view->seconds;
}

static double
sample_rate(const struct view *view, const char *sample)
{
	return (metrics_value(view->after, sample) - metrics_value(view->before, sample)) / view->seconds;
}

static const char *
bytes(double value, char to[TEXT_SIZE])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	size_t i = 0;

	while (value >= 1000 && i + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		i++;
	}
	snprintf(to, TEXT_SIZE, i ? "%.1f %s" : "%.0f %s", value, units[i]);
	return to;
}

static const char *
delay(double seconds, char to[TEXT_SIZE])
{
	if (seconds <= 0)
		snprintf(to, TEXT_SIZE, "-");
	else if (isinf(seconds))
		snprintf(to, TEXT_SIZE, "very long");
	else
		snprintf(to, TEXT_SIZE, "under %.3g ms", seconds * 1e3);
	return to;
}

static void
print_workers(const char *text)
{
	char number[TEXT_SIZE];
	double clients;
	unsigned int count = 0;

	while (metrics_next(&text, "push_worker_connections", "worker", number, sizeof(number), &clients)) {
		if (count % WORKERS_A_LINE == 0)
			printf("%s%-12s", count ? "\n" : "", count ? "" : "workers");
		printf(" %s: %-8.0f", number, clients);
		count++;
	}
	if (count)
		printf("\n");
}

static double
refused_rate(const struct view *view)
{
	return rate(view, "push_publishes_total") - sample_rate(view, "push_publishes_total{status=\"202\"}");
}

static double
slow_count(const char *text)
{
	return metrics_value(text, "push_disconnects_total{transport=\"ws\",reason=\"slow\"}") +
	       metrics_value(text, "push_disconnects_total{transport=\"sse\",reason=\"slow\"}");
}

static void
print_head(const struct view *view, const struct url *url)
{
	char version[TEXT_SIZE], engine[TEXT_SIZE];
	double start = metrics_value(view->after, "process_start_time_seconds");

	printf("Push %s at %s, broker: %s%s%s",
		metrics_label(view->after, "push_build_info", "version", version, TEXT_SIZE), url->text,
		metrics_label(view->after, "push_build_info", "engine", engine, TEXT_SIZE),
		metrics_value(view->after, "push_broker_up") > 0 ? "" : " (DOWN)",
		metrics_value(view->after, "push_draining") > 0 ? ", draining" : "");
	if (start > 0)
		printf(", up %.0f s", difftime(time(NULL), (time_t)start));
	printf("\n");
}

static void
print_view(const struct view *view, const struct url *url)
{
	const char *after = view->after;
	char one[TEXT_SIZE], two[TEXT_SIZE];

	print_head(view, url);
	printf("clients      %.0f WebSocket, %.0f event stream; %.0f new a second; %.0f channels\n",
		metrics_value(after, "push_connections{transport=\"ws\"}"),
		metrics_value(after, "push_connections{transport=\"sse\"}"),
		rate(view, "push_connections_opened_total"), metrics_sum(after, "push_channels"));
	printf("publishes    %.0f a second, %.0f of them refused\n", rate(view, "push_publishes_total"),
		refused_rate(view));
	printf("deliveries   %.0f a second, %s a second; 99 of 100 in %s\n",
		rate(view, "push_messages_sent_total"), bytes(rate(view, "push_sent_bytes_total"), one),
		delay(metrics_quantile(view->before, after, "push_delivery_latency_seconds", 0.99), two));
	printf("event loop   delay %s in 99 of 100 turns, at most %s\n",
		delay(metrics_quantile(view->before, after, "push_loop_lag_seconds", 0.99), one),
		delay(metrics_quantile(view->before, after, "push_loop_lag_seconds", 1), two));
	printf("queues       %s for clients; %.0f clients paused; %.0f closed as slow since the start\n",
		bytes(metrics_sum(after, "push_outbox_bytes"), one),
		metrics_sum(after, "push_paused_clients"), slow_count(after));
	printf("gaps         %.0f a second; %.0f messages not acknowledged yet\n",
		rate(view, "push_gaps_total"), metrics_sum(after, "push_unacknowledged_messages"));
	printf("machine      %.2f cores, %s resident, %.0f descriptors\n",
		rate(view, "process_cpu_seconds_total"),
		bytes(metrics_sum(after, "process_resident_memory_bytes"), one),
		metrics_sum(after, "process_open_fds"));
	print_workers(after);
}

static enum cli_exit
take_look(struct loop *loop, const struct url *url, const struct cli_arguments *arguments, struct look *ret)
{
	struct http_request request = {.method = "GET", .path = METRICS_PATH};

	http_ask(loop, url, arguments->headers, &request, &ret->answer);
	ret->at = lws_now_usecs();
	if (ret->answer.result != HTTP_ANSWERED || ret->answer.status != 200)
		return http_report(url, &ret->answer);
	if (ret->answer.body.size && metrics_has(ret->answer.body.bytes, "push_connections"))
		return CLI_DONE;
	say("%s" METRICS_PATH ": no metrics of Push here", url->text);
	return CLI_BROKEN;
}

static enum cli_exit
watch(struct loop *loop, const struct url *url, const struct cli_arguments *arguments)
{
	bool once = arguments->once || !isatty(STDOUT_FILENO);
	struct look looks[2];
	enum cli_exit code = take_look(loop, url, arguments, &looks[0]);
	unsigned int last = 0;

	while (code == CLI_DONE && !loop->signal) {
		struct look *before = &looks[last], *after = &looks[!last];
		struct view view;

		loop_pause(loop, INTERVAL_US);
		if (loop->signal)
			break;
		code = take_look(loop, url, arguments, after);
		if (code == CLI_DONE && after->answer.result == HTTP_ANSWERED) {
			view = (struct view){before->answer.body.bytes, after->answer.body.bytes,
				(double)(after->at - before->at) / 1e6};
			printf("%s", once ? "" : CLEAR_SCREEN);
			print_view(&view, url);
			fflush(stdout);
		}
		http_answer_fini(&before->answer);
		last = !last;
		if (once)
			break;
	}
	http_answer_fini(&looks[last].answer);
	return loop->signal ? CLI_DONE : code;
}

enum cli_exit
top_run(const struct cli_arguments *arguments)
{
	enum cli_exit code = CLI_NO;
	struct login login;
	struct loop loop;
	struct url url;

	if (!server_url_management(arguments, &url) || !login_begin(&login, arguments, LOGIN_MANAGEMENT))
		return CLI_USAGE;
	if (loop_init(&loop))
		code = watch(&loop, &url, &login.arguments);
	loop_fini(&loop);
	login_end(&login);
	return code;
}
