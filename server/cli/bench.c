/*
 * bench.c - push bench: runs the load tool (tests/bench, pushload) in a few scenarios, prints what it found,
 * and draws it (bench_chart.c).
 *
 * The tool lies beside the program's library folder when installed, and in its own folder of the build tree.
 * It checks each delivery: a row with faults says that the server, or this machine, did not hold what was
 * asked of it.
 *
 * The table goes to stdout; which scenario runs goes to stderr, on a terminal as one line that moves.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "bench_chart.h"
#include "core/buf.h"
#include "http.h"
#include "login.h"
#include "port_holders.h"
#include "say.h"
#include "server_url.h"

#define ARGUMENTS_MAX     24
#define REPORT_BYTES_MAX  (1u << 20)
#define CLIENTS_DEFAULT   2000
#define SPARE_DESCRIPTORS 64
#define SECONDS_DEFAULT   3
#define PICTURE_DEFAULT   "push-bench.svg"
#define PROGRESS_MS       1000

/* In a scenario: what the command line says. */
#define CLIENTS_PLACEHOLDER "N"
#define SECONDS_PLACEHOLDER "S"

static const char *const places[] = {"../lib/push/pushload", "../tests/bench/pushload"};

static const struct scenario {
	const char *name;
	const char *arguments[ARGUMENTS_MAX];
} scenarios[] = {
	{"idle clients, one message to all", {"--subscribers", CLIENTS_PLACEHOLDER, "--messages", "1",
						     "--warm-up", "0", "--settle", "1s"}},
	{"one channel, 100 clients, full load",
		{"--subscribers", "100", "--publishers", "4", "--time", SECONDS_PLACEHOLDER}},
	{"one channel, 1000 clients, full load",
		{"--subscribers", "1000", "--publishers", "4", "--time", SECONDS_PLACEHOLDER}},
	{"1000 clients, one message at a time",
		{"--subscribers", "1000", "--window", "1", "--time", SECONDS_PLACEHOLDER}},
	{"64 publishers, 100 channels", {"--subscribers", "100", "--channels", "100", "--publishers", "64",
						"--time", SECONDS_PLACEHOLDER}},
};

#define SCENARIO_COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

/* Whose memory a client is told by, and whose latency counts for one message at a time. */
#define IDLE   0
#define STEADY 3

struct bench {
	char tool[PATH_MAX], target[CLI_HOST_BYTES_MAX + 16], clients[24], seconds[24], pid[24];
	int headers_fd;   /* -1: there are none */
	char headers[32]; /* its path for the tool */
	const char *picture_path;
	int picture_fd; /* -1: it cannot be written */
	bool has_faults;
	struct bench_result results[SCENARIO_COUNT];
	struct bench_picture picture;
};

static bool
find_tool(struct bench *bench)
{
	char program[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;

	program[length > 0 ? length : 0] = '\0';
	slash = strrchr(program, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(bench->tool, sizeof(bench->tool), "%.*s/%s", (int)(slash - program), program,
			places[i]);
		if (!access(bench->tool, X_OK))
			return true;
	}
	say("bench: the load tool pushload is not installed: build it (cmake --build build/release --target "
	    "pushload)");
	return false;
}

/* Each client is a descriptor of the tool; the shell's limit may be raised up to the hard one. */
static uint64_t
clients_possible(uint64_t wanted)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return wanted;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur == RLIM_INFINITY || wanted + SPARE_DESCRIPTORS <= files.rlim_cur)
		return wanted;
	say("bench: %llu clients, not %llu: this shell allows %llu open files (ulimit -n)",
		(unsigned long long)files.rlim_cur - SPARE_DESCRIPTORS, (unsigned long long)wanted,
		(unsigned long long)files.rlim_cur);
	return files.rlim_cur - SPARE_DESCRIPTORS;
}

/* The server's processes, if they run here: the first of those that listen is the parent of the others. */
static void
find_server(struct bench *bench, const struct url *url)
{
	pid_t pids[PORT_HOLDERS_MAX], first = 0;
	size_t count;

	if (strcmp(url->host, "localhost") != 0 && strcmp(url->host, "127.0.0.1") != 0 &&
		strcmp(url->host, "::1") != 0)
		return;
	count = port_holders_find(url->port, pids);
	for (size_t i = 0; i < count; i++)
		if (!first || pids[i] < first)
			first = pids[i];
	if (first)
		snprintf(bench->pid, sizeof(bench->pid), "%d", (int)first);
}

