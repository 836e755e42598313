/* options.c - see options.h. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "options.h"
#include "payload.h"
#include "template.h"

enum kind { COUNT, DURATION, TEXT, HEADER, HEADER_FILE, FLAG, CHOICE, HELP, SECTION };

struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *initial;
	uint64_t min, max;   /* COUNT */
	const char *letters; /* TEXT that is a template; CHOICE: the words, comma-separated */
	const char *value, *help;
};

#define AT(member) offsetof(struct options, member)

static const struct row rows[] = {
	{.kind = SECTION, .help = "Where"},
	{"target", TEXT, AT(target), "127.0.0.1:8080", 0, 0, NULL, "HOST:PORT",
		"the server; https:// in front of it is --tls"},
	{"transport", CHOICE, AT(transport), "ws", 0, 0, "ws,sse,h2,redis", "ws|sse|h2|redis",
		"how subscribers connect; h2: event streams by HTTP/2,\nwithout TLS by prior knowledge; "
		"redis: SUBSCRIBE"},
	{"tls", FLAG, AT(tls), NULL, 0, 0, NULL, NULL, "with TLS, subscribers and publishers"},
	{"tls-version", CHOICE, AT(tls_version), "any", 0, 0, "any,1.2,1.3", "any|1.2|1.3", NULL},
	{"tls-resume", FLAG, AT(tls_resume), NULL, 0, 0, NULL, NULL,
		"resume the newest session, as a client that comes back;\nwithout, each handshake is a full "
		"one"},
	{"ca", TEXT, AT(ca), "", 0, 0, NULL, "FILE",
		"verify the server's certificate by those in FILE;\nempty: it is not verified"},
	{"publish-by", CHOICE, AT(publish_by), "http", 0, 0, "http,redis", "http|redis",
		"how publishers publish: POST, or PUBLISH"},
	{"publish-target", TEXT, AT(publish_target), "", 0, 0, NULL, "HOST:PORT",
		"where publishers connect, with TLS if it is https://;\nempty: as subscribers"},
	{"ws-path", TEXT, AT(ws_path), "/ws/messages?channels=%c", 0, 0, "c", "PATH",
		"%c: the channel's name"},
	{"sse-path", TEXT, AT(sse_path), "/sse/messages?channels=%c", 0, 0, "c", "PATH", NULL},
	{"publish-path", TEXT, AT(publish_path), "/messages", 0, 0, "c", "PATH", NULL},
	{"publish-body", TEXT, AT(publish_body), "{\"channel\":\"%c\",\"message\":\"%m\"}", 0, 0, "cm",
		"TEXT", "%m: the message"},
	{"content-type", TEXT, AT(content_type), "application/json", 0, 0, NULL, "TYPE", "of a publish"},
	{"channel-name", TEXT, AT(channel_name), "ch%d", 0, 0, "d", "TEXT", "%d: its number, from 0"},
	{"header", HEADER, AT(headers), NULL, 0, 0, NULL, "'NAME: VALUE'",
		"with every request; may be repeated"},
	{"headers-from", HEADER_FILE, AT(headers), NULL, 0, 0, NULL, "FILE",
		"likewise, one in a line: not shown to other users, as\nthe command line is"},

	{.kind = SECTION, .help = "Who listens"},
	{"subscribers", COUNT, AT(subscribers), "100", 1, 1000000, NULL, "N",
		"number i listens to channel i mod M"},
	{"channels", COUNT, AT(channels), "1", 1, PAYLOAD_CHANNELS_MAX, NULL, "M", NULL},
	{"streams", COUNT, AT(streams), "100", 1, 100000, NULL, "N", "h2: event streams in one connection"},
	{"connecting", COUNT, AT(connecting), "128", 1, 100000, NULL, "N", "handshakes under way at a time"},
	{"connect-rate", COUNT, AT(connect_rate), "0", 0, 1000000, NULL, "N",
		"connections a second; 0: no limit"},
	{"connect-timeout", DURATION, AT(connect_timeout_ns), "10s", 0, 0, NULL, "TIME",
		"give up when no connection has come about for so long"},
	{"receive-buffer", COUNT, AT(receive_buffer), "0", 0, 1 << 30, NULL, "BYTES",
		"SO_RCVBUF; 0: the system's"},
	{"lazy-us", COUNT, AT(lazy_us), "0", 0, 1000000, NULL, "US",
		"read only every so many microseconds: a cheap receiver\nthat lets messages gather, for "
		"steady CPU figures"},
	{"greeting", FLAG, AT(greeting), NULL, 0, 0, NULL, NULL,
		"a subscriber counts as connected from its first event on,\nnot from the answer to its "
		"request"},
	{"reconnect", FLAG, AT(reconnect), NULL, 0, 0, NULL, NULL,
		"connect again after a close that the server announced"},

	{.kind = SECTION, .help = "Who publishes what"},
	{"publishers", COUNT, AT(publishers), "1", 1, 10000, NULL, "P", "keep-alive connections"},
	{"pipeline", COUNT, AT(pipeline), "1", 1, 1024, NULL, "N",
		"requests under way on each; 1: no pipelining"},
	{"size", COUNT, AT(size), "100", PAYLOAD_HEAD_BYTES, PAYLOAD_BYTES_MAX, NULL, "BYTES",
		"of a message"},
	{"rate", COUNT, AT(rate), "0", 0, 1000000, NULL, "N",
		"messages a second; 0: a closed loop, each publisher sends\n"
		"the next message when the answer has come"},
	{"burst", COUNT, AT(burst), "1", 1, 10000, NULL, "N",
		"closed loop: messages go out in groups of N, back to back"},
	{"window", COUNT, AT(window), "0", 0, 10000, NULL, "N",
		"closed loop: at most N groups are not delivered to all\n"
		"yet; 1: one at a time; 0: answers alone set the pace"},
	{"messages", COUNT, AT(messages), "0", 0, 1ull << 31, NULL, "N",
		"measure N messages, not a time; 0: by --time"},

	{.kind = SECTION,
		.help = "The crowd: subscribers beside the measured ones, in a process of their own"},
	{"crowd", COUNT, AT(crowd), "0", 0, 1000000, NULL, "N", NULL},
	{"crowd-act", CHOICE, AT(crowd_act), "leaves", 0, 0, "leaves,stalls,arrives", "leaves|stalls|arrives",
		"what it does at half time, all at once; a crowd that\nstalls listens to the published "
		"channels, others do not;\none that arrives is measured until it is there"},

	{.kind = SECTION, .help = "Phases (durations: 500ms, 3s, 2m)"},
	{"settle", DURATION, AT(settle_ns), "200ms", 0, 0, NULL, "TIME", "wait after connecting"},
	{"warm-up", DURATION, AT(warm_up_ns), "500ms", 0, 0, NULL, "TIME", "publish without measuring"},
	{"time", DURATION, AT(time_ns), "3s", 0, 0, NULL, "TIME", "measure so long"},
	{"drain", DURATION, AT(drain_ns), "3s", 0, 0, NULL, "TIME",
		"give up on what is missing after so long without any"},
	{"hold", DURATION, AT(hold_ns), "0", 0, 0, NULL, "TIME",
		"stay connected at the end, then look at memory again"},

	{.kind = SECTION, .help = "What is reported"},
	{"server-pid", TEXT, AT(server_pid), NULL, 0, 0, NULL, "PID[,PID]",
		"take CPU and memory of these and their children"},
	{"label", TEXT, AT(label), "", 0, 0, NULL, "TEXT", "a name for this run in the report"},
	{"json", TEXT, AT(json), NULL, 0, 0, NULL, "FILE",
		"append one line; - writes it to stdout, the table to stderr"},
	{"quiet", FLAG, AT(quiet), NULL, 0, 0, NULL, NULL, "no word about progress"},
	{"help", HELP, 0, NULL, 0, 0, NULL, NULL, NULL},
};

