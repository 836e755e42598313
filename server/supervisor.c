/*
 * supervisor.c - see supervisor.h.
 *
 * One poll() over a signalfd, the socket that workers notify, and each worker's output and pidfd.
 *
 * There are at most two generations of workers: the one that serves and, after SIGHUP, the one before, which
 * drains.  A new generation is started beside the old one, on the same ports, and only when it is ready is
 * the old one told to drain; if it does not become ready, the old one stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/notify.h"
#include "supervisor.h"
#include "worker.h"

/* The embedded broker lives in one process. */
#define GENERATION_WORKERS_MAX 1
#define WORKERS_MAX	       (2 * GENERATION_WORKERS_MAX)

#define START_TIMEOUT_US   10000000ull
#define BACKOFF_FIRST_US   100000ull
#define BACKOFF_MAX_US	   10000000ull
#define BACKOFF_RESET_US   60000000ull
#define STOP_MARGIN_US	   5000000ull
#define FILES_LOW	   4096
#define RUN_PATH_BYTES_MAX 90 /* lwsws cuts a path at 127 */

struct supervisor {
	const struct settings *settings;
	struct config *config;
	struct worker workers[WORKERS_MAX];
	int current; /* index of the worker that serves */
	bool ever_ready, stopping;
	uint64_t stop_by_us, restart_at_us, backoff_us;
	int signal_fd, notify_fd, exit_code;
	bool running;
	char run_dir[RUN_PATH_BYTES_MAX], notify_path[RUN_PATH_BYTES_MAX + 16];
};

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
end(struct supervisor *self, int exit_code)
{
	self->exit_code = exit_code;
	self->running = false;
}

static bool
make_run_dir(struct supervisor *self)
{
	const char *bases[] = {self->settings->run_dir, getenv("RUNTIME_DIRECTORY"), getenv("TMPDIR"), "/tmp"};

	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		if (!bases[i] || !*bases[i] ||
			snprintf(self->run_dir, sizeof(self->run_dir), "%s/pushd-XXXXXX", bases[i]) >=
				(int)sizeof(self->run_dir))
			continue;
		if (mkdtemp(self->run_dir)) {
			snprintf(self->notify_path, sizeof(self->notify_path), "%s/notify", self->run_dir);
			return true;
		}
		if (i == 0)
			break; /* it was asked for: do not go elsewhere */
	}
	fprintf(stderr, "pushd: cannot make a folder for the running configuration: %s; give one with --run-dir\n",
		strerror(errno));
	return false;
}

