/* segment.c - see segment.h: making, mapping and growing it, its time and its figures. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/options.h"
#include "segment/layout.h"
#include "segment/lock.h"
#include "segment/segment.h"

#define PAGE_BYTES 4096u

/* Of history a block is half full on average; the rest is for what else lies in blocks. */
#define HISTORY_FACTOR 2u

static uint64_t
pages(uint64_t bytes)
{
	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* Where everything begins; what has a size of its own is set in `header` before. */
static void
lay_out(struct segment_header *header)
{
	header->cells_at = pages(sizeof(*header));
	header->channel_buckets_at =
		header->cells_at + pages(header->cell_count * (uint64_t)sizeof(struct segment_cell));
	header->value_buckets_at =
		header->channel_buckets_at + pages(header->bucket_count * (uint64_t)sizeof(segment_index));
	header->blocks_at =
		header->value_buckets_at + pages(header->bucket_count * (uint64_t)sizeof(segment_index));
}

static uint64_t
end_of(const struct segment_header *header, uint32_t block_count)
{
	return header->blocks_at + (uint64_t)block_count * PUSH_SEGMENT_BLOCK_BYTES;
}

static bool
is_power_of_two(uint32_t number)
{
	return number && !(number & (number - 1));
}

/* Whether the part that never changes is as this program would have made it, and the file as long as it says. */
static bool
is_laid_out(const struct segment_header *header, uint64_t file_bytes, struct push_error *error)
{
	struct segment_header expected = {
		.cell_count = header->cell_count, .bucket_count = header->bucket_count};

	if (header->magic != SEGMENT_MAGIC) {
		snprintf(error->text, sizeof(error->text), "it is no memory of Push's broker");
		return false;
	}
	if (header->layout != SEGMENT_LAYOUT || header->header_bytes != sizeof(*header) ||
		header->block_bytes != PUSH_SEGMENT_BLOCK_BYTES) {
		snprintf(error->text, sizeof(error->text), "its layout is %u, this version's is %u",
			header->layout, SEGMENT_LAYOUT);
		return false;
	}
	lay_out(&expected);
	if (!is_power_of_two(header->cell_count) || !is_power_of_two(header->bucket_count) ||
		header->cells_at != expected.cells_at ||
		header->channel_buckets_at != expected.channel_buckets_at ||
		header->value_buckets_at != expected.value_buckets_at ||
		header->blocks_at != expected.blocks_at || header->block_limit < 2 ||
		file_bytes < end_of(header, 1)) {
		snprintf(error->text, sizeof(error->text),
			"it is damaged: its parts do not lie where they should");
		return false;
	}
	return true;
}

/* The file has grown: how many blocks there are for certain. */
static void
look_at_size(struct push_segment *segment)
{
	struct stat about;
	uint64_t count;

	if (fstat(segment->fd, &about) || (uint64_t)about.st_size < segment->blocks_at)
		return;
	count = ((uint64_t)about.st_size - segment->blocks_at) / PUSH_SEGMENT_BLOCK_BYTES;
	segment->block_count = (uint32_t)(count < segment->block_limit ? count : segment->block_limit);
}

union segment_block *
segment_grown(struct push_segment *segment, segment_index index)
{
	if (index >= segment->block_limit)
		return NULL;
	look_at_size(segment);
	return index < segment->block_count ? &segment->blocks[index] : NULL;
}

/* Without a name: it can only grow (push_segment_create). */
static bool
is_memory(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_SHRINK);
}

/*
 * Lengthen the file.  In memory without a name what is not touched takes none.  On a disk it must have its place
 * now: a hole could not be filled when the disk is full, and whoever wrote there would be killed by it.
 */
bool
segment_lengthen(int fd, uint64_t from, uint64_t to)
{
	if (is_memory(fd))
		return !ftruncate(fd, (off_t)to);
	if (!fallocate(fd, 0, (off_t)from, (off_t)(to - from)))
		return true;
	if (errno != EOPNOTSUPP)
		return false;
	/* a file system that cannot: each of its blocks is written to */
	errno = posix_fallocate(fd, (off_t)from, (off_t)(to - from));
	return !errno;
}

