/*
 * supervisor.c - see supervisor.h.
 *
 * One poll() over a signalfd, the socket that workers notify, and each worker's output and pidfd; after each
 * turn every worker is looked at.  Nothing blocks but the wait for a process that was just killed.
 *
 * SIGHUP starts a new generation beside the one that serves, on the same ports, and only when the new one is
 * ready is the old one told to drain.  If it does not become ready, the old one stays.
 *
 * SIGUSR2 puts another pushd in the place of this one (upgrade.h), which then does the same.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/notify.h"
#include "clock.h"
#include "generation.h"
#include "listen_shim.h"
#include "log.h"
#include "notify_socket.h"
#include "orphans.h"
#include "ports.h"
#include "shared_broker.h"
#include "supervisor.h"
#include "tls/ticket_keys.h"
#include "upgrade.h"
#include "upgrade_state.h"
#include "welcome.h"

#define GENERATIONS_MAX 2
#define WORKERS_MAX     (GENERATIONS_MAX * WORKER_COUNT_MAX)

#define START_TIMEOUT_US 10000000ull
#define BACKOFF_FIRST_US 100000ull
#define BACKOFF_MAX_US   10000000ull
#define BACKOFF_RESET_US 60000000ull

/* Connections that come for a worker which is to be started again wait for it, unless it takes so long. */
#define BACKOFF_SOCKETS_US 1000000ull

/* From the end of a drain until pushd has killed who is left and is gone itself. */
#define END_MARGIN_US 5000000ull

/* Notifications that are read before other work has its turn. */
#define NOTIFICATIONS_PER_TURN_MAX 64

/* While it waits for a worker's child to appear, or for a check, and otherwise. */
#define TURN_STARTING_MS 10
#define TURN_WAITING_MS  200 /* for Redis, once it has been said */

/* How long the broker may take until it is said that Push waits for it. */
#define READY_WAIT_US 1000000ull

#define TURN_MS 1000

/* lws keeps two tables as long as the limit of open files, 16 bytes an entry, and takes fright above ten
 * million. */
#define FILES_MAX 1048576u
#define FILES_LOW 4096u

struct supervisor {
	const struct settings *settings;
	struct generation generations[GENERATIONS_MAX];
	struct generation *serving;          /* NULL until the first one is ready */
	uint64_t served_us;                  /* when it became that */
	bool has_welcomed, has_said_why_not; /* it has been said that Push is ready, or that it is not yet */
	unsigned int serial;                 /* of the last generation */
	struct push_shared_stats *stats;
	struct push_tls_ticket_keys *ticket_keys; /* of all workers; NULL: each has its own */
	struct shared_broker broker;
	struct kept_sockets sockets[WORKER_COUNT_MAX];
	char shim[PATH_MAX];
	char run_dir[RUN_DIR_PATH_BYTES_MAX], notify_path[RUN_DIR_PATH_BYTES_MAX + 8];
	int signal_fd, notify_fd;
	bool stopping;       /* asked to end */
	bool reload_waiting; /* asked to reload while that was not possible */
	struct upgrade upgrade;
	bool upgrade_waiting,
		has_said_upgrade_waits; /* checked, and to be done as soon as that is possible */
	bool running;
	int exit_code;
};

static void
end(struct supervisor *self, int exit_code)
{
	self->exit_code = exit_code;
	self->running = false;
}

/* Workers that give up root still have to reach the socket. */
static void
admit_workers(const struct supervisor *self, const struct config *config)
{
	uid_t user = config_worker_user(config);

	if (!notify_socket_allow(self->notify_path, user))
		log_say(self->settings->log, PUSH_LOG_WARN, "%s: cannot change the owner to user %u: %s",
			self->notify_path, (unsigned int)user, strerror(errno));
}