static void
remove_run_dir(struct supervisor *self)
{
	char path[RUN_PATH_BYTES_MAX + CONFIG_NAME_BYTES_MAX + 2];

	for (size_t i = 0; i < self->config->file_count; i++) {
		snprintf(path, sizeof(path), "%s/%s", self->run_dir, self->config->files[i].name);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/conf.d", self->run_dir);
	rmdir(path);
	unlink(self->notify_path);
	rmdir(self->run_dir);
}

static bool
open_notify_socket(struct supervisor *self)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int on = 1;

	memcpy(address.sun_path, self->notify_path, strlen(self->notify_path) + 1);
	self->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (self->notify_fd >= 0 && !bind(self->notify_fd, (struct sockaddr *)&address, sizeof(address)) &&
		!setsockopt(self->notify_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		return true;
	fprintf(stderr, "pushd: %s: %s\n", self->notify_path, strerror(errno));
	return false;
}

static bool
open_signals(struct supervisor *self)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	self->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return self->signal_fd >= 0;
}

/* Each client is an open file. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < FILES_LOW)
		fprintf(stderr, "pushd: at most %llu files may be open, so fewer clients fit (ulimit -Hn)\n",
			(unsigned long long)limit.rlim_max);
}

static bool
start(struct supervisor *self, int index)
{
	struct push_error error;

	if (config_render(self->config, self->run_dir, &error) != PUSH_OK) {
		fprintf(stderr, "pushd: %s\n", error.text);
		return false;
	}
	if (!worker_start(&self->workers[index], self->settings->lwsws, self->run_dir, self->notify_path, now_us())) {
		fprintf(stderr, "pushd: cannot start %s: %s\n", self->settings->lwsws, strerror(errno));
		return false;
	}
	return true;
}

static void
print_ways_in(struct supervisor *self)
{
	int port = config_find_port(self->config, "push");
	int management = config_find_port(self->config, "management");

	fprintf(stderr,
		"\n"
		"Push is ready.\n"
		"  publish     curl -H 'Content-Type: application/json' http://localhost:%d/messages \\\n"
		"                   -d '{\"channel\":\"qwerty\",\"message\":\"hello\"}'\n"
		"  subscribe   curl -N 'http://localhost:%d/sse/messages?channels=qwerty'\n"
		"              websocat 'ws://localhost:%d/ws/messages?channels=qwerty'\n"
		"  look        http://localhost:%d/                     the console\n"
		"              http://localhost:%d/actuator/health      is it well\n"
		"              http://localhost:%d/actuator/prometheus  metrics\n"
		"  stop        Ctrl-C, or kill %d: clients are asked to reconnect within push.drain.duration\n\n",
		port, port, port, port, management, management, (int)getpid());
}

static struct worker *
find_worker(struct supervisor *self, pid_t pid)
{
	pid_t group = getpgid(pid);

	for (int i = 0; i < WORKERS_MAX; i++)
		if (self->workers[i].state != WORKER_NONE && self->workers[i].root == group)
			return &self->workers[i];
	return NULL;
}

static void
on_ready(struct supervisor *self, struct worker *worker, pid_t child)
{
	int index = (int)(worker - self->workers);

	if (worker->state != WORKER_STARTING)
		return;
	worker_is_ready(worker, child, now_us());
	fprintf(stderr, "pushd: worker %d serves\n", (int)child);
	if (self->stopping) {
		worker_drain(worker, now_us());
		return;
	}
	if (index != self->current && self->workers[self->current].state == WORKER_READY) {
		fprintf(stderr, "pushd: draining worker %d\n", (int)self->workers[self->current].child);
		worker_drain(&self->workers[self->current], now_us());
	}
	self->current = index;
	if (!self->ever_ready) {
		print_ways_in(self);
		push_notify_ready();
	}
	self->ever_ready = true;
}

/* One datagram of NAME=VALUE lines, from a process whose group is known to be a worker's. */
static void
on_notification(struct supervisor *self, struct worker *worker, char *text, pid_t sender)
{
	bool ready = false;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strcmp(line, "READY=1"))
			ready = true;
		else if (!strncmp(line, "STATUS=", 7))
			snprintf(worker->failure, sizeof(worker->failure), "%s", line + 7);
	}
	if (ready)
		on_ready(self, worker, sender);
}

static void
read_notifications(struct supervisor *self)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	char text[2048];
	ssize_t size;

	for (;;) {
		struct iovec piece = {text, sizeof(text) - 1};
		struct msghdr message = {.msg_iov = &piece,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes)};
		struct cmsghdr *header;
		struct ucred sender;
		struct worker *worker;

		size = recvmsg(self->notify_fd, &message, MSG_DONTWAIT);
		if (size < 0)
			return;
		text[size] = '\0';
		header = CMSG_FIRSTHDR(&message);
		if (!header || header->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&sender, CMSG_DATA(header), sizeof(sender));
		worker = find_worker(self, sender.pid);
		if (worker)
			on_notification(self, worker, text, sender.pid);
	}
}

/* A start that failed: the end if there was never a worker, else the old one stays or another try follows. */
static void
on_start_failed(struct supervisor *self, struct worker *worker, const char *why)
{
	int index = (int)(worker - self->workers);
	uint64_t now = now_us();

	(void)worker_read_output(worker);
	fprintf(stderr, "pushd: the worker did not start: %s\n",
		worker->failure[0]     ? worker->failure
		: worker->last_line[0] ? worker->last_line
				       : why);
	worker_kill(worker);
	if (!self->ever_ready) {
		end(self, 1);
	} else if (index != self->current && self->workers[self->current].state == WORKER_READY) {
		fprintf(stderr, "pushd: keeping the worker that serves\n");
	} else {
		self->restart_at_us = now + self->backoff_us;
		self->backoff_us =
			self->backoff_us * 2 < BACKOFF_MAX_US ? self->backoff_us * 2 : BACKOFF_MAX_US;
	}
}

