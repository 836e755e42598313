/* reading.c - what is kept of a channel, for who asks instead of subscribing (broker/engine.h, read). */
#include "core/read_answer.h"
#include "shared/shared_private.h"

struct reading {
	struct shared_engine *engine;
	struct push_read_answer answer;
	uint64_t time_us, oldest_us; /* what was published before that is too old */
	bool is_more;
};

static bool
visit(void *context, const struct push_segment_item *item)
{
	struct reading *reading = context;

	if (item->expires_us <= reading->time_us || item->time_us <= reading->oldest_us)
		return true;
	if (push_read_answer_is_full(&reading->answer)) {
		reading->is_more = true;
		return false;
	}
	push_read_answer_message(&reading->answer, item->value, item->value_size,
		(struct push_position){reading->engine->epoch, item->number});
	return true;
}

/* Where to read from.  Errors: PUSH_INVALID. */
static enum push_status
begin(const struct reading *reading, const struct push_reading *asked, uint64_t *ret_low, bool *ret_is_ours)
{
	const struct shared_engine *engine = reading->engine;
	struct push_positions since;

	*ret_low = 0;
	*ret_is_ours = false;
	if (!asked->since)
		return PUSH_OK;
	if (push_positions_parse(&since, asked->since, asked->since_size) != PUSH_OK)
		return PUSH_INVALID;
	/* of another partition, or broker, or of a time that has not come: not ours */
	*ret_is_ours = (since.partitions & 1u) && since.at[0].epoch == engine->epoch &&
		       since.at[0].number <= push_segment_head(engine->segment);
	if (*ret_is_ours)
		*ret_low = since.at[0].number;
	return PUSH_OK;
}

/* How many are gone behind a position of ours. */
static uint64_t
missed(const struct push_segment_kept *kept, uint64_t number)
{
	if (number >= kept->after)
		return 0;
	return number >= kept->known_since && number <= kept->created ? kept->dropped : PUSH_READ_UNKNOWN;
}

/* Under the lock. */
static enum push_status
read_channel(struct reading *reading, const struct push_reading *asked, struct push_buf *text)
{
	struct shared_engine *engine = reading->engine;
	struct push_segment *segment = engine->segment;
	uint64_t hash = push_segment_hash(segment, asked->channel, asked->channel_size);
	uint32_t channel = push_segment_channel_find(segment, asked->channel, asked->channel_size, hash, 0);
	struct push_position head = {engine->epoch, push_segment_head(segment)};
	struct push_segment_kept kept;
	uint64_t low, gone = 0;
	bool is_ours;
	enum push_status status = begin(reading, asked, &low, &is_ours);

	if (status != PUSH_OK)
		return status;
	push_read_answer_begin(&reading->answer, text, 0, asked->limit, asked->channel, asked->channel_size);
	/* this frees what is too old, so that comes first */
	(void)push_segment_history_read(segment, channel, low, UINT64_MAX, false, UINT32_MAX, UINT64_MAX,
		NULL, &engine->scratch, reading->time_us, visit, reading);
	push_segment_kept(segment, channel, hash, &kept);
	if (asked->since)
		gone = is_ours ? missed(&kept, low) : PUSH_READ_UNKNOWN;
	push_read_answer_end(
		&reading->answer, gone, reading->is_more ? reading->answer.last : head, reading->is_more);
	return text->status;
}

void
shared_history_read(struct push_engine *base, const struct push_reading *asked, uint64_t now_us,
	push_value_done_fn done, void *context)
{
	struct shared_engine *engine = shared_of(base);
	const struct push_history_rule *rule =
		push_hub_keeps(engine->hub, asked->channel, asked->channel_size);
	struct reading reading = {.engine = engine};
	enum push_status status = rule ? PUSH_UNAVAILABLE : PUSH_NOT_FOUND;
	struct push_buf text;

	engine->now_us = now_us;
	reading.time_us = shared_time(engine);
	/* what is over the limit is one message more, and any byte of it may need an escape */
	push_buf_init(&text, 2 * (size_t)PUSH_SIZE_MAX);
	if (rule && shared_lock(engine)) {
		reading.oldest_us = reading.time_us > rule->ttl_us ? reading.time_us - rule->ttl_us : 0;
		status = read_channel(&reading, asked, &text);
		shared_unlock(engine);
	}
	if (status == PUSH_OK)
		done(context, PUSH_OK, text.bytes, text.size);
	else
		done(context, status, NULL, 0);
	push_buf_fini(&text);
}
