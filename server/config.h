/*
 * config.h - an lwsws configuration: `conf` with the globals, and every file of `conf.d/` with vhosts.
 *
 * lwsws reads it with a parser that ignores what it does not know and misreads what is too long.  pushd reads
 * it first, says what is wrong, and hands lwsws a copy with the overrides of the environment in it.
 */
#ifndef PUSHD_CONFIG_H
#define PUSHD_CONFIG_H

#include <stddef.h>

#include "core/options.h"
#include "settings.h"

struct json_object;

#define CONFIG_FILES_MAX      64
#define CONFIG_FILE_BYTES_MAX (256 * 1024)
#define CONFIG_NAME_BYTES_MAX 64

struct config_file {
	char name[CONFIG_NAME_BYTES_MAX]; /* "conf", "conf.d/10-push" */
	struct json_object *tree;
};

struct config {
	struct config_file files[CONFIG_FILES_MAX]; /* in lwsws' order: conf, then conf.d/ sorted */
	size_t file_count;
	struct push_options options; /* of the broker */
};

/*
 * config_load - read and parse all files of a folder.
 *
 * Errors: PUSH_INVALID with the file, the line and what is wrong.  config_free() is due in any case.
 */
enum push_status PUSH_MUST_USE
config_load(struct config *config, const char *folder, struct push_error *error);

void
config_free(struct config *config);

/* config_for_each_vhost - call `visit` for each vhost until it returns something else than PUSH_OK. */
enum push_status
config_for_each_vhost(struct config *config,
	enum push_status (*visit)(struct config_file *file, struct json_object *vhost, void *context),
	void *context);

/* config_text - the text of a member of an object; NULL where there is none. */
const char *
config_text(struct json_object *object, const char *name);

/*
 * config_override - put the command line's folders and the environment's ports into the trees.
 *
 * SERVER_PORT is that of the vhost "push", MANAGEMENT_SERVER_PORT that of the vhost "management".
 * Errors: PUSH_INVALID for a port that is none.
 */
enum push_status PUSH_MUST_USE
config_override(struct config *config, const struct settings *settings, struct push_error *error);

/*
 * config_check - everything that can be known to be wrong before lwsws starts; fills in config->options.
 *
 * Errors: PUSH_INVALID with one line that names file, key and value.
 */
enum push_status PUSH_MUST_USE
config_check(struct config *config, struct push_error *error);

/* config_render - write the trees as lwsws wants them below `folder`.  Errors: PUSH_INVALID. */
enum push_status PUSH_MUST_USE
config_render(struct config *config, const char *folder, struct push_error *error);

/* config_port - the port of a vhost; 0 where it listens on no TCP port. */
int
config_port(struct json_object *vhost);

/* config_find_port - the port of the vhost of that name; 0 where there is none. */
int
config_find_port(struct config *config, const char *vhost_name);

#endif
