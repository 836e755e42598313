/*
 * log.pml - plugins/segment/log.h: what is read was committed, whole, in order, each once, or it is told that some
 * was missed; what was being written when its writer was killed leaves nothing.
 *
 * Writers, one at a time, which may be killed between any two steps; whoever comes next repairs.  A reader without
 * the lock, which copies two words step by step, while the ring of two cells comes round and the two blocks
 * are used again.
 */
#define CELLS    2
#define BLOCKS   2
#define MESSAGES 5

#define IS_FREE  0
#define IS_DRAFT 1
#define IS_LIVE  2

byte first, tail;
byte cell[CELLS];
byte state[BLOCKS], seq[BLOCKS], one[BLOCKS], other[BLOCKS];

bool is_locked;
byte kills = 2;
byte committed[MESSAGES + 1];  /* what was, by place */

#define HERE                                                                                                 \
	if                                                                                                   \
	:: atomic { kills > 0 -> kills--; goto killed }                                     \
	:: true                                                                                              \
	fi

/* Those of committed messages stay; one behind `tail` or before `first` goes. */
#ifdef BREAK_REPAIR
#define STAYS(b) (state[b] == IS_LIVE && seq[b] >= first)
#else
#define STAYS(b) (state[b] == IS_LIVE && seq[b] >= first && seq[b] < tail)
#endif

#define USED ((state[0] != IS_FREE) + (state[1] != IS_FREE))

inline repair()
{
	b = 0;
	do
	:: b == BLOCKS -> break
	:: else ->
		if
		:: STAYS(b)
		:: else ->
			state[b] = IS_FREE;
			HERE
		fi;
		b++
	od
}

/* The oldest leaves: `first` moves before its block is anybody else's. */
inline drop_oldest()
{
	b = cell[first % CELLS];
#ifdef BREAK_FIRST
	state[b] = IS_FREE;
	one[b] = 0;
	HERE;
	first++
#else
	first++;
	HERE;
	state[b] = IS_FREE;
	one[b] = 0
#endif
}

inline append()
{
	if
	:: tail - first == CELLS -> drop_oldest()
	:: else
	fi;
	HERE;
	if
	:: state[0] == IS_FREE -> b = 0
	:: state[1] == IS_FREE -> b = 1
	fi;
	text = tail * 4 + kills + 1; /* each attempt writes another one */
	state[b] = IS_DRAFT;
	seq[b] = tail;
	HERE;
#ifdef BREAK_COMMIT
	cell[tail % CELLS] = b;
	atomic { committed[tail] = text; tail++ }
#endif
	one[b] = text;
	HERE;
	other[b] = text;
	state[b] = IS_LIVE;
	HERE;
#ifndef BREAK_COMMIT
	cell[tail % CELLS] = b;
	HERE;
	atomic { committed[tail] = text; tail++ }
#endif
	HERE
}

/* One after the other, as they have the lock: where one is killed, the next begins with a repair. */
proctype writers()
{
	byte b, text;

	do
	:: tail == MESSAGES && !is_locked -> break
	:: atomic { !is_locked && tail < MESSAGES -> is_locked = true }
		append();
		/* all that is used is in the log, and all of the log is there */
		atomic { assert(USED == tail - first); is_locked = false; b = 0; text = 0 }
	:: is_locked -> /* its owner was killed */
killed:
		repair();
		atomic { assert(USED == tail - first); is_locked = false; b = 0; text = 0 }
	od
}

proctype reader()
{
	byte place, block, copy_one, copy_other, is_overrun, upto;

	do
	:: place == MESSAGES -> break
	:: else ->
		upto = tail;
		if
		:: place == upto -> (tail > place) /* it sleeps */
		:: else ->
#ifdef BREAK_READ
			is_overrun = first > place;
#endif
			block = cell[place % CELLS];
			copy_one = one[block];
			atomic { copy_other = other[block]; block = 0 }
#ifndef BREAK_READ
			is_overrun = first > place;
#endif
			if
			:: is_overrun ->
				/* under the lock: it goes on from the tail, and says so */
				atomic { !is_locked; place = tail }
			:: else ->
				assert(copy_one == committed[place]);
				atomic { assert(copy_other == committed[place]); place++ }
			fi;
			atomic { copy_one = 0; copy_other = 0; upto = 0; is_overrun = false }
		fi
	od
}

init
{
	atomic { run writers(); run reader() }
}
