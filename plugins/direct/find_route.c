/* find_route.c - see find_route.h. */
#include <string.h>

#include "core/tokens.h"
#include "direct/find_route.h"

/* A path of an event stream's token is no route of its own: each has another one. */
static struct push_str
routed_path(struct push_str path)
{
	const char *slash = memrchr(path.bytes, '/', path.size);
	size_t size = slash ? (size_t)(slash - path.bytes) : 0;

	if (size && push_token_is_shaped(slash + 1, path.size - size - 1))
		path.size = size;
	return path;
}

enum push_whose
direct_look_up(struct push_direct *direct, struct direct_lookup *lookup)
{
	const struct push_str path = routed_path(lookup->request->path), host = lookup->request->host;
	const struct push_vhosts_key asked = {
		lookup->port, lookup->request->wants_websocket, lookup->is_tls, path};
	const unsigned int flags =
		(asked.is_upgrade ? PUSH_ROUTE_UPGRADE : 0) | (lookup->is_tls ? PUSH_ROUTE_TLS : 0);
	enum push_whose whose;
	size_t rest_size;

	lookup->path = path;
	lookup->route = NULL;
	if (memchr(path.bytes, '%', path.size) || !push_route_key_fits(host, path))
		return PUSH_WHOSE_LWS;
	whose = direct_told(direct, &asked, &lookup->route, &rest_size);
	if (whose == PUSH_WHOSE_UNKNOWN &&
		push_route_key_make(&lookup->key, &direct->routes, flags, lookup->port, host, path)) {
		lookup->route = push_routes_find(&direct->routes, &lookup->key);
		if (!lookup->route)
			return PUSH_WHOSE_UNKNOWN;
		rest_size = lookup->route->rest_size;
		whose = PUSH_WHOSE_PUSH;
	}
	if (whose == PUSH_WHOSE_PUSH)
		lookup->mount_size = path.size - rest_size;
	return whose;
}

bool
direct_ask(struct push_direct *direct, const struct direct_lookup *lookup, struct direct_waiter *waiter)
{
	return direct_probe(direct, waiter, &lookup->key, lookup->request->host, lookup->path);
}

void
direct_place(struct push_request *request, const struct direct_lookup *lookup)
{
	const struct push_str path = request->path;

	request->place = lookup->route->place;
	request->rest = (struct push_str){path.bytes + lookup->mount_size, path.size - lookup->mount_size};
}
