/*
 * send.h - frames to a socket, in one call of the kernel.
 */
#ifndef PUSH_DIRECT_SEND_H
#define PUSH_DIRECT_SEND_H

#include <sys/types.h>

#include "core/frame.h"

/*
 * push_send_frames - send frames in order, as far as the socket takes them.
 *
 * @count: 1 to PUSH_WRITE_FRAMES_MAX.  @skip: bytes of the first frame that were sent before.
 * Few small frames are merged on the stack before, many or large ones go by iovec.
 * Returns the bytes taken, 0 where the socket is full, -1 when it is beyond use.
 */
ssize_t
push_send_frames(int fd, struct push_frame *const *frames, size_t count, size_t skip);

/* push_frames_size - the bytes of all frames, less `skip`. */
size_t
push_frames_size(struct push_frame *const *frames, size_t count, size_t skip);

/* push_frames_gather - copy the frames' bytes, up to `max`; returns how many. */
size_t
push_frames_gather(
	unsigned char *to, size_t max, struct push_frame *const *frames, size_t count, size_t skip);

#endif
