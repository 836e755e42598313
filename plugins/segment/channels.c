/* channels.c - see channels.h. */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "segment/blocks.h"
#include "segment/channels.h"

#define NAME_HERE  (sizeof(((struct segment_channel *)0)->name))
#define MORE_BYTES (sizeof(((struct segment_more *)0)->bytes))

uint64_t
push_segment_hash(const struct push_segment *segment, const char *name, size_t size)
{
	return XXH3_64bits_withSeed(name, size, segment->seed);
}

/* What follows the name's beginning stands in the rest of the chain. */
static bool
has_name(struct push_segment *segment, const struct segment_channel *channel, const char *name, size_t size)
{
	size_t here = size < NAME_HERE ? size : NAME_HERE;
	const union segment_block *block;
	segment_index next = channel->next;

	if (channel->name_size != size || memcmp(channel->name, name, here) != 0)
		return false;
	while (here < size) {
		size_t part = size - here < MORE_BYTES ? size - here : MORE_BYTES;

		block = segment_block(segment, next);
		if (!block || segment_kind_of(block) != SEGMENT_MORE ||
			memcmp(block->more.bytes, name + here, part) != 0)
			return false;
		here += part;
		next = block->more.next;
	}
	return true;
}

bool
segment_channel_name(struct push_segment *segment, const struct segment_channel *channel, char *to)
{
	size_t size = SEGMENT_GET(channel->name_size), here = size < NAME_HERE ? size : NAME_HERE;
	const union segment_block *block;
	segment_index next = channel->next;

	if (!size || size > PUSH_SEGMENT_NAME_BYTES_MAX)
		return false;
	memcpy(to, channel->name, here);
	while (here < size) {
		size_t part = size - here < MORE_BYTES ? size - here : MORE_BYTES;

		block = segment_block(segment, next);
		if (!block || segment_kind_of(block) != SEGMENT_MORE)
			return false;
		memcpy(to + here, block->more.bytes, part);
		here += part;
		next = block->more.next;
	}
	return true;
}

static _Atomic segment_index *
bucket_of(const struct push_segment *segment, uint64_t hash)
{
	return &segment->channel_buckets[hash & segment->bucket_mask];
}

static bool
is_it(struct push_segment *segment, const struct segment_channel *channel, const char *name, size_t size,
	uint64_t hash)
{
	return channel->hash == hash &&
	       atomic_load_explicit(&channel->state, memory_order_relaxed) == SEGMENT_LIVE &&
	       has_name(segment, channel, name, size);
}

uint32_t
push_segment_channel_find(
	struct push_segment *segment, const char *name, size_t size, uint64_t hash, uint32_t hint)
{
	const struct segment_channel *channel = hint ? segment_channel(segment, hint) : NULL;
	segment_index index;
	uint32_t steps = 0;

	PUSH_ASSERT(segment_has_lock(segment));
	if (channel && is_it(segment, channel, name, size, hash))
		return hint;
	for (index = atomic_load_explicit(bucket_of(segment, hash), memory_order_relaxed); index;
		index = channel->bucket_next) {
		channel = segment_channel(segment, index);
		if (!channel || ++steps > segment->block_count) {
			segment_broken(segment);
			return 0;
		}
		if (is_it(segment, channel, name, size, hash))
			return index;
	}
	return 0;
}

static void
write_name(struct push_segment *segment, struct segment_channel *channel, const char *name, size_t size)
{
	size_t here = size < NAME_HERE ? size : NAME_HERE;
	segment_index next = channel->next;

	SEGMENT_SET(channel->name_size, (uint16_t)size);
	segment_set_bytes(channel->name, name, here);
	while (here < size) {
		union segment_block *block = segment_block(segment, next);
		size_t part = size - here < MORE_BYTES ? size - here : MORE_BYTES;

		if (!block) {
			segment_broken(segment);
			return;
		}
		segment_set_bytes(block->more.bytes, name + here, part);
		here += part;
		next = block->more.next;
	}
}

static uint64_t *
forgotten(struct push_segment *segment, uint64_t hash)
{
	return &segment->header->forgotten[hash % PUSH_SEGMENT_FORGOTTEN_COUNT];
}

uint32_t
segment_channel_blocks(size_t name_size)
{
	return name_size <= NAME_HERE ? 1
				      : (uint32_t)((name_size - NAME_HERE + MORE_BYTES - 1) / MORE_BYTES) + 1;
}

