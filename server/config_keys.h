/*
 * config_keys.h - what lwsws understands in its files, as tables.
 *
 * lwsws ignores keys that it does not know, so a misspelt one would silently mean its default; it cuts values
 * that are longer than its buffer, and reads any text as the number 0.  The tables are libwebsockets 4.3's
 * reader (lib/roles/http/server/lejp-conf.c), so that pushd can say so.
 */
#ifndef PUSHD_CONFIG_KEYS_H
#define PUSHD_CONFIG_KEYS_H

#include "config.h"

enum config_kind {
	CONFIG_TEXT,
	CONFIG_NUMBER,
	CONFIG_MAP,       /* {"a": "b"} */
	CONFIG_MAPS,      /* [{"a": "b"}] */
	CONFIG_HEADERS,   /* the same; values may be long */
	CONFIG_PROTOCOLS, /* [{"protocol": {"option": "value"}}] */
	CONFIG_GLOBAL,    /* an object with keys of lwsws' own, and so on */
	CONFIG_VHOSTS,
	CONFIG_MOUNTS,
};

/*
 * config_check_keys - check a whole file: every key known, every value of its kind and short enough.
 *
 * After it, all shapes are as the kinds say, and scalars are texts, numbers or booleans.
 */
enum push_status PUSH_MUST_USE
config_check_keys(const struct config_file *file, struct push_error *error);

/*
 * config_weigh - about how many bytes lwsws needs to keep this tree.  It has CONFIG_WEIGHT_MAX for all files
 * together and does not look whether they are enough.
 */
size_t
config_weigh(struct json_object *tree);

#define CONFIG_WEIGHT_MAX 60000u

/* config_fail - write "file: key=value: why"; returns PUSH_INVALID. */
enum push_status
config_fail(struct push_error *error, const struct config_file *file, const char *key, const char *value,
	const char *why);

#endif
