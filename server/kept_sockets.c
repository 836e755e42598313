/* kept_sockets.c - see kept_sockets.h. */
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kept_sockets.h"
#include "listen_shim.h"

static void
forget(struct kept_sockets *kept, size_t index)
{
	close(kept->items[index].fd);
	kept->items[index] = kept->items[--kept->count];
}

static bool
is_same_socket(int one, int other)
{
	uint64_t cookies[2] = {0, 1};
	socklen_t size = sizeof(cookies[0]);

	return !getsockopt(one, SOL_SOCKET, SO_COOKIE, &cookies[0], &size) &&
	       !getsockopt(other, SOL_SOCKET, SO_COOKIE, &cookies[1], &size) && cookies[0] == cookies[1];
}

static bool
is_same_address(const struct sockaddr_storage *one, const struct sockaddr_storage *other)
{
	if (one->ss_family != other->ss_family)
		return false;
	if (one->ss_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)one, *b = (const void *)other;

		return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
	}
	const struct sockaddr_in6 *a = (const void *)one, *b = (const void *)other;

	return a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id &&
	       !memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr));
}

void
kept_sockets_keep(struct kept_sockets *kept, int fd, unsigned int generation)
{
	struct kept_socket fresh = {.fd = fd, .generation = generation};
	socklen_t size = sizeof(fresh.address), flag_size = sizeof(int);
	int listens = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag_size) || !listens ||
		getsockname(fd, (struct sockaddr *)&fresh.address, &size)) {
		close(fd);
		return;
	}
	for (size_t i = 0; i < kept->count; i++) {
		if (!is_same_address(&kept->items[i].address, &fresh.address))
			continue;
		if (is_same_socket(kept->items[i].fd, fd)) {
			kept->items[i].generation = generation;
			close(fd);
			return;
		}
		forget(kept, i);
		break;
	}
	if (kept->count == KEPT_SOCKETS_PER_WORKER_MAX)
		close(fd);
	else
		kept->items[kept->count++] = fresh;
}

int
kept_sockets_find(const struct kept_sockets *kept, const struct sockaddr_storage *address)
{
	for (size_t i = 0; i < kept->count; i++)
		if (is_same_address(&kept->items[i].address, address))
			return kept->items[i].fd;
	return -1;
}

void
kept_sockets_preload(const char *shim)
{
	const char *before = getenv("LD_PRELOAD");
	char text[2 * PATH_MAX];

	if (!*shim)
		return;
	/* at the end: sanitizers insist on being first */
	snprintf(text, sizeof(text), "%s%s%s", before ? before : "", before && *before ? ":" : "", shim);
	(void)setenv("LD_PRELOAD", text, 1);
}

void
kept_sockets_drop_older(struct kept_sockets *kept, unsigned int generation)
{
	for (size_t i = kept->count; i-- > 0;)
		if (kept->items[i].generation != generation)
			forget(kept, i);
}

void
kept_sockets_drop(struct kept_sockets *kept)
{
	while (kept->count)
		forget(kept, kept->count - 1);
}

bool
kept_sockets_find_shim(char *path, size_t size)
{
	char program[PATH_MAX];
	const char *const places[] = {"", LISTEN_SHIM_INSTALLED};
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;

	program[length > 0 ? length : 0] = '\0';
	slash = strrchr(program, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		*slash = '\0';
		if (snprintf(path, size, "%s/%s" LISTEN_SHIM_FILE, program, places[i]) < (int)size &&
			!access(path, R_OK) && !strpbrk(path, ": ")) /* which separate names in LD_PRELOAD */
			return true;
	}
	path[0] = '\0';
	return false;
}