static struct generation_host
host_of(struct supervisor *self, size_t index)
{
	return (struct generation_host){
		.run_dir = self->run_dir,
		.stats_first = index * WORKER_COUNT_MAX,
		.sockets = self->sockets,
		.setup = {.lwsws = self->settings->lwsws,
			.notify_path = self->notify_path,
			.shim = self->shim,
			.stats = self->stats,
			.ticket_keys = self->ticket_keys,
			.broker = &self->broker,
			.log = self->settings->log},
	};
}

static bool
start_generation(struct supervisor *self, struct generation *generation, struct config *config)
{
	static const char *const names[GENERATIONS_MAX] = {"a", "b"};
	const size_t index = (size_t)(generation - self->generations);
	struct generation_host host = host_of(self, index);
	struct push_error error;

	host.serial = ++self->serial;
	admit_workers(self, config);
	if (worker_count_decide(self->settings, config, &host.worker_count, &error) != PUSH_OK ||
		shared_broker_open(&self->broker, &config->options, host.worker_count, clock_now_us(),
			&error) != PUSH_OK) {
		config_close(config);
	} else {
		if (!config->options.redis_url[0] && !self->broker.segment)
			host.worker_count = 1;
		if (self->stats)
			push_shared_stats_set_workers(self->stats, (uint32_t)host.worker_count);
		if (generation_start(generation, &host, names[index], config, clock_now_us(), &error))
			return true;
	}
	log_say(self->settings->log, PUSH_LOG_ERROR, "%s", error.text);
	return false;
}

/* Of ports and workers that there are no more. */
static void
drop_old_sockets(struct supervisor *self)
{
	for (size_t i = 0; i < WORKER_COUNT_MAX; i++)
		if (i < self->serving->worker_count)
			kept_sockets_drop_older(&self->sockets[i], self->serving->serial);
		else
			kept_sockets_drop(&self->sockets[i]);
}

/* systemd, which goes on all the same. */
static void
say_failed_notification(const struct supervisor *self, const struct push_error *error)
{
	if (error->text[0])
		log_say(self->settings->log, PUSH_LOG_ERROR, "%s", error->text);
}

/* All of a new generation's workers are ready. */
static void
take_over(struct supervisor *self, struct generation *generation)
{
	struct generation *before = self->serving;
	struct push_error error;

	generation->has_served = true;
	self->serving = generation;
	shared_broker_configure(&self->broker, &generation->config->options);
	if (before) {
		log_configure(self->settings->log, &generation->config->options);
		log_say(self->settings->log, PUSH_LOG_INFO,
			"the new configuration is in use; clients of the old %s are asked to "
			"reconnect",
			before->worker_count > 1 ? "workers" : "worker");
		drop_old_sockets(self);
		generation_drain(before, true, clock_now_us());
	} else {
		self->served_us = clock_now_us();
		(void)push_notify_ready(&error);
		say_failed_notification(self, &error);
	}
}

/* Once: that Push is ready, when a publish would succeed; before that, if it takes long, that it is not. */
static void
welcome(struct supervisor *self)
{
	char why[PUSH_TROUBLE_BYTES_MAX];

	if (!self->serving || self->has_welcomed || self->stopping)
		return;
	if (!self->stats || push_shared_stats_accepts(self->stats, why)) {
		self->has_welcomed = true;
		welcome_print(self->settings->log, self->serving->config);
	} else if (*why && !self->has_said_why_not && clock_now_us() - self->served_us >= READY_WAIT_US) {
		self->has_said_why_not = true;
		log_say(self->settings->log, PUSH_LOG_WARN, "Push is running, but not ready: %s", why);
	}
}

static struct worker *
find_worker(struct supervisor *self, pid_t pid, struct generation **ret_generation)
{
	for (size_t i = 0; i < GENERATIONS_MAX; i++)
		for (size_t k = 0; k < self->generations[i].worker_count; k++) {
			*ret_generation = &self->generations[i];
			if (worker_owns(&self->generations[i].workers[k], pid))
				return &self->generations[i].workers[k];
		}
	return NULL;
}

