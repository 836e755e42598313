/*
 * units.h - durations and sizes as people write them: `500ms`, `30s`, `2m`, `1h`, `1d`; `64kb`, `1mb`.
 *
 * No sign, no space, units in lower or upper case, and integers only, but for the seconds of `PT0.5S`.
 * Results are bounded (limits.h), so that sums of several never overflow.
 */
#ifndef PUSH_CORE_UNITS_H
#define PUSH_CORE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

/*
 * push_duration_parse - `500ms`, `30s`, `2m`, `1h`, `1d`, a bare number of milliseconds, or ISO 8601's
 * `PT1H30M`, `P1D`, `PT0.5S` (Spring's, too: configurations of the origin have them).
 *
 * Writes microseconds to *ret_us on success only.
 * Errors: PUSH_INVALID (no such form), PUSH_TOO_LARGE (over PUSH_DURATION_US_MAX).
 */
enum push_status PUSH_MUST_USE
push_duration_parse(const char *text, uint64_t *ret_us);

/*
 * push_size_parse - `64kb`, `1mb`, `10b` or bare bytes; 1kb is 1024 bytes.
 *
 * Writes bytes to *ret_bytes on success only.
 * Errors: PUSH_INVALID (no such form), PUSH_TOO_LARGE (over PUSH_SIZE_MAX).
 */
enum push_status PUSH_MUST_USE
push_size_parse(const char *text, uint64_t *ret_bytes);

/* push_memory_parse - as push_size_parse(), with `gb` too, up to PUSH_MEMORY_MAX. */
enum push_status PUSH_MUST_USE
push_memory_parse(const char *text, uint64_t *ret_bytes);

/*
 * push_budget_parse - a size as above, of PUSH_BUDGET_BYTES_MIN at least, or a share of what there is, `50%`.
 *
 * Writes bytes, or the percentage, which is smaller than any such size.  Errors as push_size_parse().
 */
enum push_status PUSH_MUST_USE
push_budget_parse(const char *text, uint64_t *ret_budget);

/* push_budget_bytes - what a budget is of so many bytes. */
uint64_t
push_budget_bytes(uint64_t budget, uint64_t bytes);

/* push_count_parse - a bare number up to PUSH_SIZE_MAX.  Errors as push_size_parse(). */
enum push_status PUSH_MUST_USE
push_count_parse(const char *text, uint64_t *ret_count);

/* One, as push_ratio_parse() has it. */
#define PUSH_RATIO_ONE 1000000000ull

/* push_ratio_parse - a share from `0` to `1`, such as `0.01`, with up to nine decimals; in billionths.
 * Errors: PUSH_INVALID. */
enum push_status PUSH_MUST_USE
push_ratio_parse(const char *text, uint64_t *ret_billionths);

/* push_port_is_valid - whether `size` bytes are a port of TCP: 1 to 65535 in at most five digits (RFC 3986, 3.2.3). */
bool
push_port_is_valid(const char *text, size_t size);

#endif
