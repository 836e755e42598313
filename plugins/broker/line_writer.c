/* line_writer.c - see line_writer.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "line_writer.h"

/* A terminal says that it is ready when it has room for so much, n_tty(4). */
#define TERMINAL_BYTES_MAX 128

static bool
is_unix_socket(int fd)
{
	int domain = 0;
	socklen_t size = sizeof(domain);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) && domain == AF_UNIX;
}

void
push_line_writer_init(struct push_line_writer *writer, int fd)
{
	char path[64];
	struct stat about;

	*writer = (struct push_line_writer){.fd = -1, .opened = -1};
	/* one that a program cannot have been started with was opened since, where there was none: it is
	 * something else's */
	if (fstat(fd, &about) || (fcntl(fd, F_GETFD) & FD_CLOEXEC))
		return;
	writer->is_socket = S_ISSOCK(about.st_mode);
	if (writer->is_socket
			? !is_unix_socket(fd)
			: !S_ISREG(about.st_mode) && !S_ISFIFO(about.st_mode) && !S_ISCHR(about.st_mode))
		return;
	writer->fd = fd;
	if (!S_ISFIFO(about.st_mode) && !S_ISCHR(about.st_mode))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	writer->opened = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (writer->opened >= 0)
		writer->fd = writer->opened;
	else
		writer->asks_first = true;
}

void
push_line_writer_fini(struct push_line_writer *writer)
{
	if (writer->opened >= 0)
		close(writer->opened);
	writer->fd = writer->opened = -1;
}

static bool
has_room(const struct push_line_writer *writer)
{
	struct pollfd entry = {.fd = writer->fd, .events = POLLOUT};

	return poll(&entry, 1, 0) == 1 && (entry.revents & POLLOUT);
}

/* How many bytes were taken: all, or as many as there was room for. */
static size_t
write_some(const struct push_line_writer *writer, const char *bytes, size_t size)
{
	size_t done = 0, piece_max = isatty(writer->fd) ? TERMINAL_BYTES_MAX : PIPE_BUF;

	while (done < size) {
		size_t piece = size - done;
		ssize_t written;

		if (writer->asks_first) {
			if (!has_room(writer))
				break;
			piece = piece < piece_max ? piece : piece_max;
		}
		written = writer->is_socket
				  ? send(writer->fd, bytes + done, piece, MSG_DONTWAIT | MSG_NOSIGNAL)
				  : write(writer->fd, bytes + done, piece);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		done += (size_t)written;
	}
	return done;
}

/* Returns whether nothing is left of it. */
static bool
write_rest(struct push_line_writer *writer)
{
	size_t written;

	if (!writer->rest_size)
		return true;
	written = write_some(writer, writer->rest, writer->rest_size);
	writer->rest_size -= written;
	memmove(writer->rest, writer->rest + written, writer->rest_size);
	return !writer->rest_size;
}

bool
push_line_writer_write(struct push_line_writer *writer, const char *line, size_t size)
{
	size_t written;

	if (!size)
		return true;
	written = writer->fd >= 0 && write_rest(writer) ? write_some(writer, line, size) : 0;
	if (!written) {
		writer->dropped++;
		writer->unsaid++;
		return false;
	}
	size -= written;
	if (size > sizeof(writer->rest))
		size = sizeof(writer->rest);
	memcpy(writer->rest, line + written, size);
	writer->rest_size = size;
	return true;
}

uint64_t
push_line_writer_begin_report(struct push_line_writer *writer)
{
	uint64_t count = writer->unsaid;

	if (!count || writer->fd < 0 || !write_rest(writer) || (!writer->is_socket && !has_room(writer)))
		return 0;
	writer->unsaid = 0;
	return count;
}

void
push_line_writer_end_report(struct push_line_writer *writer, uint64_t count)
{
	if (!writer->unsaid)
		return;
	writer->dropped--;
	writer->unsaid = count;
}
