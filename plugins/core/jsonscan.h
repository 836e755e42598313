/*
 * jsonscan.h - goes over a JSON object once, checks all of it, and says where its members' values stand.
 *
 * No tree is made: of a publish nothing is needed but the text of one value and the name of a channel, and a
 * tree would turn 12345678901234567890123 into the largest number that it can hold, and 1.0e2 into its own
 * spelling.  The grammar is RFC 8259's and nothing beside it: no comments, no NaN, no `1.` and `-01`, no
 * control characters in strings; and the text is UTF-8.  A byte order mark in front of an object or an array is skipped.
 */
#ifndef PUSH_CORE_JSONSCAN_H
#define PUSH_CORE_JSONSCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "options.h"
#include "status.h"

/* A member that is looked for at the top of the object; of one that comes twice the last one counts. */
struct push_json_member {
	const char *name;
	const char *text; /* its value, in the scanned text; NULL where there is none */
	size_t size;
	bool is_compact; /* no white space between its tokens */
	bool is_lenient; /* for push_json_scan_request(): a name like it is somebody else's */
};

/*
 * push_json_scan_object - check that `text` is one JSON object, and find members.
 *
 * Errors: PUSH_INVALID, with what is wrong in `error`, PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_json_scan_object(const char *text, size_t size, struct push_json_member *members, size_t count,
	struct push_error *error);

/*
 * push_json_scan_request - likewise, for what somebody has written by hand: members that are not known are
 * ignored, but for one that is a known one misspelt, if that is missing (push_similar_name_is_slip).
 */
enum push_status PUSH_MUST_USE
push_json_scan_request(const char *text, size_t size, struct push_json_member *members, size_t count,
	struct push_error *error);

/*
 * push_json_check_unique - check that no member's name comes twice in an object that was scanned; what stands
 * in its members is not looked at.
 *
 * For what somebody has signed: two readers that take another one of two members read two documents.
 * Errors: PUSH_INVALID, PUSH_TOO_MANY for more than PUSH_JSON_UNIQUE_MEMBERS_MAX, both with a line in `error`;
 * PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_json_check_unique(const char *text, size_t size, struct push_error *error);

/* push_json_scan_value - whether `text` is one JSON value of any kind, and, where it is, without white space
 * between its tokens. */
bool
push_json_scan_value(const char *text, size_t size, bool *ret_is_compact);

/*
 * push_json_scan_array - check that `text` is one JSON array, and count its elements.
 *
 * Errors: PUSH_INVALID, with what is wrong in `error`.
 */
enum push_status PUSH_MUST_USE
push_json_scan_array(const char *text, size_t size, size_t *ret_count, struct push_error *error);

/*
 * push_json_next_element - go through an array that was scanned.
 *
 * @at: at its opening bracket at first; moved behind the element.  Returns false where there is no more.
 */
bool
push_json_next_element(const char **at, const char *end, const char **ret_text, size_t *ret_size);

/* push_json_is_blank - whether there is nothing but white space. */
bool
push_json_is_blank(const char *text, size_t size);

/* push_json_is_array_text - whether the first byte that is no white space opens an array. */
bool
push_json_is_array_text(const char *text, size_t size);

/* push_json_is_string - whether the member is there and a string. */
bool
push_json_is_string(const struct push_json_member *member);

/*
 * push_json_decode_string - append what a string's text, with its quotes, means.
 *
 * The text is one that was scanned.  Failure shows in to->status.
 */
void
push_json_decode_string(struct push_buf *to, const char *text, size_t size);

/* push_json_append_compact - append a scanned value without the white space between its tokens. */
void
push_json_append_compact(struct push_buf *to, const char *text, size_t size);

#endif
