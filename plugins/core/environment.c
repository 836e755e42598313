/* environment.c - see environment.h. */
#include <string.h>

#include "environment.h"
#include "units.h"

static const char *const protocols[] = {"tcp", "udp", "sctp"};

#define PROTOCOL_COUNT (sizeof(protocols) / sizeof(protocols[0]))

/* The shape of an address of IPv4 or IPv6: a Service has no name here. */
static bool
is_address(const char *text, size_t size)
{
	size_t dots = 0, colons = 0;

	for (size_t i = 0; i < size; i++) {
		char c = text[i], letter = (char)(c | 0x20);

		dots += c == '.';
		colons += c == ':';
		if (!((c >= '0' && c <= '9') || (letter >= 'a' && letter <= 'f') || c == '.' || c == ':'))
			return false;
	}
	return colons >= 2 || (dots == 3 && !colons);
}

/* tcp://10.0.0.1:8080, tcp://[fd00::1]:8080 */
static bool
is_endpoint(const char *text)
{
	const char *rest = NULL, *colon;

	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		size_t size = strlen(protocols[i]);

		if (!strncmp(text, protocols[i], size) && !strncmp(text + size, "://", 3))
			rest = text + size + 3;
	}
	colon = rest ? strrchr(rest, ':') : NULL;
	if (!colon || !push_port_is_valid(colon + 1, strlen(colon + 1)))
		return false;
	if (*rest == '[' && colon[-1] == ']')
		return is_address(rest + 1, (size_t)(colon - rest) - 2);
	return is_address(rest, (size_t)(colon - rest));
}

static bool
is_protocol(const char *text)
{
	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		if (!strcmp(text, protocols[i]))
			return true;
	return false;
}

/* `rest` stands after "_PORT_": 8080_TCP, 8080_TCP_PROTO, 8080_TCP_PORT, 8080_TCP_ADDR. */
static bool
is_port_link(const char *rest, const char *value)
{
	static const char *const names[] = {"_TCP", "_UDP", "_SCTP"};
	size_t digits = strspn(rest, "0123456789");

	if (!push_port_is_valid(rest, digits))
		return false;
	rest += digits;
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		const char *what = rest + strlen(names[i]);

		if (strncmp(rest, names[i], strlen(names[i])) != 0)
			continue;
		if (!*what)
			return is_endpoint(value);
		if (!strcmp(what, "_PROTO"))
			return is_protocol(value);
		if (!strcmp(what, "_PORT"))
			return push_port_is_valid(value, strlen(value));
		return !strcmp(what, "_ADDR") && is_address(value, strlen(value));
	}
	return false;
}

static bool
ends_with(const char *name, const char *suffix)
{
	size_t name_size = strlen(name), size = strlen(suffix);

	return name_size > size && !strcmp(name + name_size - size, suffix);
}

bool
push_environment_is_service_link(const char *name, const char *value)
{
	static const char service_port[] = "_SERVICE_PORT", port[] = "_PORT_";
	const char *found;

	if (ends_with(name, "_SERVICE_HOST"))
		return is_address(value, strlen(value));
	if (ends_with(name, "_PORT") && is_endpoint(value))
		return true;
	found = strstr(name, service_port);
	if (found && found > name) {
		char next = found[sizeof(service_port) - 1];

		if ((!next || next == '_') && push_port_is_valid(value, strlen(value)))
			return true;
	}
	/* a Service's own name may have the word, too */
	for (found = strstr(name, port); found; found = strstr(found + 1, port))
		if (found > name && is_port_link(found + sizeof(port) - 1, value))
			return true;
	return false;
}
