/*
 * wheel.h - one timing wheel for all heartbeats, grace periods and lifetimes.
 *
 * A hierarchical wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", scheme 7): four levels
 * of 64 slots; a slot of the first is one tick (10 ms), a slot of each further level is the whole level
 * below.  Arming and disarming are O(1); a timer moves down at most three times in its life.  With 100,000
 * timers a sorted list, such as the event loop's own, would be walked for every one of them.
 *
 *   level 0  [64 x 10 ms]  level 1 [64 x 640 ms]  level 2 [64 x 41 s]  level 3 [64 x 44 min]
 *
 * Ticks are counted in 32 bits where there are many of them and compared by their distance, which is right as
 * long as that is below 2^31, 248 days; the count itself may wrap.
 *
 * Timers never fire early, and at most one tick late plus what the caller adds.  Time only comes in as an
 * argument; it is the monotonic clock's, so a clock that is set back changes nothing.
 */
#ifndef PUSH_CORE_WHEEL_H
#define PUSH_CORE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "list.h"

#define PUSH_WHEEL_LEVELS     4
#define PUSH_WHEEL_SLOT_BITS  6
#define PUSH_WHEEL_SLOT_COUNT (1 << PUSH_WHEEL_SLOT_BITS)

struct push_timer {
	struct push_list link; /* in a slot or in `due` */
	uint32_t tick;         /* when it fires */
	uint32_t mark; /* the owner's own, in bytes that would be padding; the wheel leaves it alone */
};

struct push_wheel {
	struct push_list slots[PUSH_WHEEL_LEVELS][PUSH_WHEEL_SLOT_COUNT];
	struct push_list due; /* expired, not yet fired: what a full slice left over */
	uint64_t tick;        /* all timers up to this one have been moved to `due` */
};

/* What is done with a timer that is due; it is disarmed by then and may be armed again. */
typedef void (*push_timer_fire_fn)(struct push_timer *timer, uint64_t now_us);

/* push_wheel_init - an empty wheel whose time is now. */
void
push_wheel_init(struct push_wheel *wheel, uint64_t now_us);

/* push_timer_init - a timer that is not armed. */
void
push_timer_init(struct push_timer *timer);

/*
 * push_wheel_arm - let a timer fire at `due_us`; one that is armed already is moved.
 *
 * What is due now or before fires at the next tick.  The wheel reaches 46 hours; what is later fires then.
 */
void
push_wheel_arm(struct push_wheel *wheel, struct push_timer *timer, uint64_t due_us);

/* push_tick_at - the first tick at which `us` has passed. */
static inline uint32_t
push_tick_at(uint64_t us)
{
	return (uint32_t)((us + PUSH_TICK_US - 1) / PUSH_TICK_US);
}

/* push_tick_now - the tick that has been reached at `us`. */
static inline uint32_t
push_tick_now(uint64_t us)
{
	return (uint32_t)(us / PUSH_TICK_US);
}

/* push_tick_is_before - whether a comes before b. */
static inline bool
push_tick_is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* push_wheel_arm_tick - as push_wheel_arm(), by the tick. */
void
push_wheel_arm_tick(struct push_wheel *wheel, struct push_timer *timer, uint32_t tick);

/* push_wheel_take_all - disarm all timers and append them to an empty list, by their links. */
void
push_wheel_take_all(struct push_wheel *wheel, struct push_list *timers);

/* push_timer_is_armed - whether it will fire. */
static inline bool
push_timer_is_armed(const struct push_timer *timer)
{
	return !push_list_is_empty(&timer->link);
}

/* push_timer_disarm - it will not fire; harmless when not armed. */
void
push_timer_disarm(struct push_timer *timer);

/*
 * push_wheel_advance - fire what is due at `now_us`, at most `max` timers.
 *
 * Returns true if more are due: the caller serves its sockets and calls again.
 * Timers may be armed and disarmed from within `fire`.
 */
bool
push_wheel_advance(struct push_wheel *wheel, uint64_t now_us, unsigned int max, push_timer_fire_fn fire);

#endif
