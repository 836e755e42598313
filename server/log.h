/*
 * log.h - everything that pushd and its workers have to say, on stderr, a line each.
 *
 *   text   as it is: "pushd: worker 12 serves", "[2026/01/02 03:04:05:6789] U: push: drained, ending"
 *   json   {"time":...,"level":...,"component":"worker","worker":1,"pid":12,"message":"drained, ending"}
 *
 * Nothing waits for who reads it: lines that are not taken are dropped and counted (broker/line_writer.h).
 *
 * What the format is, is known when the configuration is; until then it is as the environment says, so that
 * an error in the configuration has it, too.  The level is a word that workers share (broker/shared_stats.h):
 * an operator may change it at any of them.
 */
#ifndef PUSHD_LOG_H
#define PUSHD_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/line_writer.h"
#include "core/log_level.h"
#include "core/options.h"

struct log {
	struct push_line_writer *output;
	bool is_json;
	uint32_t own_level;
	uint32_t *level;     /* enum push_log_level */
	uint32_t level_seen; /* the last one that was told of */
};

/* A worker whose line is passed on. */
struct log_worker {
	unsigned int number, of; /* this one, from 1 on, and how many there are */
	pid_t pid;
};

/* log_init - to `output`, as PUSH_LOG_FORMAT and PUSH_LOG_LEVEL say, as far as they are right. */
void
log_init(struct log *log, struct push_line_writer *output);

/* log_expect - likewise, by values that have not been checked; NULL: the configuration says nothing. */
void
log_expect(struct log *log, const char *format, const char *level);

/* log_configure - as checked options say. */
void
log_configure(struct log *log, const struct push_options *options);

/* log_take_level - from now on; it is no change that is told of. */
void
log_take_level(struct log *log, uint32_t level);

/* log_share - keep the level in that word from now on. */
void
log_share(struct log *log, uint32_t *level);

/* log_look - say that the level has changed, if it has, and that lines were dropped, if there is room again;
 * at any level, so that who sees less can see why. */
void
log_look(struct log *log);

/* log_unshare - the memory of that word is about to go; the level stays. */
void
log_unshare(struct log *log);

/* log_say - a line of pushd's own; in text it begins with "pushd: ". */
void
log_say(const struct log *log, enum push_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* log_say_fields - likewise, in JSON only: `fields` are members of an object. */
void
log_say_fields(const struct log *log, enum push_log_level level, const char *message, const char *fields);

/* log_write - bytes as they are, for what is no line. */
void
log_write(const struct log *log, const char *bytes, size_t size);

/* log_passes - whether lines of this level are wanted. */
bool
log_passes(const struct log *log, enum push_log_level level);

/* log_pass_on - a line of a worker's whose level is wanted; its text begins at `start` (log_line_level). */
void
log_pass_on(const struct log *log, const struct log_worker *worker, enum push_log_level level,
	const char *line, size_t start);

#endif
