/* commands.c - the commands of `push` and their options; see arguments.h. */
#include "arguments.h"
#include "bench.h"
#include "check.h"
#include "completion.h"
#include "health_command.h"
#include "history.h"
#include "pub.h"
#include "show_config.h"
#include "sub.h"
#include "top.h"

#define AT(member) offsetof(struct cli_arguments, member)

#define URL_OPTION                                                                                           \
	{                                                                                                    \
		"url", CLI_TEXT, AT(url), "URL", "the server (PUSH_URL, http://localhost:8080)"              \
	}
#define HEADER_OPTION                                                                                        \
	{                                                                                                    \
		"header", CLI_HEADER, AT(headers), "'NAME: VALUE'", "with every request; may be repeated"    \
	}
#define MANAGEMENT_OPTION                                                                                    \
	{                                                                                                    \
		"management", CLI_TEXT, AT(management), "URL",                                               \
			"the management port (PUSH_MANAGEMENT_URL, http://localhost:8000)"                   \
	}
#define CONFIG_OPTION                                                                                        \
	{                                                                                                    \
		"config", CLI_TEXT, AT(config), "DIR", "folder with conf and conf.d/ (/etc/push)"            \
	}
#define PLUGINS_OPTION                                                                                       \
	{                                                                                                    \
		"plugins", CLI_TEXT, AT(plugins), "DIR", "folder with the plugins, as for pushd"             \
	}
#define MOUNTS_OPTION                                                                                        \
	{                                                                                                    \
		"mounts", CLI_TEXT, AT(mounts), "DIR", "folder with the console, as for pushd"               \
	}