static void
on_child_ended(struct supervisor *self, struct worker *worker)
{
	bool drained = worker->state == WORKER_DRAINING;
	uint64_t now = now_us(), age_us = now - worker->since_us;
	pid_t child = worker->child;

	worker_kill(worker);
	if (drained) {
		fprintf(stderr, "pushd: worker %d has drained\n", (int)child);
		return;
	}
	if (age_us > BACKOFF_RESET_US)
		self->backoff_us = BACKOFF_FIRST_US;
	fprintf(stderr, "pushd: worker %d died after %llu s, starting another in %llu ms\n", (int)child,
		(unsigned long long)(age_us / 1000000), (unsigned long long)(self->backoff_us / 1000));
	self->restart_at_us = now + self->backoff_us;
	self->backoff_us = self->backoff_us * 2 < BACKOFF_MAX_US ? self->backoff_us * 2 : BACKOFF_MAX_US;
}

static bool
reload_config(struct supervisor *self)
{
	struct config fresh;
	struct push_error error;

	if (config_load(&fresh, self->settings->config, &error) != PUSH_OK ||
		config_override(&fresh, self->settings, &error) != PUSH_OK ||
		config_check(&fresh, &error) != PUSH_OK) {
		fprintf(stderr, "pushd: not reloading, the configuration is bad: %s\n", error.text);
		config_free(&fresh);
		return false;
	}
	config_free(self->config);
	*self->config = fresh;
	return true;
}

static void
on_sighup(struct supervisor *self)
{
	int other = 1 - self->current;

	if (self->stopping || !self->ever_ready)
		return;
	if (self->workers[other].state != WORKER_NONE) {
		fprintf(stderr, "pushd: not reloading, the last reload is still under way\n");
		return;
	}
	fprintf(stderr, "pushd: reloading\n");
	if (reload_config(self))
		(void)start(self, other);
}

static void
on_stop(struct supervisor *self)
{
	const struct push_options *options = &self->config->options;
	uint64_t now = now_us();

	if (self->stopping) {
		fprintf(stderr, "pushd: asked again, ending at once\n");
		end(self, 0);
		return;
	}
	self->stopping = true;
	self->restart_at_us = 0;
	self->stop_by_us = now + options->drain_us + 2 * options->grace_us + STOP_MARGIN_US;
	fprintf(stderr, "pushd: draining, for at most %llu s\n",
		(unsigned long long)((self->stop_by_us - now) / 1000000));
	push_notify_stopping();
	for (int i = 0; i < WORKERS_MAX; i++)
		worker_drain(&self->workers[i], now);
}

