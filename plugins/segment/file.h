/*
 * file.h - a segment that outlives everybody: push.history.file.
 *
 * The file is the segment, mapped; the kernel writes it when it likes, so it outlives every process, but not a
 * loss of power.  When it is opened, every record is looked at: a torn end is cut; one that is broken in the
 * middle, or is of another layout, is set aside as NAME.broken-N, with a line that says so, and a new one is
 * begun.
 */
#ifndef PUSH_SEGMENT_FILE_H
#define PUSH_SEGMENT_FILE_H

#include "segment/repair.h"
#include "segment/segment.h"

struct push_segment_opened {
	struct push_segment_repaired found;
	bool is_new;        /* nothing of before is served */
	bool was_set_aside; /* and `line` says where and why */
	char line[512];     /* for the log; empty: nothing to say */
};

/*
 * push_segment_file_open - by pushd; nobody else has it open (flock(2) is held as long as it is).
 *
 * @settings: of a new one; of one that is there, the history's limit.
 * @path: at most PUSH_OPTION_TEXT_BYTES_MAX.
 * Errors: NULL with the reason in `error`: it cannot be opened or made, or another pushd has it.
 */
struct push_segment *
push_segment_file_open(const char *path, const struct push_segment_settings *settings, uint64_t now_us,
	uint64_t wall_us, struct push_segment_opened *ret, struct push_error *error);

/*
 * push_segment_file_set_aside - one that cannot be used for the reason in `error`, and that others have open yet: they
 * keep it under another name.
 *
 * ret->line says where.  Returns false with the reason in `error`.
 */
bool
push_segment_file_set_aside(const char *path, struct push_segment_opened *ret, struct push_error *error);

#endif
