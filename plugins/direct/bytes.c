/* bytes.c - see bytes.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/push_assert.h"
#include "direct/bytes.h"
#include "direct/limits.h"

/* One allocation. */
struct direct_held {
	size_t at, size, room; /* taken up to `at` */
	char bytes[];
};

void
direct_bytes_fini(struct direct_bytes *bytes)
{
	push_tls_session_destroy(bytes->tls);
	free(bytes->held);
	*bytes = (struct direct_bytes){.tls = NULL};
}

static size_t
held_size(const struct direct_bytes *bytes)
{
	return bytes->held ? bytes->held->size - bytes->held->at : 0;
}

/* Room for `more` bytes behind what is held, which moves to the front. */
static bool
make_room(struct direct_bytes *bytes, size_t more)
{
	struct direct_held *held = bytes->held;
	size_t size = held_size(bytes);

	if (held && held->at) {
		memmove(held->bytes, held->bytes + held->at, size);
		held->at = 0;
		held->size = size;
	}
	if (held && held->room - size >= more)
		return true;
	held = realloc(held, sizeof(*held) + size + more);
	if (!held)
		return false;
	held->at = 0;
	held->size = size;
	held->room = size + more;
	bytes->held = held;
	return true;
}

static bool
hold(struct direct_bytes *bytes, const char *from, size_t size)
{
	if (!make_room(bytes, size))
		return false;
	memcpy(bytes->held->bytes + bytes->held->size, from, size);
	bytes->held->size += size;
	return true;
}

void
direct_bytes_drop_taken(struct direct_bytes *bytes)
{
	if (!held_size(bytes)) {
		free(bytes->held);
		bytes->held = NULL;
	}
}

/* What OpenSSL has in hand behind what was read: a record's rest, and others that came with it. */
static bool
hold_rest(struct direct_bytes *bytes)
{
	ssize_t got;

	for (;;) {
		char more[PUSH_TLS_REST_BYTES];

		got = push_tls_session_read_rest(bytes->tls, more, sizeof(more));
		if (got <= 0)
			break;
		if (!hold(bytes, more, (size_t)got))
			return false;
	}
	bytes->is_over |= !got;
	return true;
}

/* Reads behind what is held; `to` is where it goes otherwise.  Returns as recv(2). */
static ssize_t
open_some(struct direct_bytes *bytes, char *to, size_t size)
{
	ssize_t got = bytes->is_over ? 0 : push_tls_session_read(bytes->tls, to, size);

	if (got > 0 && !hold_rest(bytes)) {
		errno = ENOMEM;
		return -1;
	}
	bytes->is_over |= !got;
	return got;
}

/* Of what is held, and what has come since. */
static ssize_t
look_at_held(struct direct_bytes *bytes, size_t size, const char **ret)
{
	struct direct_held *held;
	ssize_t got;

	if (bytes->seen == held_size(bytes)) {
		if (!make_room(bytes, size)) {
			errno = ENOMEM;
			return -1;
		}
		held = bytes->held;
		got = bytes->is_over ? 0 : push_tls_session_read(bytes->tls, held->bytes + held->size, size);
		if (got <= 0)
			return got;
		held->size += (size_t)got;
		if (!hold_rest(bytes)) {
			errno = ENOMEM;
			return -1;
		}
	}
	*ret = bytes->looked = bytes->held->bytes + bytes->held->at;
	bytes->looked_size = bytes->seen = held_size(bytes);
	return (ssize_t)bytes->looked_size;
}

ssize_t
direct_bytes_look(struct direct_bytes *bytes, int fd, char *scratch, size_t size, const char **ret)
{
	ssize_t got;

	*ret = scratch;
	if (!bytes->tls)
		return recv(fd, scratch, size, MSG_PEEK | MSG_DONTWAIT);
	direct_bytes_settle(bytes);
	if (bytes->held)
		return look_at_held(bytes, size, ret);
	got = open_some(bytes, scratch, size);
	if (got <= 0)
		return got;
	bytes->looked = scratch;
	bytes->looked_size = (size_t)got;
	return got;
}

/* What was looked at in the scratch is put before what is held behind it. */
static void
take_opened(struct direct_bytes *bytes, size_t size)
{
	size_t left = bytes->looked_size - size, behind = held_size(bytes);
	const char *rest = bytes->looked + size;

	bytes->looked = NULL;
	if (!left)
		return;
	if (!make_room(bytes, left)) {
		bytes->is_over = true; /* the connection ends */
		return;
	}
	memmove(bytes->held->bytes + left, bytes->held->bytes, behind);
	memcpy(bytes->held->bytes, rest, left);
	bytes->held->size += left;
	/* a look that took nothing has seen it; what is behind has yet to be */
	bytes->seen = size || behind ? 0 : left;
}

void
direct_bytes_take(struct direct_bytes *bytes, int fd, size_t size)
{
	if (!bytes->tls) {
		if (size)
			(void)recv(fd, NULL, size, MSG_TRUNC | MSG_DONTWAIT);
		return;
	}
	if (bytes->looked && (!bytes->held || bytes->looked != bytes->held->bytes + bytes->held->at)) {
		PUSH_ASSERT(size <= bytes->looked_size);
		take_opened(bytes, size);
		return;
	}
	PUSH_ASSERT(size <= held_size(bytes));
	bytes->looked = NULL;
	if (!size)
		return;
	bytes->held->at += size;
	bytes->seen = 0;
}

void
direct_bytes_again(struct direct_bytes *bytes)
{
	bytes->seen = 0;
}

ssize_t
direct_bytes_read(struct direct_bytes *bytes, int fd, char *to, size_t size)
{
	if (!bytes->tls)
		return recv(fd, to, size, MSG_DONTWAIT);
	direct_bytes_settle(bytes);
	if (!bytes->held)
		return open_some(bytes, to, size);
	if (size > held_size(bytes))
		size = held_size(bytes);
	memcpy(to, bytes->held->bytes + bytes->held->at, size);
	bytes->held->at += size;
	bytes->seen = 0;
	direct_bytes_drop_taken(bytes);
	return (ssize_t)size;
}

void
direct_bytes_forget_held(struct direct_bytes *bytes)
{
	free(bytes->held);
	bytes->held = NULL;
}

ssize_t
direct_bytes_discard(struct direct_bytes *bytes, int fd, char *scratch, size_t size)
{
	if (!bytes->tls)
		return recv(fd, NULL, INT32_MAX, MSG_TRUNC | MSG_DONTWAIT);
	direct_bytes_forget_held(bytes);
	return open_some(bytes, scratch, size);
}

bool
direct_bytes_holds_unseen(const struct direct_bytes *bytes)
{
	return held_size(bytes) > bytes->seen;
}

struct push_str
direct_bytes_held(const struct direct_bytes *bytes)
{
	return bytes->held ? (struct push_str){bytes->held->bytes + bytes->held->at, held_size(bytes)}
			   : (struct push_str){NULL, 0};
}

ssize_t
direct_bytes_send(struct direct_bytes *bytes, int fd, const char *from, size_t size)
{
	return bytes->tls ? push_tls_session_write(bytes->tls, from, size)
			  : send(fd, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
direct_bytes_end(struct direct_bytes *bytes, int fd)
{
	if (bytes->tls)
		push_tls_session_end(bytes->tls);
	(void)shutdown(fd, SHUT_WR);
}

void
direct_bytes_leave(struct direct_bytes *bytes)
{
	if (bytes->tls && !bytes->is_over)
		push_tls_session_end(bytes->tls);
}
