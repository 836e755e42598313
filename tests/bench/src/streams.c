/* streams.c - see streams.h. */
#include <sys/mman.h>

#include "streams.h"

static size_t
table_size(uint32_t channels, uint32_t per_channel)
{
	return sizeof(struct streams) + (size_t)channels * per_channel * sizeof(struct stream);
}

struct streams *
streams_create(uint32_t channels, uint32_t per_channel)
{
	struct streams *streams = mmap(NULL, table_size(channels, per_channel), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (streams == MAP_FAILED)
		return NULL;
	streams->channels = channels;
	streams->per_channel = per_channel;
	return streams;
}

void
streams_destroy(struct streams *streams)
{
	if (streams)
		munmap(streams, table_size(streams->channels, streams->per_channel));
}
