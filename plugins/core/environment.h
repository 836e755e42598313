/*
 * environment.h - an environment as a list of NAME=VALUE strings, and what Kubernetes puts into it.
 *
 * A pod gets a handful of variables for each Service of its namespace, named after the Service.  One called
 * "push" makes PUSH_SERVICE_HOST and PUSH_PORT, one called "server" makes SERVER_PORT: names that look like
 * Push's own.
 */
#ifndef PUSH_CORE_ENVIRONMENT_H
#define PUSH_CORE_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * push_environment_is_service_link - whether a variable describes a Service of Kubernetes.
 *
 * Name and value both have to fit: NAME_SERVICE_HOST with an address, NAME_SERVICE_PORT[_PORTNAME] with a
 * port, NAME_PORT with tcp://ADDRESS:PORT, and NAME_PORT_8080_TCP with _PROTO, _PORT and _ADDR.
 */
bool
push_environment_is_service_link(const char *name, const char *value);

#endif
