/*
 * config_check.c - what can be known to be wrong with a configuration before lwsws starts; see config.h.
 *
 * config_keys.c knows lwsws' keys; here is whether what they say fits together and is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "config_keys.h"
#include "config_tls.h"

extern char **environ;

#define BROKER          "push-broker"
#define SHARED_WITH     "push.broker.vhost"
#define PLUGIN_DIRS_MAX 9 /* lwsws takes no more */

struct listen {
	int port;
	const char *interface; /* NULL: all */
	struct json_object *vhost;
};

struct check {
	struct config *config;
	struct push_error *error;
	const char *plugin_dirs[PLUGIN_DIRS_MAX];
	size_t plugin_dir_count;
	struct listen listens[CONFIG_FILES_MAX];
	size_t listen_count;
	const char *broker_vhost; /* the one that has the broker */
	bool has_clients_ca;      /* a vhost verifies certificates of clients */
	struct config_tls tls;
};

static enum push_status
check_readable(const struct check *check, const struct config_file *file, const char *key, const char *path)
{
	struct stat about;
	int fd = open(path, O_RDONLY | O_CLOEXEC), failed = errno;

	if (fd < 0)
		return config_fail(check->error, file, key, path, strerror(failed));
	failed = fstat(fd, &about) || !S_ISREG(about.st_mode);
	close(fd);
	return failed ? config_fail(check->error, file, key, path, "not a file") : PUSH_OK;
}

static enum push_status
check_folder(const struct check *check, const struct config_file *file, const char *key, const char *path)
{
	struct stat about;

	if (stat(path, &about))
		return config_fail(check->error, file, key, path, strerror(errno));
	if (!S_ISDIR(about.st_mode))
		return config_fail(check->error, file, key, path, "not a folder");
	if (access(path, R_OK | X_OK))
		return config_fail(check->error, file, key, path, strerror(errno));
	return PUSH_OK;
}

/* The options that a vhost gives a protocol; NULL where it does not have it. */
static struct json_object *
find_protocol(struct json_object *vhost, const char *name)
{
	struct json_object *protocols, *options = NULL;

	if (!json_object_object_get_ex(vhost, "ws-protocols", &protocols))
		return NULL;
	for (size_t i = 0; i < json_object_array_length(protocols) && !options; i++)
		json_object_object_get_ex(json_object_array_get_idx(protocols, i), name, &options);
	return options;
}

static enum push_status
check_mount(const struct check *check, const struct config_file *file, struct json_object *vhost,
	struct json_object *mount)
{
	const char *mountpoint = config_text(mount, "mountpoint"), *origin = config_text(mount, "origin");

	if (!mountpoint || !origin)
		return config_fail(check->error, file, "mounts", json_object_to_json_string(mount),
			"needs a mountpoint and an origin");
	if (!strncmp(origin, "file://", 7))
		return check_folder(check, file, "origin", origin + 7);
	if (!strncmp(origin, "callback://", 11) && !find_protocol(vhost, origin + 11))
		return config_fail(
			check->error, file, "origin", origin, "is missing in the vhost's ws-protocols");
	return PUSH_OK;
}

/* libprotocol_push_ws.so for "push-ws"; where protocols that are not Push's come from, only lwsws knows. */
static enum push_status
check_plugin(const struct check *check, const struct config_file *file, const char *protocol)
{
	char name[64], path[PATH_MAX] = "";

	if (!check->plugin_dir_count)
		return config_fail(
			check->error, file, "ws-protocols", protocol, "no \"plugin-dir\" in \"global\"");
	snprintf(name, sizeof(name), "%s", protocol);
	for (char *p = name; *p; p++)
		if (*p == '-')
			*p = '_';
	for (size_t i = 0; i < check->plugin_dir_count; i++) {
		snprintf(path, sizeof(path), "%s/libprotocol_%s.so", check->plugin_dirs[i], name);
		if (!access(path, R_OK))
			return PUSH_OK;
	}
	snprintf(check->error->text, sizeof(check->error->text),
		"%s: ws-protocols=%.64s: no plugin %.200s: %s", file->name, protocol, path, strerror(errno));
	return PUSH_INVALID;
}

static bool
is_of_lws(const char *option)
{
	return !strcmp(option, "status") || !strcmp(option, "default") || !strcmp(option, "raw");
}

static enum push_status
check_option_names(const struct check *check, const struct config_file *file, const char *protocol,
	struct json_object *options)
{
	bool is_push = !strncmp(protocol, "push-", 5);

	json_object_object_foreach(options, name, value)
	{
		if (is_of_lws(name))
			continue;
		if (is_push)
			return config_fail(check->error, file, name, json_object_get_string(value),
				"only push-broker has options");
		if (strchr(name, '.'))
			return config_fail(check->error, file, name, json_object_get_string(value),
				"lwsws splits names at dots: write - instead");
	}
	return PUSH_OK;
}

