/*
 * frame_room.h - memory for an nghttp2 session, with the room for a frame in pages of its own.
 *
 * nghttp2 has room for the largest frame, 16 kB, in each session.  Of it only some hundred bytes are used here, since bodies
 * are not written there.  malloc() would return memory that others have used before, and all of it would be resident; of
 * fresh pages it is the first.
 */
#ifndef PUSH_H2_FRAME_ROOM_H
#define PUSH_H2_FRAME_ROOM_H

#include <nghttp2/nghttp2.h>

struct push_h2_frame_room {
	void *pages; /* NULL: none */
};

/* push_h2_frame_room_memory - for nghttp2_session_server_new3(3); `room` must outlive the session. */
nghttp2_mem
push_h2_frame_room_memory(struct push_h2_frame_room *room);

#endif
