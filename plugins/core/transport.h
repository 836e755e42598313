/*
 * transport.h - what the hub asks of whatever carries bytes to one client.
 *
 * Everything above it (outbox, heartbeats, lifetimes, slow consumers, drain, the closing handshake) exists
 * once; a transport only moves bytes.  The functions are called from the event loop's thread, never from
 * within each other, and none of them may call back into the hub before it returns.
 */
#ifndef PUSH_CORE_TRANSPORT_H
#define PUSH_CORE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "address.h"
#include "frame.h"

struct push_transport {
	/*
	 * Write frames in order, as one write where that can be.
	 *
	 * @count: 1 to PUSH_WRITE_FRAMES_MAX.  @skip: bytes of the first frame that are written already.
	 * Returns the bytes taken, or -1 when the connection is beyond use.  If it takes less than all, it
	 * calls push_subscriber_writable() as soon as it can take more.
	 */
	ssize_t (*write)(void *connection, struct push_frame *const *frames, size_t count, size_t skip);

	/* Whether a write would take nothing now; it then calls push_subscriber_writable() later. */
	bool (*is_blocked)(void *connection);

	/*
	 * End the connection: once what was taken is on its way, or, `at_once`, without regard to it.
	 *
	 * The subscriber lives on until the transport's owner destroys it, soon, from the loop.
	 */
	void (*close)(void *connection, bool at_once);

	/* Who is at the other end, for a log; false where that is not known any more.  May be NULL. */
	bool (*peer)(void *connection, char *to, size_t size);

	/*
	 * Read from the client, or leave what it sends in its socket (intake.h).  Reading is on at first.
	 *
	 * The end of the connection is noticed all the same.  May be NULL: reading cannot be stopped.
	 */
	void (*set_reading)(void *connection, bool on);

	/*
	 * A write that takes less than all means that the client's socket is full.  False where a write ends
	 * for other reasons (TLS records, windows of HTTP/2): the kernel's buffer is not charged then.
	 */
	bool fills_socket;

	/* The client's address, as far as is known; false: it is not.  May be NULL. */
	bool (*address)(void *connection, struct push_address *ret);

	/* Send the head of the response, of which nothing may follow for long.  May be NULL: it is a frame.
	 */
	void (*begin)(void *connection);
};

#endif
