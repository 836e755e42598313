/* upgrade.c - see upgrade.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "upgrade.h"
#include "upgrade_state.h"
#include "worker_count.h"

extern char **environ;

/* Reading a configuration takes milliseconds; a machine may be overloaded. */
#define CHECK_TIMEOUT_US 20000000ull

#define ARGUMENTS_MAX 64

/* What pushd gives to programs that it runs. */
#define OUR_VARIABLES "PUSHD_"

/* As the shell found it, and no link resolved: it may lead to another one by now. */
static bool
find_in_path(const char *name, char *to)
{
	const char *folders = getenv("PATH");

	while (folders && *folders) {
		size_t length = strcspn(folders, ":");

		if (*folders == '/' &&
			snprintf(to, PATH_MAX, "%.*s/%s", (int)length, folders, name) < PATH_MAX &&
			!access(to, X_OK))
			return true;
		folders += length + (folders[length] == ':');
	}
	return false;
}

static bool
is_this_program(const char *path)
{
	struct stat one, other;

	return !stat(path, &one) && !stat("/proc/self/exe", &other) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

void
upgrade_init(struct upgrade *self, const struct settings *settings)
{
	const char *name = settings->arguments[0];
	char folder[PATH_MAX];
	ssize_t size;

	*self = (struct upgrade){.settings = settings, .output_fd = -1};
	if (*name == '/')
		snprintf(self->program, sizeof(self->program), "%s", name);
	else if (!strchr(name, '/'))
		(void)find_in_path(name, self->program);
	else if (!getcwd(folder, sizeof(folder)) || snprintf(self->program, sizeof(self->program), "%s/%s",
							    folder, name) >= (int)sizeof(self->program))
		self->program[0] = '\0';
	if (is_this_program(self->program))
		return;
	/* whoever started it may have given it any name */
	size = readlink("/proc/self/exe", self->program, sizeof(self->program) - 1);
	self->program[size > 0 ? size : 0] = '\0';
}

/* The command line has the number, or the environment had it. */
static void
give_back_workers(const struct settings *settings)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", settings->workers);
	if (settings->workers)
		(void)setenv(WORKER_COUNT_VARIABLE, text, 1);
}

static void
exec_check(const struct upgrade *self, int output, pid_t parent)
{
	char *arguments[ARGUMENTS_MAX + 2];
	sigset_t none;
	size_t count = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	give_back_workers(self->settings);
	(void)setenv(UPGRADE_VARIABLE, "?", 1);
	for (; count < ARGUMENTS_MAX && self->settings->arguments[count]; count++)
		arguments[count] = self->settings->arguments[count];
	arguments[count++] = (char[]){"--check"};
	arguments[count] = NULL;
	execv(self->program, arguments);
	dprintf(STDERR_FILENO, "%s\n", strerror(errno));
	_exit(127);
}

bool
upgrade_begin(struct upgrade *self, uint64_t now_us)
{
	const struct log *log = self->settings->log;
	pid_t parent = getpid();
	int pipe_fds[2];

	if (!self->program[0] || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK)) {
		log_say(log, PUSH_LOG_ERROR, "not upgrading: %s",
			self->program[0] ? strerror(errno) : "it is unknown where pushd was started from");
		return false;
	}
	self->pid = fork();
	if (self->pid == 0)
		exec_check(self, pipe_fds[1], parent);
	close(pipe_fds[1]);
	if (self->pid < 0) {
		log_say(log, PUSH_LOG_ERROR, "not upgrading: cannot start a process: %s", strerror(errno));
		close(pipe_fds[0]);
		self->pid = 0;
		return false;
	}
	self->output_fd = pipe_fds[0];
	self->since_us = now_us;
	self->can_take_over = false;
	self->line_size = 0;
	self->last_line[0] = '\0';
	log_say(log, PUSH_LOG_INFO, "upgrading: checking %s", self->program);
	return true;
}

static void
take_line(struct upgrade *self)
{
	self->line[self->line_size] = '\0';
	self->line_size = 0;
	if (!strncmp(self->line, UPGRADE_ANSWER, strlen(UPGRADE_ANSWER)))
		self->can_take_over = true;
	else if (self->line[0])
		strcpy(self->last_line, self->line);
}

