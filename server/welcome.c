/* welcome.c - see welcome.h. */
#include <stdio.h>
#include <unistd.h>

#include "core/buf.h"
#include "welcome.h"

#define TEXT_BYTES_MAX 2048

static void
print_clients(struct json_object *vhost, bool has_console, struct push_buf *to)
{
	const char *s = config_text(vhost, "host-ssl-cert") ? "s" : "";
	int port = config_port(vhost);

	push_buf_printf(to,
		"  subscribe   curl -N 'http%s://localhost:%d/sse/messages?channels=qwerty'\n"
		"              websocat 'ws%s://localhost:%d/ws/messages?channels=qwerty'\n"
		"  publish     curl -H 'Content-Type: application/json' http%s://localhost:%d/messages \\\n"
		"                   -d '{\"channel\":\"qwerty\",\"message\":\"hello\"}'\n",
		s, port, s, port, s, port);
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
		"  %-10s  http%s://localhost:%d/actuator/health      is it well\n"
		"              http%s://localhost:%d/actuator/prometheus  metrics\n",
		has_console ? "" : "look", s, port, s, port);
}

static void
print_object(const struct log *log, int clients, int operators)
{
	char fields[64];

	snprintf(fields, sizeof(fields), "\"port\":%d,\"management_port\":%d", clients, operators);
	log_say_fields(log, PUSH_LOG_INFO, "Push is ready", fields);
}

void
welcome_print(const struct log *log, const struct config *config)
{
	struct json_object *clients = config_find_vhost(config, "push");
	struct json_object *operators = config_find_vhost(config, "management");
	int port = clients ? config_port(clients) : 0;
	int management_port = operators ? config_port(operators) : 0;
	struct push_buf text;

	if (!log_passes(log, PUSH_LOG_INFO))
		return;
	if (log->is_json) {
		print_object(log, port, management_port);
		return;
	}
	push_buf_init(&text, TEXT_BYTES_MAX);
	push_buf_append_text(&text, "\nPush is ready.\n");
	if (port)
		print_clients(clients, config->options.console, &text);
	if (management_port)
		print_operators(operators, port && config->options.console, &text);
	push_buf_printf(&text,
		"  stop        Ctrl-C, or kill %d: clients are asked to reconnect within "
		"push.drain.duration\n\n",
		(int)getpid());
	if (text.status == PUSH_OK)
		log_write(log, text.bytes, text.size);
	push_buf_fini(&text);
}
