/* notify.c - see notify.h.  The protocol is three lines long, so no library for it. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/limits.h"
#include "notify.h"

bool
push_notify_is_supervised(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && path[0];
}

/* Returns false when a supervisor was there and is gone: its socket is left, and nobody has it open. */
static bool
notify(const char *text, struct push_error *ret_error)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = path ? strlen(path) : 0;
	bool refused = false;
	int fd;

	ret_error->text[0] = '\0';
	if (!length || length >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return true;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* Linux' abstract namespace, unix(7) */

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	/* a supervisor that does not listen is no reason to stop serving */
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0) {
		refused = errno == ECONNREFUSED;
		snprintf(ret_error->text, sizeof(ret_error->text), "cannot notify %s: %s", path,
			strerror(errno));
	}
	close(fd);
	return !refused;
}

bool
push_notify_ready(struct push_error *ret_error)
{
	char text[64];

	snprintf(text, sizeof(text), "READY=1\nSOCKETS=shared\nMAINPID=%d\n", (int)getpid());
	return notify(text, ret_error);
}

void
push_notify_stopping(uint64_t within_us, struct push_error *ret_error)
{
	char text[80];

	if (within_us)
		snprintf(text, sizeof(text), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64 "\n", within_us);
	notify(within_us ? text : "STOPPING=1\n", ret_error);
}

void
push_notify_failed(const char *why, struct push_error *ret_error)
{
	char text[PUSH_ERROR_TEXT_BYTES_MAX + 64];

	snprintf(text, sizeof(text), "STATUS=%s\nERRNO=%d\n", why, EINVAL);
	notify(text, ret_error);
}