static void
on_ready(struct supervisor *self, struct generation *generation, struct worker *worker,
	const struct notification *notification)
{
	worker_is_ready(worker, notification->sender, clock_now_us());
	/* it would close a socket as if it were the only one to have it, and go on waiting for it */
	if (!notification->hands_over)
		kept_sockets_drop(worker->setup.sockets);
	log_say(self->settings->log, PUSH_LOG_INFO, "worker %d serves", (int)worker->child);
	if (!generation->has_served && generation_is_ready(generation))
		take_over(self, generation);
}

static void
on_notification(struct supervisor *self, const struct notification *notification)
{
	struct generation *generation;
	struct worker *worker = find_worker(self, notification->sender, &generation);

	if (notification->fd >= 0 && worker && !self->stopping)
		kept_sockets_keep(worker->setup.sockets, notification->fd, generation->serial);
	else if (notification->fd >= 0)
		close(notification->fd);
	if (notification->asks)
		notify_socket_answer(self->notify_fd, notification,
			worker ? kept_sockets_find(worker->setup.sockets, &notification->address) : -1);
	if (!worker || worker->state != WORKER_STARTING)
		return;
	if (notification->status[0])
		snprintf(worker->failure, sizeof(worker->failure), "%s", notification->status);
	if (notification->ready)
		on_ready(self, generation, worker, notification);
}

/* `served_us`: how long it was ready before. */
static void
schedule_restart(struct worker *worker, uint64_t served_us)
{
	if (!worker->backoff_us || served_us > BACKOFF_RESET_US)
		worker->backoff_us = BACKOFF_FIRST_US;
	worker->restart_at_us = clock_now_us() + worker->backoff_us;
	if (worker->setup.stats)
		push_shared_stats_restarting(worker->setup.stats);
	/* who waits in them is told so, and who comes goes to the other workers */
	if (worker->backoff_us >= BACKOFF_SOCKETS_US)
		kept_sockets_drop(worker->setup.sockets);
	log_say(worker->setup.log, PUSH_LOG_WARN, "starting another in %llu ms",
		(unsigned long long)(worker->backoff_us / 1000));
	worker->backoff_us =
		worker->backoff_us * 2 < BACKOFF_MAX_US ? worker->backoff_us * 2 : BACKOFF_MAX_US;
}

/* The very first start decides whether pushd runs at all; a new generation's whether there will be one. */
static void
on_start_failed(
	struct supervisor *self, struct generation *generation, struct worker *worker, const char *why)
{
	worker_kill(worker);
	if (worker->failure[0])
		log_say(self->settings->log, PUSH_LOG_ERROR, "the worker did not start: %s", worker->failure);
	else
		log_say(self->settings->log, PUSH_LOG_ERROR, "the worker did not start: it %s%s%s", why,
			worker->last_line[0] ? "; its last line: " : "", worker->last_line);

	if (generation->has_served) {
		schedule_restart(worker, 0);
	} else if (self->serving) {
		log_say(self->settings->log, PUSH_LOG_ERROR, "not reloading, the running workers continue");
		generation_end(generation);
	} else {
		end(self, 1);
	}
}

static void
on_worker_ended(
	struct supervisor *self, struct generation *generation, struct worker *worker, const char *why)
{
	uint64_t age_us = clock_now_us() - worker->since_us;
	enum worker_state state = worker->state;
	int child = (int)worker->child;

	if (state == WORKER_STARTING) {
		on_start_failed(self, generation, worker, why);
		return;
	}
	worker_kill(worker);
	if (state == WORKER_DRAINING) {
		log_say(self->settings->log, PUSH_LOG_INFO, "worker %d %s after draining for %llu ms", child,
			why, (unsigned long long)(age_us / 1000));
		return;
	}
	log_say(self->settings->log, PUSH_LOG_WARN, "worker %d %s after %llu s of service", child, why,
		(unsigned long long)(age_us / 1000000));
	schedule_restart(worker, age_us);
}

