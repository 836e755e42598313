/*
 * source.h - what waits in Push's own epoll set: a descriptor and what is done when it is ready.
 *
 * A source dies in two steps.  push_source_close() closes its descriptor at once and may be called from
 * anywhere, also from inside a fan-out or from its own `ready`; its memory goes with push_sources_reap(),
 * which the loop calls when no event of this turn can point to it any more.
 */
#ifndef PUSH_DIRECT_SOURCE_H
#define PUSH_DIRECT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "core/list.h"

struct push_source;

struct push_source_kind {
	/* Something of what it waits for has happened (EPOLLIN, EPOLLOUT, EPOLLHUP ...). */
	void (*ready)(struct push_source *source, uint32_t events);
	/* It is closed and nothing points to it: free it. */
	void (*destroy)(struct push_source *source);
};

struct push_source {
	const struct push_source_kind *kind;
	struct push_list link; /* in sources.live, then in sources.closed */
	int fd;                /* -1: closed */
	uint16_t events;       /* waited for now */
	uint8_t flags;         /* whatever its owner wants to remember: the bytes would be lost */
};

struct push_sources {
	int epoll_fd;
	struct push_list live, closed;
	size_t live_count;
};

/* push_sources_init - an empty set.  Returns false, with errno, where the system gives none. */
bool
push_sources_init(struct push_sources *sources);

/* push_sources_fini - close and destroy everything in it, and the set. */
void
push_sources_fini(struct push_sources *sources);

/*
 * push_source_open - wait for `events` of a descriptor, which the source owns from here on.
 *
 * Returns false, with errno, where the set takes no more; the descriptor is still the caller's then.
 */
bool
push_source_open(struct push_sources *sources, struct push_source *source,
	const struct push_source_kind *kind, int fd, uint32_t events);

/* push_source_want - wait for other events.  Does nothing where they are the same. */
void
push_source_want(struct push_sources *sources, struct push_source *source, uint32_t events);

/*
 * push_source_move - let another source wait for this one's descriptor from now on; `from` is closed without
 * it.
 *
 * Returns false where that cannot be; nothing has changed then.
 */
bool
push_source_move(struct push_sources *sources, struct push_source *from, struct push_source *to,
	const struct push_source_kind *kind, uint32_t events);

/* push_source_release - no longer wait for its descriptor, which is the caller's again; the source is closed.
 */
int
push_source_release(struct push_sources *sources, struct push_source *source);

/* push_source_close - close its descriptor; harmless when that was done. */
void
push_source_close(struct push_sources *sources, struct push_source *source);

/* push_sources_dispatch - serve what is ready, at most one batch.  Returns how many were. */
int
push_sources_dispatch(struct push_sources *sources);

/* push_sources_reap - destroy what was closed. */
void
push_sources_reap(struct push_sources *sources);

#endif
