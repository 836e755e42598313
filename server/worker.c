/* worker.c - see worker.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "direct/vhosts.h"
#include "log_line.h"
#include "shared_broker.h"
#include "tls/ticket_keys.h"
#include "worker.h"

/* lwsws' errors, and what Push says itself (libwebsockets' LLL_ERR and LLL_USER); a client can cause the
 * other kinds at will. */
#define LWSWS_LOG_LEVEL "1025"

/* Lines passed on before other work has its turn, should a worker never stop talking. */
#define READS_PER_TURN_MAX 16

static void
exec_lwsws(const struct worker_setup *setup, int slot, int output, pid_t parent)
{
	sigset_t none;

	/* dies with pushd; its child then drains, by the broker plugin's own request */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	setenv("NOTIFY_SOCKET", setup->notify_path, 1);
	if (setup->vhosts)
		setenv(PUSH_VHOSTS_ENV, setup->vhosts, 1);
	if (setup->stats)
		push_shared_stats_give(setup->stats, setup->stats_slot, setup->number);
	if (setup->ticket_keys)
		push_tls_ticket_keys_give(setup->ticket_keys);
	if (slot >= 0)
		push_segment_give(setup->broker->segment, (unsigned int)slot);
	kept_sockets_preload(setup->shim);
	execlp(setup->lwsws, setup->lwsws, "-n", "-c", setup->folder, "-d", LWSWS_LOG_LEVEL, (char *)NULL);
	dprintf(STDERR_FILENO, "cannot run %s: %s; give its path with --lwsws\n", setup->lwsws,
		strerror(errno));
	_exit(127);
}

bool
worker_start(struct worker *worker, uint64_t now_us)
{
	pid_t pid, parent = getpid();
	int pipe_fds[2], slot;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return false;
	slot = worker->setup.broker ? shared_broker_take_slot(worker->setup.broker) : -1;
	pid = fork();
	if (pid == 0)
		exec_lwsws(&worker->setup, slot, pipe_fds[1], parent);
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		if (slot >= 0)
			shared_broker_worker_ended(worker->setup.broker, slot);
		return false;
	}
	setpgid(pid, pid); /* in both: whoever comes first */
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	*worker = (struct worker){.setup = worker->setup,
		.state = WORKER_STARTING,
		.root = pid,
		.child_fd = -1,
		.output_fd = pipe_fds[0],
		.slot = slot,
		.since_us = now_us,
		.backoff_us = worker->backoff_us};
	return true;
}

bool
worker_owns(const struct worker *worker, pid_t pid)
{
	return worker->state != WORKER_NONE && pid > 0 &&
	       (pid == worker->child || getpgid(pid) == worker->root);
}

static void
set_child(struct worker *worker, pid_t child)
{
	if (worker->child == child)
		return;
	if (worker->child_fd >= 0)
		close(worker->child_fd);
	worker->child = child;
	worker->child_fd =
		pidfd_open(child, 0); /* -1 where it may not be used: then worker_has_ended() is asked */
}

void
worker_resume(struct worker *worker)
{
	pid_t child = worker->child;

	worker->child = 0;
	if (worker->output_fd >= 0)
		fcntl(worker->output_fd, F_SETFL, O_NONBLOCK);
	if (child)
		set_child(worker, child);
}

void
worker_look_for_child(struct worker *worker)
{
	char path[64];
	int child = 0;
	FILE *file;

	if (worker->state != WORKER_STARTING || worker->child)
		return;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)worker->root, (int)worker->root);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fscanf(file, "%9d", &child) == 1 && child > 0)
		set_child(worker, child);
	fclose(file);
}

void
worker_is_ready(struct worker *worker, pid_t child, uint64_t now_us)
{
	worker->state = WORKER_READY;
	worker->since_us = now_us;
	set_child(worker, child);
}

/* How a process that nobody has waited for has ended: fields 3 and 52 of its stat, proc(5). */
static bool
read_zombie(pid_t pid, int *ret_status)
{
	char path[64], text[1024], *after_name, *last;
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	after_name = strrchr(text, ')');
	last = strrchr(text, ' ');
	if (!after_name || !last || last <= after_name || (after_name[2] != 'Z' && after_name[2] != 'X'))
		return false;
	*ret_status = (int)strtol(last, NULL, 10);
	return true;
}

bool
worker_has_ended(const struct worker *worker, char *why, size_t size)
{
	pid_t pid = worker->child ? worker->child : worker->root;
	int status;

	if (read_zombie(pid, &status)) {
		if (WIFSIGNALED(status))
			snprintf(why, size, "was killed by signal %d (%s)", WTERMSIG(status),
				strsignal(WTERMSIG(status)));
		else
			snprintf(why, size, "ended with exit code %d", WEXITSTATUS(status));
		return true;
	}
	if (!kill(pid, 0) || errno != ESRCH)
		return false;
	snprintf(why, size, "ended"); /* and lwsws' root has already taken the reason with it */
	return true;
}