/* A root that ended by itself could not be run, or was killed. */
static void
reap(struct supervisor *self)
{
	siginfo_t info;

	for (int i = 0; i < WORKERS_MAX; i++) {
		struct worker *worker = &self->workers[i];

		info.si_pid = 0;
		if (worker->state == WORKER_NONE ||
			waitid(P_PID, (id_t)worker->root, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
			continue;
		if (worker->state == WORKER_STARTING)
			on_start_failed(self, worker, "lwsws ended");
		else if (worker->state == WORKER_READY)
			on_child_ended(self, worker);
	}
	/* grandchildren that came to us as their subreaper; workers' own roots are reaped where they are killed */
	for (;;) {
		bool ours = false;

		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
			return;
		for (int i = 0; i < WORKERS_MAX; i++)
			ours = ours || (self->workers[i].state != WORKER_NONE && self->workers[i].root == info.si_pid);
		if (ours)
			return;
		waitpid(info.si_pid, NULL, WNOHANG);
	}
}

static void
read_signals(struct supervisor *self)
{
	struct signalfd_siginfo info;

	while (read(self->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			on_sighup(self);
		else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			on_stop(self);
		else
			reap(self);
	}
}

static void
check_times(struct supervisor *self)
{
	uint64_t now = now_us();
	bool any = false;

	for (int i = 0; i < WORKERS_MAX; i++) {
		struct worker *worker = &self->workers[i];

		if (worker->state == WORKER_STARTING &&
			(worker->failure[0] || now - worker->since_us > START_TIMEOUT_US))
			on_start_failed(self, worker, "it did not say that it is ready within 10 s");
		any = any || worker->state != WORKER_NONE;
	}
	if (self->stopping && any && now > self->stop_by_us) {
		fprintf(stderr, "pushd: the worker did not drain in time, killing it\n");
		any = false;
	}
	if (self->stopping && !any)
		end(self, 0);
	if (self->restart_at_us && now >= self->restart_at_us && self->running) {
		self->restart_at_us = 0;
		if (!start(self, self->current))
			self->restart_at_us = now + BACKOFF_MAX_US;
	}
}

static int
fill_poll(struct supervisor *self, struct pollfd *fds)
{
	int count = 0;

	fds[count++] = (struct pollfd){.fd = self->signal_fd, .events = POLLIN};
	fds[count++] = (struct pollfd){.fd = self->notify_fd, .events = POLLIN};
	for (int i = 0; i < WORKERS_MAX; i++) {
		bool used = self->workers[i].state != WORKER_NONE;

		fds[count++] = (struct pollfd){.fd = used ? self->workers[i].output_fd : -1, .events = POLLIN};
		fds[count++] = (struct pollfd){.fd = used ? self->workers[i].child_fd : -1, .events = POLLIN};
	}
	return count;
}

static void
serve_worker(struct supervisor *self, struct worker *worker, bool output, bool ended)
{
	if (output && worker->state != WORKER_NONE && !worker_read_output(worker)) {
		close(worker->output_fd);
		worker->output_fd = -1;
		if (worker->state == WORKER_STARTING)
			on_start_failed(self, worker, "it ended");
	}
	if (ended && worker->state != WORKER_NONE)
		on_child_ended(self, worker);
}

static void
run(struct supervisor *self)
{
	struct pollfd fds[2 + 2 * WORKERS_MAX];

	while (self->running) {
		int count = fill_poll(self, fds), wait_ms = 1000;

		if (self->restart_at_us)
			wait_ms = 20;
		if (poll(fds, (nfds_t)count, wait_ms) < 0 && errno != EINTR)
			break;
		read_notifications(self);
		for (int i = 0; i < WORKERS_MAX; i++)
			serve_worker(self, &self->workers[i], fds[2 + 2 * i].fd >= 0 && fds[2 + 2 * i].revents,
				fds[3 + 2 * i].fd >= 0 && fds[3 + 2 * i].revents);
		read_signals(self);
		check_times(self);
	}
}

int
supervise(const struct settings *settings, struct config *config)
{
	struct supervisor self = {.settings = settings,
		.config = config,
		.backoff_us = BACKOFF_FIRST_US,
		.running = true,
		.notify_fd = -1,
		.signal_fd = -1,
		.exit_code = 1};

	if (settings->workers > GENERATION_WORKERS_MAX)
		fprintf(stderr, "pushd: --workers %d: the embedded broker lives in one process, so one worker runs\n",
			settings->workers);
	raise_file_limit();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!make_run_dir(&self))
		return 1;
	if (open_signals(&self) && open_notify_socket(&self) && start(&self, 0))
		run(&self);
	for (int i = 0; i < WORKERS_MAX; i++)
		worker_kill(&self.workers[i]);
	remove_run_dir(&self);
	if (self.notify_fd >= 0)
		close(self.notify_fd);
	if (self.signal_fd >= 0)
		close(self.signal_fd);
	if (!self.exit_code)
		fprintf(stderr, "pushd: ended\n");
	return self.exit_code;
}