#define ROW_COUNT       (sizeof(rows) / sizeof(rows[0]))
#define PRESET_ARGS_MAX 24

static const struct preset {
	const char *name, *help;
	const char *args[PRESET_ARGS_MAX];
} presets[] = {
	{"idle", "18,000 connections that wait, one message to all, and what they cost in memory",
		{"--subscribers", "18000", "--messages", "1", "--warm-up", "0", "--settle", "2s", "--hold",
			"2s"}},
	{"broadcast", "one channel, 1,000 subscribers, 100 bytes, as fast as 4 publishers get answers",
		{"--subscribers", "1000", "--publishers", "4"}},
	{"single", "the same, one message at a time: the next one when all have the one before",
		{"--subscribers", "1000", "--window", "1"}},
	{"burst", "the same, ten messages back to back, so that ten wait for each subscriber",
		{"--subscribers", "1000", "--publishers", "10", "--burst", "10", "--window", "2"}},
	{"paced", "the same at 50 messages a second: what a delivery costs when nobody hurries",
		{"--subscribers", "1000", "--publishers", "4", "--rate", "50"}},
	{"rooms", "many rooms: 10,000 channels with one subscriber each, 16 publishers",
		{"--subscribers", "10000", "--channels", "10000", "--publishers", "16"}},
	{"publish", "how many publishes 64 publishers get accepted, to 100 channels with one subscriber each",
		{"--subscribers", "100", "--channels", "100", "--publishers", "64"}},
	{"latency", "500 messages a second on 100 channels with 10 subscribers each",
		{"--subscribers", "1000", "--channels", "100", "--publishers", "8", "--rate", "500"}},
	{"storm", "10,000 connect as fast as they can; then one message on each of 1,000 channels",
		{"--subscribers", "10000", "--channels", "1000", "--connecting", "256", "--publishers", "4",
			"--messages", "1000", "--warm-up", "0"}},
	{"leave", "19,000 leave at once; the latency of 100 others in the second after that",
		{"--subscribers", "100", "--channels", "10", "--publishers", "4", "--rate", "200", "--crowd",
			"19000", "--crowd-act", "leaves", "--time", "2s"}},
	{"arrive", "19,000 arrive as fast as they can; the latency of 100 others meanwhile",
		{"--subscribers", "100", "--channels", "10", "--publishers", "4", "--rate", "200", "--crowd",
			"19000", "--crowd-act", "arrives", "--connecting", "256", "--time", "2s"}},
	{"slow", "one client stops to read while 200 MB pass; what it costs, and the latency of 5 others",
		{"--subscribers", "5", "--publishers", "2", "--size", "32768", "--rate", "1250", "--crowd",
			"1", "--crowd-act", "stalls", "--time", "10s"}},
};

