/* acks.c - see acks.h. */
#include <stdlib.h>
#include <string.h>

#include "acks.h"
#include "jsonscan.h"
#include "intake.h"
#include "limits.h"
#include "pressure.h"
#include "session.h"

#define RING_FIRST_CAPACITY 8

_Static_assert((RING_FIRST_CAPACITY & (RING_FIRST_CAPACITY - 1)) == 0, "the ring is indexed by a mask");

static struct push_acks *
acks_of(const struct push_subscriber *subscriber)
{
	PUSH_ASSERT(subscriber->has_acks);
	return subscriber->list->session->acks;
}

struct push_acks *
acks_create(struct push_subscriber *subscriber, const char *client)
{
	struct push_acks *acks = calloc(1, sizeof(*acks));

	if (!acks)
		return NULL;
	acks->subscriber = subscriber;
	push_list_init(&acks->window);
	if (*client && !(acks->durable = durable_create(subscriber, client))) {
		free(acks);
		return NULL;
	}
	return acks;
}

static void
charge_ring(struct push_acks *acks, uint32_t capacity)
{
	push_account_change(&acks->subscriber->hub->memory.accounts[PUSH_MEMORY_QUEUES],
		acks->capacity * sizeof(*acks->entries), capacity * sizeof(*acks->entries));
	acks->capacity = capacity;
}

static struct acks_entry *
entry_at(const struct push_acks *acks, uint32_t index)
{
	return &acks->entries[(acks->head + index) & (acks->capacity - 1)];
}

static void
release(struct push_acks *acks, const struct acks_entry *entry)
{
	pressure_window(acks, acks->bytes - entry->frame->size);
	acks->subscriber->hub->stats->unacknowledged--;
	push_frame_unref(entry->frame);
}

void
acks_destroy(struct push_acks *acks)
{
	if (!acks)
		return;
	for (uint32_t i = 0; i < acks->count; i++)
		release(acks, entry_at(acks, i));
	durable_leave(acks->durable, &acks->acked);
	push_list_remove(&acks->window);
	charge_ring(acks, 0);
	free(acks->entries);
	free(acks);
}

void
acks_start(struct push_subscriber *subscriber)
{
	struct push_acks *acks = acks_of(subscriber);

	acks->acked = subscriber->is_behind ? subscriber->list->session->cursor->at
					    : subscriber->hub->history->heads;
	if (acks->durable)
		durable_start(acks->durable, &acks->acked);
}

void
acks_restart(struct push_subscriber *subscriber)
{
	struct push_acks *acks = acks_of(subscriber);

	acks->acked = subscriber->list->session->cursor->at;
	if (acks->durable)
		durable_note(acks->durable);
	acks_hurry(subscriber);
}

bool
acks_have_room(const struct push_subscriber *subscriber, const struct push_frame *frame)
{
	const struct push_options *options = subscriber->hub->options;
	const struct push_acks *acks = acks_of(subscriber);

	return !acks->count ||
	       (acks->count < options->ack_window && acks->bytes + frame->size <= options->queue_bytes_max);
}

static bool
reserve(struct push_acks *acks)
{
	uint32_t capacity = acks->capacity ? acks->capacity * 2 : RING_FIRST_CAPACITY;
	struct acks_entry *entries;

	if (acks->count < acks->capacity)
		return true;
	entries = malloc(capacity * sizeof(*entries));
	if (!entries)
		return false;
	for (uint32_t i = 0; i < acks->count; i++)
		entries[i] = *entry_at(acks, i);
	free(acks->entries);
	acks->entries = entries;
	acks->head = 0;
	charge_ring(acks, capacity);
	return true;
}

void
acks_hurry(struct push_subscriber *subscriber)
{
	struct push_timer *timer = &subscriber->timer;
	uint32_t due;

	/* where it is not armed it will be, behind whatever is being done */
	if (!push_timer_is_armed(timer))
		return;
	due = acks_next_due(subscriber, timer->tick);
	if (due != timer->tick)
		push_wheel_arm_tick(&subscriber->hub->wheel, timer, due);
}

