/*
 * log_line.h - a line of the log as a JSON object, whatever bytes it is made of; and what a worker's line
 * says of itself.
 */
#ifndef PUSHD_LOG_LINE_H
#define PUSHD_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "core/buf.h"
#include "core/log_level.h"

/* An object: a line of a worker's, six times as long where all of it has to be escaped, and what is around.
 */
#define LOG_OBJECT_BYTES_MAX (8 * 1024)

struct log_record {
	struct timespec time; /* of CLOCK_REALTIME */
	enum push_log_level level;
	const char *component; /* "pushd" or "worker" */
	unsigned int worker;   /* its number; 0: none */
	pid_t pid;
	const char *message; /* any bytes */
	size_t message_size;
	const char *fields; /* members of an object, valid JSON, without its braces; NULL: none */
	size_t fields_size;
};

/*
 * log_line_append - `{"time":"2026-01-02T03:04:05.678Z","level":"info",...}` and a line feed.
 *
 * Control characters are escaped; what is not UTF-8 becomes U+FFFD, one for each byte.
 */
void
log_line_append(struct push_buf *to, const struct log_record *record);

/*
 * log_line_level - of a line that a worker has written.
 *
 * lws marks its own, "[2026/01/02 03:04:05:6789] E: text"; Push's plugins say more behind that (log_level.h).
 * A line without a mark is none of theirs: what a program says before it dies.
 * *ret_size is where the text begins: behind the mark and "push: ".
 */
enum push_log_level
log_line_level(const char *line, size_t *ret_start);

/*
 * log_line_is_of_client - of a line of a worker that serves: whether lws says what it says at level error of
 * what a client did.
 *
 * Which is all that it says itself then (a head over 4 kB, a malformed list), but for what the system has not
 * got: descriptors, memory.
 */
bool
log_line_is_of_client(const char *line);

/*
 * log_line_split - find the JSON object at the end of a line of Push's own (broker/debug_log.h).
 *
 * Returns the size of the words before it, and its members in *ret_fields; all of the text where there is
 * none, or it is no valid one.
 */
size_t
log_line_split(const char *text, size_t size, const char **ret_fields, size_t *ret_fields_size);

#endif
