/*
 * redis_slot.h - hash slots of a Redis Cluster (Redis docs, "Redis cluster specification", "Key distribution
 * model" and "Hash tags").
 */
#ifndef PUSH_CORE_REDIS_SLOT_H
#define PUSH_CORE_REDIS_SLOT_H

#include <stddef.h>
#include <stdint.h>

#define PUSH_REDIS_SLOT_COUNT     16384
#define PUSH_REDIS_SLOT_TAG_BYTES 8 /* with the NUL */

/* push_redis_slot - CRC16 of a name, or of what stands in its first braces, modulo the number of slots. */
uint16_t
push_redis_slot(const char *name, size_t size);

/* A short text for each slot, which hashes to it. */
struct push_redis_slot_tags;

/* push_redis_slot_tags_create - computes all of them, in some milliseconds.  NULL when memory is out. */
struct push_redis_slot_tags *
push_redis_slot_tags_create(void);

/* push_redis_slot_tags_destroy - NULL is allowed. */
void
push_redis_slot_tags_destroy(struct push_redis_slot_tags *tags);

/* push_redis_slot_tag - letters and digits that hash to `slot`, NUL-terminated. */
void
push_redis_slot_tag(
	const struct push_redis_slot_tags *tags, uint16_t slot, char to[PUSH_REDIS_SLOT_TAG_BYTES]);

#endif
