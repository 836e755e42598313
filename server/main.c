/*
 * main.c - pushd, Push's supervisor: command line and exit codes.
 *
 * It checks the configuration, writes a copy of it with the environment's overrides, runs lwsws on that, and
 * sees to it that it goes on.  The broker itself is a plugin; lwsws can run it without pushd.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "config_tls.h"
#include "health.h"
#include "log.h"
#include "supervisor.h"
#include "upgrade.h"
#include "worker_count.h"

#define EXIT_USAGE 2

static void
print_help(void)
{
	size_t count;
	const struct push_option_info *options = push_options_table(&count);

	printf("usage: pushd [options]\n"
	       "\n"
	       "Checks the configuration, runs lwsws with Push's plugins, and restarts it if it fails.\n"
	       "\n"
	       "  --config DIR    folder with conf and conf.d/           (default /etc/push)\n"
	       "  --plugins DIR   folder with libprotocol_push_*.so      (default: as conf says)\n"
	       "  --mounts DIR    folder with the console                (default: as conf.d says)\n"
	       "  --lwsws FILE    lwsws to run                           (default: the package's, or from "
	       "PATH)\n"
	       "  --run-dir DIR   where the running configuration goes   (default: $RUNTIME_DIRECTORY, /run, "
	       "$TMPDIR,\n"
	       "                  /tmp or /dev/shm)\n"
	       "  --workers N     processes on the same ports, 1 to %d   (default: $PUSH_WORKERS, or one per "
	       "CPU;\n"
	       "                  at most %d without Redis)\n"
	       "  --check         check the configuration and the environment, report errors, and exit\n"
	       "  --health [WHAT] check the Push on this machine: ready (the default) or live; prints the "
	       "answer,\n"
	       "                  exits with 0 if it is UP; finds the port in --config and the environment\n"
	       "  --version, --help\n"
	       "\n"
	       "Signals: SIGTERM and SIGINT drain, then exit; a second one exits at once. SIGHUP starts new "
	       "workers\n"
	       "with the current configuration and, when they are ready, drains the old ones. SIGUSR2 does "
	       "the "
	       "same\n"
	       "with another pushd, if the file was replaced, without an end of the process.\n"
	       "Exit codes: 0 stopped on request, 1 failure, 2 invalid command line.\n"
	       "\n"
	       "Environment:\n"
	       "  SERVER_PORT, MANAGEMENT_SERVER_PORT: ports of the vhosts \"push\" and \"management\".\n"
	       "  Options; each is also a member of push-broker in conf.d:\n",
		WORKER_COUNT_MAX, WORKER_COUNT_EMBEDDED_MAX);
	for (size_t i = 0; i < count; i++) {
		char name[64];

		push_option_env_name(options[i].name, name, sizeof(name));
		printf("  %-42s %-6s %s\n", name, options[i].default_value, options[i].help);
	}
	printf("\n(In bash, pushd is a builtin command: run env pushd, or give the full path.)\n");
}

static bool
parse_workers(const struct log *log, const char *text, int *ret)
{
	struct push_error error;

	if (worker_count_parse("--workers", text, ret, &error) == PUSH_OK)
		return true;
	log_say(log, PUSH_LOG_ERROR, "%s", error.text);
	return false;
}

/* getopt knows an optional word only behind a "=", people do not. */
static bool
parse_health(int argc, char **argv, struct settings *settings)
{
	settings->health = optarg;
	if (!settings->health && optind < argc && argv[optind][0] != '-')
		settings->health = argv[optind++];
	if (!settings->health)
		settings->health = "ready";
	if (health_path(settings->health))
		return true;
	log_say(settings->log, PUSH_LOG_ERROR, "--health %s: must be live or ready", settings->health);
	return false;
}

