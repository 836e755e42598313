/* send.c - see send.h. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/limits.h"
#include "core/sse.h"
#include "direct/send.h"

size_t
push_frames_size(struct push_frame *const *frames, size_t count, size_t skip)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += frames[i]->size;
	return size - skip;
}

void
push_frames_skip(struct push_frame *const **frames, size_t *count, size_t *skip, size_t size)
{
	*skip += size;
	while (*count && *skip >= (**frames)->size) {
		*skip -= (**frames)->size;
		++*frames;
		--*count;
	}
}

size_t
push_frames_gather(unsigned char *to, size_t max, struct push_frame *const *frames, size_t count, size_t skip)
{
	size_t size = 0;

	for (size_t i = 0; i < count && size < max; i++, skip = 0) {
		size_t left = frames[i]->size - skip;

		if (__builtin_expect(!frames[i]->text && left <= max - size, 1)) {
			memcpy(to + size, frames[i]->bytes + skip, left);
			size += left;
			continue;
		}
		for (size_t at = skip, piece; at < frames[i]->size && size < max;
			at += piece, size += piece) {
			const unsigned char *bytes = push_frame_at(frames[i], at, &piece);

			if (piece > max - size)
				piece = max - size;
			memcpy(to + size, bytes, piece);
		}
	}
	return size;
}

size_t
push_frames_gather_events(unsigned char *to, size_t max, struct push_frame *const *frames, size_t count,
	size_t skip, size_t *ret_taken)
{
	size_t size = 0;

	*ret_taken = 0;
	for (size_t i = 0; i < count; i++, skip = 0) {
		size_t at, end, piece;

		push_sse_event_span(frames[i], &at, &end);
		if (at < skip)
			at = skip;
		piece = at < end ? end - at : 0;
		if (piece > max - size)
			piece = max - size;
		push_frames_gather(to + size, piece, &frames[i], 1, at);
		size += piece;
		at += piece;
		if (at < end) {
			*ret_taken += at - skip;
			break;
		}
		*ret_taken += frames[i]->size - skip;
	}
	return size;
}

static ssize_t
send_vector(int fd, struct push_frame *const *frames, size_t count, size_t skip)
{
	struct iovec pieces[PUSH_WRITE_FRAMES_MAX];
	struct msghdr message = {.msg_iov = pieces};
	size_t used = 0;

	/* frames around a text are three pieces: of many of them the last ones wait for the next write */
	for (size_t i = 0; i < count; i++, skip = 0)
		for (size_t at = skip, size; at < frames[i]->size && used < PUSH_WRITE_FRAMES_MAX;
			at += size) {
			const unsigned char *bytes = push_frame_at(frames[i], at, &size);

			pieces[used++] = (struct iovec){(void *)(uintptr_t)bytes, size};
		}
	message.msg_iovlen = used;
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t
send_once(int fd, struct push_frame *const *frames, size_t count, size_t skip)
{
	unsigned char merged[PUSH_COALESCE_BYTES_MAX];
	size_t size;

	if (count == 1 && !frames[0]->text)
		return send(fd, frames[0]->bytes + skip, frames[0]->size - skip, MSG_NOSIGNAL | MSG_DONTWAIT);
	size = push_frames_size(frames, count, skip);
	if (size > sizeof(merged))
		return send_vector(fd, frames, count, skip);
	push_frames_gather(merged, sizeof(merged), frames, count, skip);
	return send(fd, merged, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool
is_full(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

ssize_t
push_send_frames(int fd, struct push_frame *const *frames, size_t count, size_t skip)
{
	ssize_t taken;

	do
		taken = send_once(fd, frames, count, skip);
	while (taken < 0 && errno == EINTR);
	return taken < 0 && is_full(errno) ? 0 : taken;
}

ssize_t
push_send_events(int fd, struct push_frame *const *frames, size_t count, size_t skip)
{
	unsigned char events[PUSH_COALESCE_BYTES_MAX];
	size_t taken, size = push_frames_gather_events(events, sizeof(events), frames, count, skip, &taken);
	ssize_t sent = 0;

	if (size)
		do
			sent = send(fd, events, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return is_full(errno) ? 0 : -1;
	/* how far that is in the frames */
	if ((size_t)sent < size)
		(void)push_frames_gather_events(events, (size_t)sent, frames, count, skip, &taken);
	return (ssize_t)taken;
}
