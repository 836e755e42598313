/*
 * bench.c - push bench: runs the load tool (tests/bench, pushload) in a few scenarios and prints what it
 * found.
 *
 * The tool lies beside the program's library folder when installed, and in its own folder of the build tree.
 * It checks each delivery: a row with faults says that the server, or this machine, did not hold what was
 * asked of it.
 */
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "core/buf.h"
#include "port_holders.h"
#include "say.h"
#include "server_url.h"

#define ARGUMENTS_MAX     24
#define REPORT_BYTES_MAX  (1u << 20)
#define CLIENTS_DEFAULT   2000
#define SPARE_DESCRIPTORS 64
#define OTHERS_CORES_MAX  0.2
#define SECONDS_DEFAULT   3

/* In a scenario: what the command line says. */
#define CLIENTS_PLACEHOLDER "N"
#define SECONDS_PLACEHOLDER "S"

static const char *const places[] = {
	"../lib/push/pushload", "../" LIBRARY_FOLDER "/push/pushload", "../tests/bench/pushload"};

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

struct bench {
	char tool[PATH_MAX], target[CLI_HOST_BYTES_MAX + 16], clients[24], seconds[24], pid[24];
	bool has_faults;
	double others; /* the most cores that other programs have taken */
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
	say("bench: the load tool pushload is not installed: build the tests (cmake --build build/release)");
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
	const char *arguments[ARGUMENTS_MAX + 10] = {
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
	for (const char *const *at = scenario->arguments; *at; at++)
		arguments[count++] = !strcmp(*at, CLIENTS_PLACEHOLDER)   ? bench->clients
				     : !strcmp(*at, SECONDS_PLACEHOLDER) ? bench->seconds
									 : *at;
	execv(bench->tool, (char *const *)(void *)arguments);
	_exit(127);
}

/* The tool's report; NULL: there is none. */
static struct json_object *
run_tool(const struct bench *bench, const struct scenario *scenario)
{
	struct json_object *report = NULL;
	struct push_buf text;
	char piece[4096];
	int ends[2], status;
	ssize_t size;
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
	while ((size = read(ends[0], piece, sizeof(piece))) > 0)
		push_buf_append(&text, piece, (size_t)size);
	close(ends[0]);
	push_buf_append(&text, "", 1);
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
print_report(struct bench *bench, const struct scenario *scenario, struct json_object *report)
{
	double faults = number(report, "faults", NULL);

	printf("%-38s %10.0f %12.0f %9.1f %9.1f %8.2f %8.0f\n", scenario->name,
		number(report, "publishes_per_s", NULL), number(report, "deliveries_per_s", NULL),
		number(report, "latency_us", "p50") / 1e3, number(report, "latency_us", "p99") / 1e3,
		number(report, "server", "cores"), faults);
	if (scenario == &scenarios[0] && number(report, "server", "bytes_per_connection") > 0)
		printf("%-38s %s clients, %.0f connected a second, %.0f bytes of memory each\n", "",
			bench->clients, number(report, "connects_per_s", NULL),
			number(report, "server", "bytes_per_connection"));
	if (number(report, "others_cores", NULL) > bench->others)
		bench->others = number(report, "others_cores", NULL);
	if (faults > 0)
		bench->has_faults = true;
}

static enum cli_exit
run_all(struct bench *bench)
{
	printf("%-38s %10s %12s %9s %9s %8s %8s\n", "", "publishes", "deliveries", "half in", "99 % in",
		"server", "faults");
	printf("%-38s %10s %12s %9s %9s %8s\n", "scenario", "a second", "a second", "ms", "ms", "cores");
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		struct json_object *report = run_tool(bench, &scenarios[i]);

		if (!report) {
			say("bench: '%s' could not run", scenarios[i].name);
			return CLI_NO;
		}
		print_report(bench, &scenarios[i], report);
		json_object_put(report);
	}
	printf("\nThe load tool runs on this machine, too: a server on a machine of its own holds more.\n"
	       "Next: push bench --clients 20000 for more idle clients (raise ulimit -n); push top "
	       "meanwhile;\n"
	       "k8s/SIZING.md for how many machines; tests/bench/run in a clone for every scenario.\n");
	if (bench->others > OTHERS_CORES_MAX)
		say("bench: other programs took up to %.1f cores: do not trust these figures", bench->others);
	if (!bench->has_faults)
		return CLI_DONE;
	say("bench: there were faults: messages were lost or late, or connections failed");
	return CLI_NO;
}

enum cli_exit
bench_run(const struct cli_arguments *arguments)
{
	struct bench bench = {.has_faults = false};
	struct url url;

	if (!server_url(arguments, &url))
		return CLI_USAGE;
	if (url.is_tls || url.path[0]) {
		say("bench: the load tool speaks plain TCP to Push itself: https and a path are not "
		    "supported");
		return CLI_USAGE;
	}
	if (!find_tool(&bench))
		return CLI_NO;
	snprintf(bench.target, sizeof(bench.target), "%s:%d",
		strcmp(url.host, "localhost") ? url.host : "127.0.0.1", url.port);
	snprintf(bench.clients, sizeof(bench.clients), "%llu",
		(unsigned long long)clients_possible(
			arguments->clients ? arguments->clients : CLIENTS_DEFAULT));
	snprintf(bench.seconds, sizeof(bench.seconds), "%llus",
		(unsigned long long)(arguments->seconds ? arguments->seconds : SECONDS_DEFAULT));
	find_server(&bench, &url);
	return run_all(&bench);
}
