/* told.c - routes that pushd has told (vhosts.h), each made when it is first needed. */
#include <string.h>

#include "direct/direct_private.h"
#include "direct/tls_ports.h"
#include "direct/vhosts.h"

void
push_direct_tell(struct push_direct *direct, const char *vhosts)
{
	direct_tls_close(direct);
	push_vhosts_destroy(direct->vhosts);
	direct->vhosts = push_vhosts_create(vhosts);
	direct_tls_open(direct);
}

/* NULL: not to be had. */
static struct push_route *
make(struct push_direct *direct, const struct push_vhosts_found *found)
{
	const char *extra = direct->host.vhost_headers(direct->host.context, push_vhost_name(found->vhost));
	const struct push_claim claim = {
		.place = found->place, .extra = extra, .extra_size = extra ? strlen(extra) : 0};

	return extra && claim.extra_size <= PUSH_EXTRA_HEADERS_BYTES_MAX ? push_route_create(&claim) : NULL;
}

enum push_whose
direct_told(struct push_direct *direct, const struct push_vhosts_key *key, struct push_route **ret_route,
	size_t *ret_rest_size)
{
	struct push_vhosts_found found;
	enum push_whose whose = push_vhosts_find(direct->vhosts, key, &found);
	struct push_route **route;

	if (whose != PUSH_WHOSE_PUSH)
		return whose;
	route = push_vhost_route(found.vhost, found.place);
	if (!*route)
		*route = make(direct, &found);
	if (!*route)
		return PUSH_WHOSE_UNKNOWN;
	(*route)->refs++;
	*ret_route = *route;
	*ret_rest_size = found.rest_size;
	return whose;
}