/* Returns -1 to go on, or the exit code. */
static int
parse_arguments(int argc, char **argv, struct settings *settings)
{
	static const struct option known[] = {
		{"config", required_argument, NULL, 'c'},
		{"plugins", required_argument, NULL, 'p'},
		{"mounts", required_argument, NULL, 'm'},
		{"lwsws", required_argument, NULL, 'l'},
		{"run-dir", required_argument, NULL, 'r'},
		{"workers", required_argument, NULL, 'w'},
		{"check", no_argument, NULL, 'k'},
		{"health", optional_argument, NULL, 'H'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};

	opterr = 0; /* it would say so in its own words */
	for (;;) {
		switch (getopt_long(argc, argv, "h", known, NULL)) {
		case -1:
			if (optind == argc)
				return -1;
			log_say(settings->log, PUSH_LOG_ERROR, "%s: unexpected argument; see pushd --help",
				argv[optind]);
			return EXIT_USAGE;
		case 'c': settings->config = optarg; break;
		case 'p': settings->plugins = optarg; break;
		case 'm': settings->mounts = optarg; break;
		case 'l': settings->lwsws = optarg; break;
		case 'r': settings->run_dir = optarg; break;
		case 'w':
			if (!parse_workers(settings->log, optarg, &settings->workers))
				return EXIT_USAGE;
			break;
		case 'k': settings->check = true; break;
		case 'H':
			if (!parse_health(argc, argv, settings))
				return EXIT_USAGE;
			break;
		case 'v': printf("pushd %s\n", PUSH_VERSION); return 0;
		case 'h': print_help(); return 0;
		default:
			log_say(settings->log, PUSH_LOG_ERROR, "%s: %s; see pushd --help", argv[optind - 1],
				optopt && optopt != '?' ? "needs a value" : "no such option");
			return EXIT_USAGE;
		}
	}
}

static int
ask_health(const struct settings *settings)
{
	struct push_error error;

	if (health_ask(settings, &error) == PUSH_OK)
		return 0;
	fprintf(stderr, "pushd: --health: %s\n", error.text);
	return 1;
}

/* lwsws runs with the same working folder, but its plugins and mounts are named in files elsewhere. */
static const char *
absolute(const char *path, char *buffer)
{
	return path && realpath(path, buffer) ? buffer : path;
}

/* A package may bring lwsws along, as Debian has none with plugins; NULL where it did not. */
static const char *
packaged_lwsws(char path[PATH_MAX])
{
	char program[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;

	program[length > 0 ? length : 0] = '\0';
	slash = strrchr(program, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	if (snprintf(path, PATH_MAX, "%s/" LWSWS_PACKAGED, program) >= PATH_MAX || access(path, X_OK))
		return NULL;
	return path;
}

/* Found out before anything is started: a worker could only say so from within. */
static bool
find_program(const struct log *log, const char *name)
{
	const char *folders = getenv("PATH");
	char path[PATH_MAX];

	if (strchr(name, '/')) {
		if (!access(name, X_OK))
			return true;
		log_say(log, PUSH_LOG_ERROR, "--lwsws %s: %s", name, strerror(errno));
		return false;
	}
	while (folders && *folders) {
		size_t length = strcspn(folders, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)length, folders, name);
		if (!access(path, X_OK))
			return true;
		folders += length + (folders[length] == ':');
	}
	log_say(log, PUSH_LOG_ERROR, "no %s in PATH: give its path with --lwsws", name);
	return false;
}

/* All that can be known to be wrong before anything is started. */
static struct config *
read_config(struct settings *settings, struct push_error *error)
{
	struct config *config;
	size_t workers;

	if (worker_count_from_environment(settings, error) != PUSH_OK)
		return NULL;
	config = config_read(settings, error);
	if (config)
		log_expect(settings->log, config_option(config, "push.log.format"),
			config_option(config, "push.log.level"));
	if (config && config_check(config, error) != PUSH_OK) {
		config_close(config);
		return NULL;
	}
	if (config)
		log_configure(settings->log, &config->options);
	if (config && worker_count_decide(settings, config, &workers, error) == PUSH_OK)
		return config;
	config_close(config);
	return NULL;
}

/* A standard descriptor that is closed would become that of something else, which then gets the log. */
static void
open_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY);
}

int
main(int argc, char **argv)
{
	char plugins[PATH_MAX], mounts[PATH_MAX], lwsws[PATH_MAX];
	struct push_line_writer output;
	struct log log;
	struct settings settings = {.config = "/etc/push", .arguments = argv, .log = &log};
	struct push_error error;
	struct config *config;
	int result, state_fd;

	/* whoever reads our log may go away without taking the clients along */
	signal(SIGPIPE, SIG_IGN);
	open_standard_descriptors();
	push_line_writer_init(&output, STDERR_FILENO);
	log_init(&log, &output);
	result = parse_arguments(argc, argv, &settings);
	if (result >= 0)
		return result;
	if (settings.health)
		return ask_health(&settings);
	settings.plugins = absolute(settings.plugins, plugins);
	settings.mounts = absolute(settings.mounts, mounts);
	if (!settings.lwsws)
		settings.lwsws = packaged_lwsws(lwsws);
	if (!settings.lwsws)
		settings.lwsws = "lwsws";
	config = read_config(&settings, &error);
	if (!config)
		log_say(&log, PUSH_LOG_ERROR, "%s", error.text);
	state_fd = settings.check ? -1 : upgrade_inherited();
	if (state_fd < 0 && !config)
		return 1;
	if (!settings.check && (state_fd >= 0 || find_program(&log, settings.lwsws)))
		return supervise(&settings, config, state_fd);
	if (settings.check)
		upgrade_answer();
	if (settings.check && config_tls_expires(config, time(NULL), &error))
		log_say(&log, PUSH_LOG_WARN, "%s", error.text);
	if (settings.check)
		printf("%s: configuration is valid\n", settings.config);
	config_close(config);
	return settings.check ? 0 : 1;
}
