/* loop.c - see loop.h. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "clock.h"
#include "loop.h"

#define MAIN_BATCH    256
#define READERS_BATCH 256

int
loop_init(struct loop *loop)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

	*loop = (struct loop){.fd = epoll_create1(EPOLL_CLOEXEC), .readers_fd = epoll_create1(EPOLL_CLOEXEC)};
	if (loop->fd < 0 || loop->readers_fd < 0)
		return -1;
	/* The kernel may wake a sleeper up to 50 us late by default: too coarse for paced publishing. */
	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	return epoll_ctl(loop->fd, EPOLL_CTL_ADD, loop->readers_fd, &event);
}

void
loop_fini(struct loop *loop)
{
	if (loop->readers_fd > 0)
		close(loop->readers_fd);
	if (loop->fd > 0)
		close(loop->fd);
}

static int
set_fd(const struct loop *loop, enum loop_set set)
{
	return set == LOOP_READERS ? loop->readers_fd : loop->fd;
}

int
loop_add(struct loop *loop, enum loop_set set, int fd, uint32_t events, struct handler *handler)
{
	struct epoll_event event = {.events = events | EPOLLET, .data.ptr = handler};

	return epoll_ctl(set_fd(loop, set), EPOLL_CTL_ADD, fd, &event);
}

void
loop_remove(struct loop *loop, enum loop_set set, int fd)
{
	epoll_ctl(set_fd(loop, set), EPOLL_CTL_DEL, fd, NULL);
}

void
loop_add_timer(struct loop *loop, struct timer *timer)
{
	timer->next = loop->timers;
	loop->timers = timer;
}

void
loop_set_lazy(struct loop *loop, uint64_t lazy_ns)
{
	struct epoll_event event = {.events = lazy_ns ? 0 : EPOLLIN, .data.ptr = NULL};

	loop->lazy_ns = lazy_ns;
	loop->readers_due_ns = lazy_ns ? clock_ns() + lazy_ns : 0;
	epoll_ctl(loop->fd, EPOLL_CTL_MOD, loop->readers_fd, &event);
}

static uint64_t
earliest(const struct loop *loop, uint64_t deadline_ns)
{
	uint64_t due_ns = deadline_ns;

	if (loop->readers_due_ns && loop->readers_due_ns < due_ns)
		due_ns = loop->readers_due_ns;
	for (const struct timer *timer = loop->timers; timer; timer = timer->next)
		if (timer->due_ns && timer->due_ns < due_ns)
			due_ns = timer->due_ns;
	return due_ns;
}

/* Waits for the main set with nanoseconds where the kernel can (Linux 5.11), else with milliseconds. */
static int
wait_until(const struct loop *loop, uint64_t due_ns, struct epoll_event *events)
{
	uint64_t now_ns = clock_ns();
	uint64_t left_ns = loop->readers_ready || due_ns <= now_ns ? 0 : due_ns - now_ns;
	struct timespec timeout = {(time_t)(left_ns / NS_PER_S), (long)(left_ns % NS_PER_S)};
	int count = epoll_pwait2(loop->fd, events, MAIN_BATCH, &timeout, NULL);

	if (count < 0 && (errno == ENOSYS || errno == EPERM))
		count = epoll_wait(
			loop->fd, events, MAIN_BATCH, (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS));
	return count;
}

static void
dispatch(const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		struct handler *handler = events[i].data.ptr;

		if (handler)
			handler->ready(handler, events[i].events);
	}
}

static void
serve_main(struct loop *loop, uint64_t deadline_ns)
{
	struct epoll_event events[MAIN_BATCH];
	int count = wait_until(loop, earliest(loop, deadline_ns), events);

	for (int i = 0; i < count; i++)
		if (!events[i].data.ptr && !loop->lazy_ns)
			loop->readers_ready = true;
	dispatch(events, count);
}

static void
serve_readers(struct loop *loop)
{
	struct epoll_event events[READERS_BATCH];
	int count = epoll_wait(loop->readers_fd, events, READERS_BATCH, 0);

	loop->readers_ready = count == READERS_BATCH;
	dispatch(events, count);
	if (loop->lazy_ns && !loop->readers_ready)
		loop->readers_due_ns = clock_ns() + loop->lazy_ns;
}

static void
serve_timers(struct loop *loop, uint64_t now_ns)
{
	for (struct timer *timer = loop->timers; timer; timer = timer->next) {
		if (!timer->due_ns || timer->due_ns > now_ns)
			continue;
		timer->due_ns = 0;
		timer->fire(timer, now_ns);
	}
}

bool
loop_run(struct loop *loop, uint64_t deadline_ns, bool (*is_done)(void *arg), void *arg)
{
	for (;;) {
		uint64_t now_ns;

		if (is_done && is_done(arg))
			return true;
		if (clock_ns() >= deadline_ns)
			return false;
		serve_main(loop, deadline_ns);
		now_ns = clock_ns();
		serve_timers(loop, now_ns);
		if (loop->readers_ready || (loop->readers_due_ns && now_ns >= loop->readers_due_ns))
			serve_readers(loop);
		if (loop->after_turn)
			loop->after_turn(loop->after_turn_arg, now_ns);
	}
}