#define PRESET_COUNT (sizeof(presets) / sizeof(presets[0]))

_Noreturn static void
refuse(const char *what, const char *value, const char *why)
{
	fprintf(stderr, "pushload: %s%s%s: %s (pushload --help)\n", what, value ? " " : "",
		value ? value : "", why);
	exit(2);
}

static void
print_row(const struct row *row)
{
	char left[48];
	const char *line = row->help ? row->help : "", *feed;

	if (row->kind == SECTION) {
		printf("\n%s\n", row->help);
		return;
	}
	snprintf(left, sizeof(left), "--%s%s%s", row->name, row->value ? " " : "",
		row->value ? row->value : "");
	if (strlen(left) > 24) {
		printf("  %s\n", left);
		left[0] = 0;
	}
	while ((feed = strchr(line, '\n'))) {
		printf("  %-25s%.*s\n", left, (int)(feed - line), line);
		left[0] = 0;
		line = feed + 1;
	}
	printf("  %-25s%s", left, line);
	if (row->initial && *row->initial && row->kind != HELP)
		printf("%s(%s)", *line ? " " : "", row->initial);
	printf("\n");
}

_Noreturn static void
print_help(void)
{
	printf("pushload - load and measure a push server: WebSocket, SSE, HTTP/2 or Redis subscribers, HTTP "
	       "or\n"
	       "Redis publishers, plain or with TLS\n\n"
	       "usage: pushload [--preset NAME] [OPTION...]\n\n"
	       "Connects the subscribers, publishes, and checks that each subscriber gets each message of\n"
	       "its channel once, whole and in order. Reports deliveries, latency, and what the server "
	       "costs.\n"
	       "In brackets: the default. Options after a preset change it.\n\nPresets\n");
	for (size_t i = 0; i < PRESET_COUNT; i++)
		printf("  %-11s%s\n", presets[i].name, presets[i].help);
	for (size_t i = 0; i < ROW_COUNT; i++)
		print_row(&rows[i]);
	printf("\nExit code: 0 all is well; 1 something was lost, doubled, out of order, damaged or refused, "
	       "or a\n"
	       "connection failed or was closed without notice; 2 it could not run.\n\n"
	       "Examples\n"
	       "  pushload --preset broadcast --server-pid \"$(pidof pushd)\"\n"
	       "  pushload --transport sse --subscribers 500 --rate 100 --time 10s --json results.jsonl\n"
	       "  pushload --target https://127.0.0.1:8443 --transport h2 --streams 50 --preset idle\n"
	       "  pushload --target 127.0.0.1:80 --ws-path /sub/%%c --publish-path /pub/%%c --publish-body "
	       "%%m\n"
	       "  pushload --target 127.0.0.1:6379 --transport redis --publish-by redis --publish-body "
	       "%%m\n");
	exit(0);
}

