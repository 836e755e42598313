/* welcome.c - see welcome.h. */
#include <stdio.h>
#include <unistd.h>

#include "welcome.h"

static void
print_clients(struct json_object *vhost)
{
	const char *s = config_text(vhost, "host-ssl-cert") ? "s" : "";
	int port = config_port(vhost);

	fprintf(stderr,
		"  subscribe   curl -N 'http%s://localhost:%d/sse/messages?channels=qwerty'\n"
		"              websocat 'ws%s://localhost:%d/ws/messages?channels=qwerty'\n"
		"  publish     curl -H 'Content-Type: application/json' http%s://localhost:%d/messages \\\n"
		"                   -d '{\"channel\":\"qwerty\",\"message\":\"hello\"}'\n"
		"  look        http%s://localhost:%d/  the console, in a browser\n",
		s, port, s, port, s, port, s, port);
}

static void
print_operators(struct json_object *vhost)
{
	const char *s = config_text(vhost, "host-ssl-cert") ? "s" : "";
	int port = config_port(vhost);

	fprintf(stderr,
		"              http%s://localhost:%d/actuator/health      is it well\n"
		"              http%s://localhost:%d/actuator/prometheus  metrics\n",
		s, port, s, port);
}

void
welcome_print(const struct config *config)
{
	struct json_object *clients = config_find_vhost(config, "push");
	struct json_object *operators = config_find_vhost(config, "management");

	fprintf(stderr, "\nPush is ready.\n");
	if (clients && config_port(clients))
		print_clients(clients);
	if (operators && config_port(operators))
		print_operators(operators);
	fprintf(stderr,
		"  stop        Ctrl-C, or kill %d: clients are asked to reconnect within "
		"push.drain.duration\n\n",
		(int)getpid());
}
