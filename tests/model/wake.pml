/*
 * wake.pml - plugins/segment/slots.c: no wake-up is lost, though a waker is killed.
 *
 * A worker that sleeps without an end but by its eventfd, and two that append and wake it.  What a processor has
 * stored is seen by others some time later, in its order: it lies in a buffer until then.  A fence waits until its
 * own buffer is empty.  Not to be woken is a deadlock here.
 */
#define WAKERS   2
#define MESSAGES 3

#define IS_ODD(n) ((n) % 2)

byte tail, asleep, eventfd;
bool is_locked;
byte kills = 1;

/* Of a waker: the new tail, with which the lock is released; 0: nothing.  Of the worker: values of `asleep`. */
byte stored_tail[WAKERS];
chan stored_asleep = [2] of { byte };
byte newest_asleep; /* of those */

/* What was stored gets to be seen. */
active proctype memory()
{
	byte value;

end:
	do
	:: atomic { stored_tail[0] -> tail = stored_tail[0]; stored_tail[0] = 0; is_locked = false }
	:: atomic { stored_tail[1] -> tail = stored_tail[1]; stored_tail[1] = 0; is_locked = false }
	:: atomic { stored_asleep ? value -> asleep = value }
	od
}

#define LOAD_ASLEEP(to)                                                                                      \
	atomic {                                                                                             \
		if                                                                                           \
		:: len(stored_asleep) > 0 -> to = newest_asleep                                              \
		:: else -> to = asleep                                                                       \
		fi                                                                                           \
	}
#define STORE_ASLEEP(value) atomic { newest_asleep = value; stored_asleep ! newest_asleep }

active proctype worker()
{
	byte position, seen;

	do
	:: position == MESSAGES -> break
	:: position != tail -> position = tail
	:: else ->
		LOAD_ASLEEP(seen);
		STORE_ASLEEP((seen + 1) + !IS_ODD(seen + 1));
#ifndef BREAK_FENCE
		(len(stored_asleep) == 0);
#endif
		if
		:: tail == position ->
			atomic { eventfd -> eventfd = 0 }
		:: else
		fi;
		LOAD_ASLEEP(seen);
		if
		:: IS_ODD(seen) -> STORE_ASLEEP(seen + 1)
		:: else
		fi
	od
}

active [WAKERS] proctype waker()
{
	byte seen, me = _pid - 2;

	do
	:: atomic { !is_locked && tail == MESSAGES -> break }
	:: atomic { !is_locked && tail < MESSAGES -> is_locked = true }
		stored_tail[me] = tail + 1;
#ifndef BREAK_WAKER_FENCE
		(stored_tail[me] == 0);
#endif
		seen = asleep;
		if
		:: IS_ODD(seen) ->
#ifdef BREAK_EARLY
			asleep = seen + 1;
#else
			eventfd = 1;
#endif
			if
			:: atomic { kills > 0 -> kills--; break }
			:: true
			fi;
#ifdef BREAK_EARLY
			eventfd = 1
#elif defined(BREAK_COUNT)
			asleep = 0
#else
			atomic {
				if
				:: asleep == seen -> asleep = seen + 1
				:: else
				fi
			}
#endif
		:: else
		fi
	od
}
