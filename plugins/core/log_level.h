/*
 * log_level.h - how much of what happens is worth a line of the log.
 *
 * ERROR: somebody should look.  WARN: not as it should be, and taken care of.  INFO: what an operator does,
 * and what happens to Push as a whole; nothing that a single client can cause.  DEBUG: each connection, each
 * publish.
 */
#ifndef PUSH_CORE_LOG_LEVEL_H
#define PUSH_CORE_LOG_LEVEL_H

#include <stdbool.h>

/* X(name, text); a level is logged with all that stand before it. */
#define PUSH_LOG_LEVEL_MAP(X)                                                                                \
	X(ERROR, "error")                                                                                    \
	X(WARN, "warn")                                                                                      \
	X(INFO, "info")                                                                                      \
	X(DEBUG, "debug")

enum push_log_level {
#define X(name, text) PUSH_LOG_##name,
	PUSH_LOG_LEVEL_MAP(X)
#undef X
		PUSH_LOG_LEVEL_COUNT
};

/* What stands at the beginning of a line of the broker's, behind lws' own mark, where that does not tell. */
#define PUSH_LOG_PREFIX       "push: "
#define PUSH_LOG_PREFIX_WARN  PUSH_LOG_PREFIX "warning: "
#define PUSH_LOG_PREFIX_DEBUG PUSH_LOG_PREFIX "debug: "

/* push_log_level_parse - by its text, in capitals, too.  Returns false for any other. */
bool
push_log_level_parse(const char *text, enum push_log_level *ret);

/* push_log_level_text - "info". */
const char *
push_log_level_text(enum push_log_level level);

#endif
