/* process.h - who a process is, in memory that outlives it. */
#ifndef PUSH_SEGMENT_PROCESS_H
#define PUSH_SEGMENT_PROCESS_H

#include "segment/layout.h"

/*
 * segment_process_claim - write this process down, where nobody is.
 *
 * @from_dead: also in the place of one that is gone.
 * Returns false where another process stands; true also if this one stands there already.
 */
bool
segment_process_claim(struct segment_process *process, bool from_dead);

/* segment_process_clear - nobody. */
void
segment_process_clear(struct segment_process *process);

/* segment_process_is_gone - it has ended, or there is nobody.  In doubt it is there. */
bool
segment_process_is_gone(const struct segment_process *process);

#endif