/* Digits, with a point or without, then ms, s or m; without a unit, seconds. */
static void
set_duration(uint64_t *to, const struct row *row, const char *text)
{
	char *unit;
	double value, factor;

	value = strtod(text, &unit);
	factor = !*unit || !strcmp(unit, "s") ? 1 : !strcmp(unit, "ms") ? 1e-3 : !strcmp(unit, "m") ? 60 : 0;
	if (unit == text || factor == 0 || !(value >= 0) || value * factor > 86400)
		refuse(row->name, text, "it has to be a duration of up to a day, such as 500ms, 3s or 2m");
	*to = (uint64_t)(value * factor * 1e9);
}

static void
set_count(uint64_t *to, const struct row *row, const char *text)
{
	char *end, why[80];
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < row->min || value > row->max) {
		snprintf(why, sizeof(why), "it has to be a number from %llu to %llu",
			(unsigned long long)row->min, (unsigned long long)row->max);
		refuse(row->name, text, why);
	}
	*to = value;
}

static void
set_choice(uint64_t *to, const struct row *row, const char *text)
{
	size_t size = strlen(text);
	uint64_t index = 0;

	for (const char *word = row->letters; word; index++) {
		const char *comma = strchr(word, ',');
		size_t word_size = comma ? (size_t)(comma - word) : strlen(word);

		if (size == word_size && !memcmp(word, text, size)) {
			*to = index;
			return;
		}
		word = comma ? comma + 1 : NULL;
	}
	refuse(row->name, text, row->value);
}

static void
set_text(const char **to, const struct row *row, const char *text)
{
	const char *error = row->letters ? template_check(text, row->letters) : NULL;

	if (error)
		refuse(row->name, text, error);
	if (row->offset == AT(channel_name) && strlen(text) > TEMPLATE_NAME_BYTES_MAX / 2)
		refuse(row->name, text, "it is too long");
	*to = text;
}

static void
set_header(const char **to, const struct row *row, const char *text)
{
	size_t i = 0;

	if (!strchr(text, ':') || strpbrk(text, "\r\n"))
		refuse(row->name, text, "it has to be one line, NAME: VALUE");
	while (to[i])
		if (++i == OPTIONS_HEADERS_MAX - 1)
			refuse(row->name, text, "there are too many");
	to[i] = text;
}

/* The lines are kept for as long as the program runs. */
static void
read_headers(const char **to, const struct row *row, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;

	if (!file)
		refuse(row->name, path, strerror(errno));
	while (getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		set_header(to, row, line);
		line = NULL;
		room = 0;
	}
	free(line);
	fclose(file);
}

static void
set(struct options *options, const struct row *row, const char *text)
{
	void *to = (char *)options + row->offset;

	switch (row->kind) {
	case COUNT: set_count(to, row, text); break;
	case DURATION: set_duration(to, row, text); break;
	case TEXT: set_text(to, row, text); break;
	case HEADER: set_header(to, row, text); break;
	case HEADER_FILE: read_headers(to, row, text); break;
	case CHOICE: set_choice(to, row, text); break;
	case FLAG: *(uint64_t *)to = 1; break;
	case HELP: print_help();
	case SECTION: break;
	}
}