static void
exec_tool(const struct bench *bench, const struct scenario *scenario, int output)
{
	const char *arguments[ARGUMENTS_MAX + 12] = {
		bench->tool, "--target", bench->target, "--quiet", "--json"};
	char report[32];
	size_t count = 5;
	int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* its own table is not wanted, its errors are */
	snprintf(report, sizeof(report), "/dev/fd/%d", output);
	arguments[count++] = report;
	dup2(nothing, STDOUT_FILENO);

	if (bench->pid[0]) {
		arguments[count++] = "--server-pid";
		arguments[count++] = bench->pid;
	}
	if (bench->headers_fd >= 0) {
		arguments[count++] = "--headers-from";
		arguments[count++] = bench->headers;
	}
	for (const char *const *at = scenario->arguments; *at; at++)
		arguments[count++] = !strcmp(*at, CLIENTS_PLACEHOLDER)   ? bench->clients
				     : !strcmp(*at, SECONDS_PLACEHOLDER) ? bench->seconds
									 : *at;
	execv(bench->tool, (char *const *)(void *)arguments);
	_exit(127);
}

static double
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* @began: 0: it begins. */
static void
show_progress(const struct scenario *scenario, double began)
{
	size_t number = (size_t)(scenario - scenarios) + 1;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%zu of %zu: %s, %.0f s", number, SCENARIO_COUNT, scenario->name,
			began > 0 ? seconds_now() - began : 0);
	else if (began <= 0)
		say("bench: %zu of %zu: %s", number, SCENARIO_COUNT, scenario->name);
}

static void
clear_progress(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

/* All that the tool writes, with a NUL behind it. */
static void
read_report(const struct scenario *scenario, int from, struct push_buf *to)
{
	struct pollfd readable = {.fd = from, .events = POLLIN};
	double began = seconds_now();
	char piece[4096];
	ssize_t size = 1;

	show_progress(scenario, 0);
	while (size > 0) {
		if (!poll(&readable, 1, PROGRESS_MS)) {
			show_progress(scenario, began);
			continue;
		}
		size = read(from, piece, sizeof(piece));
		if (size > 0)
			push_buf_append(to, piece, (size_t)size);
	}
	push_buf_append(to, "", 1);
	clear_progress();
}

/* The tool's report; NULL: there is none. */
static struct json_object *
run_tool(const struct bench *bench, const struct scenario *scenario)
{
	struct json_object *report = NULL;
	struct push_buf text;
	int ends[2], status;
	pid_t child;

	if (pipe(ends))
		return NULL;
	fflush(stdout);
	child = fork();
	if (!child) {
		close(ends[0]);
		exec_tool(bench, scenario, ends[1]);
	}
	close(ends[1]);
	push_buf_init(&text, REPORT_BYTES_MAX);
	read_report(scenario, ends[0], &text);
	close(ends[0]);
	if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
		WEXITSTATUS(status) < 2 && text.status == PUSH_OK)
		report = json_tokener_parse(text.bytes);
	push_buf_fini(&text);
	return report;
}

static double
number(struct json_object *report, const char *name, const char *member)
{
	struct json_object *value;

	if (!json_object_object_get_ex(report, name, &value))
		return 0;
	if (member && !json_object_object_get_ex(value, member, &value))
		return 0;
	return json_object_get_double(value);
}

static void
keep_report(struct bench *bench, const struct scenario *scenario, struct json_object *report)
{
	size_t index = (size_t)(scenario - scenarios);
	struct bench_picture *picture = &bench->picture;
	struct bench_result *result = &bench->results[index];

	*result = (struct bench_result){.name = scenario->name,
		.is_idle = index == IDLE,
		.publishes = number(report, "publishes_per_s", NULL),
		.deliveries = number(report, "deliveries_per_s", NULL),
		.half_ms = number(report, "latency_us", "p50") / 1e3,
		.most_ms = number(report, "latency_us", "p99") / 1e3,
		.cores = number(report, "server", "cores"),
		.faults = number(report, "faults", NULL)};
	if (index == IDLE) {
		picture->clients = number(report, "subscribers", "opened");
		picture->connects = number(report, "connects_per_s", NULL);
		picture->bytes_each = number(report, "server", "bytes_per_connection");
	}
	if (index == STEADY)
		picture->steady_ms = result->most_ms;
	if (number(report, "others_cores", NULL) > picture->others)
		picture->others = number(report, "others_cores", NULL);
	bench->has_faults = bench->has_faults || result->faults > 0;
}