static void
restart(struct worker *worker)
{
	worker->restart_at_us = 0;
	if (worker_start(worker, clock_now_us()))
		return;
	log_say(worker->setup.log, PUSH_LOG_ERROR, "cannot start a process: %s", strerror(errno));
	schedule_restart(worker, 0);
}

static void
watch_worker(struct supervisor *self, struct generation *generation, struct worker *worker)
{
	char why[128];

	worker_look_for_child(worker);
	if (worker->state == WORKER_NONE) {
		if (worker->restart_at_us && clock_now_us() >= worker->restart_at_us)
			restart(worker);
	} else if (worker_has_ended(worker, why, sizeof(why))) {
		on_worker_ended(self, generation, worker, why);
	} else if (worker->state == WORKER_STARTING && worker->failure[0]) {
		on_start_failed(self, generation, worker, "");
	} else if (worker->state == WORKER_STARTING && clock_now_us() - worker->since_us > START_TIMEOUT_US) {
		on_start_failed(self, generation, worker, "was not ready within 10 s");
	}
}

static void
watch_generation(struct supervisor *self, struct generation *generation)
{
	for (size_t i = 0; i < generation->worker_count && generation->config && self->running; i++)
		watch_worker(self, generation, &generation->workers[i]);
	if (!generation->config || !generation->stop_by_us)
		return;
	if (generation_is_gone(generation)) {
		generation_end(generation);
	} else if (clock_now_us() > generation->stop_by_us) {
		log_say(self->settings->log, PUSH_LOG_WARN, "a worker did not drain in time, killing it");
		generation_end(generation);
	}
}

/* Kill the one that stands still, with what all wait for; its end is then noticed as any other. */
static void
look_at_broker(struct supervisor *self)
{
	int slot = shared_broker_turn(&self->broker, clock_now_us());

	for (size_t i = 0; slot >= 0 && i < WORKERS_MAX; i++) {
		const struct worker *worker =
			&self->generations[i / WORKER_COUNT_MAX].workers[i % WORKER_COUNT_MAX];

		if (worker->state == WORKER_NONE || worker->slot != slot)
			continue;
		log_say(self->settings->log, PUSH_LOG_ERROR,
			"worker %d stands still and has the broker's lock, for which all others wait: "
			"killing it",
			(int)(worker->child ? worker->child : worker->root));
		kill(-worker->root, SIGKILL);
	}
}

/* What a reload needs: place for another generation; the workers of a killed pushd may have it still. */
static struct generation *
free_generation(struct supervisor *self)
{
	if (!shared_broker_has_room(&self->broker, WORKER_COUNT_EMBEDDED_MAX))
		return NULL;
	for (size_t i = 0; i < GENERATIONS_MAX; i++)
		if (!self->generations[i].config)
			return &self->generations[i];
	return NULL;
}

static void
reload(struct supervisor *self)
{
	struct generation *free_one = free_generation(self);
	struct config *config;
	struct push_error error;

	self->reload_waiting = false;
	config = config_open(self->settings, &error);
	if (!config || ports_check(config, self->serving->config, &error) != PUSH_OK) {
		log_say(self->settings->log, PUSH_LOG_ERROR,
			"not reloading, the running workers continue: %s", error.text);
		config_close(config);
		return;
	}
	log_say(self->settings->log, PUSH_LOG_INFO, "reloading");
	if (!start_generation(self, free_one, config))
		log_say(self->settings->log, PUSH_LOG_ERROR, "not reloading, the running workers continue");
}

/* Whoever sends it has changed something, so it is not forgotten: two that come early make one reload. */
static void
on_sighup(struct supervisor *self)
{
	if (self->stopping) {
		log_say(self->settings->log, PUSH_LOG_WARN, "not reloading: a stop was requested");
	} else if (self->serving && free_generation(self)) {
		reload(self);
	} else {
		log_say(self->settings->log, PUSH_LOG_INFO, "reloading after the current start or reload");
		self->reload_waiting = true;
	}
}

