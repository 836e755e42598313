/*
 * listen_shim.h - what pushd and the library that it preloads into lwsws say to each other, by datagrams to
 * and from $NOTIFY_SOCKET.
 */
#ifndef PUSHD_LISTEN_SHIM_H
#define PUSHD_LISTEN_SHIM_H

#include <sys/socket.h>

#define LISTEN_SHIM_FILE "libpushd_listen.so"

/* With a descriptor beside it: systemd's word for "keep this for whoever comes after me" (sd_notify(3)). */
#define LISTEN_SHIM_KEEP "FDSTORE=1"

/* Is there one for this address?  The answer is a byte, with a descriptor beside it where there is. */
#define LISTEN_SHIM_ASK "SOCKET?"

struct listen_shim_question {
	char ask[sizeof(LISTEN_SHIM_ASK)];
	struct sockaddr_storage address; /* what bind() was given, the rest 0 */
};

#endif
