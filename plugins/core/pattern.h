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
 * name is `*` is nothing special.  Matching compares what is in front of the first wildcard and behind the last
 * one, which settles all usual patterns; what is between goes through the name once for each of its bytes, so
 * that the worst pattern takes O(pattern x name).
 */
#ifndef PUSH_CORE_PATTERN_H
#define PUSH_CORE_PATTERN_H

#include <stdbool.h>

#include "buf.h"
#include "options.h"
#include "status.h"
#include "str.h"

/* A pattern as it is written: as long as a channel's name where push.channel.name.max is not raised; a longer
 * name takes a wildcard. */
#define PUSH_PATTERN_BYTES_MAX 255

/*
 * push_pattern_check - whether this may be a pattern: 1 to PUSH_PATTERN_BYTES_MAX bytes of UTF-8 without
 * control characters and commas.
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

/*
 * push_pattern_compile_template - likewise, of a Mercure topic selector, of which the same may be checked: `*`
 * is everything, else it is the topic itself, in which `{name}` stands for a run of unreserved characters and
 * percent-encoded ones, the empty one, too (RFC 6570, 3.2.2).  One with any other expression, such as `{/name}`
 * or `{a,b}`, stands for itself only.
 */
void
push_pattern_compile_template(struct push_buf *to, struct push_str selector);

/* push_pattern_compile_name - likewise, of a channel's name, which stands for itself only. */
void
push_pattern_compile_name(struct push_buf *to, struct push_str name);

/*
 * push_pattern_matches - whether a channel's name is one of those that a compiled pattern stands for.
 *
 * Of a name that is longer than any that can be configured (PUSH_QUERY_BYTES_MAX): never.
 */
bool
push_pattern_matches(struct push_str compiled, struct push_str channel);

#endif
