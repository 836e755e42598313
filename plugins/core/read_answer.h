/*
 * read_answer.h - what is kept of a channel, as it is told to who asks:
 *
 *   {"channel":"qwerty","messages":[{"message":"hello","id":"0.1.5"},...],"missed":0,"id":"0.1.5","more":false}
 *
 * Every engine that can be read writes it with these, in the order begin, messages, end.
 */
#ifndef PUSH_CORE_READ_ANSWER_H
#define PUSH_CORE_READ_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "position.h"

/* Of push_read_answer_end(): some are missing, and nobody knows how many. */
#define PUSH_READ_UNKNOWN UINT64_MAX

struct push_read_answer {
	struct push_buf *to; /* borrowed; to->status tells what went wrong */
	unsigned int partition, limit, count;
	size_t start;              /* of the messages in `to` */
	struct push_position last; /* that was appended; {0, 0}: none */
};

/* push_read_answer_begin - @limit: messages at most.  The name is borrowed until the call returns. */
void
push_read_answer_begin(struct push_read_answer *answer, struct push_buf *to, unsigned int partition,
	unsigned int limit, const char *channel, size_t channel_size);

/* push_read_answer_is_full - whether no more messages may follow: there are `limit` of them, or
 * PUSH_READ_MESSAGES_BYTES. */
bool
push_read_answer_is_full(const struct push_read_answer *answer);

/* push_read_answer_message - one that is behind the last one.  @value: compact JSON text. */
void
push_read_answer_message(
	struct push_read_answer *answer, const char *value, size_t value_size, struct push_position at);

/*
 * push_read_answer_end - nothing follows.
 *
 * @missed: messages that are gone, or PUSH_READ_UNKNOWN.  @next: where to read on.  @more: there is something
 * behind it.
 */
void
push_read_answer_end(struct push_read_answer *answer, uint64_t missed, struct push_position next, bool more);

#endif