bool
segment_grow(struct push_segment *segment)
{
	const uint32_t step = PUSH_SEGMENT_STEP_BYTES / PUSH_SEGMENT_BLOCK_BYTES;
	uint32_t count, more;

	PUSH_ASSERT(segment_has_lock(segment));
	look_at_size(segment);
	count = segment->block_count;
	more = segment->block_limit - count < step ? segment->block_limit - count : step;
	if (!more)
		return false;
	if (!segment_lengthen(segment->fd, segment->blocks_at + (uint64_t)count * PUSH_SEGMENT_BLOCK_BYTES,
		    segment->blocks_at + ((uint64_t)count + more) * PUSH_SEGMENT_BLOCK_BYTES))
		return false;
	segment->block_count = count + more;
	/* only shown: everybody asks the file itself */
	atomic_store_explicit(&segment->header->block_count, segment->block_count, memory_order_relaxed);
	return true;
}

/* Takes the descriptor over; `limit`: bytes that it may ever have. */
static struct push_segment *
map(int fd, uint64_t limit, struct push_error *error)
{
	struct push_segment *segment = calloc(1, sizeof(*segment));
	void *memory = segment ? mmap(NULL, limit, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0)
			       : MAP_FAILED;

	if (memory == MAP_FAILED) {
		snprintf(error->text, sizeof(error->text), "cannot map %llu MB: %s",
			(unsigned long long)(limit / 1024 / 1024), strerror(errno));
		free(segment);
		close(fd);
		return NULL;
	}
	/* what clients say is nobody's business in a core dump */
	(void)madvise(memory, limit, MADV_DONTDUMP);
	segment->header = memory;
	segment->mapped_bytes = limit;
	segment->fd = fd;
	segment->is_file = !is_memory(fd);
	segment->slot = PUSH_SEGMENT_SLOTS_MAX;
	for (size_t i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		segment->wake_fds[i] = -1;
	return segment;
}

/* What never changes is copied: whoever writes there later is not believed. */
static void
adopt(struct push_segment *segment, const struct segment_header *header)
{
	char *start = (char *)segment->header;

	segment->cells = (struct segment_cell *)(start + header->cells_at);
	segment->channel_buckets = (_Atomic segment_index *)(start + header->channel_buckets_at);
	segment->value_buckets = (_Atomic segment_index *)(start + header->value_buckets_at);
	segment->blocks = (union segment_block *)(start + header->blocks_at);
	segment->blocks_at = header->blocks_at;
	segment->cell_mask = header->cell_count - 1;
	segment->bucket_mask = header->bucket_count - 1;
	segment->block_limit = header->block_limit;
	segment->seed = header->seed;
	segment->epoch = header->epoch;
	look_at_size(segment);
}

uint32_t
segment_limit_of(const struct push_segment_settings *settings)
{
	uint64_t bytes = settings->bytes_max ? settings->bytes_max
					     : settings->history_bytes_max * HISTORY_FACTOR +
						       PUSH_SEGMENT_OTHER_BYTES_MAX;
	uint64_t count = bytes / PUSH_SEGMENT_BLOCK_BYTES + 2;

	return (uint32_t)(count < UINT32_MAX ? count : UINT32_MAX);
}

struct push_segment *
push_segment_format(int fd, const struct push_segment_settings *settings, struct push_error *error)
{
	struct segment_header *header;
	struct push_segment *segment;
	struct segment_header shape = {
		.cell_count = settings->cell_count ? settings->cell_count : PUSH_SEGMENT_CELLS,
		.bucket_count = settings->bucket_count ? settings->bucket_count : PUSH_SEGMENT_BUCKETS,
		.block_limit = segment_limit_of(settings)};

	lay_out(&shape);
	if (!segment_lengthen(fd, 0, shape.blocks_at + PUSH_SEGMENT_STEP_BYTES)) {
		snprintf(error->text, sizeof(error->text), "no room for %llu MB: %s",
			(unsigned long long)((shape.blocks_at + PUSH_SEGMENT_STEP_BYTES) / 1024 / 1024),
			strerror(errno));
		close(fd);
		return NULL;
	}
	segment = map(fd, end_of(&shape, shape.block_limit), error);
	if (!segment)
		return NULL;
	header = segment->header;
	header->layout = SEGMENT_LAYOUT;
	header->header_bytes = sizeof(*header);
	header->block_bytes = PUSH_SEGMENT_BLOCK_BYTES;
	header->cell_count = shape.cell_count;
	header->bucket_count = shape.bucket_count;
	header->block_limit = shape.block_limit;
	lay_out(header);
	header->seed = settings->seed;
	header->epoch = settings->epoch;
	header->fresh = 1;
	atomic_store_explicit(&header->tail, 1, memory_order_relaxed);
	atomic_store_explicit(&header->first, 1, memory_order_relaxed);
	header->low = 1;
	header->history_bytes_max = settings->history_bytes_max;
	adopt(segment, header);
	atomic_store_explicit(&header->block_count, segment->block_count, memory_order_relaxed);
	/* last: what has it is whole */
	atomic_thread_fence(memory_order_release);
	header->magic = SEGMENT_MAGIC;
	return segment;
}

struct push_segment *
push_segment_create(const struct push_segment_settings *settings, struct push_error *error)
{
	int fd = memfd_create(PUSH_SEGMENT_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0) {
		snprintf(error->text, sizeof(error->text), "memfd_create: %s", strerror(errno));
		return NULL;
	}
	/* whoever touched what is no more would be killed */
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	return push_segment_format(fd, settings, error);
}

struct push_segment *
push_segment_attach(int fd, struct push_error *error)
{
	struct segment_header header;
	struct push_segment *segment;
	struct stat about;

	if (fstat(fd, &about) || about.st_size < (off_t)sizeof(header) ||
		pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header)) {
		snprintf(error->text, sizeof(error->text), "it is too short for a memory of Push's broker");
		close(fd);
		return NULL;
	}
	if (!is_laid_out(&header, (uint64_t)about.st_size, error)) {
		close(fd);
		return NULL;
	}
	segment = map(fd, end_of(&header, header.block_limit), error);
	if (!segment)
		return NULL;
	/* somebody may have written to it since it was read */
	if (memcmp(&header, segment->header, offsetof(struct segment_header, tail)) != 0) {
		snprintf(error->text, sizeof(error->text), "it is being changed by somebody else");
		push_segment_detach(segment);
		return NULL;
	}
	adopt(segment, &header);
	return segment;
}

