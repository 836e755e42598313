/* hub_read.c - what is kept of a channel, for those who ask instead of subscribing (hub.h, push_hub_read). */
#include "hub_private.h"
#include "limits.h"
#include "read_answer.h"

struct reader {
	struct push_hub *hub;
	struct push_history *history;
	struct push_read_answer answer;
	size_t prefix; /* of a kept message: `{"channel":"qwerty","message":` */
};

static void
append_message(struct reader *reader, const struct push_history_entry *entry)
{
	struct push_positions positions = {.partitions = 1u << reader->history->partition};
	char id[PUSH_ID_BYTES_MAX];
	struct push_message_data data;
	size_t id_size;

	positions.at[reader->history->partition] = entry->at;
	id_size = push_positions_format(&positions, UINT32_MAX, id);
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++) {
		if (!entry->frames[e])
			continue;
		data = push_encoding_message_data((enum push_encoding)e, entry->frames[e], id_size);
		PUSH_ASSERT(data.text ? data.size == reader->prefix : data.size > reader->prefix);
		if (data.text)
			push_read_answer_message(
				&reader->answer, (const char *)data.text->bytes, data.text->size, entry->at);
		else
			push_read_answer_message(&reader->answer, data.bytes + reader->prefix,
				data.size - reader->prefix, entry->at);
		return;
	}
}

/* Returns whether there is more. */
static bool
append_messages(struct reader *reader, uint32_t index, uint64_t now_us)
{
	struct push_history *history = reader->history;

	for (; index < history->count; index++) {
		const struct push_history_entry *entry = push_history_at(history, index);

		if (entry->expires_us <= now_us)
			continue;
		if (push_read_answer_is_full(&reader->answer))
			return true;
		append_message(reader, entry);
	}
	return false;
}

/* Where to read from, and what is gone behind that. */
static enum push_status
begin(const struct reader *reader, const struct push_reading *reading, uint32_t *ret_index,
	uint64_t *ret_missed)
{
	const struct push_history *history = reader->history;
	struct push_positions since;
	struct push_position at;

	*ret_index = 0;
	*ret_missed = 0;
	if (!reading->since)
		return PUSH_OK;
	if (push_positions_parse(&since, reading->since, reading->since_size) != PUSH_OK)
		return PUSH_INVALID;
	at = since.at[history->partition];
	*ret_missed = PUSH_READ_UNKNOWN;
	/* of another partition, or of a time that has not come here: not ours */
	if (!(since.partitions & 1u << history->partition) ||
		push_position_compare(at, reader->hub->history->heads.at[history->partition]) > 0)
		return PUSH_OK;
	*ret_missed = push_history_missed(history, at);
	*ret_index = push_history_find(history, at);
	return PUSH_OK;
}

static enum push_status
read_history(struct reader *reader, const struct push_reading *reading, uint64_t now_us, struct push_buf *to)
{
	const struct push_history *history = reader->history;
	uint32_t index;
	uint64_t missed;
	bool more;
	enum push_status status = begin(reader, reading, &index, &missed);

	if (status != PUSH_OK)
		return status;
	push_read_answer_begin(&reader->answer, to, history->partition, reading->limit, reading->channel,
		reading->channel_size);
	more = append_messages(reader, index, now_us);
	push_read_answer_end(&reader->answer, missed,
		more ? reader->answer.last : reader->hub->history->heads.at[history->partition], more);
	return to->status;
}

enum push_status
push_hub_read(struct push_hub *hub, const struct push_reading *reading, uint64_t now_us, struct push_buf *to)
{
	struct reader reader = {.hub = hub};
	struct push_channel *channel;
	enum push_status status;

	PUSH_ASSERT(reading->limit > 0 && reading->limit <= PUSH_READ_MESSAGES_MAX);
	if (!hub->history ||
		!push_history_rules_find(&hub->history->rules, reading->channel, reading->channel_size)->size)
		return PUSH_NOT_FOUND;
	/* one that is not there is made, since it knows what it has lost */
	channel = hub_obtain(hub, reading->channel, reading->channel_size);
	if (!channel)
		return PUSH_OUT_OF_MEMORY;
	reader.history = channel->history;
	push_history_expire(reader.history, now_us);
	status = hub_compose(hub, channel, "", 0);
	reader.prefix = hub->scratch.size;
	if (status == PUSH_OK)
		status = read_history(&reader, reading, now_us, to);
	push_channel_map_release(&hub->channels, channel);
	return status;
}