static const struct cli_command commands[] = {
	{.name = "sub",
		.arguments = "CHANNEL...",
		.summary = "print the messages of channels",
		.details = "Subscribes to the channels and prints each message on its own line: a string\n"
			   "as it is, any other JSON value as JSON. Connections, resumes, gaps and errors\n"
			   "are reported on stderr.\n"
			   "\n"
			   "If the first connection fails, push sub exits. After that, it reconnects with\n"
			   "growing random pauses. On channels with history it resumes: the server replays\n"
			   "the missed messages, or push sub reports a gap. Ctrl-C (SIGINT) and SIGTERM\n"
			   "stop it with exit code 0.",
		.examples =
			"push sub chat\n"
			"push sub chat orders --json | jq -r .message\n"
			"push sub chat --from 0.mif0k2a9.7      # continue after a message\n"
			"push sub orders --name warehouse-7     # continue after the last acknowledged one\n"
			"push sub chat --count 1 --quiet        # wait for one message",
		.words_min = 1,
		.words_max = CLI_WORDS_MAX,
		.options =
			{
				{"from", CLI_TEXT, AT(from), "ID", "start after this message (history)"},
				{"name", CLI_TEXT, AT(name), "NAME",
					"acknowledge messages under this client name, and\nstart after the "
					"last acknowledged one (history)"},
				{"json", CLI_FLAG, AT(json), NULL,
					"print objects with channel, id (history) and message"},
				{"sse", CLI_FLAG, AT(sse), NULL,
					"use an event stream instead of a WebSocket"},
				{"count", CLI_COUNT, AT(count), "N", "exit after N messages"},
				{"retry", CLI_FLAG, AT(retry), NULL,
					"also retry if the first connection fails"},
				{"quiet", CLI_FLAG, AT(quiet), NULL, "report only gaps and errors"},
				URL_OPTION,
				HEADER_OPTION,
			},
		.run = sub_run},
	{.name = "pub",
		.arguments = "CHANNEL MESSAGE|-",
		.summary = "publish a message, or each line of stdin",
		.details = "Publishes MESSAGE to the channel and prints the server's answer: the number\n"
			   "of subscribers. With -, each line of stdin is a message and gets one line of\n"
			   "output. An invalid line is reported with its number; the others are published.\n"
			   "\n"
			   "With --key, the request is repeated after 503, 409 or a lost connection, up to\n"
			   "8 times; the server publishes the message once. Without a key, it is sent once.",
		.examples = "push pub chat hello\n"
			    "push pub chat '{\"from\":\"ann\",\"text\":\"hello\"}' --json\n"
			    "push pub order paid --key order-17 --wait\n"
			    "seq 1000 | push pub numbers - --json >/dev/null",
		.words_min = 2,
		.words_max = 2,
		.options =
			{
				{"json", CLI_FLAG, AT(json), NULL,
					"MESSAGE, or each line, is JSON, not text"},
				{"ttl", CLI_TEXT, AT(ttl), "DURATION",
					"how long it may be replayed: 30s, 5m (history)"},
				{"key", CLI_TEXT, AT(key), "KEY",
					"Idempotency-Key: the same key publishes once within\nfive minutes"},
				{"wait", CLI_FLAG, AT(wait), NULL,
					"wait until it is written to the clients' sockets"},
				URL_OPTION,
				HEADER_OPTION,
			},
		.run = pub_run},
	{.name = "history",
		.arguments = "CHANNEL",
		.summary = "print the kept messages of a channel",
		.details = "Prints the messages of a channel that the server keeps, the oldest first,\n"
			   "without subscribing. If messages are no longer kept, a gap is reported on\n"
			   "stderr. A channel without history is refused (404): see push.history.size.",
		.examples = "push history chat\n"
			    "push history chat --json --limit 10\n"
			    "push history chat --from 0.mif0k2a9.7",
		.words_min = 1,
		.words_max = 1,
		.options =
			{
				{"from", CLI_TEXT, AT(from), "ID", "start after the message with this id"},
				{"before", CLI_TEXT, AT(before), "ID", "end before the message with this id"},
				{"limit", CLI_COUNT, AT(limit), "N", "print at most N messages"},
				{"json", CLI_FLAG, AT(json), NULL,
					"print objects with channel, id and message"},
				URL_OPTION,
				HEADER_OPTION,
			},
		.run = history_run},
	{.name = "health",
		.arguments = "[live|ready]",
		.summary = "report the health of a running server",
		.details = "Prints the answer of the management port. The exit code is 0 if it is UP, and\n"
			   "1 with the reason if not. ready (the default): the server can be used; live:\n"
			   "its event loop runs. Without --management and PUSH_MANAGEMENT_URL, the port\n"
			   "comes from the configuration on this machine.",
		.examples = "push health\n"
			    "push health live --management http://10.0.0.7:8000",
		.choices = "live ready",
		.words_max = 1,
		.options = {MANAGEMENT_OPTION, CONFIG_OPTION},
		.run = health_command_run},
	{.name = "check",
		.arguments = "",
		.summary = "check the configuration on this machine",
		.details = "Reads the configuration and the environment as pushd does at its start. The\n"
			   "exit code is 0 if pushd would start, and 1 if not, with a line that names the\n"
			   "file, the key and the value.",
		.examples = "push check\n"
			    "PUSH_HISTORY_SIZE=100 push check --config ./my-config",
		.options = {CONFIG_OPTION, PLUGINS_OPTION, MOUNTS_OPTION},
		.run = check_run},
	{.name = "config",
		.arguments = "[OPTION...]",
		.summary = "print each option's value and where it comes from",
		.details =
			"Prints all options, or only those named, as pushd would use them if it started "
			"now:\n"
			"the name, the value, and whether it is the default or comes from a file or from "
			"the\n"
			"environment. Passwords are shown as ***. A running server keeps the values that it\n"
			"started with.",
		.examples = "push config\n"
			    "push config push.redis.url push.history.size\n"
			    "push config --json | jq '.[] | select(.source != \"default\")'",
		.words_max = CLI_WORDS_MAX,
		.options =
			{
				{"json", CLI_FLAG, AT(json), NULL,
					"print an array of objects: name, value, source"},
				CONFIG_OPTION,
				PLUGINS_OPTION,
				MOUNTS_OPTION,
			},
		.run = show_config_run},
	{.name = "top",
		.arguments = "",
		.summary = "watch the clients, rates and delays of a server",
		.details = "Shows figures from the management port, every second until Ctrl-C: clients,\n"
			   "publishes and deliveries a second, the delay of the event loop, the queues of\n"
			   "slow clients, memory, and the clients of each worker. If the output is not a\n"
			   "terminal, it prints them once and exits.",
		.examples = "push top\n"
			    "push top --once --management http://10.0.0.7:8000",
		.options =
			{
				{"once", CLI_FLAG, AT(once), NULL,
					"print the figures of one second, then exit"},
				MANAGEMENT_OPTION,
				HEADER_OPTION,
			},
		.run = top_run},
	{.name = "bench",
		.arguments = "",
		.summary = "load a server and measure its capacity",
		.details =
			"Connects clients from this machine to the server, publishes, checks each delivery,\n"
			"prints a short table and draws a picture of it. This puts full load on the server\n"
			"for half a minute: do not run it against a server in use.",
		.examples = "push bench\n"
			    "push bench --clients 5000 --url http://10.0.0.7:8080 --out held.svg",
		.options =
			{
				{"clients", CLI_COUNT, AT(clients), "N", "idle clients to connect (2000)"},
				{"seconds", CLI_COUNT, AT(seconds), "N",
					"duration of each other scenario (3)"},
				{"out", CLI_TEXT, AT(out), "FILE", "where the picture goes (push-bench.svg)"},
				URL_OPTION,
			},
		.run = bench_run},
	{.name = "completion",
		.arguments = "bash|zsh|fish",
		.summary = "print the completion script of a shell",
		.details = "The Debian package installs these scripts. Otherwise, put the output where\n"
			   "your shell looks for completions.",
		.examples = "source <(push completion bash)\n"
			    "push completion fish >~/.config/fish/completions/push.fish",
		.choices = "bash zsh fish",
		.words_min = 1,
		.words_max = 1,
		.run = completion_run},
};

const struct cli_command *
cli_commands(size_t *ret_count)
{
	*ret_count = sizeof(commands) / sizeof(commands[0]);
	return commands;
}