static const struct row *
find_row(const char *name, size_t size)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].name && strlen(rows[i].name) == size && !memcmp(rows[i].name, name, size))
			return &rows[i];
	return NULL;
}

/* Takes one option with its value, `--name value` or `--name=value`; returns how many words it took. */
static int
take_option(struct options *options, const char *const *args)
{
	const char *name = args[0] + 2, *equals = strchr(args[0], '=');
	const struct row *row;
	bool has_value;

	if (strncmp(args[0], "--", 2))
		refuse(args[0], NULL, strcmp(args[0], "-h") ? "options begin with --" : "try --help");
	row = find_row(name, equals ? (size_t)(equals - name) : strlen(name));
	if (!row)
		refuse(args[0], NULL, "there is no such option");
	has_value = row->kind != FLAG && row->kind != HELP;
	if (has_value && !equals && !args[1])
		refuse(args[0], NULL, "it needs a value");
	if (!has_value && equals)
		refuse(args[0], NULL, "it takes no value");
	set(options, row, !has_value ? "" : equals ? equals + 1 : args[1]);
	return has_value && !equals ? 2 : 1;
}

static void
apply_preset(struct options *options, const char *name)
{
	for (size_t i = 0; i < PRESET_COUNT; i++) {
		if (strcmp(presets[i].name, name))
			continue;
		options->preset = presets[i].name;
		for (const char *const *arg = presets[i].args; *arg;)
			arg += take_option(options, arg);
		return;
	}
	refuse("--preset", name, "there is no such preset");
}

/* The word behind --preset at args[0], or NULL; sets how many words that takes. */
static const char *
preset_of(char **args, int *ret_words)
{
	*ret_words = 1;
	if (!strncmp(args[0], "--preset=", 9))
		return args[0] + 9;
	if (strcmp(args[0], "--preset"))
		return NULL;
	*ret_words = 2;
	if (!args[1])
		refuse("--preset", NULL, "it needs a name");
	return args[1];
}

static void
check(const struct options *options)
{
	if (options->rate && (options->window || options->burst > 1))
		refuse("--rate", NULL, "a paced run has no --window and no --burst");
	if (options->burst > options->publishers * options->pipeline)
		refuse("--burst", NULL, "it needs as many --publishers (or --pipeline) to go out at once");
	if (options->crowd && options->crowd_act == CROWD_STALLS && options->window)
		refuse("--crowd-act", "stalls", "a --window would wait for those that stall; use --rate");
	if (options->transport == TRANSPORT_REDIS && options->tls)
		refuse("--tls", NULL, "it is not supported with --transport redis");
	if (options->publishers > PAYLOAD_STREAMS_MAX)
		refuse("--publishers", NULL, "there are too many");
}

void
options_parse(struct options *ret_options, int argc, char **argv)
{
	struct options options = {.preset = "custom"};
	const char *preset;
	int words;

	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].initial)
			set(&options, &rows[i], rows[i].initial);
	for (int i = 1; i < argc; i += words)
		if ((preset = preset_of(argv + i, &words)))
			apply_preset(&options, preset);
	for (int i = 1; i < argc; i += words)
		if (!preset_of(argv + i, &words))
			words = take_option(&options, (const char *const *)argv + i);
	options.tls |= !strncmp(options.target, "https:", 6) || !strncmp(options.target, "wss:", 4);
	check(&options);
	*ret_options = options;
}

const char *
options_transport_text(const struct options *options)
{
	static const char *const texts[][2] = {{"WebSocket", "WebSocket and TLS"}, {"SSE", "SSE and TLS"},
		{"SSE by HTTP/2 without TLS", "SSE by HTTP/2"}, {"Redis", "Redis"}};

	return texts[options->transport][options->tls];
}

const char *
options_transport_name(const struct options *options)
{
	static const char *const names[][2] = {
		{"ws", "tls-ws"}, {"sse", "tls-sse"}, {"h2c-sse", "h2-sse"}, {"redis", "redis"}};

	return names[options->transport][options->tls];
}

uint64_t
options_connections(const struct options *options, uint64_t subscribers)
{
	if (options->transport != TRANSPORT_H2)
		return subscribers;
	return (subscribers + options->streams - 1) / options->streams;
}