static void
read_output(struct upgrade *self)
{
	char bytes[UPGRADE_LINE_BYTES_MAX];
	ssize_t size;

	while ((size = read(self->output_fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < size; i++) {
			if (bytes[i] == '\n' || self->line_size == sizeof(self->line) - 1)
				take_line(self);
			if (bytes[i] != '\n')
				self->line[self->line_size++] = bytes[i];
		}
}

enum upgrade_check
upgrade_look(struct upgrade *self, uint64_t now_us)
{
	const char *why = NULL;
	int status = 0;

	read_output(self);
	if (waitpid(self->pid, &status, WNOHANG) == 0) {
		if (now_us - self->since_us < CHECK_TIMEOUT_US)
			return UPGRADE_IS_CHECKING;
		kill(self->pid, SIGKILL);
		waitpid(self->pid, &status, 0);
		why = "its check took too long";
	}
	read_output(self);
	take_line(self);
	close(self->output_fd);
	self->output_fd = -1;
	self->pid = 0;
	if (!why && (!WIFEXITED(status) || WEXITSTATUS(status)))
		why = self->last_line[0] ? self->last_line : "its check failed";
	if (!why && !self->can_take_over)
		why = "it cannot take over from a pushd that runs";
	if (!why)
		return UPGRADE_MAY_GO_ON;
	log_say(self->settings->log, PUSH_LOG_ERROR, "not upgrading, this pushd continues: %s: %s",
		self->program, why);
	return UPGRADE_IS_REFUSED;
}

/* Of all descriptors but the standard ones. */
static void
for_each_descriptor(void (*visit)(int fd))
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	while (folder && (entry = readdir(folder)))
		if (sscanf(entry->d_name, "%9d", &fd) == 1 && fd > STDERR_FILENO && fd != dirfd(folder))
			visit(fd);
	if (folder)
		closedir(folder);
}

static void
close_on_exec(int fd)
{
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void
close_one(int fd)
{
	(void)close(fd);
}

static void
forget_variables(void)
{
	char name[64];

	for (char **at = environ; *at;) {
		size_t length = strcspn(*at, "=");

		if (strncmp(*at, OUR_VARIABLES, strlen(OUR_VARIABLES)) || length >= sizeof(name)) {
			at++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)length, *at);
		(void)unsetenv(name); /* what was behind it is here now */
	}
}

void
upgrade_exec(struct upgrade *self, int state_fd)
{
	char text[16];

	if (state_fd >= 0) {
		snprintf(text, sizeof(text), "%d", state_fd);
		(void)setenv(UPGRADE_VARIABLE, text, 1);
		give_back_workers(self->settings);
		execv(self->program, self->settings->arguments);
	}
	log_say(self->settings->log, PUSH_LOG_ERROR, "not upgrading, this pushd continues: %s: %s",
		self->program, strerror(errno));
	for_each_descriptor(close_on_exec);
	forget_variables();
	(void)unsetenv(WORKER_COUNT_VARIABLE);
	if (state_fd >= 0)
		close(state_fd);
}

void
upgrade_end(struct upgrade *self)
{
	if (!self->pid)
		return;
	kill(self->pid, SIGKILL);
	waitpid(self->pid, NULL, 0);
	close(self->output_fd);
	self->pid = 0;
}

void
upgrade_answer(void)
{
	if (getenv(UPGRADE_VARIABLE))
		printf(UPGRADE_ANSWER "%d\n", UPGRADE_STATE_LAYOUT);
}

int
upgrade_inherited(void)
{
	const char *text = getenv(UPGRADE_VARIABLE);
	int fd = text ? (int)strtol(text, NULL, 10) : -1;

	(void)unsetenv(UPGRADE_VARIABLE);
	if (fd <= STDERR_FILENO || fcntl(fd, F_GETFD) < 0)
		return -1;
	for_each_descriptor(close_on_exec);
	return fd;
}

void
upgrade_let_go(const struct log *log)
{
	char path[64];
	FILE *file;
	int child;

	forget_variables();
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	file = fopen(path, "re");
	while (file && fscanf(file, "%9d", &child) == 1)
		kill(child, SIGTERM);
	if (file)
		fclose(file);
	push_line_writer_fini(log->output);
	for_each_descriptor(close_one);
	push_line_writer_init(log->output, STDERR_FILENO);
}