static void
begin_wait(struct push_subscriber *subscriber, uint64_t now_us)
{
	acks_of(subscriber)->due = push_tick_at(now_us + subscriber->hub->options->ack_timeout_us);
	acks_hurry(subscriber);
}

static struct push_position
before(struct push_position at)
{
	return at.number ? (struct push_position){at.epoch, at.number - 1}
			 : (struct push_position){at.epoch - 1, UINT64_MAX};
}

/* What is said to be acknowledged is never behind what is not, whatever order messages come in. */
static void
note_owed(struct push_acks *acks, unsigned int partition, struct push_position at)
{
	struct push_position *acked = &acks->acked.at[partition];

	if ((acks->acked.partitions & (1u << partition)) && push_position_compare(*acked, at) < 0)
		return;
	acks->acked.partitions |= 1u << partition;
	*acked = before(at);
}

bool
acks_keep(struct push_subscriber *subscriber, unsigned int partition, struct push_position at,
	struct push_frame *frame, uint64_t now_us)
{
	struct push_acks *acks = acks_of(subscriber);
	const struct acks_entry *last = acks->count ? entry_at(acks, acks->count - 1) : NULL;

	PUSH_ASSERT(!acks->again);
	note_owed(acks, partition, at);
	if (last && (last->partition != partition || push_position_compare(last->at, at) >= 0))
		acks->is_mixed = true;
	if (!reserve(acks)) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return false;
	}
	acks->count++;
	*entry_at(acks, acks->count - 1) = (struct acks_entry){push_frame_ref(frame), at, (uint8_t)partition};
	pressure_window(acks, acks->bytes + frame->size);
	subscriber->hub->stats->unacknowledged++;
	if (acks->count == 1)
		begin_wait(subscriber, now_us);
	return true;
}

bool
acks_admit(struct push_subscriber *subscriber, unsigned int partition, struct push_position at,
	struct push_frame *frame, uint64_t now_us)
{
	struct push_positions from;

	/* where it is to begin is not known yet; what comes before that is not for it, or comes from history
	 */
	if (subscriber->state != SUBSCRIBER_OPEN)
		return false;
	if (acks_have_room(subscriber, frame))
		return acks_keep(subscriber, partition, at, frame, now_us);
	from = subscriber->hub->history->heads;
	from.partitions |= 1u << partition;
	from.at[partition] = before(at);
	session_fall_back(subscriber, &from, now_us);
	return false;
}

bool
acks_send_again(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_acks *acks = acks_of(subscriber);

	while (acks->again) {
		struct push_frame *frame = entry_at(acks, acks->count - acks->again)->frame;

		if (!session_has_room(subscriber, frame))
			return false;
		acks->again--;
		subscriber->hub->stats->redelivered++;
		subscriber->is_replayed = true;
		subscriber_enqueue(subscriber, frame, now_us);
		if (subscriber->state != SUBSCRIBER_OPEN)
			return false;
	}
	return acks->count < subscriber->hub->options->ack_window;
}

/* `{"error":"text"}` as an event, with the command's `ref`. */
void
acks_refuse(struct push_subscriber *subscriber, const struct push_command *command, const char *text,
	uint64_t now_us)
{
	struct push_json_member ref = {.name = "ref"};
	struct push_frame *frame = NULL;
	struct push_error error;
	struct push_buf data;

	if (command->data &&
		push_json_scan_object(command->data, command->data_size, &ref, 1, &error) != PUSH_OK)
		ref.text = NULL;
	push_buf_init(&data, PUSH_EVENT_BYTES_MAX);
	push_buf_append_text(&data, "{\"error\":");
	push_json_append_string(&data, text, strlen(text));
	if (ref.text && strchr("\"-0123456789", *ref.text)) {
		push_buf_append_text(&data, ",\"ref\":");
		push_buf_append(&data, ref.text, ref.size);
	}
	push_buf_append_text(&data, "}");
	if (data.status == PUSH_OK)
		frame = push_encoding_event(
			(enum push_encoding)subscriber->encoding, "error", data.bytes, data.size, NULL, 0);
	push_buf_fini(&data);
	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
	push_frame_unref(frame);
	intake_check(subscriber);
}