static void
on_sigusr2(struct supervisor *self)
{
	if (self->stopping)
		log_say(self->settings->log, PUSH_LOG_WARN, "not upgrading: a stop was requested");
	else if (self->upgrade.pid || self->upgrade_waiting)
		log_say(self->settings->log, PUSH_LOG_INFO, "is upgrading already");
	else
		(void)upgrade_begin(&self->upgrade, clock_now_us());
}

/* Become another pushd, with all that is needed to go on.  Returns if that failed. */
static void
give_way(struct supervisor *self)
{
	struct upgrade_state state = {
		.notify_fd = self->notify_fd,
		.serial = self->serial,
		.dropped_lines = self->settings->log->output->dropped,
		.sockets = self->sockets,
		.generation = self->serving,
		.index = (size_t)(self->serving - self->generations),
	};

	self->upgrade_waiting = self->has_said_upgrade_waits = false;
	snprintf(state.run_dir, sizeof(state.run_dir), "%s", self->run_dir);
	if (self->stats)
		push_shared_stats_give(self->stats, 0, 0);
	if (self->ticket_keys)
		push_tls_ticket_keys_give(self->ticket_keys);
	shared_broker_leave(&self->broker);
	log_say(self->settings->log, PUSH_LOG_INFO, "upgrading: this process becomes %s, its workers go on",
		self->upgrade.program);
	upgrade_exec(&self->upgrade, upgrade_state_write(&state));
}

static void
look_at_upgrade(struct supervisor *self)
{
	if (self->upgrade.pid && upgrade_look(&self->upgrade, clock_now_us()) == UPGRADE_MAY_GO_ON)
		self->upgrade_waiting = true;
	if (!self->upgrade_waiting || self->stopping)
		return;
	if (self->serving && free_generation(self)) {
		give_way(self);
		return;
	}
	if (!self->has_said_upgrade_waits)
		log_say(self->settings->log, PUSH_LOG_INFO, "upgrading after the current start or reload");
	self->has_said_upgrade_waits = true;
}

static void
on_stop(struct supervisor *self)
{
	uint64_t now = clock_now_us(), stop_by = now;
	struct push_error error;

	if (self->stopping) {
		log_say(self->settings->log, PUSH_LOG_INFO, "second signal: exiting at once");
		end(self, 0);
		return;
	}
	self->stopping = true;
	/* so that a port closes with the workers' own */
	for (size_t i = 0; i < WORKER_COUNT_MAX; i++)
		kept_sockets_drop(&self->sockets[i]);
	for (size_t i = 0; i < GENERATIONS_MAX; i++) {
		generation_drain(&self->generations[i], false, now);
		if (self->generations[i].stop_by_us > stop_by)
			stop_by = self->generations[i].stop_by_us;
	}
	push_notify_stopping(stop_by - now + END_MARGIN_US, &error);
	say_failed_notification(self, &error);
	log_say(self->settings->log, PUSH_LOG_INFO,
		"draining, for at most %llu s; repeat the signal to exit at once",
		(unsigned long long)((stop_by - now) / 1000000));
}

static bool
is_ours(const struct supervisor *self, pid_t pid)
{
	if (self->upgrade.pid == pid)
		return true;
	for (size_t i = 0; i < GENERATIONS_MAX; i++)
		for (size_t k = 0; k < self->generations[i].worker_count; k++) {
			const struct worker *worker = &self->generations[i].workers[k];

			if (worker->state != WORKER_NONE && (worker->root == pid || worker->child == pid))
				return true;
		}
	return false;
}

/* Orphans come to us as their subreaper.  Workers are reaped where they are killed: until then their end can
 * be read. */
static void
reap_orphans(const struct supervisor *self)
{
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid ||
			is_ours(self, info.si_pid))
			return;
		waitpid(info.si_pid, NULL, WNOHANG);
	}
}

