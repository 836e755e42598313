/*
 * route.h - who may open a WebSocket, for wires whose handshake is not the exchange's (lws makes it itself).
 */
#ifndef PUSH_REQUEST_ROUTE_H
#define PUSH_REQUEST_ROUTE_H

#include "request/request.h"

/*
 * push_route_check_socket - whether an upgrade request may become a WebSocket: its path, version and key.
 *
 * Returns 0, or the status of the answer, with a line for the client in `error`.
 */
unsigned int
push_route_check_socket(const struct push_request *request, struct push_error *error);

#endif
