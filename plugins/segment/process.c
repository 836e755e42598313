/* process.c - see process.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segment/process.h"

/* In /proc/PID/stat, counted from the state, which is the first behind the name (proc(5)). */
#define FIELD_STARTED 19

/* Of one that has ended and was not waited for, or is just leaving. */
#define IS_ENDED(state) ((state) == 'Z' || (state) == 'X')

/* Its state and when it was started.  False: nothing is known. */
static bool
look_up(uint32_t pid, char *ret_state, uint64_t *ret_started)
{
	char path[32], text[1024], *at;
	ssize_t size;
	int fd, field;

	snprintf(path, sizeof(path), "/proc/%u/stat", (unsigned int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[size > 0 ? size : 0] = '\0';
	/* the name may hold anything, blanks and parentheses too */
	at = strrchr(text, ')');
	if (!at || at[1] != ' ' || !at[2])
		return false;
	at += 2;
	*ret_state = *at;
	for (field = 0; at && field < FIELD_STARTED; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	*ret_started = at ? strtoull(at, NULL, 10) : 0;
	return true;
}

bool
segment_process_claim(struct segment_process *process, bool from_dead)
{
	uint32_t before = atomic_load_explicit(&process->pid, memory_order_relaxed),
		 self = (uint32_t)getpid();
	uint64_t started = 0;
	char state;

	(void)(look_up(self, &state, &started));
	if (before == self && atomic_load_explicit(&process->started, memory_order_relaxed) == started)
		return true;
	if (before && !(from_dead && segment_process_is_gone(process)))
		return false;
	if (!atomic_compare_exchange_strong_explicit(
		    &process->pid, &before, self, memory_order_acq_rel, memory_order_relaxed))
		return false;
	/* nobody looks at it before the lock is taken, which releases this */
	atomic_store_explicit(&process->started, started, memory_order_relaxed);
	return true;
}

void
segment_process_clear(struct segment_process *process)
{
	atomic_store_explicit(&process->started, 0, memory_order_relaxed);
	/* release: who finds the place empty finds all of it so, and may have it */
	atomic_store_explicit(&process->pid, 0, memory_order_release);
}

bool
segment_process_is_gone(const struct segment_process *process)
{
	uint32_t pid = atomic_load_explicit(&process->pid, memory_order_acquire);
	uint64_t started = atomic_load_explicit(&process->started, memory_order_relaxed), found;
	char state;

	if (!pid || pid > INT_MAX)
		return true;
	if (kill((pid_t)pid, 0) && errno == ESRCH)
		return true;
	if (!look_up(pid, &state, &found))
		return false;
	return IS_ENDED(state) || (started && found && found != started);
}
