/* read_answer.c - see read_answer.h. */
#include <inttypes.h>

#include "json.h"
#include "limits.h"
#include "push_assert.h"
#include "read_answer.h"

static void
append_id(const struct push_read_answer *answer, struct push_position at)
{
	struct push_positions positions = {.partitions = 1u << answer->partition};
	char id[PUSH_ID_BYTES_MAX];

	positions.at[answer->partition] = at;
	push_buf_append_text(answer->to, "\"id\":\"");
	push_buf_append(answer->to, id, push_positions_format(&positions, UINT32_MAX, id));
	push_buf_append_text(answer->to, "\"");
}

void
push_read_answer_begin(struct push_read_answer *answer, struct push_buf *to, unsigned int partition,
	unsigned int limit, const char *channel, size_t channel_size)
{
	PUSH_ASSERT(partition < PUSH_PARTITIONS_MAX);
	PUSH_ASSERT(limit > 0 && limit <= PUSH_READ_MESSAGES_MAX);
	*answer = (struct push_read_answer){.to = to, .partition = partition, .limit = limit};
	push_buf_append_text(to, "{\"channel\":");
	push_json_append_string(to, channel, channel_size);
	push_buf_append_text(to, ",\"messages\":[");
	answer->start = to->size;
}

bool
push_read_answer_is_full(const struct push_read_answer *answer)
{
	return answer->count == answer->limit || answer->to->size - answer->start >= PUSH_READ_MESSAGES_BYTES;
}

void
push_read_answer_message(
	struct push_read_answer *answer, const char *value, size_t value_size, struct push_position at)
{
	PUSH_ASSERT(answer->count < answer->limit);
	if (answer->count++)
		push_buf_append_text(answer->to, ",");
	push_buf_append_text(answer->to, "{\"message\":");
	push_buf_append(answer->to, value, value_size);
	push_buf_append_text(answer->to, ",");
	append_id(answer, at);
	push_buf_append_text(answer->to, "}");
	answer->last = at;
}

void
push_read_answer_end(struct push_read_answer *answer, uint64_t missed, struct push_position next, bool more)
{
	struct push_buf *to = answer->to;

	push_buf_append_text(to, "],\"missed\":");
	if (missed == PUSH_READ_UNKNOWN)
		push_buf_append_text(to, "\"unknown\"");
	else
		push_buf_printf(to, "%" PRIu64, missed);
	push_buf_append_text(to, ",");
	append_id(answer, next);
	push_buf_append_text(to, more ? ",\"more\":true}" : ",\"more\":false}");
}
