/*
 * send.h - frames to a socket, in one call of the kernel.
 *
 * One call for each subscriber, and that call is most of what a delivery costs.  What was tried against it,
 * measured over loopback on Linux 6.18, per subscriber:
 *
 *   - io_uring, a hundred sends to a submission: 4.6 to 6.1 us instead of 6.1 to 7.5 for 130 bytes, nothing
 *     gained for 60 kB or where several messages wait.  Not kept: the seccomp profiles that containers run
 *     under by default refuse it, so that most would go on paying for send(), and it would be a second way
 *     for errors and partial writes to come back.
 *   - MSG_ZEROCOPY for large frames (Linux, networking/msg_zerocopy): over loopback the kernel copies all the
 *     same and reports each send on top, 50 to 60 % dearer.  Over a real network it may pay for those who
 *     send frames of far more than the 10 kB that the kernel's documentation names; Push's are limited to
 *     64 kB, and each would have to stay as it is until its last receiver has acknowledged it.
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

/* push_send_events - likewise for an event stream without chunks (core/sse.h); some may be left for another
 * call. */
ssize_t
push_send_events(int fd, struct push_frame *const *frames, size_t count, size_t skip);

/* push_frames_size - the bytes of all frames, less `skip`. */
size_t
push_frames_size(struct push_frame *const *frames, size_t count, size_t skip);

/* push_frames_skip - the frames behind `size` bytes, which are done with. */
void
push_frames_skip(struct push_frame *const **frames, size_t *count, size_t *skip, size_t size);

/* push_frames_gather - copy the frames' bytes, up to `max`; returns how many. */
size_t
push_frames_gather(
	unsigned char *to, size_t max, struct push_frame *const *frames, size_t count, size_t skip);

/*
 * push_frames_gather_events - likewise for frames of an event stream and a wire without chunks (core/sse.h).
 *
 * *ret_taken: the bytes of the frames that are done with, those that were left out among them.
 */
size_t
push_frames_gather_events(unsigned char *to, size_t max, struct push_frame *const *frames, size_t count,
	size_t skip, size_t *ret_taken);

#endif