static void
print_result(const struct bench *bench, const struct bench_result *result)
{
	const struct bench_picture *picture = &bench->picture;

	printf("%-38s %10.0f %12.0f %9.1f %9.1f %8.2f %8.0f\n", result->name, result->publishes,
		result->deliveries, result->half_ms, result->most_ms, result->cores, result->faults);
	if (result->is_idle && picture->bytes_each > 0)
		printf("%-38s %.0f clients, %.0f connected a second, %.0f bytes of memory each\n", "",
			picture->clients, picture->connects, picture->bytes_each);
	fflush(stdout);
}

/* A file without a name: other users of the machine can see the tool's arguments, and a token is a secret.
 * Returns false with a line on stderr. */
static bool
keep_headers(struct bench *bench, const char *const *headers)
{
	bool is_kept;

	if (!headers[0])
		return true;
	bench->headers_fd = memfd_create("push bench", 0);
	is_kept = bench->headers_fd >= 0;
	for (; is_kept && *headers; headers++)
		is_kept = dprintf(bench->headers_fd, "%s\n", *headers) >= 0;
	snprintf(bench->headers, sizeof(bench->headers), "/dev/fd/%d", bench->headers_fd);
	if (!is_kept)
		say("bench: the headers cannot be kept: %s", strerror(errno));
	return is_kept;
}

/* Before the load: nobody waits half a minute for a picture that cannot be written. */
static bool
open_picture(struct bench *bench, const char *wanted)
{
	bench->picture_path = wanted ? wanted : PICTURE_DEFAULT;
	bench->picture_fd = open(bench->picture_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (bench->picture_fd >= 0)
		return true;
	say("bench: %s cannot be written: %s%s", bench->picture_path, strerror(errno),
		wanted ? "" : "; --out FILE names another place for the picture");
	return !wanted;
}

/* Returns false if it is not, or not wholly, there. */
static bool
write_picture(const struct bench *bench)
{
	struct push_buf svg;
	size_t written = 0;
	ssize_t size = 0;

	push_buf_init(&svg, BENCH_CHART_BYTES_MAX);
	bench_chart_draw(&bench->picture, &svg);
	if (ftruncate(bench->picture_fd, 0))
		size = -1;
	while (size >= 0 && written < svg.size) {
		size = write(bench->picture_fd, svg.bytes + written, svg.size - written);
		written += size > 0 ? (size_t)size : 0;
	}
	push_buf_fini(&svg);
	if (size < 0 || svg.status != PUSH_OK)
		say("bench: %s cannot be written: %s", bench->picture_path,
			size < 0 ? strerror(errno) : push_status_text(svg.status));
	return size >= 0 && svg.status == PUSH_OK;
}

static enum cli_exit
conclude(struct bench *bench)
{
	bool is_drawn = bench->picture_fd >= 0 && write_picture(bench);
	char folder[PATH_MAX];
	bool is_relative = bench->picture_path[0] != '/' && getcwd(folder, sizeof(folder));

	printf("\nThe load tool runs on this machine, too: a server on a machine of its own holds more.\n"
	       "Next: push bench --clients 20000 for more idle clients (raise ulimit -n); push top "
	       "meanwhile;\n"
	       "docs/operate/sizing.md for how many machines; tests/bench/run in a clone for every "
	       "scenario.\n");
	if (bench->picture.others > BENCH_OTHERS_CORES_MAX)
		say("bench: other programs took up to %.1f cores: do not trust these figures",
			bench->picture.others);
	if (bench->has_faults)
		say("bench: there were faults: messages were lost or late, or connections failed");
	if (is_drawn)
		printf("Picture: %s%s%s\n", is_relative ? folder : "", is_relative ? "/" : "",
			bench->picture_path);
	return bench->has_faults ? CLI_NO : CLI_DONE;
}

static enum cli_exit
run_all(struct bench *bench)
{
	printf("%-38s %10s %12s %9s %9s %8s %8s\n", "", "publishes", "deliveries", "half in", "99 % in",
		"server", "faults");
	printf("%-38s %10s %12s %9s %9s %8s\n", "scenario", "a second", "a second", "ms", "ms", "cores");
	for (size_t i = 0; i < SCENARIO_COUNT; i++) {
		struct json_object *report = run_tool(bench, &scenarios[i]);

		if (!report) {
			say("bench: '%s' could not run", scenarios[i].name);
			return CLI_NO;
		}
		keep_report(bench, &scenarios[i], report);
		print_result(bench, &bench->results[i]);
		json_object_put(report);
	}
	return conclude(bench);
}

/* One that a run has left empty goes. */
static void
close_picture(const struct bench *bench)
{
	if (bench->picture_fd < 0)
		return;
	if (!lseek(bench->picture_fd, 0, SEEK_END))
		unlink(bench->picture_path);
	close(bench->picture_fd);
}

/* Whether a client may do what the tool's clients do: figures of refusals would look like good ones. */
static enum cli_exit
try_rights(struct loop *loop, const struct url *url, const struct login *login)
{
	static const char message[] = "{\"channel\":\"ch0\",\"message\":\"push bench\"}";
	static const struct http_request requests[] = {
		{.method = "POST",
			.path = "/messages",
			.content_type = "application/json",
			.body = message,
			.body_size = sizeof(message) - 1},
		{.method = "HEAD", .path = "/sse/messages?channels=ch0"}, /* whose answer has no text */
	};
	enum cli_exit code = CLI_DONE;
	struct http_answer answer;

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]) && code == CLI_DONE; i++) {
		http_ask(loop, url, login->arguments.headers, &requests[i], &answer);
		if (answer.result != HTTP_ANSWERED || answer.status >= 300) {
			code = http_report(url, &answer);
			login_hint(login, answer.status);
		}
		if (code == CLI_REFUSED && i)
			say("bench: there must be a right to subscribe to 'ch0' and the like");
		http_answer_fini(&answer);
	}
	return code;
}

