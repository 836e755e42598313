/* received.h - whether the other end of a TCP connection has sent anything, which lws does not say. */
#ifndef PUSH_CLI_RECEIVED_H
#define PUSH_CLI_RECEIVED_H

#include <stdbool.h>

bool
received_anything(int fd);

#endif
