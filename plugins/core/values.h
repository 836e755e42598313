/*
 * values.h - small values that are kept by name for a while: answers that may be asked for again, positions
 * of clients that may come back.
 *
 * A hash table with everything in the order in which it was put: where there is no room the oldest go first.
 * What is too old is gone at once for who asks, and is freed by the clock.  Names may come from clients, so
 * the hash is seeded, as that of channels is.
 *
 * One value takes its bytes, its name's and PUSH_VALUE_OVERHEAD_BYTES; all of them at most
 * PUSH_VALUES_BYTES_MAX.
 */
#ifndef PUSH_CORE_VALUES_H
#define PUSH_CORE_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"
#include "status.h"

struct push_values;

/* What one takes beside its name and its bytes, about. */
#define PUSH_VALUE_OVERHEAD_BYTES 128

/* push_values_create - nothing is kept yet.  @account: what it is charged to, borrowed; NULL: nothing.
 * Returns NULL when memory is out. */
struct push_values *
push_values_create(uint64_t seed, struct push_account *account, uint64_t now_us);

/* push_values_destroy - NULL is allowed. */
void
push_values_destroy(struct push_values *values);

/*
 * push_values_get - what is kept by a name.
 *
 * Errors: PUSH_NOT_FOUND.  The bytes are borrowed until the next call.
 */
enum push_status PUSH_MUST_USE
push_values_get(struct push_values *values, const char *name, size_t name_size, uint64_t now_us,
	const char **ret_value, size_t *ret_size);

/*
 * push_values_put - keep a copy of a value for `ttl_us`, in the place of one of the same name.
 *
 * @ttl_us: up to PUSH_DURATION_US_MAX; 0: nothing is kept by that name any more.
 * Errors: PUSH_TOO_LARGE for a name over PUSH_VALUE_NAME_BYTES_MAX or a value over PUSH_VALUE_BYTES_MAX;
 * PUSH_OUT_OF_MEMORY.  With either what was there stays.
 */
enum push_status PUSH_MUST_USE
push_values_put(struct push_values *values, const char *name, size_t name_size, const char *value,
	size_t value_size, uint64_t ttl_us, uint64_t now_us);

/* push_values_tick - free up to `max` that are too old. */
void
push_values_tick(struct push_values *values, uint64_t now_us, unsigned int max);

size_t
push_values_count(const struct push_values *values);

/* push_values_bytes - what all of them take, overhead included. */
uint64_t
push_values_bytes(const struct push_values *values);

#endif