void
segment_channel_link(struct push_segment *segment, segment_index index)
{
	struct segment_channel *channel = segment_channel(segment, index);
	_Atomic segment_index *bucket;

	if (!channel) {
		segment_broken(segment);
		return;
	}
	bucket = bucket_of(segment, channel->hash);
	SEGMENT_SET(channel->bucket_next, atomic_load_explicit(bucket, memory_order_relaxed));
	atomic_store_explicit(bucket, index, memory_order_relaxed);
	segment->header->channels++;
}

segment_index
segment_channel_obtain(struct push_segment *segment, const char *name, size_t size, uint64_t hash)
{
	segment_index index = push_segment_channel_find(segment, name, size, hash, 0);
	struct segment_channel *channel;

	if (index || !size || size > PUSH_SEGMENT_NAME_BYTES_MAX)
		return index;
	index = segment_take(segment, SEGMENT_CHANNEL, segment_channel_blocks(size));
	channel = segment_channel(segment, index);
	if (!channel)
		return 0;
	SEGMENT_SET(channel->hash, hash);
	SEGMENT_SET(channel->after, *forgotten(segment, hash));
	SEGMENT_SET(channel->known_since, channel->after);
	SEGMENT_SET(channel->created, segment->header->number);
	write_name(segment, channel, name, size);
	/* whoever makes lists anew takes it from here on */
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&channel->state, SEGMENT_LIVE, memory_order_relaxed);
	segment_channel_link(segment, index);
	return index;
}

/* The words that may hold counts, in its block and behind it; false: no more. */
struct words {
	_Atomic uint32_t *words;
	size_t count;
	segment_index next;
	uint32_t steps;
};

static struct words
first_words(struct segment_channel *channel)
{
	return (struct words){channel->counts, SEGMENT_COUNTS_HERE, channel->more_counts, 0};
}

static bool
next_words(struct push_segment *segment, struct words *words)
{
	union segment_block *block;

	if (!words->next)
		return false;
	block = segment_block(segment, words->next);
	if (!block || segment_kind_of(block) != SEGMENT_COUNTS || ++words->steps > PUSH_SEGMENT_SLOTS_MAX) {
		segment_broken(segment);
		return false;
	}
	words->words = block->counts.counts;
	words->count = SEGMENT_COUNTS_MORE;
	words->next = block->counts.next;
	return true;
}

uint64_t
push_segment_subscribers(struct push_segment *segment, uint32_t index, uint64_t *ret_mask)
{
	struct segment_channel *channel = segment_channel(segment, index);
	uint64_t attached = atomic_load_explicit(&segment->header->attached, memory_order_relaxed);
	uint64_t count = 0;
	struct words words;

	PUSH_ASSERT(segment_has_lock(segment));
	*ret_mask = 0;
	if (!channel)
		return 0;
	words = first_words(channel);
	do {
		for (size_t i = 0; i < words.count; i++) {
			uint32_t word = atomic_load_explicit(&words.words[i], memory_order_relaxed);
			uint32_t slot = (word >> SEGMENT_COUNT_BITS) - 1;

			/* those of a worker that has ended are taken back in time */
			if (word && slot < PUSH_SEGMENT_SLOTS_MAX && (attached & 1ull << slot)) {
				count += word & SEGMENT_COUNT_MAX;
				*ret_mask |= 1ull << slot;
			}
		}
	} while (next_words(segment, &words));
	return count;
}

/* The word of a slot, or one that is free; NULL: there is none. */
static _Atomic uint32_t *
find_word(struct push_segment *segment, struct segment_channel *channel, unsigned int slot)
{
	struct words words = first_words(channel);
	_Atomic uint32_t *vacant = NULL;

	do {
		for (size_t i = 0; i < words.count; i++) {
			uint32_t word = atomic_load_explicit(&words.words[i], memory_order_relaxed);

			if (word >> SEGMENT_COUNT_BITS == slot + 1)
				return words.words + i;
			if (!word && !vacant)
				vacant = &words.words[i];
		}
	} while (next_words(segment, &words));
	return vacant;
}

static _Atomic uint32_t *
add_words(struct push_segment *segment, struct segment_channel *channel)
{
	segment_index index = segment_take(segment, SEGMENT_COUNTS, 1);
	union segment_block *block = segment_block(segment, index);

	if (!block || !index)
		return NULL;
	SEGMENT_SET(block->counts.next, channel->more_counts);
	atomic_signal_fence(memory_order_seq_cst);
	SEGMENT_SET(channel->more_counts, index);
	return &block->counts.counts[0];
}

