/*
 * loop.h - one thread, two epoll sets, a handful of timers.
 *
 *   main set:    publishers and, as one descriptor, the readers' set
 *   readers' set: the subscribers, edge-triggered
 *
 * Two sets, because publishing must not wait until thousands of subscribers have been read: each turn serves
 * the main set first and then a bounded batch of readers.  And because a lazy receiver is then simply a
 * readers' set that is looked at every so many microseconds, while publishers go on without delay.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct handler {
	/* `events`: epoll's.  It may close its own descriptor, and must then loop_remove() it first. */
	void (*ready)(struct handler *handler, uint32_t events);
};

struct timer {
	uint64_t due_ns; /* 0: not armed */
	void (*fire)(struct timer *timer, uint64_t now_ns);
	struct timer *next;
};

struct loop {
	int fd, readers_fd;
	struct timer *timers;
	uint64_t lazy_ns, readers_due_ns;
	bool readers_ready;
	/* After each turn: what the turn made possible (connect the next, publish the next). */
	void (*after_turn)(void *arg, uint64_t now_ns);
	void *after_turn_arg;
};

enum loop_set { LOOP_MAIN, LOOP_READERS };

/* loop_init - returns -1 with errno. */
int loop_init(struct loop *loop);

void loop_fini(struct loop *loop);

/* loop_add - call `handler` on edges of `events`.  Returns -1 with errno. */
int loop_add(struct loop *loop, enum loop_set set, int fd, uint32_t events, struct handler *handler);

/*
 * loop_remove - forget a descriptor before it is closed.
 *
 * Further events of the same batch are not held back: a handler must stay valid until the turn has ended.
 */
void loop_remove(struct loop *loop, enum loop_set set, int fd);

/* loop_add_timer - let the loop watch a timer from now on; it is armed by setting its due_ns. */
void loop_add_timer(struct loop *loop, struct timer *timer);

/* loop_set_lazy - look at the readers every `lazy_ns` only; 0: whenever there is something to read. */
void loop_set_lazy(struct loop *loop, uint64_t lazy_ns);

/* loop_run - turn until is_done(arg) or until the deadline.  Returns whether it was done. */
bool loop_run(struct loop *loop, uint64_t deadline_ns, bool (*is_done)(void *arg), void *arg);

#endif
