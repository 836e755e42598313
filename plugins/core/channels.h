/*
 * channels.h - channel names, one or a list of them, as clients write them.
 *
 * A name is 1 to push.channel.name.max bytes of valid UTF-8 without control characters (C0, DEL, C1).
 */
#ifndef PUSH_CORE_CHANNELS_H
#define PUSH_CORE_CHANNELS_H

#include <stddef.h>

#include "options.h"
#include "status.h"

struct push_channel_name {
	const char *text; /* not NUL-terminated */
	size_t size;
};

/* The channels of one connection. */
struct push_channels {
	struct push_channel_name *names; /* distinct, in the order of the request */
	size_t count;
};

/*
 * push_channel_name_check - whether this may be a channel's name.
 *
 * Errors: PUSH_INVALID, with the name and what is wrong with it in `error`.
 */
enum push_status PUSH_MUST_USE
push_channel_name_check(const char *name, size_t size, size_t bytes_max, struct push_error *error);

/* push_channels_too_many - say that a name, which is a valid one, is one too many. */
void
push_channels_too_many(
	struct push_error *error, const char *name, size_t size, const struct push_options *options);

/*
 * push_channels_parse - split a percent-decoded list on its commas and check each name.
 *
 * Duplicates collapse.  @list: borrowed; the names point into it.
 * On success the caller owes push_channels_fini().  Errors: PUSH_INVALID for no list, a bad or an empty name,
 * PUSH_TOO_MANY for more than push.channels.max, both with `error` naming it; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_channels_parse(struct push_channels *ret_channels, const char *list, size_t size,
	const struct push_options *options, struct push_error *error);

/*
 * push_channels_add - check a name and append it, unless it is there already.
 *
 * channels->names has room for one more up to push.channels.max.  @name: borrowed.  Errors: as above.
 */
enum push_status PUSH_MUST_USE
push_channels_add(struct push_channels *channels, const char *name, size_t size,
	const struct push_options *options, struct push_error *error);

void
push_channels_fini(struct push_channels *channels);

/* push_channels_join_error - why a client could not be subscribed, of a status other than PUSH_OK; static. */
const char *
push_channels_join_error(enum push_status status);

#endif