static void
read_signals(struct supervisor *self)
{
	struct signalfd_siginfo info;

	while (self->running && read(self->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			on_sighup(self);
		else if (info.ssi_signo == SIGUSR2)
			on_sigusr2(self);
		else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			on_stop(self);
		else
			reap_orphans(self);
	}
}

static int
turn_ms(const struct supervisor *self)
{
	uint64_t now = clock_now_us();
	int turn = shared_broker_turn_ms(&self->broker);

	if (turn > TURN_MS)
		turn = TURN_MS;
	if (self->upgrade.pid)
		turn = TURN_STARTING_MS;
	if (self->serving && !self->has_welcomed)
		turn = self->has_said_why_not && !self->upgrade.pid ? TURN_WAITING_MS : TURN_STARTING_MS;

	for (size_t i = 0; i < GENERATIONS_MAX; i++)
		for (size_t k = 0; k < self->generations[i].worker_count; k++) {
			const struct worker *worker = &self->generations[i].workers[k];
			int wait = TURN_MS;

			if (worker->state == WORKER_STARTING && !worker->child)
				wait = TURN_STARTING_MS;
			else if (worker->state == WORKER_NONE && worker->restart_at_us > now)
				wait = (int)((worker->restart_at_us - now) / 1000) + 1;
			else if (worker->state == WORKER_NONE && worker->restart_at_us)
				wait = 0;
			turn = wait < turn ? wait : turn;
		}
	return turn;
}

/* What is there to wait for: poll() takes no more than there may be descriptors, RLIMIT_NOFILE. */
static nfds_t
list_fds(struct supervisor *self, struct pollfd *fds, struct worker **workers, size_t *ret_worker_count)
{
	nfds_t count = 0;

	*ret_worker_count = 0;
	fds[count++] = (struct pollfd){.fd = self->signal_fd, .events = POLLIN};
	fds[count++] = (struct pollfd){.fd = self->notify_fd, .events = POLLIN};
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		struct worker *worker =
			&self->generations[i / WORKER_COUNT_MAX].workers[i % WORKER_COUNT_MAX];

		if (worker->state == WORKER_NONE)
			continue;
		workers[(*ret_worker_count)++] = worker;
		fds[count++] = (struct pollfd){.fd = worker->output_fd, .events = POLLIN};
		fds[count++] = (struct pollfd){.fd = worker->child_fd, .events = POLLIN};
	}
	return count;
}

static void
run(struct supervisor *self)
{
	while (self->running) {
		struct pollfd fds[2 + 2 * WORKERS_MAX];
		struct worker *workers[WORKERS_MAX];
		struct notification notification;
		size_t worker_count;
		nfds_t count = list_fds(self, fds, workers, &worker_count);

		if (poll(fds, count, turn_ms(self)) < 0 && errno != EINTR) {
			log_say(self->settings->log, PUSH_LOG_ERROR, "poll: %s", strerror(errno));
			return;
		}
		log_look(self->settings->log);
		if (self->stats)
			push_shared_stats_set_dropped_lines(
				self->stats, self->settings->log->output->dropped);
		if (self->ticket_keys)
			push_tls_ticket_keys_rotate(self->ticket_keys, clock_now_us());
		for (size_t i = 0; i < worker_count; i++)
			worker_read_output(workers[i]);
		for (int i = 0; i < NOTIFICATIONS_PER_TURN_MAX; i++)
			if (notify_socket_receive(self->notify_fd, &notification))
				on_notification(self, &notification);
		read_signals(self);
		look_at_broker(self);
		for (size_t i = 0; i < GENERATIONS_MAX; i++)
			watch_generation(self, &self->generations[i]);
		welcome(self);
		if (self->reload_waiting && !self->stopping && self->serving && free_generation(self))
			reload(self);
		look_at_upgrade(self);
		if (self->stopping && !self->generations[0].config && !self->generations[1].config)
			end(self, 0);
	}
}

/* Each client is an open file. */
static void
set_file_limit(const struct log *log)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < FILES_LOW)
		log_say(log, PUSH_LOG_WARN,
			"only %llu files may be open, which limits the number of clients: raise the "
			"hard limit (ulimit -Hn, systemd's LimitNOFILE)",
			(unsigned long long)limit.rlim_cur);
}

