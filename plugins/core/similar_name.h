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

#endif
