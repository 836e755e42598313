/*
 * key_set.h - the keys of one source: a file, a folder of files, or what a URL has answered.
 *
 * A set is immutable once it is complete.  New keys make a new set, so that the old one stays in use while a
 * source is broken.
 */
#ifndef PUSH_AUTH_KEY_SET_H
#define PUSH_AUTH_KEY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key.h"
#include "limits.h"

struct push_key_set;

/* How a source is read. */
struct push_key_reading {
	/* A key that is malformed is left out (RFC 7517, 5), and does not make the whole source an error.  For what
	 * others publish; an operator's own file is better refused with a line than half understood. */
	bool is_lenient;
	/* Told each key that is left out, as a line without the source; NULL: nobody is. */
	void (*note)(void *context, const char *line);
	void *context;
};

/* push_key_set_create - an empty set; NULL if out of memory. */
struct push_key_set *
push_key_set_create(void);

/* push_key_set_destroy - free the set and its keys; NULL is allowed. */
void
push_key_set_destroy(struct push_key_set *set);

/*
 * push_key_set_add - the keys of a text: a JWK set, a single JWK, or PEM.
 *
 * Keys that cannot verify tokens (jwk.h) are left out and counted.
 * Errors: PUSH_INVALID, PUSH_TOO_MANY, PUSH_NOT_FOUND if no key is left, all with a line in `error`;
 * PUSH_OUT_OF_MEMORY.  The set may have some of the text's keys then.
 */
enum push_status PUSH_MUST_USE
push_key_set_add(struct push_key_set *set, struct push_str text, const struct push_key_reading *reading,
	struct push_error *error);

/*
 * push_key_set_add_path - likewise, of a file, or of every regular file of a folder, by name.
 *
 * Not looked at are subfolders and names that begin with a dot.  Symbolic links are followed, as Kubernetes
 * makes them of a mounted Secret.
 * Errors: as above; lines begin with the file's path.
 */
enum push_status PUSH_MUST_USE
push_key_set_add_path(struct push_key_set *set, const char *path, const struct push_key_reading *reading,
	struct push_error *error);

/*
 * push_key_path_mark - a number that changes when the file does, or the folder or a file in it; 0: there is
 * none.
 *
 * Of names, sizes, times and inodes: nothing is read but the folder.  Asked before the keys are read, so that a
 * change in between is seen the next time.
 */
uint64_t
push_key_path_mark(const char *path);

/* push_key_set_count - its keys. */
size_t
push_key_set_count(const struct push_key_set *set);

/* push_key_set_has_signer - whether one of its keys is this one (push_key_signer). */
bool
push_key_set_has_signer(const struct push_key_set *set, uint64_t signer);

/* push_key_set_skipped - those that were left out. */
size_t
push_key_set_skipped(const struct push_key_set *set);

/* push_key_set_describe - a line for the log: `2 keys: ES256, RS256`, and how many were left out. */
void
push_key_set_describe(const struct push_key_set *set, char *to, size_t size);

/* Keys that a token may be signed with. */
struct push_key_candidates {
	const struct push_key *keys[PUSH_KEY_CANDIDATES_MAX]; /* borrowed */
	size_t count;
	bool is_id_known; /* a key has this `kid`, be it for another algorithm */
};

/*
 * push_key_set_find - those keys of one or more sets that are for this algorithm and have this `kid`; those
 * without a `kid` if no key has it; all of the algorithm for a token without a `kid`.
 *
 * The first PUSH_KEY_CANDIDATES_MAX of them, in the sets' order.  NULL is a set without keys.
 * @id: size 0: the token names none.
 */
void
push_key_set_find(const struct push_key_set *const *sets, size_t set_count, enum push_key_algorithm algorithm,
	struct push_str id, struct push_key_candidates *candidates);

#endif