static bool
open_signals(struct supervisor *self)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR2);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	self->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (self->signal_fd < 0)
		log_say(self->settings->log, PUSH_LOG_ERROR, "signalfd: %s", strerror(errno));
	return self->signal_fd >= 0;
}

static bool
open_run_dir(struct supervisor *self)
{
	struct push_error error;

	if (run_dir_create(self->run_dir, self->settings->run_dir, &error) != PUSH_OK) {
		log_say(self->settings->log, PUSH_LOG_ERROR, "%s", error.text);
		self->run_dir[0] = '\0';
		return false;
	}
	snprintf(self->notify_path, sizeof(self->notify_path), "%s/" RUN_DIR_SOCKET, self->run_dir);
	self->notify_fd = notify_socket_open(self->notify_path);
	if (self->notify_fd < 0)
		log_say(self->settings->log, PUSH_LOG_ERROR, "%s: %s", self->notify_path, strerror(errno));
	return self->notify_fd >= 0;
}

/* The ports, and what the workers that had them have together, if a pushd that was killed left them behind. */
static bool
take_over_orphans(struct supervisor *self, const struct config *config)
{
	struct push_error error = {0};

	shared_broker_take_over(&self->broker, config, clock_now_us());
	orphans_dislodge(self->settings->log, config);
	if (ports_check(config, NULL, &error) == PUSH_OK)
		return true;
	log_say(self->settings->log, PUSH_LOG_ERROR, "%s", error.text);
	return false;
}

/* Where the generation that serves is, and what it is made of: lwsws reads it there when a worker starts again. */
static struct config *
open_config_of(const struct supervisor *self, const struct generation *generation, struct push_error *error)
{
	struct settings settings = *self->settings;
	struct config *config;

	settings.config = generation->folder;
	settings.plugins = settings.mounts = NULL;
	config = config_open(&settings, error);
	return config ? config : config_open(self->settings, error);
}

static uint64_t
slots_of(const struct generation *generation)
{
	uint64_t slots = 0;

	for (size_t i = 0; i < generation->worker_count; i++)
		if (generation->workers[i].state != WORKER_NONE && generation->workers[i].slot >= 0)
			slots |= 1ull << generation->workers[i].slot;
	return slots;
}

/* What all workers share, of the pushd before.  What is of another version begins anew, for new workers. */
static void
inherit_shared(struct supervisor *self, struct generation *generation, const struct config *config)
{
	const struct log *log = self->settings->log;

	self->stats = push_shared_stats_inherit(GENERATIONS_MAX * WORKER_COUNT_MAX);
	if (self->stats)
		log_take_level(self->settings->log, *push_shared_stats_log_level(self->stats));
	else
		log_say(log, PUSH_LOG_WARN,
			"the metrics of the pushd before are of another version: counters begin at 0");
	self->ticket_keys = push_tls_ticket_keys_inherit(clock_now_us());
	if (!self->ticket_keys)
		log_say(log, PUSH_LOG_WARN, "TLS sessions of before are not resumed");
	shared_broker_inherit(&self->broker, &config->options, slots_of(generation));
	for (size_t i = 0; !self->broker.segment && i < generation->worker_count; i++)
		generation->workers[i].slot = -1;
}

/* Go on as the pushd that was in the place of this one.  False: it cannot be known how. */
static bool
inherit(struct supervisor *self, int state_fd, struct push_error *error)
{
	struct generation found = {0}, *generation;
	struct upgrade_state state = {.sockets = self->sockets, .generation = &found};
	struct generation_host host;
	struct config *config = NULL;

	if (upgrade_state_read(state_fd, &state, error) == PUSH_OK)
		config = open_config_of(self, &found, error);
	if (!config)
		return false;
	close(state_fd);
	generation = &self->generations[state.index];
	*generation = found;
	memcpy(self->run_dir, state.run_dir, sizeof(self->run_dir));
	snprintf(self->notify_path, sizeof(self->notify_path), "%s/" RUN_DIR_SOCKET, self->run_dir);
	self->notify_fd = state.notify_fd;
	self->serial = state.serial;
	self->settings->log->output->dropped = state.dropped_lines;
	log_configure(self->settings->log, &config->options);
	inherit_shared(self, generation, config);
	host = host_of(self, state.index);
	generation_resume(generation, &host, config);
	self->serving = generation;
	self->served_us = clock_now_us();
	self->has_welcomed = true;
	log_say(self->settings->log, PUSH_LOG_INFO, "upgraded to pushd %s", PUSH_VERSION);
	return true;
}

