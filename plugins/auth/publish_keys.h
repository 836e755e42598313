/*
 * publish_keys.h - the keys that servers publish with: the file push.publish.keys (publish_key_line.h).
 *
 * The file and the process have only the SHA-256 of a key, which is useless to a client.  The client's key is
 * hashed and compared with every entry, in a time that depends only on their number.
 *
 * A key is an identity without a user: its name space is `k:NAME` (push_identity_space()), and no `sub` of a
 * token can be in there.  Two lines may have the same NAME, so that a new key can be deployed before the old
 * one is removed: they share the name space and the limits, which must be the same, and may differ in patterns.
 *
 * The file is read again when it has changed, or on push_publish_keys_reload().  If it is invalid, the old keys
 * stay in use, with one line in the log for each change of the file.  Replace it atomically (rename(2)).
 */
#ifndef PUSH_AUTH_PUBLISH_KEYS_H
#define PUSH_AUTH_PUBLISH_KEYS_H

#include "core/identity.h"
#include "core/limiter.h"
#include "core/log_level.h"
#include "core/options.h"
#include "core/status.h"
#include "core/str.h"
#include "publish_key_line.h"

struct push_publish_keys;

/* Borrowed until the file is read again; to keep the identity, take a reference. */
struct push_publish_key {
	const struct push_identity *identity; /* its key_name is NAME */
	struct push_rate messages, bytes;
};

/* What happened to the file, as a line for the operator. */
typedef void (*push_publish_keys_log_fn)(void *context, enum push_log_level level, const char *line);

/*
 * push_publish_keys_open - read a file.
 *
 * @path: copied.  @log: of later readings.
 * Errors: PUSH_INVALID with the file, the line and what is wrong in `error`, which never repeats what is written
 * there but a NAME; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_publish_keys_open(const char *path, push_publish_keys_log_fn log, void *context,
	struct push_publish_keys **ret_keys, struct push_error *error);

/*
 * push_publish_keys_read_text - likewise, of a text: `path` is what errors call it, and nothing is read later.
 */
enum push_status PUSH_MUST_USE
push_publish_keys_read_text(const char *path, struct push_str text, struct push_publish_keys **ret_keys,
	struct push_error *error);

/* push_publish_keys_destroy - NULL is allowed. */
void
push_publish_keys_destroy(struct push_publish_keys *keys);

/* push_publish_keys_refresh - read the file if it is another one, or was changed, since it was last read; one
 * stat(2) otherwise.  Returns whether there are new keys. */
bool
push_publish_keys_refresh(struct push_publish_keys *keys);

/* push_publish_keys_reload - read the file in any case. */
bool
push_publish_keys_reload(struct push_publish_keys *keys);

/* push_publish_keys_find - the entry of this key; NULL: there is none.  `shown` is a secret. */
const struct push_publish_key *
push_publish_keys_find(const struct push_publish_keys *keys, struct push_str shown);

/* push_publish_keys_find_name - one of the keys of that name, of which all have the same limits; NULL: there is
 * none, any more. */
const struct push_publish_key *
push_publish_keys_find_name(const struct push_publish_keys *keys, struct push_str name);

/* push_publish_keys_has_lost - whether there was a key of that name, and there is none any more.  Costs nothing
 * while no name has been taken off the file. */
bool
push_publish_keys_has_lost(const struct push_publish_keys *keys, struct push_str name);

/* push_publish_keys_limits - the limits of those that have any; borrowed until the file is read again.  Names with
 * several keys come several times. */
const struct push_key_limits *
push_publish_keys_limits(const struct push_publish_keys *keys, size_t *ret_count);

/* push_publish_keys_count - how many there are. */
size_t
push_publish_keys_count(const struct push_publish_keys *keys);

#endif
