/*
 * config_console.c - a configuration without the web console (push.console=off); see config.h.
 *
 * The console and the client library are files of one folder, which lws serves by one mount.  Pages import
 * the library (/push.js), so the mount stays.  What belongs to the console gets mounts of its own, which
 * count for more since they are longer, and which lead nowhere; and `/` has no page.
 */
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#define FILE_ORIGIN "file://"
#define NOWHERE     "file:///dev/null"
#define NO_PAGE     "no-page" /* without a name, lws takes index.html */

/* What only the console needs, below its mount. */
static const char *const parts[] = {"index.html", "console"};

/* The folder of a mount says whether it is the console's. */
static bool
is_console(struct json_object *mount)
{
	const char *origin = config_text(mount, "origin");
	char path[2 * PATH_MAX];

	if (!origin || strncmp(origin, FILE_ORIGIN, strlen(FILE_ORIGIN)))
		return false;
	snprintf(path, sizeof(path), "%s/console/console.js", origin + strlen(FILE_ORIGIN));
	return !access(path, F_OK);
}

static void
hide_part(struct json_object *mounts, const char *mountpoint, const char *part)
{
	struct json_object *mount = json_object_new_object();
	size_t size = strlen(mountpoint);
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s%s", mountpoint, size && mountpoint[size - 1] == '/' ? "" : "/",
		part);
	json_object_object_add(mount, "mountpoint", json_object_new_string(path));
	json_object_object_add(mount, "origin", json_object_new_string(NOWHERE));
	json_object_array_add(mounts, mount);
}

static void
hide_in_vhost(struct json_object *vhost)
{
	struct json_object *mounts;
	size_t count;

	if (!json_object_object_get_ex(vhost, "mounts", &mounts))
		return;
	count = json_object_array_length(mounts); /* without those that are added */
	for (size_t i = 0; i < count; i++) {
		struct json_object *mount = json_object_array_get_idx(mounts, i);

		if (!is_console(mount))
			continue;
		json_object_object_add(mount, "default", json_object_new_string(NO_PAGE));
		for (size_t j = 0; j < sizeof(parts) / sizeof(parts[0]); j++)
			hide_part(mounts, config_text(mount, "mountpoint"), parts[j]);
	}
}

void
config_hide_console(struct json_object *tree)
{
	struct json_object *vhosts;

	if (!json_object_object_get_ex(tree, "vhosts", &vhosts))
		return;
	for (size_t i = 0; i < json_object_array_length(vhosts); i++)
		hide_in_vhost(json_object_array_get_idx(vhosts, i));
}
