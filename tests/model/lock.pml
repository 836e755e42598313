/*
 * lock.pml - plugins/segment/lock.c: one owner at a time, whoever is killed wherever, and nobody sleeps for ever.
 *
 * The word is {owner, turn, waiters}, each change of it one step.  A worker may be killed between any two steps;
 * another one comes into its slot then, as by pushd.  Left out: spinning, deadlines, junk.
 *
 * With KILLS sleeps also end by themselves at any time, as they do after some milliseconds; without, they end only
 * when they are woken, so that a wake-up that is lost is a deadlock here.
 */
#ifndef KILLS
#define KILLS 0
#endif

#define WORKERS 3
#define ROUNDS  (KILLS -> 1 : 2)
#define TURNS   4 /* enough that it does not come round while somebody looks at it */

byte owner; /* slot + 1; 0: nobody */
byte turn;
bool waiters;

bool gone[WORKERS + 2];     /* the process in the slot */
bool sleeping[WORKERS + 2]; /* in FUTEX_WAIT */
byte kills = KILLS;
byte rounds[WORKERS + 2];

byte inside;    /* processes that are alive and have the lock */
bool half_done; /* what the lock guards is between two states */

#ifdef BREAK_TURN
#define NEXT_TURN turn
#else
#define NEXT_TURN ((turn + 1) % TURNS)
#endif

#ifdef BREAK_WAITERS
#define WAITERS_OF_WHO_SLEPT waiters
#else
#define WAITERS_OF_WHO_SLEPT true
#endif

/* Here it may be killed. */
#define HERE                                                                                                 \
	if                                                                                                   \
	:: atomic { kills > 0 -> kills--; gone[me] = true; inside = inside - has; goto end }                 \
	:: true                                                                                              \
	fi

/* In an atomic step, in which it was seen that the word is as expected. */
inline take(with_waiters)
{
	owner = me;
	turn = NEXT_TURN;
	my_turn = turn;
	waiters = with_waiters;
	assert(inside == 0);
	inside++;
	has = 1
}

inline repair()
{
#ifndef BREAK_REPAIR
	half_done = false
#else
	skip
#endif
}

inline wake_one()
{
	atomic {
		if
		:: sleeping[1] -> sleeping[1] = false
		:: sleeping[2] -> sleeping[2] = false
		:: sleeping[3] -> sleeping[3] = false
		:: sleeping[4] -> sleeping[4] = false
		:: else
		fi
	}
}

inline unlock()
{
	atomic {
		assert(owner == me && turn == my_turn);
		owner = 0;
		my_turn = 0;
		had_waiters = waiters;
		waiters = false;
		inside--;
		has = 0
	}
	HERE;
	if
	:: had_waiters -> had_waiters = false; wake_one()
	:: else
	fi
}

proctype worker(byte me)
{
	byte my_turn, seen_owner, seen_turn, has;
	bool had_waiters, slept;

	do
	:: rounds[me] == ROUNDS -> break
	:: else ->
again:
		atomic {
			seen_owner = owner;
			seen_turn = turn;
			if
			:: !seen_owner || seen_owner == me -> goto try /* me: of one that was here before */
			:: else -> goto wait
			fi
		}
wait:
#if KILLS
		if
#ifdef BREAK_GONE
		:: slept -> goto try
#else
		:: slept && gone[seen_owner] -> goto try
#endif
		:: else
		fi;
#endif
		atomic {
			if
			:: owner == seen_owner && turn == seen_turn -> waiters = true
			:: else -> seen_owner = 0; seen_turn = 0; goto again
			fi
		}
		HERE;
		atomic {
			if
			:: owner == seen_owner && turn == seen_turn && waiters -> sleeping[me] = true
			:: else -> seen_owner = 0; seen_turn = 0; goto again
			fi
		}
		atomic {
			if
			:: !sleeping[me]
#if KILLS
			:: true -> sleeping[me] = false
#endif
			fi;
			slept = true;
			seen_owner = 0;
			seen_turn = 0
		}
		HERE;
		goto again;
try:
		atomic {
			if
			:: owner == seen_owner && turn == seen_turn ->
				if
				:: seen_owner -> take(true)
				:: slept -> take(WAITERS_OF_WHO_SLEPT)
				:: else -> take(waiters)
				fi
			:: else -> seen_owner = 0; seen_turn = 0; goto again
			fi
		}
		HERE;
		if
		:: seen_owner -> repair(); HERE
		:: else
		fi;
		/* it has the lock */
		assert(!half_done);
		half_done = true;
		HERE;
		atomic { half_done = false; rounds[me]++; seen_owner = 0; seen_turn = 0; slept = false }
		HERE;
		unlock()
	od;
end:
	sleeping[me] = false
}

/* Breaks the lock of one that was killed, and gives its slot to another one. */
proctype pushd()
{
	byte me = WORKERS + 1, my_turn, seen_turn, has, slot;
	bool had_waiters;

end_idle:
	do
	:: atomic {
		if
		:: gone[1] -> slot = 1
		:: gone[2] -> slot = 2
		:: gone[3] -> slot = 3
		fi
	}
	atomic {
		seen_turn = turn;
		if
		:: owner == slot
		:: else -> goto given_back
		fi
	}
	atomic {
		if
		:: owner == slot && turn == seen_turn -> take(true)
		:: else -> goto given_back
		fi
	}
	repair();
	/* as unlock(), but that pushd is not killed here */
	atomic { owner = 0; my_turn = 0; had_waiters = waiters; waiters = false; inside--; has = 0 }
	if
	:: had_waiters -> had_waiters = false; wake_one()
	:: else
	fi;
given_back:
	atomic {
		seen_turn = 0;
		if
		:: owner == slot /* it looks again */
		:: else -> gone[slot] = false; run worker(slot); slot = 0
		fi
	}
	od
}

init
{
	atomic { run worker(1); run worker(2); run worker(3); run pushd() }
}