void
worker_drain(struct worker *worker, bool replaced, uint64_t now_us)
{
	worker->restart_at_us = 0;
	if (worker->state == WORKER_STARTING)
		worker_kill(worker);
	if (worker->state != WORKER_READY)
		return;
	worker->state = WORKER_DRAINING;
	worker->since_us = now_us;
	sigqueue(worker->child, SIGTERM, (union sigval){.sival_int = replaced ? WORKER_REPLACED : 0});
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
say_left_out(const struct worker *worker)
{
	unsigned int left_out = 0;

	if (worker->line_count > WORKER_LINES_A_SECOND_MAX)
		left_out += worker->line_count - WORKER_LINES_A_SECOND_MAX;
	if (worker->debug_line_count > WORKER_DEBUG_LINES_A_SECOND_MAX)
		left_out += worker->debug_line_count - WORKER_DEBUG_LINES_A_SECOND_MAX;
	if (left_out)
		log_say(worker->setup.log, PUSH_LOG_WARN, "%u more lines in that second were dropped",
			left_out);
}

/* So many lines a second; what was left out is said with the next line that is not.  Those of the level debug
 * are counted for themselves: they are no reason to leave out an error. */
static bool
may_print(struct worker *worker, enum push_log_level level)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != worker->lines_second) {
		say_left_out(worker);
		worker->lines_second = now.tv_sec;
		worker->line_count = worker->debug_line_count = 0;
	}
	if (level == PUSH_LOG_DEBUG)
		return ++worker->debug_line_count <= WORKER_DEBUG_LINES_A_SECOND_MAX;
	return ++worker->line_count <= WORKER_LINES_A_SECOND_MAX;
}

/* What is more of a line that was cut has no mark of its own. */
static void
take_line(struct worker *worker, bool is_whole)
{
	const struct worker_setup *setup = &worker->setup;
	const struct log_worker who = {
		setup->number, setup->of, worker->child ? worker->child : worker->root};
	enum push_log_level level = worker->line_level;
	size_t start = 0;

	worker->line[worker->line_size] = '\0';
	worker->line_size = 0;
	if (!worker->line_goes_on)
		level = log_line_level(worker->line, &start);
	if (!worker->line_goes_on && worker->state != WORKER_STARTING && log_line_is_of_client(worker->line))
		level = PUSH_LOG_DEBUG;
	worker->line_level = level;
	worker->line_goes_on = !is_whole;
	if (!worker->line[0] || is_chatter(worker->line))
		return;
	if (level != PUSH_LOG_DEBUG)
		strcpy(worker->last_line, worker->line);
	if (log_passes(setup->log, level) && may_print(worker, level))
		log_pass_on(setup->log, &who, level, worker->line, start);
}

void
worker_read_output(struct worker *worker)
{
	char bytes[4096];
	ssize_t size = 0;

	if (worker->output_fd < 0)
		return;
	for (int turn = 0; turn < READS_PER_TURN_MAX; turn++) {
		size = read(worker->output_fd, bytes, sizeof(bytes));
		if (size <= 0)
			break;
		for (ssize_t i = 0; i < size; i++) {
			if (bytes[i] == '\n' || worker->line_size == sizeof(worker->line) - 1)
				take_line(worker, bytes[i] == '\n');
			if (bytes[i] != '\n')
				worker->line[worker->line_size++] = bytes[i];
		}
	}
	if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	take_line(worker, true);
	close(worker->output_fd);
	worker->output_fd = -1;
}

void
worker_kill(struct worker *worker)
{
	if (worker->state == WORKER_NONE)
		return;
	kill(-worker->root, SIGKILL);
	/* the root's children come to pushd when it is gone, as pushd is their subreaper; nobody of them is left
	 * behind that, who could still write to what all share */
	while (waitpid(-worker->root, NULL, 0) > 0 || errno == EINTR)
		;
	worker_read_output(worker);
	take_line(worker, true);
	if (worker->child_fd >= 0)
		close(worker->child_fd);
	if (worker->output_fd >= 0)
		close(worker->output_fd);
	if (worker->setup.stats)
		push_shared_stats_ended(worker->setup.stats, worker->setup.stats_slot);
	if (worker->slot >= 0)
		shared_broker_worker_ended(worker->setup.broker, worker->slot);
	worker->state = WORKER_NONE;
	worker->child_fd = worker->output_fd = worker->slot = -1;
	worker->child = worker->root = 0;
}
