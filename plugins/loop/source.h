/*
 * source.h - what waits in Push's own epoll sets: a descriptor and what is done when it is ready.
 *
 * There are several sets, since the kernel hands out what is ready in the order in which it became so: in one
 * set a publish would wait behind ten thousand clients who leave.
 *
 * A source dies in two steps.  push_source_close() closes its descriptor at once and may be called from
 * anywhere, also from inside a fan-out or from its own `ready`; its memory goes with push_sources_reap(),
 * which the loop calls when no event of this turn can point to it any more.
 */
#ifndef PUSH_LOOP_SOURCE_H
#define PUSH_LOOP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "core/list.h"

/* Events taken in one look at a set, which lie on the stack. */
#define PUSH_EVENTS_BATCH_MAX 64

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
	bool is_waiting;       /* in the epoll set; else only in the list */
	uint8_t flags;         /* whatever its owner wants to remember: the bytes would be lost */
};

struct push_sources {
	int epoll_fd;
	struct push_list live, closed;
	size_t live_count;
	unsigned int turn;
};

/* push_sources_init - an empty set.  Returns false, with errno, where the system gives none. */
bool
push_sources_init(struct push_sources *sources);

/* push_sources_fini - close and destroy everything in it, and the set. */
void
push_sources_fini(struct push_sources *sources);

/*
 * push_source_open - take a descriptor, which the source owns from here on; nothing is waited for yet.
 *
 * source->flags is kept.
 */
void
push_source_open(struct push_sources *sources, struct push_source *source,
	const struct push_source_kind *kind, int fd);

/*
 * push_source_want - wait for these events and no others.
 *
 * Returns false, with errno, where the set takes no more; that can only be the first time, or behind
 * push_source_pause().
 */
bool
push_source_want(struct push_sources *sources, struct push_source *source, uint32_t events);

/* push_source_pause - wait for nothing, not even the end of the connection, which epoll(7) shows otherwise. */
void
push_source_pause(struct push_sources *sources, struct push_source *source);

/* push_source_change_set - wait for the same in another set.  Returns false where that takes no more. */
bool
push_source_change_set(struct push_sources *from, struct push_sources *to, struct push_source *source);

/* push_source_release - no longer wait for its descriptor, which is the caller's again; the source is closed.
 */
int
push_source_release(struct push_sources *sources, struct push_source *source);

/* push_source_close - close its descriptor; harmless when that was done. */
void
push_source_close(struct push_sources *sources, struct push_source *source);

/* push_source_abort - let the kernel drop what the other end has not taken, or it would keep it for minutes.
 */
void
push_source_abort(struct push_source *source);

/* push_sources_dispatch - serve what is ready, at most `max`, which is at most PUSH_EVENTS_BATCH_MAX. */
void
push_sources_dispatch(struct push_sources *sources, int max);

/*
 * push_sources_dispatch_for - likewise, and no longer than `slice_us` by this clock, but for one source: what
 * is left is ready still, and has its turn behind the others.
 */
void
push_sources_dispatch_for(struct push_sources *sources, int max, uint64_t (*now_us)(void), uint64_t slice_us);

/* push_sources_reap - destroy what was closed. */
void
push_sources_reap(struct push_sources *sources);

#endif