/* Dots count as dashes in the names of options, and the other way round. */
static void
with_dots(const char *name, char *to, size_t size)
{
	snprintf(to, size, "%s", name);
	for (; *to; to++)
		if (*to == '-')
			*to = '.';
}

/* The vhost whose broker this one uses; NULL where it has its own. */
static const char *
shares_with(struct json_object *broker)
{
	json_object_object_foreach(broker, name, value)
	{
		char dotted[128];

		with_dots(name, dotted, sizeof(dotted));
		if (!strcmp(dotted, SHARED_WITH))
			return json_object_get_string(value);
	}
	return NULL;
}

static enum push_status
read_options(struct check *check, const struct config_file *file, struct json_object *broker)
{
	json_object_object_foreach(broker, name, value)
	{
		char dotted[128];
		struct push_error why;

		with_dots(name, dotted, sizeof(dotted));
		if (is_of_lws(name))
			continue;
		if (push_options_set(&check->config->options, dotted, json_object_get_string(value), &why) !=
			PUSH_OK) {
			snprintf(check->error->text, sizeof(check->error->text), "%s: %.300s", file->name,
				why.text);
			return PUSH_INVALID;
		}
	}
	return PUSH_OK;
}

static enum push_status
check_shared(struct check *check, const struct config_file *file, struct json_object *broker,
	const char *shared_with)
{
	struct json_object *vhost = config_find_vhost(check->config, shared_with);
	struct json_object *owners = vhost ? find_protocol(vhost, BROKER) : NULL;

	if (!owners || shares_with(owners))
		return config_fail(check->error, file, SHARED_WITH, shared_with,
			"no vhost with this name has its own broker");
	json_object_object_foreach(broker, name, value)
	{
		char dotted[128];

		with_dots(name, dotted, sizeof(dotted));
		if (!is_of_lws(name) && strcmp(dotted, SHARED_WITH))
			return config_fail(check->error, file, name, json_object_get_string(value),
				"must be set in the vhost that has the broker, because this vhost shares it");
	}
	return PUSH_OK;
}

/* One process has one broker: it is one that SIGTERM drains. */
static enum push_status
check_broker(struct check *check, const struct config_file *file, struct json_object *vhost,
	struct json_object *broker)
{
	const char *shared_with = shares_with(broker), *owner = check->broker_vhost;

	if (shared_with)
		return check_shared(check, file, broker, shared_with);
	if (owner) {
		snprintf(check->error->text, sizeof(check->error->text),
			"%s: vhost '%.64s': vhost '%.64s' already has a broker: share it with "
			"\"push-broker\": {\"push-broker-vhost\": \"%.64s\"}",
			file->name, config_text(vhost, "name"), owner, owner);
		return PUSH_INVALID;
	}
	check->broker_vhost = config_text(vhost, "name");
	return read_options(check, file, broker);
}

static enum push_status
check_protocols(struct check *check, const struct config_file *file, struct json_object *vhost)
{
	struct json_object *protocols, *broker = find_protocol(vhost, BROKER);

	if (!json_object_object_get_ex(vhost, "ws-protocols", &protocols))
		return PUSH_OK;
	for (size_t i = 0; i < json_object_array_length(protocols); i++) {
		json_object_object_foreach(json_object_array_get_idx(protocols, i), name, options)
		{
			bool is_push = !strncmp(name, "push-", 5);

			if (is_push && check_plugin(check, file, name) != PUSH_OK)
				return PUSH_INVALID;
			if (is_push && !broker)
				return config_fail(check->error, file, "ws-protocols", name,
					"needs push-broker in the same vhost");
			if (strcmp(name, BROKER) && check_option_names(check, file, name, options) != PUSH_OK)
				return PUSH_INVALID;
		}
	}
	return broker ? check_broker(check, file, vhost, broker) : PUSH_OK;
}

static enum push_status
check_port(struct check *check, const struct config_file *file, struct json_object *vhost)
{
	const char *text = config_text(vhost, "port"), *interface = config_text(vhost, "interface");
	int port = config_port(vhost);

	if (config_flag(vhost, "unix-socket"))
		return PUSH_OK;
	if (!port)
		return config_fail(check->error, file, "port", text, "not a port (1 to 65535)");
	for (size_t i = 0; i < check->listen_count; i++) {
		const struct listen *other = &check->listens[i];

		if (other->port != port ||
			(interface && other->interface && strcmp(interface, other->interface) != 0))
			continue;
		if (!interface != !other->interface)
			return config_fail(check->error, file, "port", text, "another vhost listens there");
		if (config_tls_agree(file, vhost, other->vhost, &check->tls, check->error) != PUSH_OK)
			return PUSH_INVALID;
	}
	if (check->listen_count == CONFIG_FILES_MAX)
		return config_fail(check->error, file, "port", text, "too many vhosts");
	check->listens[check->listen_count++] = (struct listen){port, interface, vhost};
	return PUSH_OK;
}

