/* ends.c - see ends.h. */
#include <stdlib.h>
#include <string.h>

#include "direct/ends.h"
#include "direct/direct_private.h"

/* Descriptors more for which there is room: the next ones will be close by. */
#define ROOM_STEP 64

void
direct_ends_fini(struct direct_ends *ends)
{
	free(ends->ends);
	*ends = (struct direct_ends){NULL, 0};
}

static struct direct_end *
end_of(const struct direct_ends *ends, int lws_fd)
{
	return lws_fd >= 0 && (size_t)lws_fd < ends->count ? &ends->ends[lws_fd] : NULL;
}

static bool
make_room(struct direct_ends *ends, int lws_fd)
{
	size_t count = (size_t)lws_fd + ROOM_STEP;
	struct direct_end *grown;

	if (end_of(ends, lws_fd))
		return true;
	grown = realloc(ends->ends, count * sizeof(*grown));
	if (!grown)
		return false;
	memset(grown + ends->count, 0, (count - ends->count) * sizeof(*grown));
	ends->ends = grown;
	ends->count = count;
	return true;
}

uint64_t
direct_ends_add(struct direct_ends *ends, int lws_fd, const struct direct_end_client *client)
{
	uint64_t cookie = direct_cookie(lws_fd);

	if (make_room(ends, lws_fd))
		ends->ends[lws_fd] = (struct direct_end){cookie, *client};
	return cookie;
}

void
direct_ends_remove(struct direct_ends *ends, int lws_fd, uint64_t cookie)
{
	struct direct_end *end = end_of(ends, lws_fd);

	if (end && end->cookie == cookie)
		end->cookie = 0;
}

const struct direct_end_client *
direct_ends_find(const struct direct_ends *ends, int lws_fd)
{
	const struct direct_end *end = end_of(ends, lws_fd);

	return end && end->cookie && direct_cookie(lws_fd) == end->cookie ? &end->client : NULL;
}
