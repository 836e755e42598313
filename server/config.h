/*
 * config.h - an lwsws configuration: `conf` with the globals, and every file of `conf.d/` with vhosts.
 *
 * lwsws reads it with a parser that ignores what it does not know and misreads what is too long.  pushd reads
 * it first, says what is wrong, and hands lwsws a copy with the overrides of the environment in it.
 *
 *   config_open = config_read: read and parse (config.c), override (config_override.c)
 *               + check (config_check.c)
 *   config_render = write the copy (config_render.c), without the console if that is off (config_console.c)
 *               + what the workers are told of its vhosts (config_vhosts.c)
 */
#ifndef PUSHD_CONFIG_H
#define PUSHD_CONFIG_H

#include <stddef.h>
#include <sys/types.h>

#include "core/buf.h"
#include "core/options.h"
#include "settings.h"

struct json_object;
struct config_tls;

#define CONFIG_FILES_MAX      64
#define CONFIG_FILE_BYTES_MAX (64 * 1024)
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
 * config_open - read the configuration that `settings` name, with all overrides, and check it.
 *
 * Returns the caller's to config_close(), or NULL with one line in `error` that names file, key and value.
 */
struct config *
config_open(const struct settings *settings, struct push_error *error);

/*
 * config_read - the same without a check: only what is needed to find something in it is right.
 *
 * Shapes are whatever the files say; config_find_vhost(), config_text() and config_port() bear that.
 */
struct config *
config_read(const struct settings *settings, struct push_error *error);

/* config_close - NULL is allowed. */
void
config_close(struct config *config);

/*
 * config_override - put the command line's folders and the environment's ports into the trees.
 *
 * SERVER_PORT is that of the vhost "push", MANAGEMENT_SERVER_PORT that of the vhost "management".
 * Errors: PUSH_INVALID for a port that is none.
 */
enum push_status PUSH_MUST_USE
config_override(struct config *config, const struct settings *settings, struct push_error *error);

/* config_check - everything that can be known to be wrong before lwsws starts; fills in config->options. */
enum push_status PUSH_MUST_USE
config_check(struct config *config, struct push_error *error);

/*
 * config_render - write the trees as lwsws wants them to `folder`, which exists.
 *
 * @vhosts: what the workers are told of the vhosts is appended to it.  Errors: PUSH_INVALID.
 */
enum push_status PUSH_MUST_USE
config_render(
	const struct config *config, const char *folder, struct push_buf *vhosts, struct push_error *error);

/* config_tell_vhosts - the vhosts of a tree that was checked, as plugins/direct/vhosts.h has them. */
void
config_tell_vhosts(struct json_object *tree, const struct config_tls *tls, struct push_buf *to);

/* config_hide_console - in a tree that was checked: serve nothing of the console (config_console.c). */
void
config_hide_console(struct json_object *tree);

/* What config_for_each_vhost() calls; anything but PUSH_OK ends the walk. */
typedef enum push_status
config_visitor(const struct config_file *file, struct json_object *vhost, void *context);

/* config_for_each_vhost - returns PUSH_OK, or what ended the walk. */
enum push_status
config_for_each_vhost(const struct config *config, config_visitor *visit, void *context);

/* config_text - the text of a member of an object; NULL where there is none. */
const char *
config_text(struct json_object *object, const char *name);

/*
 * config_option - what the files say of an option of push-broker, before anything is checked.
 *
 * @name: with dots.  NULL where they say nothing.
 */
const char *
config_option(const struct config *config, const char *name);

/* config_option_in - the same, and which file says it (conf.d/10-push), borrowed. */
const char *
config_option_in(const struct config *config, const char *name, const char **ret_file);

/* config_flag - is a member set, as lwsws understands it (1, on, yes, true)? */
bool
config_flag(struct json_object *object, const char *name);

/* config_parse_port - 1 to 65535 in plain digits; 0 for anything else. */
int
config_parse_port(const char *text);

/* config_port - the TCP port of a vhost; 0 where it has none. */
int
config_port(struct json_object *vhost);

/* config_worker_user - the user that lwsws becomes; this process' own where the configuration names none. */
uid_t
config_worker_user(const struct config *config);

/* config_find_vhost - the vhost of that name; NULL where there is none. */
struct json_object *
config_find_vhost(const struct config *config, const char *name);

#endif
