/* options.c - see options.h. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "options.h"

enum kind { COUNT, STORM, DURATION, TEXT, TARGET, CHOICE, HELP, SECTION };

struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *initial;
	uint64_t min, max;
	const char *words; /* CHOICE: comma-separated */
	const char *value, *help;
};

#define AT(member) offsetof(struct options, member)

static const struct row rows[] = {
	{.kind = SECTION, .help = "Where"},
	{"target", TARGET, 0, "127.0.0.1:8080", 0, 0, NULL, "HOST:PORT",
		"a node, plain TCP; repeated: more nodes, one of which\neach connection chooses by chance"},
	{"channel-name", TEXT, AT(channel_name), "reconcile-", 0, 0, NULL, "TEXT",
		"behind it stands the channel's number, from 0"},

	{.kind = SECTION, .help = "Who listens"},
	{"clients", COUNT, AT(clients), "1000", 1, 100000, NULL, "N", NULL},
	{"transports", CHOICE, AT(transports), "both", 0, 0, "both,ws,sse", "both|ws|sse",
		"both: half of them by WebSocket, half by SSE"},
	{"channels-max", COUNT, AT(channels_max), "8", 1, CLIENT_CHANNELS_MAX, NULL, "N",
		"each listens to 1 to N channels"},
	{"ids", CHOICE, AT(ids), "auto", 0, 0, "auto,on,off", "auto|on|off",
		"whether there has to be history; auto: if the first\nheartbeat has an id.  off: nothing is "
		"resumed, and\nnothing is owed to those who are away"},
	{"connecting", COUNT, AT(connecting), "256", 1, 100000, NULL, "N", "handshakes under way at a time"},

	{.kind = SECTION, .help = "What happens to them"},
	{"stay", DURATION, AT(stay_ns), "6s", 0, 0, NULL, "TIME",
		"until a client is cut off, on average; one in eight\nis cut off within 50 ms"},
	{"away", DURATION, AT(away_ns), "2s", 0, 0, NULL, "TIME", "and stays away, give or take a quarter"},
	{"overlap", DURATION, AT(overlap_ns), "0", 0, 0, NULL, "TIME",
		"one that is asked to reconnect opens its new connection\nfirst, and closes the old one so "
		"long after the new one's\nfirst heartbeat; with --ids off.  0: it closes first"},
	{"silence", DURATION, AT(silence_ns), "95s", 0, 0, NULL, "TIME",
		"a connection on which nothing came for so long is given\nup: more than the heartbeat's "
		"interval"},
	{"seed", COUNT, AT(seed), "0", 0, UINT32_MAX, NULL, "N", "of all chance; 0: from the clock"},

	{.kind = SECTION, .help = "What is published"},
	{"channels", COUNT, AT(channels), "50", 1, 10000, NULL, "N", NULL},
	{"rate", COUNT, AT(rate), "200", 1, 100000, NULL, "N",
		"messages a second, of all channels.  A channel's next\nmessage waits for the last one's "
		"answer"},
	{"publishers", CHOICE, AT(publishers), "keep-alive", 0, 0, "keep-alive,once,both",
		"keep-alive|once|both",
		"once: a connection for each request; both: for every\nother channel"},
	{"size", COUNT, AT(size), "40", 20, 4000, NULL, "BYTES", "of a message"},
	{"time", DURATION, AT(time_ns), "30s", 0, 0, NULL, "TIME",
		"of publishing; SIGINT and SIGTERM end it before"},
	{"settle", DURATION, AT(settle_ns), "60s", 0, 0, NULL, "TIME",
		"how long everybody may take to come back after it, and\nthen to get the last messages"},

	{.kind = SECTION, .help = "Or instead: a storm, and what it costs"},
	{"storm", STORM, AT(storm), NULL, 0, 100000, NULL, "N",
		"all are cut off, N messages are published on each\nchannel, all come back at once, and that "
		"is it"},
	{"server-pid", TEXT, AT(server_pid), NULL, 0, 0, NULL, "PIDS",
		"of the server, comma-separated, with all that they have\nstarted"},

	{.kind = SECTION, .help = "What is told"},
	{"strict", CHOICE, AT(is_strict), "off", 0, 0, "off,on", "off|on",
		"on: a fault, too, are publishes that are not acknowledged,\nconnections that fail, and "
		"those "
		"that the server ends\nwithout having asked to reconnect"},
	{"gaps", CHOICE, AT(no_gaps), "allowed", 0, 0, "allowed,none", "allowed|none",
		"none: a fault, too, is any gap, for nothing may be missing"},
	{"counts", CHOICE, AT(counts), "off", 0, 0, "off,end,all", "off|end|all",
		"end: `subscribers` and `written` of each channel have to\nbecome right when all is over.  "
		"all: and no answer "
		"may\ncount fewer than those who got the message at once"},
	{"violations", COUNT, AT(violations), "10", 0, 1000, NULL, "N", "so many are told in full"},
	{"json", TEXT, AT(json), NULL, 0, 0, NULL, "FILE", "append the figures as one line"},
	{"help", HELP, 0, NULL, 0, 0, NULL, NULL, NULL},
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

_Noreturn static void
refuse(const char *what, const char *value, const char *why)
{
	fprintf(stderr, "reconcile: %s%s%s%s: %s (reconcile --help)\n", *what == '-' ? "" : "--", what,
		value ? " " : "", value ? value : "", why);
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
	while ((feed = strchr(line, '\n'))) {
		printf("  %-25s%.*s\n", left, (int)(feed - line), line);
		left[0] = 0;
		line = feed + 1;
	}
	printf("  %-25s%s", left, line);
	if (row->initial)
		printf("%s(%s)", *line ? " " : "", row->initial);
	printf("\n");
}

_Noreturn static void
print_help(void)
{
	printf("reconcile - proves that a Push server loses nothing without a word\n\n"
	       "usage: reconcile [OPTION...]\n\n"
	       "Connects thousands of clients by WebSocket and SSE, numbers messages on many channels, cuts\n"
	       "the clients off again and again, and looks whether each one gets each acknowledged number "
	       "of\n"
	       "its channels once and in order, or is told by a `gap` at that place of exactly those that\n"
	       "are missing.  Break what you like meanwhile: kill nodes, reload them, fail Redis over.\n"
	       "tests/reconcile/run starts servers and does that.  In brackets: the default.\n");
	for (size_t i = 0; i < ROW_COUNT; i++)
		print_row(&rows[i]);
	printf("\nWhat counts\n"
	       "  A client's account of a channel begins with its first heartbeat.  Messages that a "
	       "connection\n"
	       "  still carried when it was cut are to be replayed.  A gap with a number has to be exact, "
	       "one\n"
	       "  that is \"unknown\" may stand for any number, one without a channel for each of the "
	       "client's.\n"
	       "  What was published but answered with an error may arrive or not, and only once.\n"
	       "\nProgress goes to stderr, the table to stdout.  Exit code: 0 no silent loss, no duplicate, "
	       "no\n"
	       "violation of order and no gap with a wrong number; 1 there was one; 2 it could not run.\n"
	       "\nExamples\n"
	       "  reconcile --target 127.0.0.1:8080 --clients 2000 --time 60s --ids on\n"
	       "  reconcile --target 127.0.0.1:8080 --target 127.0.0.1:8081 --rate 500 --seed 7\n");
	exit(0);
}

/* Digits, with a point or without, then ms, s or m; without a unit, seconds. */
static void
set_duration(uint64_t *to, const struct row *row, const char *text)
{
	char *unit;
	double value = strtod(text, &unit), factor;

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

	for (const char *word = row->words; word; index++) {
		size_t word_size = strcspn(word, ",");

		if (size == word_size && !memcmp(word, text, size)) {
			*to = index;
			return;
		}
		word = word[word_size] ? word + word_size + 1 : NULL;
	}
	refuse(row->name, text, row->value);
}

static void
set(struct options *options, const struct row *row, const char *text)
{
	void *to = (char *)options + row->offset;

	switch (row->kind) {
	case COUNT: set_count(to, row, text); break;
	case STORM:
		options->has_storm = 1;
		set_count(to, row, text);
		break;
	case DURATION: set_duration(to, row, text); break;
	case TEXT: *(const char **)to = text; break;
	case CHOICE: set_choice(to, row, text); break;
	case TARGET:
		if (options->target_count == OPTIONS_TARGETS_MAX)
			refuse(row->name, text, "there are too many");
		options->targets[options->target_count++] = text;
		break;
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

/* Takes `--name value` or `--name=value`; returns how many words it took. */
static int
take_option(struct options *options, char **args)
{
	const char *name = args[0] + 2, *equals = strchr(args[0], '=');
	const struct row *row;

	if (strncmp(args[0], "--", 2))
		refuse(args[0], NULL, strcmp(args[0], "-h") ? "options begin with --" : "try --help");
	row = find_row(name, equals ? (size_t)(equals - name) : strlen(name));
	if (!row)
		refuse(args[0], NULL, "there is no such option");
	if (row->kind != HELP && !equals && !args[1])
		refuse(args[0], NULL, "it needs a value");
	set(options, row, row->kind == HELP ? "" : equals ? equals + 1 : args[1]);
	return equals ? 1 : 2;
}

void
options_parse(struct options *ret_options, int argc, char **argv)
{
	struct options options = {.target_count = 0};

	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].initial && rows[i].kind != TARGET)
			set(&options, &rows[i], rows[i].initial);
	for (int i = 1; i < argc;)
		i += take_option(&options, argv + i);
	if (!options.target_count)
		options.targets[options.target_count++] = "127.0.0.1:8080";
	if (options.channels_max > options.channels)
		options.channels_max = options.channels;
	if (options.overlap_ns && options.ids != IDS_OFF)
		refuse("--overlap", NULL, "it needs --ids off: who has an id resumes by it");
	if (strlen(options.channel_name) > 40 || strpbrk(options.channel_name, "\"\\,%& \r\n"))
		refuse("--channel-name", options.channel_name,
			"it has to be short, of letters that need no encoding");
	*ret_options = options;
}