static enum push_status
check_tls(struct check *check, const struct config_file *file, struct json_object *vhost)
{
	static const char *const keys[] = {"host-ssl-cert", "host-ssl-key", "host-ssl-ca", "client-ssl-cert",
		"client-ssl-key", "client-ssl-ca"};
	const char *cert = config_text(vhost, "host-ssl-cert"), *key = config_text(vhost, "host-ssl-key");

	if (config_flag(vhost, "ignore-missing-cert"))
		return PUSH_OK;
	check->has_clients_ca |= cert && config_text(vhost, "host-ssl-ca");
	if (cert && config_flag(vhost, "client-cert-required") && !config_text(vhost, "host-ssl-ca"))
		return config_fail(check->error, file, "client-cert-required", "yes",
			"needs host-ssl-ca, or no client gets in");
	if (!cert != !key)
		return config_fail(check->error, file, cert ? "host-ssl-key" : "host-ssl-cert", "",
			"a certificate needs its key, and a key its certificate");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *path = config_text(vhost, keys[i]);

		if (path && check_readable(check, file, keys[i], path) != PUSH_OK)
			return PUSH_INVALID;
	}
	return config_tls_check(file, vhost, &check->tls, check->error);
}

static enum push_status
check_vhost(const struct config_file *file, struct json_object *vhost, void *context)
{
	struct check *check = context;
	const char *name = config_text(vhost, "name");
	struct json_object *mounts;

	if (!name || !*name)
		return config_fail(check->error, file, "name", "", "every vhost needs one");
	if (config_find_vhost(check->config, name) != vhost)
		return config_fail(check->error, file, "name", name, "two vhosts have this name");
	if (check_port(check, file, vhost) != PUSH_OK || check_tls(check, file, vhost) != PUSH_OK ||
		check_protocols(check, file, vhost) != PUSH_OK)
		return PUSH_INVALID;
	if (json_object_object_get_ex(vhost, "mounts", &mounts))
		for (size_t i = 0; i < json_object_array_length(mounts); i++)
			if (check_mount(check, file, vhost, json_object_array_get_idx(mounts, i)) != PUSH_OK)
				return PUSH_INVALID;
	return PUSH_OK;
}

static enum push_status
check_files(struct check *check)
{
	size_t weight = 0;

	for (size_t i = 0; i < check->config->file_count; i++) {
		const struct config_file *file = &check->config->files[i];
		struct json_object *global;
		const char *threads, *plugins;

		if (config_check_keys(file, check->error) != PUSH_OK)
			return PUSH_INVALID;
		weight += config_weigh(file->tree);
		if (weight > CONFIG_WEIGHT_MAX)
			return config_fail(check->error, file, "vhosts", "", "too many for lwsws");
		if (!json_object_object_get_ex(file->tree, "global", &global))
			continue;
		threads = config_text(global, "count-threads");
		if (threads && strcmp(threads, "1"))
			return config_fail(check->error, file, "count-threads", threads,
				"must be 1: lwsws runs one thread");
		plugins = config_text(global, "plugin-dir");
		if (plugins && check_folder(check, file, "plugin-dir", plugins) != PUSH_OK)
			return PUSH_INVALID;
		if (plugins && check->plugin_dir_count < PLUGIN_DIRS_MAX)
			check->plugin_dirs[check->plugin_dir_count++] = plugins;
	}
	return PUSH_OK;
}

enum push_status
config_check(struct config *config, struct push_error *error)
{
	struct check check = {.config = config, .error = error};

	if (check_files(&check) != PUSH_OK)
		return PUSH_INVALID;
	config_tls_read(config, &check.tls);
	if (config_for_each_vhost(config, check_vhost, &check) != PUSH_OK)
		return PUSH_INVALID;
	if (!check.broker_vhost) {
		snprintf(error->text, sizeof(error->text), "conf.d: no vhost has the protocol push-broker");
		return PUSH_INVALID;
	}
	if (push_options_set_from_environment(&config->options, environ, error) != PUSH_OK ||
		push_options_check(&config->options, error) != PUSH_OK)
		return PUSH_INVALID;
	if (config->options.auth_certificate[0] && !check.has_clients_ca) {
		snprintf(error->text, sizeof(error->text),
			"push.auth.certificate=%s: no vhost has host-ssl-ca, the CA of the clients' "
			"certificates",
			config->options.auth_certificate);
		return PUSH_INVALID;
	}
	return PUSH_OK;
}
