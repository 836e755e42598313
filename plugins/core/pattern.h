/*
 * pattern.h - which channels a right is for, as a token, a key or an option names them.
 *
 *   news            the channel of that name
 *   chat:*          `*` stands for any run of bytes without `:`, the empty one, too
 *   chat:**         `**` stands for any run of bytes
 *   user:{sub}:*    `{sub}` stands for the user; of a client without a user such a pattern matches nothing
 *
 * Everything else stands for itself; `{` too, where no `sub}` follows it.  Names are compared byte by byte.
 *
 * A pattern is compiled once: wildcards become control characters, which no name has, so that a user whose
 * name is `*` is nothing special.  Matching goes over the name once and back to the last wildcard of each kind
 * at most (the later `**` makes an earlier wildcard irrelevant, and a `*` cannot pass a `:` that a later one
 * could not pass either), so that it takes O(pattern x name) at worst.
 */
#ifndef PUSH_CORE_PATTERN_H
#define PUSH_CORE_PATTERN_H

#include <stdbool.h>

#include "buf.h"
#include "options.h"
#include "status.h"
#include "str.h"

/* A pattern as it is written: as long as the longest channel name that can be configured. */
#define PUSH_PATTERN_BYTES_MAX 255

/*
 * push_pattern_check - whether this may be a pattern: 1 to PUSH_PATTERN_BYTES_MAX bytes of UTF-8 without
 * control characters.
 *
 * Errors: PUSH_INVALID, with the pattern and what is wrong with it in `error`.
 */
enum push_status PUSH_MUST_USE
push_pattern_check(struct push_str pattern, struct push_error *error);

/*
 * push_pattern_compile - append the compiled form of a pattern that was checked.
 *
 * @user: of `{sub}`; without bytes: there is none.
 * Returns false, and appends nothing, if it can match nothing.  Failure shows in to->status.
 */
bool
push_pattern_compile(struct push_buf *to, struct push_str pattern, struct push_str user);

/* push_pattern_matches - whether a channel's name is one of those that a compiled pattern stands for. */
bool
push_pattern_matches(struct push_str compiled, struct push_str channel);

#endif