/* Whether the client can have read that: it is no position behind what was sent to it. */
static bool
was_sent(const struct push_subscriber *subscriber, const struct push_positions *id)
{
	const struct push_positions *sent = subscriber->is_behind ? &subscriber->list->session->cursor->at
								  : &subscriber->hub->history->heads;
	const struct push_positions *acked = &acks_of(subscriber)->acked;

	for (unsigned int p = 0; p < PUSH_PARTITIONS_MAX; p++)
		if ((id->partitions & (1u << p)) && push_position_compare(id->at[p], sent->at[p]) > 0 &&
			push_position_compare(id->at[p], acked->at[p]) > 0)
			return false;
	return true;
}

static bool
covers(const struct push_positions *id, const struct acks_entry *entry)
{
	return (id->partitions & (1u << entry->partition)) &&
	       push_position_compare(entry->at, id->at[entry->partition]) <= 0;
}

/* Wherever in the ring they stand. */
static void
forget_mixed(struct push_acks *acks, const struct push_positions *id)
{
	uint32_t kept = 0, kept_sent = 0, sent = acks->count - acks->again;

	for (uint32_t i = 0; i < acks->count; i++) {
		struct acks_entry entry = *entry_at(acks, i);

		if (covers(id, &entry)) {
			release(acks, &entry);
			continue;
		}
		kept_sent += i < sent;
		*entry_at(acks, kept++) = entry;
	}
	acks->count = kept;
	acks->again = kept - kept_sent;
}

/* Returns how many of what is not acknowledged now is. */
static uint32_t
forget(struct push_acks *acks, const struct push_positions *id)
{
	uint32_t before_count = acks->count, forgotten;

	if (acks->is_mixed)
		forget_mixed(acks, id);
	while (acks->count && covers(id, entry_at(acks, 0))) {
		release(acks, entry_at(acks, 0));
		acks->head = (acks->head + 1) & (acks->capacity - 1);
		acks->count--;
	}
	if (acks->again > acks->count)
		acks->again = acks->count;
	forgotten = before_count - acks->count;
	if (acks->count)
		return forgotten;
	acks->is_mixed = false;
	if (acks->capacity > RING_FIRST_CAPACITY) {
		free(acks->entries);
		acks->entries = NULL;
		charge_ring(acks, 0);
	}
	acks->head = 0;
	return forgotten;
}

/* Whether a message is of the channel that its data begins with. */
static bool
is_of(const struct push_subscriber *subscriber, const struct acks_entry *entry, const struct push_buf *start)
{
	struct push_message_data data =
		push_encoding_message_data((enum push_encoding)subscriber->encoding, entry->frame, 0);

	return data.size > start->size && !memcmp(data.bytes, start->bytes, start->size);
}

static void
forget_channel(struct push_subscriber *subscriber, const struct push_buf *start)
{
	struct push_acks *acks = acks_of(subscriber);
	uint32_t kept = 0, kept_sent = 0, sent = acks->count - acks->again;

	for (uint32_t i = 0; i < acks->count; i++) {
		struct acks_entry entry = *entry_at(acks, i);

		if (is_of(subscriber, &entry, start)) {
			release(acks, &entry);
			continue;
		}
		kept_sent += i < sent;
		*entry_at(acks, kept++) = entry;
	}
	acks->count = kept;
	acks->again = kept - kept_sent;
}

enum push_status
acks_leave(struct push_subscriber *subscriber, const struct push_channel *channel)
{
	enum push_status status;
	struct push_buf start;

	push_buf_init(&start, PUSH_EVENT_BYTES_MAX);
	push_buf_append_text(&start, "{\"channel\":");
	push_json_append_string(&start, channel->name, channel->name_size);
	push_buf_append_text(&start, ",");
	status = start.status;
	if (status == PUSH_OK && channel->history)
		forget_channel(subscriber, &start);
	push_buf_fini(&start);
	return status;
}

