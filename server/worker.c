/* worker.c - see worker.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

/* lwsws' errors, and what Push says itself (libwebsockets' LLL_ERR and LLL_USER); a client can cause the
 * other kinds at will. */
#define LWSWS_LOG_LEVEL "1025"

static void
exec_lwsws(const char *lwsws, const char *folder, const char *notify_path, int output)
{
	sigset_t none;

	/* dies with pushd; its child follows it, by the broker plugin's own request */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	setenv("NOTIFY_SOCKET", notify_path, 1);
	execlp(lwsws, lwsws, "-n", "-c", folder, "-d", LWSWS_LOG_LEVEL, (char *)NULL);
	fprintf(stderr, "cannot run %s: %s\n", lwsws, strerror(errno));
	_exit(127);
}

bool
worker_start(struct worker *worker, const char *lwsws, const char *folder, const char *notify_path,
	uint64_t now_us)
{
	int pipe_fds[2];
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return false;
	pid = fork();
	if (pid == 0)
		exec_lwsws(lwsws, folder, notify_path, pipe_fds[1]);
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return false;
	}
	setpgid(pid, pid); /* in both: whoever comes first */
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	*worker = (struct worker){.state = WORKER_STARTING,
		.root = pid,
		.child_fd = -1,
		.output_fd = pipe_fds[0],
		.since_us = now_us};
	return true;
}

void
worker_is_ready(struct worker *worker, pid_t child, uint64_t now_us)
{
	worker->state = WORKER_READY;
	worker->since_us = now_us;
	worker->child = child;
	worker->child_fd = (int)syscall(SYS_pidfd_open, child, 0);
	if (worker->child_fd >= 0)
		fcntl(worker->child_fd, F_SETFD, FD_CLOEXEC);
}

void
worker_drain(struct worker *worker, uint64_t now_us)
{
	if (worker->state == WORKER_STARTING) {
		worker_kill(worker);
		return;
	}
	if (worker->state != WORKER_READY)
		return;
	worker->state = WORKER_DRAINING;
	worker->since_us = now_us;
	kill(worker->child, SIGTERM);
}

void
worker_kill(struct worker *worker)
{
	if (worker->state == WORKER_NONE)
		return;
	(void)worker_read_output(worker);
	kill(-worker->root, SIGKILL);
	waitpid(worker->root, NULL, 0);
	if (worker->child_fd >= 0)
		close(worker->child_fd);
	if (worker->output_fd >= 0)
		close(worker->output_fd);
	worker->state = WORKER_NONE;
	worker->child_fd = worker->output_fd = -1;
	worker->child = worker->root = 0;
}

/* What lwsws says about its own processes, which pushd says better. */
static bool
is_chatter(const char *line)
{
	static const char *const starts[] = {"Root process is", "parent process waiting",
		"killing service processes", "lwsws exited cleanly", "root process receives reload"};
	static const char *const parts[] = {"Signal 2 caught", "main: closing", "lws_protocol_init"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (!strncmp(line, starts[i], strlen(starts[i])))
			return true;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strstr(line, parts[i]))
			return true;
	return false;
}

static void
take_line(struct worker *worker)
{
	worker->line[worker->line_size] = '\0';
	worker->line_size = 0;
	if (!worker->line[0] || is_chatter(worker->line))
		return;
	snprintf(worker->last_line, sizeof(worker->last_line), "%s", worker->line);
	fprintf(stderr, "%s\n", worker->line);
}

bool
worker_read_output(struct worker *worker)
{
	char bytes[4096];
	ssize_t size;

	while ((size = read(worker->output_fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < size; i++) {
			if (bytes[i] == '\n' || worker->line_size == sizeof(worker->line) - 1)
				take_line(worker);
			if (bytes[i] != '\n')
				worker->line[worker->line_size++] = bytes[i];
		}
	return size < 0 && (errno == EAGAIN || errno == EINTR);
}
