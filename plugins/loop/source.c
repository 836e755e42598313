/* source.c - see source.h. */
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/push_assert.h"
#include "loop/source.h"

_Static_assert((EPOLLIN | EPOLLOUT | EPOLLRDHUP) <= UINT16_MAX, "what is waited for fits");

bool
push_sources_init(struct push_sources *sources)
{
	push_list_init(&sources->live);
	push_list_init(&sources->closed);
	sources->live_count = 0;
	sources->turn = 0;
	sources->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return sources->epoll_fd >= 0;
}

void
push_sources_fini(struct push_sources *sources)
{
	while (!push_list_is_empty(&sources->live))
		push_source_close(sources, push_container_of(sources->live.next, struct push_source, link));
	push_sources_reap(sources);
	if (sources->epoll_fd >= 0)
		close(sources->epoll_fd);
}

static bool
control(struct push_sources *sources, int operation, int fd, struct push_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return !epoll_ctl(sources->epoll_fd, operation, fd, &event);
}

static void
stop(struct push_sources *sources, struct push_source *source)
{
	source->fd = -1;
	push_list_remove(&source->link);
	push_list_append(&sources->closed, &source->link);
	sources->live_count--;
}

void
push_source_open(
	struct push_sources *sources, struct push_source *source, const struct push_source_kind *kind, int fd)
{
	*source = (struct push_source){.kind = kind, .flags = source->flags, .fd = fd};
	push_list_append(&sources->live, &source->link);
	sources->live_count++;
}

bool
push_source_want(struct push_sources *sources, struct push_source *source, uint32_t events)
{
	if (source->fd < 0 || source->events == events)
		return true;
	if (!control(sources, source->is_waiting ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, source->fd, source, events))
		return source->is_waiting;
	source->is_waiting = true;
	source->events = (uint16_t)events;
	return true;
}

void
push_source_pause(struct push_sources *sources, struct push_source *source)
{
	if (!source->is_waiting || source->fd < 0)
		return;
	(void)control(sources, EPOLL_CTL_DEL, source->fd, source, 0);
	source->is_waiting = false;
	source->events = 0;
}

bool
push_source_change_set(struct push_sources *from, struct push_sources *to, struct push_source *source)
{
	PUSH_ASSERT(source->fd >= 0);
	if (source->is_waiting) {
		if (!control(to, EPOLL_CTL_ADD, source->fd, source, source->events))
			return false;
		(void)control(from, EPOLL_CTL_DEL, source->fd, source, 0);
	}
	push_list_remove(&source->link);
	push_list_append(&to->live, &source->link);
	from->live_count--;
	to->live_count++;
	return true;
}

int
push_source_release(struct push_sources *sources, struct push_source *source)
{
	int fd = source->fd;

	PUSH_ASSERT(fd >= 0);
	if (source->is_waiting)
		(void)control(sources, EPOLL_CTL_DEL, fd, source, 0);
	stop(sources, source);
	return fd;
}

void
push_source_close(struct push_sources *sources, struct push_source *source)
{
	int fd = source->fd;

	if (fd < 0)
		return;
	/* nobody else has it open, so that it leaves the set with this */
	close(fd);
	stop(sources, source);
}

void
push_source_abort(struct push_source *source)
{
	const struct linger none = {.l_onoff = 1, .l_linger = 0};
	int unsent = 0;

	if (source->fd >= 0 && !ioctl(source->fd, SIOCOUTQ, &unsent) && unsent > 0)
		(void)setsockopt(source->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

void
push_sources_dispatch(struct push_sources *sources, int max)
{
	push_sources_dispatch_for(sources, max, NULL, 0);
}

void
push_sources_dispatch_for(struct push_sources *sources, int max, uint64_t (*now_us)(void), uint64_t slice_us)
{
	struct epoll_event events[PUSH_EVENTS_BATCH_MAX];
	uint64_t end_us = now_us ? now_us() + slice_us : 0;
	int count;

	PUSH_ASSERT(max > 0 && max <= PUSH_EVENTS_BATCH_MAX);
	count = epoll_wait(sources->epoll_fd, events, max, 0);
	/* not always the same one first: what it does may make the others wait for the next turn */
	sources->turn++;
	for (int i = 0; i < count; i++) {
		const struct epoll_event *event =
			&events[(sources->turn + (unsigned int)i) % (unsigned int)count];
		struct push_source *source = event->data.ptr;

		if (source->fd >= 0)
			source->kind->ready(source, event->events);
		if (now_us && now_us() >= end_us)
			break;
	}
}

void
push_sources_reap(struct push_sources *sources)
{
	while (!push_list_is_empty(&sources->closed)) {
		struct push_source *source =
			push_container_of(sources->closed.next, struct push_source, link);

		push_list_remove(&source->link);
		source->kind->destroy(source);
	}
}
