/* wheel.c - see wheel.h. */
#include "push_assert.h"
#include "wheel.h"

#define SLOT_MASK (PUSH_WHEEL_SLOT_COUNT - 1)
#define REACH     (1u << (PUSH_WHEEL_SLOT_BITS * PUSH_WHEEL_LEVELS))

_Static_assert((uint64_t)REACH *PUSH_TICK_US > PUSH_DURATION_US_MAX + PUSH_DURATION_US_MAX / 2,
	"the longest lifetime with its grace fits the wheel");

void
push_wheel_init(struct push_wheel *wheel, uint64_t now_us)
{
	for (int level = 0; level < PUSH_WHEEL_LEVELS; level++)
		for (int slot = 0; slot < PUSH_WHEEL_SLOT_COUNT; slot++)
			push_list_init(&wheel->slots[level][slot]);
	push_list_init(&wheel->due);
	wheel->tick = now_us / PUSH_TICK_US;
}

void
push_timer_init(struct push_timer *timer)
{
	push_list_init(&timer->link);
	timer->tick = 0;
	timer->mark = 0;
}

/* Puts an unlinked timer where its distance says. */
static void
place(struct push_wheel *wheel, struct push_timer *timer)
{
	uint32_t distance = timer->tick - (uint32_t)wheel->tick;
	int level = 0;

	PUSH_ASSERT(distance < REACH);
	while (level < PUSH_WHEEL_LEVELS - 1 && distance >> (PUSH_WHEEL_SLOT_BITS * (level + 1)))
		level++;
	push_list_append(&wheel->slots[level][(timer->tick >> (PUSH_WHEEL_SLOT_BITS * level)) & SLOT_MASK],
		&timer->link);
}

void
push_wheel_arm(struct push_wheel *wheel, struct push_timer *timer, uint64_t due_us)
{
	uint64_t tick = (due_us + PUSH_TICK_US - 1) / PUSH_TICK_US;

	/* so far away that 32 bits could not tell */
	if (tick > wheel->tick + REACH)
		tick = wheel->tick + REACH;
	push_wheel_arm_tick(wheel, timer, (uint32_t)tick);
}

void
push_wheel_arm_tick(struct push_wheel *wheel, struct push_timer *timer, uint32_t tick)
{
	uint32_t now = (uint32_t)wheel->tick;

	if (!push_tick_is_before(now, tick))
		tick = now + 1;
	if (tick - now >= REACH)
		tick = now + REACH - 1;
	push_list_remove(&timer->link);
	timer->tick = tick;
	place(wheel, timer);
}

void
push_wheel_take_all(struct push_wheel *wheel, struct push_list *timers)
{
	for (int level = 0; level < PUSH_WHEEL_LEVELS; level++)
		for (int slot = 0; slot < PUSH_WHEEL_SLOT_COUNT; slot++)
			push_list_splice(timers, &wheel->slots[level][slot]);
	push_list_splice(timers, &wheel->due);
}

void
push_timer_disarm(struct push_timer *timer)
{
	push_list_remove(&timer->link);
}

/* Spreads one slot of a higher level over the levels below. */
static void
cascade(struct push_wheel *wheel, int level)
{
	struct push_list moving;

	push_list_take_all(
		&moving, &wheel->slots[level][(wheel->tick >> (PUSH_WHEEL_SLOT_BITS * level)) & SLOT_MASK]);
	while (!push_list_is_empty(&moving)) {
		struct push_timer *timer = push_container_of(moving.next, struct push_timer, link);

		push_list_remove(&timer->link);
		place(wheel, timer);
	}
}

static void
step(struct push_wheel *wheel)
{
	struct push_list *slot;

	wheel->tick++;
	for (int level = 1; level < PUSH_WHEEL_LEVELS; level++) {
		if (wheel->tick & ((1ull << (PUSH_WHEEL_SLOT_BITS * level)) - 1))
			break;
		cascade(wheel, level);
	}
	slot = &wheel->slots[0][wheel->tick & SLOT_MASK];
	while (!push_list_is_empty(slot)) {
		struct push_list *item = slot->next;

		push_list_remove(item);
		push_list_append(&wheel->due, item);
	}
}

bool
push_wheel_advance(struct push_wheel *wheel, uint64_t now_us, unsigned int max, push_timer_fire_fn fire)
{
	while (wheel->tick < now_us / PUSH_TICK_US)
		step(wheel);

	while (!push_list_is_empty(&wheel->due)) {
		struct push_timer *timer = push_container_of(wheel->due.next, struct push_timer, link);

		if (!max--)
			return true;
		push_list_remove(&timer->link);
		fire(timer, now_us);
	}
	return false;
}
