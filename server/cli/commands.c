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
			"the operators' port (PUSH_MANAGEMENT_URL, http://localhost:8000)"                   \
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
		.details = "Subscribes to the channels and prints each message on a line of its own:\n"
			   "a text as it is, any other JSON value as JSON. Connections, resumes, gaps\n"
			   "and errors are reported on stderr.\n"
			   "\n"
			   "If the first connection fails, push sub ends; later it reconnects, with\n"
			   "growing random pauses. Channels with history are resumed: the server\n"
			   "replays what was missed, or a gap is reported. Ctrl-C (SIGINT) and SIGTERM\n"
			   "end it with 0.",
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
					"last one that was (history)"},
				{"json", CLI_FLAG, AT(json), NULL,
					"print objects with channel, id (history) and message"},
				{"sse", CLI_FLAG, AT(sse), NULL, "by an event stream, not by WebSocket"},
				{"count", CLI_COUNT, AT(count), "N", "end after N messages"},
				{"retry", CLI_FLAG, AT(retry), NULL,
					"reconnect also if the first connection fails"},
				{"quiet", CLI_FLAG, AT(quiet), NULL, "report gaps and errors only"},
				URL_OPTION,
				HEADER_OPTION,
			},
		.run = sub_run},
	{.name = "pub",
		.arguments = "CHANNEL MESSAGE|-",
		.summary = "publish a message, or each line of stdin",
		.details = "Publishes MESSAGE to the channel and prints the server's answer: the number\n"
			   "of clients that it was accepted for. With - each line of stdin is a\n"
			   "message, and has a line in the output. A bad line is reported with its\n"
			   "number; the others are published.\n"
			   "\n"
			   "With --key the publish is sent again after 503, 409 or a lost connection, up\n"
			   "to 8 times: the server publishes it once. Without a key it is sent once.",
		.examples = "push pub chat hello\n"
			    "push pub chat '{\"from\":\"ann\",\"text\":\"hello\"}' --json\n"
			    "push pub order paid --key order-17 --wait\n"
			    "seq 1000 | push pub numbers - --json >/dev/null",
		.words_min = 2,
		.words_max = 2,
		.options =
			{
				{"json", CLI_FLAG, AT(json), NULL,
					"MESSAGE, or each line, is a JSON value, not a text"},
				{"ttl", CLI_TEXT, AT(ttl), "DURATION",
					"replay it for so long only: 30s, 5m (history)"},
				{"key", CLI_TEXT, AT(key), "KEY",
					"Idempotency-Key: the same key publishes once within\nfive minutes"},
				{"wait", CLI_FLAG, AT(wait), NULL,
					"answer when it is written to the clients' sockets"},
				URL_OPTION,
				HEADER_OPTION,
			},
		.run = pub_run},
	{.name = "history",
		.arguments = "CHANNEL",
		.summary = "print the kept messages of a channel",
		.details = "Prints the messages that the server keeps of a channel, the oldest first,\n"
			   "without subscribing. Messages that are gone are reported as a gap on stderr.\n"
			   "A channel without history is refused (404): see push.history.size.",
		.examples = "push history chat\n"
			    "push history chat --json --limit 10\n"
			    "push history chat --from 0.mif0k2a9.7",
		.words_min = 1,
		.words_max = 1,
		.options =
			{
				{"from", CLI_TEXT, AT(from), "ID", "start after the message with this id"},
				{"before", CLI_TEXT, AT(before), "ID", "end before the message with this id"},
				{"limit", CLI_COUNT, AT(limit), "N", "print N messages at most"},
				{"json", CLI_FLAG, AT(json), NULL,
					"print objects with channel, id and message"},
				URL_OPTION,
				HEADER_OPTION,
			},
		.run = history_run},
	{.name = "health",
		.arguments = "[live|ready]",
		.summary = "report the health of a running server",
		.details = "Prints the answer of the operators' port and ends with 0 if it is UP, else\n"
			   "with 1 and the reason. ready (the default): it can be used; live: its event\n"
			   "loop turns. Without --management and PUSH_MANAGEMENT_URL the port is that of\n"
			   "the configuration on this machine.",
		.examples = "push health\n"
			    "push health live --management http://10.0.0.7:8000",
		.choices = "live ready",
		.words_max = 1,
		.options = {MANAGEMENT_OPTION, CONFIG_OPTION},
		.run = health_command_run},
	{.name = "check",
		.arguments = "",
		.summary = "check the configuration on this machine",
		.details = "Reads the configuration and the environment as pushd does at its start, and\n"
			   "ends with 0 if it would start, else with 1 and a line that names file, key\n"
			   "and value.",
		.examples = "push check\n"
			    "PUSH_HISTORY_SIZE=100 push check --config ./my-config",
		.options = {CONFIG_OPTION, PLUGINS_OPTION, MOUNTS_OPTION},
		.run = check_run},
	{.name = "config",
		.arguments = "[OPTION...]",
		.summary = "print each option's value and where it comes from",
		.details =
			"Prints the options of push-broker (or those named) as pushd would use them here and "
			"now: the\n"
			"name, the value, and whether that is the default or comes from a file or from the\n"
			"environment. Passwords are shown as ***. A running server has the values of its own "
			"start.",
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
		.summary = "watch clients, rates and delays of a server",
		.details = "Shows figures of the operators' port, each second on a terminal until\n"
			   "Ctrl-C: clients, publishes and deliveries a second, how late the event loop\n"
			   "is, what waits for slow clients, memory, and the clients of each worker.\n"
			   "Elsewhere it prints one block and ends.",
		.examples = "push top\n"
			    "push top --once --management http://10.0.0.7:8000",
		.options =
			{
				{"once", CLI_FLAG, AT(once), NULL, "one block, of one second, then end"},
				MANAGEMENT_OPTION,
				HEADER_OPTION,
			},
		.run = top_run},
	{.name = "bench",
		.arguments = "",
		.summary = "load a server and measure what it handles",
		.details =
			"Connects clients from this machine to the server, publishes, checks each delivery, "
			"prints a short\n"
			"table and draws a picture of it: half a minute of full load. Do not run it against\n"
			"a server in use.",
		.examples = "push bench\n"
			    "push bench --clients 5000 --url http://10.0.0.7:8080 --out held.svg",
		.options =
			{
				{"clients", CLI_COUNT, AT(clients), "N", "idle clients to connect (2000)"},
				{"seconds", CLI_COUNT, AT(seconds), "N", "of each further scenario (3)"},
				{"out", CLI_TEXT, AT(out), "FILE", "where the picture goes (push-bench.svg)"},
				URL_OPTION,
			},
		.run = bench_run},
	{.name = "completion",
		.arguments = "bash|zsh|fish",
		.summary = "print the completion script of a shell",
		.details = "The Debian package installs these scripts. Elsewhere, put the output where\n"
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
