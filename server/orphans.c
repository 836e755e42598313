/* orphans.c - see orphans.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "orphans.h"
#include "port_holders.h"
#include "run_dir.h"
#include "worker.h"

#define VARIABLE "NOTIFY_SOCKET="

/* A worker that runs leaves its ports within a turn of its loop. */
#define PATIENCE_MS 5000
#define TURN_MS     50

/* For the kernel, to close what a killed one had open. */
#define TURNS_AFTER_KILL 20

/* A worker may have missed that another takes its place while it was told of pushd's end: signals of one kind
 * that wait together are one.  So it is told again. */
#define TURNS_PER_SIGNAL 5

struct search {
	const struct log *log;
	bool is_last; /* whoever is still there is killed */
	bool asks;    /* signals are due in this turn */
	bool is_told; /* the log has the line, which names the first */
	size_t found; /* in this turn */
};

/* The notify socket that a process was started with; false where that is none of a pushd's. */
static bool
read_notify_socket(pid_t pid, struct sockaddr_un *ret)
{
	char path[64], *variable = NULL;
	size_t size = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	while (!found && getdelim(&variable, &size, '\0', file) > 0)
		if (!strncmp(variable, VARIABLE, strlen(VARIABLE)))
			found = run_dir_is_socket(variable + strlen(VARIABLE)) &&
				snprintf(ret->sun_path, sizeof(ret->sun_path), "%s",
					variable + strlen(VARIABLE)) < (int)sizeof(ret->sun_path);
	free(variable);
	fclose(file);
	return found;
}

static pid_t
parent_of(pid_t pid)
{
	char path[64], line[512], *after_name;
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	after_name = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	if (!after_name || sscanf(after_name + 1, " %*c %9d", &parent) != 1)
		parent = 0;
	fclose(file);
	return parent;
}

/* Nobody has it open; or it is gone, which it may only seem to be, in another's file system. */
static bool
is_dead(const struct sockaddr_un *address, bool *ret_is_gone)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), failed;

	*ret_is_gone = false;
	if (fd < 0)
		return false;
	failed = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(fd);
	*ret_is_gone = failed == ENOENT;
	return failed == ECONNREFUSED || failed == ENOENT;
}

static bool
is_orphan(pid_t pid)
{
	struct sockaddr_un socket, of_parent;
	bool is_gone;

	if (!read_notify_socket(pid, &socket) || !is_dead(&socket, &is_gone))
		return false;
	/* lwsws' root goes with pushd, so one that is there has a pushd somewhere */
	return !is_gone || !read_notify_socket(parent_of(pid), &of_parent) ||
	       strcmp(socket.sun_path, of_parent.sun_path) != 0;
}

/* `handle` is of the process that was looked at: its number may be another's by now. */
static void
tell(int handle, pid_t pid, bool kills)
{
	siginfo_t about = {.si_signo = SIGTERM, .si_code = SI_QUEUE};

	if (kills) {
		(void)pidfd_send_signal(handle, SIGKILL, NULL, 0);
		return;
	}
	about.si_pid = getpid();
	about.si_uid = getuid();
	about.si_value.sival_int = WORKER_REPLACED;
	if (pidfd_send_signal(handle, SIGTERM, &about, 0) && errno == ENOSYS)
		(void)sigqueue(pid, SIGTERM, about.si_value);
}

static void
look_at(struct search *search, int port, pid_t pid)
{
	int handle = pidfd_open(pid, 0);

	if (handle < 0)
		return;
	if (is_orphan(pid)) {
		search->found++;
		if (!search->is_told)
			log_say(search->log, PUSH_LOG_WARN,
				"port %d is held by worker %d of a pushd that was killed: taking over and "
				"asking its clients to reconnect",
				port, (int)pid);
		search->is_told = true;
		if (search->is_last)
			log_say(search->log, PUSH_LOG_WARN, "worker %d does not release port %d, killing it",
				(int)pid, port);
		if (search->asks || search->is_last)
			tell(handle, pid, search->is_last);
	}
	close(handle);
}

struct visit {
	bool (*visit)(pid_t pid, void *context);
	void *context;
};

static enum push_status
visit_vhost(const struct config_file *file, struct json_object *vhost, void *context)
{
	const struct visit *visit = context;
	pid_t pids[PORT_HOLDERS_MAX];
	int port = config_port(vhost);
	size_t count = port ? port_holders_find(port, pids) : 0;

	(void)file;
	for (size_t i = 0; i < count; i++)
		if (is_orphan(pids[i]) && visit->visit(pids[i], visit->context))
			return PUSH_UNAVAILABLE; /* which ends the walk */
	return PUSH_OK;
}

bool
orphans_find(const struct config *config, bool (*visit)(pid_t pid, void *context), void *context)
{
	struct visit each = {visit, context};

	return config_for_each_vhost(config, visit_vhost, &each) != PUSH_OK;
}

static enum push_status
look_at_vhost(const struct config_file *file, struct json_object *vhost, void *context)
{
	pid_t pids[PORT_HOLDERS_MAX];
	int port = config_port(vhost);
	size_t count = port ? port_holders_find(port, pids) : 0;

	(void)file;
	for (size_t i = 0; i < count; i++)
		look_at(context, port, pids[i]);
	return PUSH_OK;
}

void
orphans_dislodge(const struct log *log, const struct config *config)
{
	const struct timespec turn = {.tv_nsec = TURN_MS * 1000000};
	struct search search = {.log = log};

	for (unsigned int i = 0; i <= PATIENCE_MS / TURN_MS + TURNS_AFTER_KILL; i++) {
		search.found = 0;
		search.asks = i < PATIENCE_MS / TURN_MS && i % TURNS_PER_SIGNAL == 0;
		search.is_last = i == PATIENCE_MS / TURN_MS;
		(void)config_for_each_vhost(config, look_at_vhost, &search);
		if (!search.found)
			return;
		nanosleep(&turn, NULL);
	}
}
