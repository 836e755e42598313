/* port_holders.h - which processes listen on a TCP port, as far as the system tells this user (proc(5)). */
#ifndef PUSHD_PORT_HOLDERS_H
#define PUSHD_PORT_HOLDERS_H

#include <stddef.h>
#include <sys/types.h>

/* Processes that share one port: workers of two pushds at most, each with a root of lwsws' that has no
 * socket. */
#define PORT_HOLDERS_MAX 256

/* port_holders_find - those that listen on `port`, on whatever address.  Returns how many of them are in
 * `pids`, at most PORT_HOLDERS_MAX. */
size_t
port_holders_find(int port, pid_t pids[PORT_HOLDERS_MAX]);

#endif