static enum cli_exit
run(const struct cli_arguments *arguments, const struct url *url)
{
	struct bench bench = {.picture_fd = -1, .headers_fd = -1};
	enum cli_exit result;

	if (!find_tool(&bench) || !open_picture(&bench, arguments->out))
		return CLI_NO;
	snprintf(bench.target, sizeof(bench.target), "%s:%d",
		strcmp(url->host, "localhost") ? url->host : "127.0.0.1", url->port);
	snprintf(bench.clients, sizeof(bench.clients), "%llu",
		(unsigned long long)clients_possible(
			arguments->clients ? arguments->clients : CLIENTS_DEFAULT));
	snprintf(bench.seconds, sizeof(bench.seconds), "%llus",
		(unsigned long long)(arguments->seconds ? arguments->seconds : SECONDS_DEFAULT));
	find_server(&bench, url);
	bench.picture = (struct bench_picture){.server = bench.target,
		.is_here = bench.pid[0] != '\0',
		.results = bench.results,
		.count = SCENARIO_COUNT};
	result = keep_headers(&bench, arguments->headers) ? run_all(&bench) : CLI_NO;
	if (bench.headers_fd >= 0)
		close(bench.headers_fd);
	close_picture(&bench);
	return result;
}

enum cli_exit
bench_run(const struct cli_arguments *arguments)
{
	enum cli_exit result = CLI_NO;
	struct login login;
	struct loop loop;
	struct url url;

	if (!server_url(arguments, &url))
		return CLI_USAGE;
	if (url.is_tls || url.path[0]) {
		say("bench: the load tool speaks plain TCP to Push itself: https and a path are not "
		    "supported");
		return CLI_USAGE;
	}
	if (!login_begin(&login, arguments, LOGIN_SUBSCRIBE))
		return CLI_USAGE;
	if (loop_init(&loop))
		result = try_rights(&loop, &url, &login);
	loop_fini(&loop);
	if (result == CLI_DONE)
		result = run(&login.arguments, &url);
	login_end(&login);
	if (result == CLI_UNREACHABLE)
		server_url_hint(arguments);
	return result;
}