static bool
is_used(struct push_segment *segment, struct segment_channel *channel)
{
	struct words words = first_words(channel);

	if (channel->kept)
		return true;
	do {
		for (size_t i = 0; i < words.count; i++)
			if (atomic_load_explicit(&words.words[i], memory_order_relaxed))
				return true;
	} while (next_words(segment, &words));
	return false;
}

static void
unlink_channel(struct push_segment *segment, segment_index index, const struct segment_channel *channel)
{
	_Atomic segment_index *place = bucket_of(segment, channel->hash);
	segment_index found = atomic_load_explicit(place, memory_order_relaxed);
	struct segment_channel *before = NULL;

	for (uint32_t steps = 0; found && found != index; steps++) {
		before = segment_channel(segment, found);
		if (!before || steps > segment->block_count)
			break;
		found = before->bucket_next;
	}
	if (found != index) {
		segment_broken(segment);
		return;
	}
	if (before)
		SEGMENT_SET(before->bucket_next, channel->bucket_next);
	else
		atomic_store_explicit(place, channel->bucket_next, memory_order_relaxed);
	segment->header->channels--;
}

void
segment_channel_release(struct push_segment *segment, segment_index index)
{
	struct segment_channel *channel = segment_channel(segment, index);
	uint64_t *place;

	PUSH_ASSERT(segment_has_lock(segment));
	if (!channel || is_used(segment, channel))
		return;
	place = forgotten(segment, channel->hash);
	if (*place < channel->after)
		*place = channel->after;
	unlink_channel(segment, index, channel);
	if (channel->more_counts)
		segment_give_back(segment, channel->more_counts);
	segment_give_back(segment, index);
}

enum push_status
push_segment_set_count(struct push_segment *segment, const char *name, size_t size, uint64_t hash,
	uint32_t count, uint32_t *hint)
{
	struct segment_channel *channel;
	_Atomic uint32_t *word;
	segment_index index = push_segment_channel_find(segment, name, size, hash, *hint);

	PUSH_ASSERT(segment->slot < PUSH_SEGMENT_SLOTS_MAX);
	if (!index && count)
		index = segment_channel_obtain(segment, name, size, hash);
	*hint = index;
	channel = segment_channel(segment, index);
	if (!channel)
		return count ? PUSH_OUT_OF_MEMORY : PUSH_OK;
	word = find_word(segment, channel, segment->slot);
	if (!word && count)
		word = add_words(segment, channel);
	if (!word && count) {
		segment_channel_release(segment, index);
		*hint = 0;
		return PUSH_OUT_OF_MEMORY;
	}
	if (count > SEGMENT_COUNT_MAX)
		count = SEGMENT_COUNT_MAX;
	if (count) {
		atomic_store_explicit(
			word, (segment->slot + 1) << SEGMENT_COUNT_BITS | count, memory_order_relaxed);
		return PUSH_OK;
	}
	if (word)
		atomic_store_explicit(word, 0, memory_order_relaxed);
	if (!is_used(segment, channel)) {
		segment_channel_release(segment, index);
		*hint = 0;
	}
	return PUSH_OK;
}

static void
forget_one(struct push_segment *segment, segment_index index, unsigned int slot)
{
	struct segment_channel *channel = segment_channel(segment, index);
	_Atomic uint32_t *word = channel ? find_word(segment, channel, slot) : NULL;

	if (!word || !atomic_load_explicit(word, memory_order_relaxed))
		return;
	atomic_store_explicit(word, 0, memory_order_relaxed);
	segment_channel_release(segment, index);
}

bool
segment_channels_forget(struct push_segment *segment, unsigned int slot, uint32_t *bucket, uint32_t max)
{
	uint32_t steps = 0;

	PUSH_ASSERT(segment_has_lock(segment));
	for (; max && *bucket <= segment->bucket_mask; (*bucket)++, max--) {
		segment_index index =
			atomic_load_explicit(&segment->channel_buckets[*bucket], memory_order_relaxed);

		while (index) {
			struct segment_channel *channel = segment_channel(segment, index);
			segment_index next;

			if (!channel || ++steps > segment->block_count) {
				segment_broken(segment);
				break;
			}
			next = channel->bucket_next;
			forget_one(segment, index, slot);
			index = next;
		}
	}
	return *bucket <= segment->bucket_mask;
}
