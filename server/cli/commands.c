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
#include "token_check.h"
#include "token_key.h"
#include "token_make.h"
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
#define TOKEN_OPTION(help)                                                                                   \
	{                                                                                                    \
		"token", CLI_TEXT, AT(token), "TOKEN", help                                                  \
	}
/* The management port takes no tokens: PUSH_TOKEN is not sent there, where it may be of use to nobody but a thief. */
#define PROXY_TOKEN_OPTION TOKEN_OPTION("token for a proxy in front of the port, @FILE, or - for stdin")
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
#define ISSUER_OPTION(help)                                                                                  \
	{                                                                                                    \
		"iss", CLI_TEXT, AT(issuer), "TEXT", help                                                    \
	}
#define AUDIENCE_OPTION(help)                                                                                \
	{                                                                                                    \
		"aud", CLI_TEXT, AT(audience), "TEXT", help                                                  \
	}
#define MOUNTS_OPTION                                                                                        \
	{                                                                                                    \
		"mounts", CLI_TEXT, AT(mounts), "DIR", "folder with the console, as for pushd"               \
	}

static const struct cli_command commands[] = {
	{.name = "sub",
		.arguments = "CHANNEL...",
		.summary = "print the messages of channels",
		.details =
			"Subscribes to the channels and prints each message on its own line: a string\n"
			"as it is, any other JSON value as JSON. Connections, resumes, gaps and errors\n"
			"are reported on stderr.\n"
			"\n"
			"If the first connection fails, push sub exits. After that, it reconnects with\n"
			"growing random pauses. On channels with history it resumes: the server replays\n"
			"the missed messages, or push sub reports a gap. Ctrl-C (SIGINT) and SIGTERM\n"
			"stop it with exit code 0.\n"
			"\n"
			"With --token @FILE, the file is read again before the token expires and for each\n"
			"connection. A refused token or a missing right ends push sub with exit code 4.",
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
				TOKEN_OPTION("token, @FILE, or - for stdin (PUSH_TOKEN)"),
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
				TOKEN_OPTION("token or publish key, @FILE, or - for stdin "
					     "(PUSH_KEY,\nPUSH_TOKEN)"),
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
				TOKEN_OPTION("token, @FILE, or - for stdin (PUSH_TOKEN)"),
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
		.options = {MANAGEMENT_OPTION, PROXY_TOKEN_OPTION, HEADER_OPTION, CONFIG_OPTION},
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
				PROXY_TOKEN_OPTION,
				HEADER_OPTION,
			},
		.run = top_run},
	{.name = "bench",
		.arguments = "",
		.summary = "load a server and measure its capacity",
		.details =
			"Connects clients from this machine to the server, publishes, checks each delivery,\n"
			"prints a short table and draws a picture of it. This puts full load on the server\n"
			"for half a minute: do not run it against a server in use.\n"
			"\n"
			"A token needs the right to subscribe and to publish to the channels ch0, ch1, ...",
		.examples = "push bench\n"
			    "push bench --clients 5000 --url http://10.0.0.7:8080 --out held.svg\n"
			    "push token make --key app.jwk --subscribe 'ch*' --publish 'ch*' | push bench "
			    "--token -",
		.options =
			{
				{"clients", CLI_COUNT, AT(clients), "N", "idle clients to connect (2000)"},
				{"seconds", CLI_COUNT, AT(seconds), "N",
					"duration of each other scenario (3)"},
				{"out", CLI_TEXT, AT(out), "FILE", "where the picture goes (push-bench.svg)"},
				TOKEN_OPTION("token, @FILE, or - for stdin (PUSH_TOKEN)"),
				URL_OPTION,
				HEADER_OPTION,
			},
		.run = bench_run},
	{.name = "token key",
		.arguments = "",
		.summary = "make a key that signs tokens",
		.details =
			"Makes a private key in FILE, readable by you only, and the public key in\n"
			"FILE.pub, as a JWK set for the server's option push.auth.keys. FILE is PEM if its\n"
			"name ends with .pem, otherwise a JWK. HS256 makes a secret, which has no public\n"
			"part: whoever verifies tokens with it can make them, too. No file is overwritten.",
		.examples = "push token key --out app.jwk\n"
			    "push token key --alg EdDSA --out app.pem\n"
			    "PUSH_AUTH_KEYS=$PWD/app.jwk.pub env pushd",
		.options =
			{
				{"alg", CLI_TEXT, AT(alg), "NAME",
					"ES256 (the default), ES384, EdDSA, RS256, PS256 or\nHS256"},
				{"out", CLI_TEXT, AT(out), "FILE", "where the private key goes"},
				{"kid", CLI_TEXT, AT(kid), "ID",
					"name of the key (by default its thumbprint, RFC 7638)"},
			},
		.run = token_key_run},
	{.name = "token make",
		.arguments = "",
		.summary = "make a token",
		.details =
			"Prints a token (JWT), signed with a private key. Patterns and channels are lists\n"
			"with commas. In a pattern, * is any run of characters without :, ** is any run, "
			"and\n"
			"{sub} is the user. A token without rights connects, and may do nothing.",
		.examples = "push token make --key app.jwk --sub ann --subscribe 'news,user:{sub}:*'\n"
			    "push token make --key app.jwk --publish 'chat:**' --expires 15m\n"
			    "push token make --key app.jwk --subscribe '**' | push sub news --token -",
		.options =
			{
				{"key", CLI_TEXT, AT(key), "FILE",
					"the private key: a JWK, a set with one, or PEM"},
				{"sub", CLI_TEXT, AT(user), "USER", "the user"},
				{"subscribe", CLI_TEXT, AT(subscribe), "PATTERNS",
					"channels that may be subscribed to"},
				{"publish", CLI_TEXT, AT(publish), "PATTERNS",
					"channels that may be published to"},
				{"history", CLI_TEXT, AT(read_history), "PATTERNS",
					"channels whose history may be read"},
				{"channels", CLI_TEXT, AT(channels), "NAMES",
					"channels that a client is subscribed to at once"},
				{"expires", CLI_TEXT, AT(expires), "DURATION",
					"lifetime: 90s, 15m, 1h (the default), 30d, or never"},
				ISSUER_OPTION("issuer (push.auth.issuer)"),
				AUDIENCE_OPTION("audience (push.auth.audience)"),
				{"kid", CLI_TEXT, AT(kid), "ID",
					"name of the key, in place of the file's; of a set, the\nkey to use"},
				{"alg", CLI_TEXT, AT(alg),
					"NAME", "RS256 or PS256, for an RSA key that does not say"},
			},
		.run = token_make_run},
	{.name = "token check",
		.arguments = "TOKEN|@FILE|-",
		.summary = "verify a token and say what it may do",
		.details =
			"Verifies a token as a server with these keys does, and prints what it says. The\n"
			"token is read from FILE, or with - from stdin; other users of the machine can see\n"
			"one that is an argument. The exit code is 0 if the token is valid and may do all\n"
			"that --may asks.",
		.examples =
			"push token check @token.txt --keys app.jwk.pub\n"
			"push token check $TOKEN --keys /etc/push/keys --may subscribe:news,publish:chat:7",
		.words_min = 1,
		.words_max = 1,
		.options =
			{
				{"keys", CLI_TEXT, AT(keys),
					"PATH", "file or folder with the keys, as push.auth.keys"},
				{"may", CLI_TEXT, AT(may), "RIGHTS",
					"subscribe:CHANNEL, publish:CHANNEL, history:CHANNEL, with\ncommas "
					"between them"},
				ISSUER_OPTION("issuer that it must have (push.auth.issuer)"),
				AUDIENCE_OPTION("audience that it must have (push.auth.audience)"),
			},
		.run = token_check_run},
	{.name = "token explain",
		.arguments = "TOKEN|@FILE|-",
		.summary = "print what a token says, without verifying it",
		.details = "Decodes a token and prints its header, its payload, and what they mean. Nothing\n"
			   "is verified: anybody can write a token that says anything.",
		.examples = "push token explain @token.txt",
		.words_min = 1,
		.words_max = 1,
		.run = token_explain_run},
	{.name = "token publish-key",
		.arguments = "NAME PATTERNS",
		.summary = "make a key for a server that publishes",
		.details =
			"Makes a random key and prints two lines: the line for the file of the option\n"
			"push.publish.keys, which has only the key's hash, and the key. The key is sent as\n"
			"Push-Key: KEY or Authorization: Bearer KEY, or by push pub with PUSH_KEY. It is\n"
			"not stored anywhere, and shown only once.",
		.examples = "push token publish-key shop 'orders:*,news'\n"
			    "push token publish-key shop '**' --rate 100/s --out /etc/push/publish.keys",
		.words_min = 2,
		.words_max = 2,
		.options =
			{
				{"rate", CLI_TEXT, AT(rate), "COUNT/UNIT",
					"most messages in a second, minute or hour: 100/s, 60/m"},
				{"bytes", CLI_TEXT, AT(bytes), "SIZE/UNIT", "most bytes: 1mb/s"},
				{"out", CLI_TEXT, AT(out),
					"FILE", "add the line to this file, and print only the key"},
			},
		.run = token_publish_key_run},
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
