/* welcome.c - see welcome.h. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "welcome.h"

#define TEXT_BYTES_MAX 4096

/* A longer path is not worth typing. */
#define COMMAND_BYTES_MAX 256

/* What a shell takes as it is. */
#define PLAIN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-"

/* The commands above it are those for a server that everybody may use. */
#define ACCESS_TEXT                                                                                          \
	"  access      with a token or key: push sub news --token @FILE\n"                                   \
	"              curl -H 'Authorization: Bearer TOKEN' ...\n"

static bool
path_has(const char *folder)
{
	const char *folders = getenv("PATH");
	size_t wanted = strlen(folder);

	while (folders && *folders) {
		size_t length = strcspn(folders, ":");

		if (length == wanted && !memcmp(folders, folder, length))
			return true;
		folders += length + (folders[length] == ':');
	}
	return false;
}

/*
 * The words that run `push` for this server; empty if there is none that can be pasted.  It is beside pushd,
 * but in a clone that folder is not in PATH.
 */
static void
find_command(const char *s, int port, char command[COMMAND_BYTES_MAX])
{
	char folder[PATH_MAX], url[64] = "";
	ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	char *slash;

	command[0] = '\0';
	folder[length > 0 ? length : 0] = '\0';
	slash = strrchr(folder, '/');
	if (!slash || (size_t)(slash - folder) + sizeof("/push") > sizeof(folder))
		return;
	memcpy(slash, "/push", sizeof("/push"));
	if (access(folder, X_OK) || folder[strspn(folder, PLAIN_CHARACTERS)])
		return;
	if (*s || port != 8080)
		snprintf(url, sizeof(url), "PUSH_URL=http%s://localhost:%d ", s, port);
	*slash = '\0';
	if (path_has(folder))
		length = snprintf(command, COMMAND_BYTES_MAX, "%spush", url);
	else
		length = snprintf(command, COMMAND_BYTES_MAX, "%s%s/push", url, folder);
	if (length >= COMMAND_BYTES_MAX)
		command[0] = '\0';
}

static void
print_clients(struct json_object *vhost, bool has_console, struct push_buf *to)
{
	const char *s = config_text(vhost, "host-ssl-cert") ? "s" : "";
	int port = config_port(vhost);
	char command[COMMAND_BYTES_MAX];

	find_command(s, port, command);
	push_buf_append_text(to, "  subscribe   ");
	if (*command)
		push_buf_printf(to, "%s sub news\n              ", command);
	push_buf_printf(to, "curl -N 'http%s://localhost:%d/sse/messages?channels=news'\n", s, port);
	push_buf_append_text(to, "  publish     ");
	if (*command)
		push_buf_printf(to, "%s pub news hello\n              ", command);
	push_buf_printf(to,
		"curl -H 'Content-Type: application/json' http%s://localhost:%d/messages \\\n"
		"                   -d '{\"channel\":\"news\",\"message\":\"hello\"}'\n",
		s, port);
	if (has_console)
		push_buf_printf(
			to, "  look        http%s://localhost:%d/  the console, in a browser\n", s, port);
}

static void
print_operators(struct json_object *vhost, bool has_console, struct push_buf *to)
{
	const char *s = config_text(vhost, "host-ssl-cert") ? "s" : "";
	int port = config_port(vhost);

	push_buf_printf(to,
		"  %-10s  http%s://localhost:%d/actuator/health      health\n"
		"              http%s://localhost:%d/actuator/prometheus  metrics\n",
		has_console ? "" : "look", s, port, s, port);
}

static void
print_object(const struct log *log, const char *open, int clients, int operators)
{
	char fields[64];

	snprintf(fields, sizeof(fields), "\"port\":%d,\"management_port\":%d", clients, operators);
	log_say_fields(log, PUSH_LOG_INFO, "Push is ready", fields);
	if (open)
		log_say(log, PUSH_LOG_INFO, "%s", open);
}

void
welcome_print(const struct log *log, const struct config *config)
{
	struct json_object *clients = config_find_vhost(config, "push");
	struct json_object *operators = config_find_vhost(config, "management");
	int port = clients ? config_port(clients) : 0;
	const char *open = push_options_openness(&config->options);
	int management_port = operators ? config_port(operators) : 0;
	struct push_buf text;

	if (!log_passes(log, PUSH_LOG_INFO))
		return;
	if (log->is_json) {
		print_object(log, open, port, management_port);
		return;
	}
	push_buf_init(&text, TEXT_BYTES_MAX);
	push_buf_append_text(&text, "\nPush is ready.\n");
	if (port)
		print_clients(clients, config->options.console, &text);
	if (management_port)
		print_operators(operators, port && config->options.console, &text);
	if (open)
		push_buf_printf(&text, "  access      %s\n", open);
	else
		push_buf_append_text(&text, ACCESS_TEXT);
	push_buf_printf(&text,
		"  stop        Ctrl-C, or kill %d: clients are asked to reconnect within "
		"push.drain.duration\n\n",
		(int)getpid());
	if (text.status == PUSH_OK)
		log_write(log, text.bytes, text.size);
	push_buf_fini(&text);
}
