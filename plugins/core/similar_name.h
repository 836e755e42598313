/* similar_name.h - "did you mean": which of several names somebody may have had in mind. */
#ifndef PUSH_CORE_SIMILAR_NAME_H
#define PUSH_CORE_SIMILAR_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Longer names are similar to nothing. */
#define PUSH_SIMILAR_NAME_BYTES_MAX 63

/*
 * push_similar_name_distance - how far apart two names of options are; the nearest one is worth proposing.
 *
 * Writes the number of characters to insert, leave out, change or swap.  `.`, `-` and `_` are one character,
 * and so are a capital and its small letter.  Returns false where the two have too little in common: more
 * than a third of `name` would change, and it is not made of words of `other`.
 */
bool
push_similar_name_distance(const char *name, const char *other, size_t *ret_distance);

/*
 * push_similar_name_is_slip - whether `name` is `other` with one slip: a character left out, added, changed
 * or swapped with its neighbour, or capitals for small letters.
 *
 * For names among which others may have their own, so that it is strict: a short name is only mistaken for
 * letters of its own (`tll` is a slip of `ttl`, `tel` is not), and the name itself is none.
 */
bool
push_similar_name_is_slip(const char *name, size_t size, const char *other);

#endif