/* As after the end of the pushd before: its workers are orphans. */
static void
begin_anew(struct supervisor *self, const char *why)
{
	log_say(self->settings->log, PUSH_LOG_WARN,
		"cannot go on from the pushd before: %s; taking over as if it had been killed", why);
	memset(self->sockets, 0, sizeof(self->sockets));
	upgrade_let_go(self->settings->log);
}

static void
create_shared(struct supervisor *self)
{
	const struct log *log = self->settings->log;

	if (!self->stats)
		self->stats = push_shared_stats_create(GENERATIONS_MAX * WORKER_COUNT_MAX);
	if (self->stats)
		log_share(self->settings->log, push_shared_stats_log_level(self->stats));
	else
		log_say(log, PUSH_LOG_WARN, "no shared memory, each worker reports only its own metrics: %s",
			strerror(errno));
	if (!self->ticket_keys)
		self->ticket_keys = push_tls_ticket_keys_create(clock_now_us());
	if (!self->ticket_keys)
		log_say(log, PUSH_LOG_WARN,
			"no shared memory, TLS sessions are resumed only by the worker that began them: %s",
			strerror(errno));
}

static void
give_back(struct supervisor *self)
{
	upgrade_end(&self->upgrade);
	for (size_t i = 0; i < GENERATIONS_MAX; i++)
		generation_end(&self->generations[i]);
	for (size_t i = 0; i < WORKER_COUNT_MAX; i++)
		kept_sockets_drop(&self->sockets[i]);
	shared_broker_close(&self->broker);
	log_unshare(self->settings->log);
	push_shared_stats_destroy(self->stats);
	push_tls_ticket_keys_destroy(self->ticket_keys);
	if (self->run_dir[0])
		run_dir_remove(self->run_dir);
	if (self->notify_fd >= 0)
		close(self->notify_fd);
	if (self->signal_fd >= 0)
		close(self->signal_fd);
}

/* Whether there are workers: the first of all, or those of the pushd before and the first of this one. */
static bool
begin(struct supervisor *self, struct config *config)
{
	if (self->serving) {
		config_close(config);
		reload(self);
		return true;
	}
	if (take_over_orphans(self, config) && open_run_dir(self))
		return start_generation(self, &self->generations[0], config);
	config_close(config);
	return false;
}

int
supervise(const struct settings *settings, struct config *config, int state_fd)
{
	struct supervisor self = {.settings = settings,
		.broker = {.log = settings->log},
		.running = true,
		.notify_fd = -1,
		.signal_fd = -1,
		.exit_code = 1};
	struct push_error error;

	upgrade_init(&self.upgrade, settings);
	set_file_limit(settings->log);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!kept_sockets_find_shim(self.shim, sizeof(self.shim)))
		log_say(settings->log, PUSH_LOG_WARN,
			"no " LISTEN_SHIM_FILE " beside pushd: a reload may refuse connections");
	if (state_fd >= 0 && !inherit(&self, state_fd, &error))
		begin_anew(&self, error.text);
	if (!self.serving && !config)
		return self.exit_code;
	create_shared(&self);
	if (!open_signals(&self))
		config_close(config);
	else if (begin(&self, config))
		run(&self);
	give_back(&self);
	if (!self.exit_code)
		log_say(settings->log, PUSH_LOG_INFO, "ended");
	return self.exit_code;
}