/* Returns whether that is more than was acknowledged before. */
static bool
move_acked(struct push_acks *acks, const struct push_positions *id)
{
	bool has_moved = false;

	for (unsigned int p = 0; p < PUSH_PARTITIONS_MAX; p++) {
		if (!(id->partitions & (1u << p)) || push_position_compare(id->at[p], acks->acked.at[p]) <= 0)
			continue;
		acks->acked.at[p] = id->at[p];
		acks->acked.partitions |= 1u << p;
		has_moved = true;
	}
	return has_moved;
}

/* Who has acknowledged everything that there is for him owes nothing of what others were sent either. */
static void
keep_up(struct push_subscriber *subscriber)
{
	struct push_acks *acks = acks_of(subscriber);

	if (!acks->count && !subscriber->is_behind)
		acks->acked = subscriber->hub->history->heads;
}

static void
acknowledge(struct push_subscriber *subscriber, const struct push_positions *id, uint64_t now_us)
{
	struct push_acks *acks = acks_of(subscriber);
	uint32_t forgotten = forget(acks, id);

	if (acks->durable && durable_acknowledged(acks->durable))
		acks_hurry(subscriber);
	if (!move_acked(acks, id) && !forgotten)
		return;
	subscriber->hub->stats->acks++;
	keep_up(subscriber);
	if (acks->durable)
		durable_note(acks->durable);
	if (forgotten) {
		acks->retries = 0;
		begin_wait(subscriber, now_us);
	} else {
		acks_hurry(subscriber);
	}
	if (subscriber->is_behind)
		hub_mark_dirty(subscriber); /* which reads on */
}

void
acks_receive(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us)
{
	struct push_positions id;
	const char *text;
	size_t size;

	if (!subscriber->hub->history || subscriber->state != SUBSCRIBER_OPEN)
		return;
	if (!subscriber->has_acks)
		acks_refuse(subscriber, command, "acks are off: connect with acks=true", now_us);
	else if (!push_command_text(command, "id", &text, &size))
		acks_refuse(subscriber, command, "'id' is missing, or not a string", now_us);
	else if (push_positions_parse(&id, text, size) != PUSH_OK || !was_sent(subscriber, &id))
		acks_refuse(subscriber, command, "'id' was not sent on this connection", now_us);
	else
		acknowledge(subscriber, &id, now_us);
}

uint32_t
acks_next_due(const struct push_subscriber *subscriber, uint32_t due)
{
	const struct push_acks *acks = acks_of(subscriber);

	if (acks->count && push_tick_is_before(acks->due, due))
		due = acks->due;
	return acks->durable ? durable_next_due(acks->durable, due) : due;
}

static bool
is_due(uint32_t tick, uint64_t now_us)
{
	return !push_tick_is_before(push_tick_now(now_us), tick);
}

/* Whether all that was sent is on its way, so that the client could have acknowledged it. */
static bool
is_written(struct push_subscriber *subscriber, uint64_t now_us)
{
	if (!push_outbox_is_empty(&subscriber->outbox) && !subscriber->blocked)
		subscriber_flush(subscriber, now_us);
	return push_outbox_is_empty(&subscriber->outbox);
}

static void
on_silence(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_acks *acks = acks_of(subscriber);
	bool was_written = is_written(subscriber, now_us);

	if (subscriber->state != SUBSCRIBER_OPEN)
		return;
	acks->due = push_tick_at(now_us + subscriber->hub->options->ack_timeout_us);
	if (!was_written || acks->again)
		return;
	if (acks->retries >= subscriber->hub->options->ack_retries) {
		push_subscriber_close(subscriber, PUSH_CLOSE_NO_ACK, now_us);
		return;
	}
	acks->retries++;
	acks->again = acks->count;
	/* what is published meanwhile comes behind it */
	if (!subscriber->is_behind)
		session_fall_back(subscriber, &subscriber->hub->history->heads, now_us);
	if (subscriber->is_behind)
		session_advance(subscriber, now_us);
}

void
acks_on_timer(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_acks *acks = acks_of(subscriber);

	keep_up(subscriber);
	if (acks->durable)
		durable_on_timer(acks->durable, &acks->acked, now_us);
	if (acks->count && is_due(acks->due, now_us))
		on_silence(subscriber, now_us);
}
