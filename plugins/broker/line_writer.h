/*
 * line_writer.h - lines of a log to a descriptor that may take none, without ever waiting for it.
 *
 * What reads a log may stand still: a full pipe, a terminal that was stopped, a disk without room.  A server
 * that waits for its log stands still with it.  So a line that is not taken at once is dropped and counted;
 * when there is room again, a line says how many are missing.
 *
 * The descriptor is shared with other processes, so O_NONBLOCK is not set on it, which would be theirs, too:
 * a pipe or terminal is opened anew by its entry in /proc, a socket is written to with MSG_DONTWAIT.  Where a
 * pipe cannot be opened anew (it belongs to another user, as in most containers) it is asked with poll(2)
 * before each write of at most PIPE_BUF, which then fits unless another process writes at that moment.
 */
#ifndef PUSH_BROKER_LINE_WRITER_H
#define PUSH_BROKER_LINE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The rest of a line that was taken in part, so that the next line does not begin in its middle. */
#define PUSH_LINE_WRITER_REST_BYTES_MAX 8192

struct push_line_writer {
	int fd;     /* where to write; -1: there is nothing */
	int opened; /* to be closed; -1: fd is borrowed */
	bool is_socket, asks_first;
	uint64_t dropped; /* lines, ever */
	uint64_t unsaid;  /* those of them that no line has told of */
	size_t rest_size;
	char rest[PUSH_LINE_WRITER_REST_BYTES_MAX];
};

/* push_line_writer_init - write to `fd`, which is borrowed.  One that is no file, pipe, terminal or Unix
 * socket, or that is closed on exec, is none for a log, and takes nothing. */
void
push_line_writer_init(struct push_line_writer *writer, int fd);

void
push_line_writer_fini(struct push_line_writer *writer);

/* push_line_writer_write - a line with its end, or several that belong together.  Returns false where it was
 * dropped. */
bool
push_line_writer_write(struct push_line_writer *writer, const char *line, size_t size);

/*
 * push_line_writer_begin_report - how many lines were dropped, if there is room again for a line that says
 * so; otherwise 0.
 *
 * Whoever writes that line calls push_line_writer_end_report() after it: where it was dropped itself, the
 * report is to be made again.
 */
uint64_t
push_line_writer_begin_report(struct push_line_writer *writer);

void
push_line_writer_end_report(struct push_line_writer *writer, uint64_t count);

#endif