void
push_segment_detach(struct push_segment *segment)
{
	if (!segment)
		return;
	munmap(segment->header, segment->mapped_bytes);
	close(segment->fd);
	free(segment);
}

int
push_segment_fd(const struct push_segment *segment)
{
	return segment->fd;
}

void
push_segment_set_history_max(struct push_segment *segment, uint64_t bytes_max)
{
	PUSH_ASSERT(segment_has_lock(segment));
	segment->header->history_bytes_max = bytes_max;
}

uint64_t
push_segment_epoch(const struct push_segment *segment)
{
	return segment->epoch;
}

uint64_t
push_segment_time(const struct push_segment *segment, uint64_t now_us)
{
	return now_us + (uint64_t)segment->header->shift_us;
}

void
push_segment_tick(struct push_segment *segment, uint64_t now_us, uint64_t wall_us)
{
	/* one that another pushd had until it was killed is ours as soon as its workers are gone (file.h) */
	if (segment->is_file)
		(void)flock(segment->fd, LOCK_EX | LOCK_NB);
	segment->header->time_us = push_segment_time(segment, now_us);
	segment->header->wall_us = wall_us;
}

void
push_segment_figures(const struct push_segment *segment, struct push_segment_figures *ret)
{
	const struct segment_header *header = segment->header;

	*ret = (struct push_segment_figures){
		.history_messages = header->history_messages,
		.history_bytes = header->history_bytes,
		.history_dropped = header->dropped_messages,
		.values = header->value_count,
		.value_bytes = header->value_bytes,
		.notices = header->notice_count,
		.channels = header->channels,
		.log_messages = atomic_load_explicit(&header->tail, memory_order_relaxed) -
				atomic_load_explicit(&header->first, memory_order_relaxed),
		.log_bytes = header->log_bytes,
		.bytes = segment->blocks_at +
			 (uint64_t)atomic_load_explicit(&header->block_count, memory_order_relaxed) *
				 PUSH_SEGMENT_BLOCK_BYTES,
		.repairs = atomic_load_explicit(&header->repairs, memory_order_relaxed),
		.wakes = atomic_load_explicit(&header->wakes, memory_order_relaxed),
		.overruns = atomic_load_explicit(&header->overruns, memory_order_relaxed),
		.attached = (unsigned int)__builtin_popcountll(
			atomic_load_explicit(&header->attached, memory_order_relaxed)),
	};
}
