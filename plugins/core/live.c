/*
 * live.c - see live.h.
 *
 * The answers go out through the client's outbox, in order with its messages: whoever asks faster than he
 * reads is slow, and closed like anyone else who is.  Any answer may be the one that does that, so each is
 * followed by a look at the subscriber's state: a closed one has no list any more.
 */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "acks.h"
#include "limiter.h"
#include "channels.h"
#include "identified.h"
#include "intake.h"
#include "jsonscan.h"
#include "limits.h"
#include "live.h"
#include "question.h"
#include "session.h"
#include "sse.h"
#include "utf8.h"

/* What was asked for, as long as one of its channels waits. */
struct live_request {
	uint32_t refs;
	bool has_id;
	bool is_readable;         /* it was an id that came */
	struct push_positions at; /* likewise, where to begin */
	uint32_t ref_size;        /* 0: the client has given none */
	char ref[PUSH_REF_BYTES_MAX];
};

/* One answer that is owed. */
struct live_waiting {
	struct push_channel *channel;
	struct live_request *request; /* a reference */
};

struct live {
	struct live_waiting *waiting; /* in the order of the requests; owned */
	uint32_t count, capacity;
	struct push_token *token;       /* owned; NULL: it has none */
	struct push_buf early;          /* what was asked for before the start, or behind a question: struct
				     early_command, text, ... */
	struct push_buf asked;          /* the data of the `subscribe` that there is a question about, and */
	struct push_question *question; /* the question; NULL: there is none */
	uint64_t end_us;                /* of what answers have granted; UINT64_MAX: never */
	struct push_subscriber *subscriber;
	uint32_t unconfirmed;       /* channels that it has joined and that were not confirmed then, up to */
	uint64_t change;            /* the hub's change of that number */
	struct push_list overtaken; /* in the hub's while these are too many */
};

struct early_command {
	uint32_t kind, size;
};

/* Channels of one command that are refused: the first ones are answered one by one, in their place among the
 * other answers, the others by one error at the end, so that no command has more answers than it is worth. */
struct live_refusals {
	uint32_t count;
	struct push_buf more; /* names, as far as there is room: a JSON array without its brackets */
};

/* What a request that came beside the stream is answered: three arrays, without their brackets. */
struct live_lists {
	struct push_buf subscribed, unsubscribed, errors;
};

/* While one request is served. */
struct live_call {
	struct push_subscriber *subscriber;
	struct live_request *request;
	uint64_t now_us;
	struct live_lists *lists;       /* NULL: it came over the connection, and is answered there */
	struct live_refusals *refusals; /* where lists is NULL */
	const struct push_grant *grant; /* what was answered about it; NULL: nobody was asked */
	unsigned int *counted; /* channels that the limit has counted when it was asked; NULL: none */
};

static void
unref(struct live_request *request)
{
	if (--request->refs == 0)
		free(request);
}

void
live_destroy(struct live *live)
{
	if (!live)
		return;
	while (live->count)
		unref(live->waiting[--live->count].request);
	push_list_remove(&live->overtaken);
	free(live->waiting);
	push_token_destroy(live->token);
	push_buf_fini(&live->early);
	push_buf_fini(&live->asked);
	if (live->question)
		live->question->subscriber = NULL; /* it goes with the answer */
	free(live);
}

static bool
is_open(const struct push_subscriber *subscriber)
{
	return subscriber->state == SUBSCRIBER_OPEN;
}

static struct live *
live_of(const struct push_subscriber *subscriber)
{
	return subscriber->has_list ? subscriber->list->live : NULL;
}

static struct live *
need_live(struct push_subscriber *subscriber)
{
	struct live *live = live_of(subscriber);

	if (live || subscriber_reserve(subscriber, subscriber->subscription_count + 1) != PUSH_OK)
		return live;
	live = calloc(1, sizeof(*live));
	if (!live)
		return NULL;
	push_buf_init(&live->early, PUSH_LIVE_EARLY_BYTES_MAX);
	push_buf_charge(&live->early, &subscriber->hub->memory.accounts[PUSH_MEMORY_REQUESTS]);
	push_buf_init(&live->asked, SIZE_MAX); /* of a command, which is bounded */
	push_buf_charge(&live->asked, live->early.account);
	live->end_us = UINT64_MAX;
	push_list_init(&live->overtaken);
	live->subscriber = subscriber;
	subscriber->list->live = live;
	return live;
}

/* --- answers --- */

/* A client that cannot be told is better off without its connection: it comes back, and asks again. */
static void
send_event(struct push_subscriber *subscriber, const char *name, const struct push_buf *data, const char *id,
	size_t id_size, uint64_t now_us)
{
	struct push_frame *frame = NULL;

	if (data->status == PUSH_OK)
		frame = push_encoding_event(
			(enum push_encoding)subscriber->encoding, name, data->bytes, data->size, id, id_size);
	if (frame)
		subscriber_enqueue(subscriber, frame, now_us);
	else
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
	push_frame_unref(frame);
}

static void
append_ref(struct push_buf *data, const struct live_request *request)
{
	if (!request->ref_size)
		return;
	push_buf_append_text(data, ",\"ref\":");
	push_buf_append(data, request->ref, request->ref_size);
}

/* A name that can be none is repeated as far as one could be as long. */
static void
append_name(struct push_buf *data, const char *name, size_t size)
{
	push_buf_append_text(data, "\"channel\":");
	push_json_append_string(data, name, push_utf8_cut(name, size, PUSH_QUERY_BYTES_MAX));
}

/* @name: NULL: it is the whole request that is wrong. */
static void
send_error(struct push_subscriber *subscriber, const struct live_request *request, const char *name,
	size_t size, const char *text, uint64_t now_us)
{
	struct push_buf data;

	subscriber->hub->stats->live_refused++;
	push_buf_init(&data, PUSH_EVENT_BYTES_MAX);
	push_buf_append_text(&data, "{");
	if (name) {
		append_name(&data, name, size);
		push_buf_append_text(&data, ",");
	}
	push_buf_append_text(&data, "\"error\":");
	push_json_append_string(&data, text, strlen(text));
	append_ref(&data, request);
	push_buf_append_text(&data, "}");
	send_event(subscriber, "error", &data, NULL, 0, now_us);
	push_buf_fini(&data);
}

static void
list_error(struct push_buf *errors, const char *name, size_t size, const char *text)
{
	push_buf_append_text(errors, errors->size ? ",{" : "{");
	append_name(errors, name, size);
	push_buf_append_text(errors, ",\"error\":");
	push_json_append_string(errors, text, strlen(text));
	push_buf_append_text(errors, "}");
}

static void
list_name(struct push_buf *names, const char *name, size_t size)
{
	if (names->size)
		push_buf_append_text(names, ",");
	push_json_append_string(names, name, size);
}

static void
refuse(const struct live_call *call, const char *name, size_t size, const char *text)
{
	if (call->lists) {
		call->subscriber->hub->stats->live_refused++;
		list_error(&call->lists->errors, name, size, text);
		return;
	}
	if (call->refusals->count++ < PUSH_LIVE_ERRORS_MAX) {
		send_error(call->subscriber, call->request, name, size, text, call->now_us);
		return;
	}
	call->subscriber->hub->stats->live_refused++;
	/* escaped, a byte takes six at most */
	if (call->refusals->more.size + 6 * size + 3 <= call->refusals->more.max)
		list_name(&call->refusals->more, name, size);
}

/* Refusals that have had no answer yet have one together. */
static void
finish_refusals(const struct live_call *call)
{
	struct live_refusals *refusals = call->refusals;
	struct push_buf data;

	if (refusals->count > PUSH_LIVE_ERRORS_MAX && is_open(call->subscriber)) {
		push_buf_init(&data, PUSH_EVENT_BYTES_MAX);
		push_buf_printf(&data, "{\"error\":\"%" PRIu32 " more channels are refused\",\"channels\":[",
			refusals->count - PUSH_LIVE_ERRORS_MAX);
		push_buf_append(&data, refusals->more.bytes ? refusals->more.bytes : "", refusals->more.size);
		push_buf_append_text(&data, "]");
		append_ref(&data, call->request);
		push_buf_append_text(&data, "}");
		send_event(call->subscriber, "error", &data, NULL, 0, call->now_us);
		push_buf_fini(&data);
	}
	push_buf_fini(&refusals->more);
}

/* `subscribed`, with the position where it is one of history; `unsubscribed`. */
static void
send_answer(struct push_subscriber *subscriber, const struct live_request *request, const char *event,
	const char *name, size_t size, bool with_id, uint64_t now_us)
{
	bool is_sse = subscriber->encoding == PUSH_ENCODING_SSE;
	char id[PUSH_ID_BYTES_MAX];
	size_t id_size = with_id ? session_position(subscriber, id) : 0;
	struct push_buf data;

	push_buf_init(&data, PUSH_EVENT_BYTES_MAX);
	push_buf_append_text(&data, "{");
	append_name(&data, name, size);
	if (id_size && !is_sse) {
		push_buf_append_text(&data, ",\"id\":\"");
		push_buf_append(&data, id, id_size);
		push_buf_append_text(&data, "\"");
	}
	append_ref(&data, request);
	push_buf_append_text(&data, "}");
	send_event(subscriber, event, &data, id, id_size, now_us);
	push_buf_fini(&data);
}

static void
send_subscribed(struct push_subscriber *subscriber, const struct live_request *request,
	const struct push_channel *channel, uint64_t now_us)
{
	send_answer(subscriber, request, "subscribed", channel->name, channel->name_size, channel->history,
		now_us);
	/* nothing of it is kept, so that nobody knows what came since the id */
	if (is_open(subscriber) && request->has_id && !channel->history)
		session_tell_gap(subscriber, channel, UINT64_MAX, now_us);
}

/* --- what waits --- */

static enum push_status
reserve_waiting(struct live *live)
{
	uint32_t capacity = live->capacity ? live->capacity * 2 : 4;
	struct live_waiting *waiting;

	if (live->count < live->capacity)
		return PUSH_OK;
	waiting = realloc(live->waiting, capacity * sizeof(*waiting));
	if (!waiting)
		return PUSH_OUT_OF_MEMORY;
	live->waiting = waiting;
	live->capacity = capacity;
	return PUSH_OK;
}

static void
add_waiting(struct live *live, struct push_channel *channel, struct live_request *request)
{
	PUSH_ASSERT(live->count < live->capacity);
	request->refs++;
	live->waiting[live->count++] = (struct live_waiting){channel, request};
}

/* The oldest answer that the channel is owed; the caller owes unref().  NULL: none. */
static struct live_request *
take_waiting(struct live *live, const struct push_channel *channel)
{
	for (uint32_t i = 0; i < live->count; i++) {
		struct live_request *request = live->waiting[i].request;

		if (live->waiting[i].channel != channel)
			continue;
		memmove(&live->waiting[i], &live->waiting[i + 1],
			(--live->count - i) * sizeof(live->waiting[0]));
		return request;
	}
	return NULL;
}

/* The id that is asked for first of a channel counts. */
static struct live_request *
replay_of(const struct live *live, const struct push_channel *channel)
{
	for (uint32_t i = 0; channel->history && i < live->count; i++)
		if (live->waiting[i].channel == channel && live->waiting[i].request->has_id)
			return live->waiting[i].request;
	return NULL;
}

/* Returns false where the subscriber has been closed. */
static bool
answer_waiting(struct push_subscriber *subscriber, const struct push_channel *channel, uint64_t now_us)
{
	struct live_request *request;

	while (is_open(subscriber) && (request = take_waiting(subscriber->list->live, channel))) {
		send_subscribed(subscriber, request, channel, now_us);
		unref(request);
	}
	return is_open(subscriber);
}

/* From here on the channel's messages go to the client. */
static bool
begin(struct push_subscriber *subscriber, uint32_t index, uint64_t now_us)
{
	struct subscription *item = &subscriber->list->items[index];

	item->is_pending = false;
	if (item->channel->history)
		session_add(subscriber, index);
	return answer_waiting(subscriber, item->channel, now_us);
}

/* Whether the channel is one of those that are replayed for the request now. */
static bool
is_replayed_for(const struct push_subscriber *subscriber, uint32_t index, const struct live_request *request)
{
	const struct subscription *item = &subscriber->list->items[index];

	return item->is_pending && item->channel->confirmed &&
	       replay_of(subscriber->list->live, item->channel) == request;
}

static struct live_request *
next_replay(const struct push_subscriber *subscriber)
{
	const struct live *live = live_of(subscriber);

	for (uint32_t i = 0; live && i < live->count; i++) {
		struct live_request *request = live->waiting[i].request;

		if (request->has_id && live->waiting[i].channel->history &&
			live->waiting[i].channel->confirmed &&
			replay_of(live, live->waiting[i].channel) == request)
			return request;
	}
	return NULL;
}

static enum push_status
fork_session(struct push_subscriber *subscriber, const struct live_request *request)
{
	struct push_positions at = request->at;
	uint32_t partitions = 0;

	for (uint32_t i = 0; i < subscriber->subscription_count; i++)
		if (is_replayed_for(subscriber, i, request))
			partitions |= 1u << subscriber->list->items[i].channel->history->partition;
	at.partitions &= partitions;
	return session_fork(subscriber, &at, request->is_readable);
}

bool
live_replay_next(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct live_request *request = is_open(subscriber) ? next_replay(subscriber) : NULL;

	if (!request)
		return false;
	if (fork_session(subscriber, request) != PUSH_OK) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return false;
	}
	request->refs++;
	for (uint32_t i = 0; is_open(subscriber) && i < subscriber->subscription_count; i++) {
		if (!is_replayed_for(subscriber, i, request))
			continue;
		subscriber->list->items[i].is_pending = false;
		session_fork_channel(subscriber, i);
		if (answer_waiting(subscriber, subscriber->list->items[i].channel, now_us))
			session_fork_gap(subscriber, i, now_us);
	}
	unref(request);
	if (is_open(subscriber))
		session_forked(subscriber);
	return is_open(subscriber);
}

static void
replay_waiting(struct push_subscriber *subscriber, uint64_t now_us)
{
	if (!subscriber->is_behind && live_replay_next(subscriber, now_us))
		session_advance(subscriber, now_us);
}

void
live_confirmed(struct push_subscriber *subscriber, uint32_t index, uint64_t now_us)
{
	const struct push_channel *channel = subscriber->list->items[index].channel;

	if (!is_open(subscriber))
		return;
	if (replay_of(subscriber->list->live, channel))
		replay_waiting(subscriber, now_us);
	else
		(void)begin(subscriber, index, now_us);
}

/* --- changes that the engine has not confirmed --- */

/* Whether all changes up to that one are, or are not wanted any more. */
static bool
is_settled(const struct push_hub *hub, uint64_t change)
{
	return push_list_is_empty(&hub->unconfirmed) ||
	       change < push_container_of(hub->unconfirmed.next, const struct push_channel, unconfirmed)
				->change;
}

static bool
has_overtaken(const struct live *live)
{
	const struct push_hub *hub = live->subscriber->hub;

	return live->unconfirmed >= hub->options->channels_max && !is_settled(hub, live->change);
}

/* Also where it leaves at once, its server is asked for the channel. */
static void
count_change(struct live *live, const struct push_channel *channel)
{
	struct push_hub *hub = live->subscriber->hub;

	if (!hub->watched || channel->confirmed)
		return;
	if (is_settled(hub, live->change))
		live->unconfirmed = 0;
	live->unconfirmed++;
	live->change = channel->change > live->change ? channel->change : live->change;
	if (has_overtaken(live)) {
		push_list_remove(&live->overtaken);
		push_list_append(&hub->overtaken, &live->overtaken);
	}
}

void
live_catch_up(struct push_hub *hub)
{
	while (!push_list_is_empty(&hub->overtaken)) {
		struct live *live = push_container_of(hub->overtaken.next, struct live, overtaken);

		if (has_overtaken(live))
			return;
		push_list_remove(&live->overtaken);
		intake_resume(live->subscriber);
	}
}

/* --- adding --- */

uint32_t
live_place_of(const struct push_subscriber *subscriber, const char *name, size_t size)
{
	const struct push_channel *channel = push_hub_find(subscriber->hub, name, size);
	struct subscription item;
	uint32_t i = 0;

	if (!channel)
		return subscriber->subscription_count;
	while (subscriber_item(subscriber, i, &item) && item.channel != channel)
		i++;
	return i;
}

/* Takes a channel out of the list; the last one takes its place. */
static void
drop(struct push_subscriber *subscriber, uint32_t index)
{
	struct subscription item;
	uint32_t last = --subscriber->subscription_count;

	if (!subscriber->has_list) {
		subscriber_leave(subscriber, subscriber->channel, subscriber->position);
		subscriber->channel = NULL;
		return;
	}
	item = subscriber->list->items[index];
	if (subscriber->list->session)
		subscriber->list->session->partitions = 0; /* to be looked at anew */
	if (index < last) {
		struct subscription *moved = &subscriber->list->items[index];

		*moved = subscriber->list->items[last];
		moved->channel->entries[moved->position].index = index;
		if (subscriber->list->session)
			session_move(subscriber, last, index);
	}
	subscriber_leave(subscriber, item.channel, item.position);
}

static enum push_status
reserve(struct push_subscriber *subscriber)
{
	struct live *live = need_live(subscriber);

	if (!live || reserve_waiting(live) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	return subscriber_reserve(subscriber, subscriber->subscription_count + 1);
}

/* The first channel with history makes a session. */
static enum push_status
need_session(struct push_subscriber *subscriber)
{
	bool is_new = !subscriber->list->session;
	enum push_status status = subscriber_need_session(subscriber);

	if (status == PUSH_OK && is_new)
		session_open(subscriber);
	if (status == PUSH_OK && !subscriber->list->session->starts)
		status = session_reserve(subscriber, subscriber->list->capacity);
	return status;
}

/* Joins a channel, which is pending then. */
static enum push_status
join(struct push_subscriber *subscriber, const char *name, size_t size)
{
	uint32_t index = subscriber->subscription_count;
	struct push_channel_name channel_name = {name, size};
	struct subscription item;
	enum push_status status = subscriber_join(subscriber, &channel_name, index, &item);

	if (status != PUSH_OK)
		return status;
	item.is_pending = true;
	subscriber->list->items[index] = item;
	subscriber->subscription_count++;
	status = item.channel->history ? need_session(subscriber) : PUSH_OK;
	if (status != PUSH_OK)
		drop(subscriber, index);
	return status;
}

static void
add_new(const struct live_call *call, const char *name, size_t size)
{
	struct push_subscriber *subscriber = call->subscriber;
	uint32_t index = subscriber->subscription_count;
	struct push_channel *channel;
	enum push_status status;

	/* what comes in first may be too much for it */
	hub_expect(subscriber->hub, name, size);
	if (!is_open(subscriber))
		return;
	status = reserve(subscriber);
	if (status == PUSH_OK)
		status = join(subscriber, name, size);
	if (status != PUSH_OK) {
		refuse(call, name, size, push_channels_join_error(status));
		return;
	}
	if (call->lists)
		list_name(&call->lists->subscribed, name, size);
	subscriber->hub->stats->live_subscribed++;
	channel = subscriber->list->items[index].channel;
	add_waiting(subscriber->list->live, channel, call->request);
	hub_joined(subscriber->hub);
	if (!is_open(subscriber) || !subscriber_is_pending(subscriber, index))
		return;
	count_change(subscriber->list->live, channel);
	if (channel->confirmed && !replay_of(subscriber->list->live, channel))
		(void)begin(subscriber, index, call->now_us);
}

/* Returns why not; NULL: it will be answered. */
static const char *
wait_again(const struct live_call *call, struct push_channel *channel)
{
	struct live *live = call->subscriber->list->live;

	if (live->count >= call->subscriber->hub->options->channels_max)
		return "already being subscribed";
	if (reserve_waiting(live) != PUSH_OK)
		return push_status_text(PUSH_OUT_OF_MEMORY);
	add_waiting(live, channel, call->request);
	return NULL;
}

static void
add_again(const struct live_call *call, uint32_t index)
{
	struct push_subscriber *subscriber = call->subscriber;
	bool is_pending = subscriber_is_pending(subscriber, index);
	struct subscription item = {0};
	const char *wrong;

	(void)subscriber_item(subscriber, index, &item);
	PUSH_ASSERT(item.channel);
	wrong = is_pending ? wait_again(call, item.channel) : NULL;
	if (wrong) {
		refuse(call, item.channel->name, item.channel->name_size, wrong);
		return;
	}
	if (call->lists)
		list_name(&call->lists->subscribed, item.channel->name, item.channel->name_size);
	if (!is_pending)
		send_answer(subscriber, call->request, "subscribed", item.channel->name,
			item.channel->name_size, item.channel->history, call->now_us);
}

/* What an answer has granted ends with the connection: the earliest end counts. */
static void
note_end(struct push_subscriber *subscriber, const struct push_identity *granted)
{
	struct live *live = need_live(subscriber);
	uint64_t end_us = push_identity_facts(granted).expires_us;

	if (!live || end_us >= live->end_us)
		return; /* without memory the channel is not joined either */
	live->end_us = end_us;
	subscriber->is_warned = false;
	subscriber_arm(subscriber);
}

static bool
asks_about(const struct push_hub *hub, const struct push_identity *identity)
{
	return hub->asker.ask && hub->asker.asks(hub->asker.context, identity);
}

static bool
is_granted(const struct live_call *call, const char *name, size_t size, struct push_error *error)
{
	const struct push_identity *identity = push_subscriber_identity(call->subscriber);
	const struct push_grant *grant = call->grant;
	const struct push_str channel = {name, size};

	if (push_identity_may(identity, PUSH_RIGHT_SUBSCRIBE, channel))
		return true;
	/* it may have shown a token since, whose rights are all that it has */
	if (grant && !asks_about(call->subscriber->hub, identity))
		grant = NULL;
	if (grant && push_identity_may(grant->identity, PUSH_RIGHT_SUBSCRIBE, channel)) {
		note_end(call->subscriber, grant->identity);
		return true;
	}
	if (grant && grant->status) { /* counted by whoever asked */
		snprintf(error->text, sizeof(error->text), "%s", grant->text);
		return false;
	}
	push_identity_refusal(identity, PUSH_RIGHT_SUBSCRIBE, channel, error);
	push_hub_count_refused(call->subscriber->hub, push_identity_refused_as(identity), error->text);
	return false;
}

/* Returns why not; NULL: it may ask for a channel. */
static const char *
count_channel(const struct push_subscriber *subscriber, uint64_t now_us)
{
	struct push_limiter *limiter = subscriber->hub->limiter;
	enum push_limit limit;

	if (!limiter || push_limiter_subscribe(limiter, subscriber, now_us, &limit))
		return NULL;
	return push_limit_text(limit);
}

/* Returns why not; NULL: it may. */
static const char *
admit(const struct live_call *call)
{
	if (!call->counted || !*call->counted)
		return count_channel(call->subscriber, call->now_us);
	--*call->counted;
	return NULL;
}

/* The first channel counts before anybody is asked, so that no client over the limit causes questions. */
static bool
may_be_asked_about(const struct push_subscriber *subscriber, uint64_t now_us)
{
	return !count_channel(subscriber, now_us);
}

static void
subscribe(const struct live_call *call, const char *name, size_t size)
{
	const struct push_options *options = call->subscriber->hub->options;
	uint32_t count = call->subscriber->subscription_count, index;
	const char *wrong = admit(call);
	struct push_error error;

	if (wrong) {
		refuse(call, name, size, wrong);
		return;
	}
	if (push_channel_name_check(name, size, options->channel_name_bytes_max, &error) != PUSH_OK) {
		refuse(call, name, size, error.text);
		return;
	}
	index = live_place_of(call->subscriber, name, size);
	/* of those that it is in, an answer may have granted one */
	if (index == count && !is_granted(call, name, size, &error)) {
		refuse(call, name, size, error.text);
		return;
	}
	if (index < count) {
		add_again(call, index);
	} else if (count >= options->channels_max) {
		push_channels_too_many(&error, name, size, options);
		refuse(call, name, size, error.text);
	} else {
		add_new(call, name, size);
	}
}

/* --- removing --- */

/* Answers that will not come. */
static void
disappoint(const struct live_call *call, const struct push_channel *channel)
{
	struct push_subscriber *subscriber = call->subscriber;
	struct live *live = live_of(subscriber);
	struct live_request *request;

	while (live && is_open(subscriber) && (request = take_waiting(live, channel))) {
		/* an `error` of an EventSource is the end of its connection; it hears `unsubscribed` */
		if (subscriber->encoding != PUSH_ENCODING_SSE)
			send_error(subscriber, request, channel->name, channel->name_size,
				"unsubscribed before it was subscribed", call->now_us);
		unref(request);
	}
}

/* Returns false where the subscriber has been closed. */
static bool
leave(const struct live_call *call, uint32_t index)
{
	struct push_subscriber *subscriber = call->subscriber;
	struct subscription item = {0};

	(void)subscriber_item(subscriber, index, &item);
	PUSH_ASSERT(item.channel);
	disappoint(call, item.channel);
	if (!is_open(subscriber))
		return false;
	if (subscriber->has_acks && acks_leave(subscriber, item.channel) != PUSH_OK) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, call->now_us);
		return false;
	}
	drop(subscriber, index);
	subscriber->hub->stats->live_unsubscribed++;
	/* it may have been what a replay waits for */
	if (subscriber->is_behind)
		hub_mark_dirty(subscriber);
	return true;
}

static void
unsubscribe(const struct live_call *call, const char *name, size_t size)
{
	struct push_subscriber *subscriber = call->subscriber;
	const struct push_options *options = subscriber->hub->options;
	struct push_error error;
	uint32_t index;

	if (push_channel_name_check(name, size, options->channel_name_bytes_max, &error) != PUSH_OK) {
		refuse(call, name, size, error.text);
		return;
	}
	index = live_place_of(subscriber, name, size);
	if (index < subscriber->subscription_count && !leave(call, index))
		return;
	if (call->lists)
		list_name(&call->lists->unsubscribed, name, size);
	send_answer(subscriber, call->request, "unsubscribed", name, size, false, call->now_us);
}

void
live_withdraw(struct push_subscriber *subscriber, uint32_t index, const char *why, uint64_t now_us)
{
	const struct live_call call = {subscriber, NULL, now_us, NULL, NULL, NULL, NULL};
	struct subscription item = {0};
	struct push_buf data;

	(void)subscriber_item(subscriber, index, &item);
	PUSH_ASSERT(item.channel);
	push_buf_init(&data, PUSH_EVENT_BYTES_MAX);
	push_buf_append_text(&data, "{");
	append_name(
		&data, item.channel->name, item.channel->name_size); /* which may go with its last client */
	push_buf_append_text(&data, ",\"reason\":");
	push_json_append_string(&data, why, strlen(why));
	push_buf_append_text(&data, "}");
	if (leave(&call, index))
		send_event(subscriber, "unsubscribed", &data, NULL, 0, now_us);
	push_buf_fini(&data);
}

/* --- what is asked for --- */

static void
serve_names(const struct live_call *call, const struct json_object *names,
	void (*serve)(const struct live_call *call, const char *name, size_t size))
{
	size_t count = json_object_array_length(names);

	for (size_t i = 0; i < count && is_open(call->subscriber); i++) {
		struct json_object *name = json_object_array_get_idx(names, i);

		serve(call, json_object_get_string(name), (size_t)json_object_get_string_len(name));
	}
}

/* Of text that was scanned. */
static bool
is_array_of_strings(const struct push_json_member *member)
{
	const char *at = member->text, *end, *text;
	size_t size;

	if (!at || *at != '[')
		return false;
	end = at + member->size;
	while (push_json_next_element(&at, end, &text, &size))
		if (*text != '"')
			return false;
	return true;
}

/* A JSON array of strings from text that was scanned.  It is one, so that json-c fails only without memory.
 */
static enum push_status
parse_names(const struct push_json_member *member, struct json_object **ret_names)
{
	struct json_tokener *tokener;

	if (!is_array_of_strings(member))
		return PUSH_INVALID;
	tokener = json_tokener_new_ex(PUSH_JSON_DEPTH_MAX);
	if (!tokener)
		return PUSH_OUT_OF_MEMORY;
	*ret_names = json_tokener_parse_ex(tokener, member->text, (int)member->size);
	json_tokener_free(tokener);
	return *ret_names ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

/* Returns what is wrong with it; NULL: nothing. */
static const char *
read_ref(struct live_request *request, const struct push_json_member *member)
{
	if (!member->text)
		return NULL;
	if (*member->text != '"' && *member->text != '-' && (*member->text < '0' || *member->text > '9'))
		return "'ref' must be a string or a number";
	if (member->size > sizeof(request->ref))
		return "'ref' is too long";
	request->ref_size = (uint32_t)member->size;
	memcpy(request->ref, member->text, member->size);
	return NULL;
}

static const char *
read_id(struct live_request *request, const struct push_json_member *member)
{
	if (!member->text)
		return NULL;
	if (!push_json_is_string(member))
		return "'id' must be a string";
	request->has_id = true;
	/* an id of ours has no escapes */
	request->is_readable =
		push_positions_parse(&request->at, member->text + 1, member->size - 2) == PUSH_OK;
	return NULL;
}

static void
serve_command(struct push_subscriber *subscriber, bool is_subscribe, struct live_request *request,
	const struct push_json_member *channels, const struct push_grant *grant, uint64_t now_us)
{
	struct live_refusals refusals = {0};
	unsigned int counted = grant != NULL;
	const struct live_call call = {subscriber, request, now_us, NULL, &refusals, grant, &counted};
	struct json_object *names = NULL;
	enum push_status status = parse_names(channels, &names);

	if (status != PUSH_OK) {
		send_error(subscriber, request, NULL, 0,
			status == PUSH_INVALID ? "'channels' must be an array of strings"
					       : push_status_text(status),
			now_us);
		return;
	}
	push_buf_init(&refusals.more, PUSH_LIVE_MORE_BYTES_MAX);
	serve_names(&call, names, is_subscribe ? subscribe : unsubscribe);
	finish_refusals(&call);
	json_object_put(names);
	if (is_open(subscriber))
		replay_waiting(subscriber, now_us);
}

/* Takes the first name off a list that is joined by commas. */
static struct push_str
take_name(struct push_str *list)
{
	const char *comma = memchr(list->bytes, ',', list->size);
	struct push_str name = {list->bytes, comma ? (size_t)(comma - list->bytes) : list->size};
	size_t used = name.size + (comma ? 1 : 0);

	*list = (struct push_str){list->bytes + used, list->size - used};
	return name;
}

static bool
names(struct push_str list, struct push_str name)
{
	while (list.size) {
		struct push_str one = take_name(&list);

		if (one.size == name.size && !memcmp(one.bytes, name.bytes, name.size))
			return true;
	}
	return false;
}

static void
bring(const struct live_call *call, struct push_str channels, struct push_str except)
{
	struct push_subscriber *subscriber = call->subscriber;

	while (is_open(subscriber) && channels.size) {
		struct push_str name = take_name(&channels);

		if (!names(except, name) &&
			live_place_of(subscriber, name.bytes, name.size) == subscriber->subscription_count)
			subscribe(call, name.bytes, name.size);
	}
	if (is_open(subscriber))
		replay_waiting(subscriber, call->now_us);
}

void
live_bring(
	struct push_subscriber *subscriber, struct push_str channels, struct push_str except, uint64_t now_us)
{
	struct live_request *request = channels.size ? calloc(1, sizeof(*request)) : NULL;
	struct live_refusals refusals = {0};
	struct live_lists lists;
	/* an event stream is not told errors (disappoint): they would be those of a control request, which are not kept */
	const struct live_call call = {subscriber, request, now_us,
		subscriber->encoding == PUSH_ENCODING_SSE ? &lists : NULL, &refusals, NULL, NULL};

	if (!channels.size)
		return;
	if (!request) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return;
	}
	request->refs = 1;
	push_buf_init(&refusals.more, PUSH_LIVE_MORE_BYTES_MAX);
	push_buf_init(&lists.subscribed, 0);
	push_buf_init(&lists.unsubscribed, 0);
	push_buf_init(&lists.errors, 0);
	bring(&call, channels, except);
	finish_refusals(&call);
	unref(request);
}

static void
obey(struct push_subscriber *subscriber, const struct push_command *command, const struct push_grant *grant,
	uint64_t now_us)
{
	bool is_subscribe = command->kind == PUSH_COMMAND_SUBSCRIBE;
	struct push_json_member members[] = {{.name = "channels"}, {.name = "ref"}, {.name = "id"}};
	struct live_request *request = calloc(1, sizeof(*request));
	struct push_error error = {"'data' is missing"};
	const char *wrong;

	if (!request) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return;
	}
	request->refs = 1;
	if (!command->data ||
		push_json_scan_request(command->data, command->data_size, members, 3, &error) != PUSH_OK) {
		send_error(subscriber, request, NULL, 0, error.text, now_us);
		unref(request);
		return;
	}
	wrong = read_ref(request, &members[1]);
	if (!wrong && is_subscribe)
		wrong = read_id(request, &members[2]);
	if (!wrong && request->has_id && subscriber->has_acks)
		wrong = "'id' is not supported with acks";
	if (wrong)
		send_error(subscriber, request, NULL, 0, wrong, now_us);
	else
		serve_command(subscriber, is_subscribe, request, &members[0], grant, now_us);
	unref(request);
}

/* --- questions --- */

/* Returns whether the client waits for an answer, or had it in this call. */
static bool
ask(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us)
{
	struct push_hub *hub = subscriber->hub;
	struct push_json_member channels = {.name = "channels"};
	struct push_question *question;
	struct push_buf names;
	struct push_error error;
	struct live *live;

	if (!hub->asker.ask || command->kind != PUSH_COMMAND_SUBSCRIBE || !command->data ||
		push_json_scan_object(command->data, command->data_size, &channels, 1, &error) != PUSH_OK)
		return false;
	push_buf_init(&names, command->data_size);
	if (!question_collect(subscriber, (struct push_str){channels.text, channels.size}, &names) ||
		!may_be_asked_about(subscriber, now_us)) {
		push_buf_fini(&names);
		return false;
	}
	live = need_live(subscriber);
	question = live ? malloc(sizeof(*question)) : NULL;
	if (question)
		push_buf_append(&live->asked, command->data, command->data_size);
	if (!question || live->asked.status != PUSH_OK || names.status != PUSH_OK) {
		free(question);
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
	} else {
		*question = (struct push_question){subscriber, hub->asker.context};
		live->question = question;
		hub->asker.ask(hub->asker.context, question, (struct push_str){names.bytes, names.size});
	}
	push_buf_fini(&names);
	return true;
}

static bool
is_asking(const struct push_subscriber *subscriber)
{
	const struct live *live = is_open(subscriber) ? live_of(subscriber) : NULL;

	return live && live->question;
}

/* Returns the bytes that were read of the first one. */
static size_t
serve_early(struct push_subscriber *subscriber, const char *bytes, uint64_t now_us)
{
	struct early_command head;
	struct push_command command;

	memcpy(&head, bytes, sizeof(head));
	bytes += sizeof(head);
	command =
		(struct push_command){(enum push_command_kind)head.kind, head.size ? bytes : NULL, head.size};
	if (!ask(subscriber, &command, now_us))
		obey(subscriber, &command, NULL, now_us);
	return sizeof(head) + head.size;
}

/* With what was kept, up to the next one that there is a question about. */
static void
go_on(struct push_subscriber *subscriber, uint64_t now_us)
{
	struct live *live = live_of(subscriber);
	struct push_buf early;
	size_t at = 0;

	if (!live || !live->early.size)
		return;
	early = live->early; /* is ours now */
	push_buf_init(&live->early, PUSH_LIVE_EARLY_BYTES_MAX);
	push_buf_charge(&live->early, early.account);
	while (at < early.size && is_open(subscriber) && !is_asking(subscriber))
		at += serve_early(subscriber, early.bytes + at, now_us);
	if (at < early.size && is_open(subscriber)) {
		push_buf_append(&live->early, early.bytes + at, early.size - at);
		if (live->early.status != PUSH_OK)
			push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
	}
	push_buf_fini(&early);
}

void
push_question_answer(struct push_question *question, const struct push_grant *grant, uint64_t now_us)
{
	struct push_subscriber *subscriber = question->subscriber;
	struct push_command command = {.kind = PUSH_COMMAND_SUBSCRIBE};
	struct push_buf asked;
	struct live *live;

	if (!subscriber) {
		free(question);
		return;
	}
	live = live_of(subscriber);
	PUSH_ASSERT(is_open(subscriber) && live && live->question == question);
	live->question = NULL;
	free(question);
	asked = live->asked; /* is ours now */
	push_buf_init(&live->asked, SIZE_MAX);
	push_buf_charge(&live->asked, asked.account);
	command.data = asked.bytes;
	command.data_size = asked.size;
	obey(subscriber, &command, grant, now_us);
	push_buf_fini(&asked);
	if (is_open(subscriber))
		go_on(subscriber, now_us);
	if (is_open(subscriber))
		intake_resume(subscriber);
}

uint64_t
live_end_us(const struct push_subscriber *subscriber)
{
	const struct live *live = live_of(subscriber);

	return live ? live->end_us : UINT64_MAX;
}

void
live_forget_end(struct push_subscriber *subscriber)
{
	struct live *live = live_of(subscriber);

	if (live)
		live->end_us = UINT64_MAX;
}

/* Until it starts, or an answer comes; then go_on() goes on with it. */
static void
keep_early(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us)
{
	struct early_command early = {command->kind, command->data ? (uint32_t)command->data_size : 0};
	struct live *live = need_live(subscriber);

	if (!live) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return;
	}
	if (live->early.size + sizeof(early) + early.size > live->early.max) {
		send_error(subscriber, &(struct live_request){0}, NULL, 0,
			is_asking(subscriber) ? "too many requests wait for an answer, try again"
					      : "too many requests before the first ping",
			now_us);
		return;
	}
	push_buf_append(&live->early, &early, sizeof(early));
	if (early.size)
		push_buf_append(&live->early, command->data, early.size);
	if (live->early.status != PUSH_OK)
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
}

bool
live_is_full(const struct push_subscriber *subscriber)
{
	const struct live *live = live_of(subscriber);

	return live && (live->early.size > PUSH_LIVE_EARLY_BYTES_MAX / 2 || has_overtaken(live));
}

void
live_command(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us)
{
	if (subscriber->state == SUBSCRIBER_WAITING || is_asking(subscriber))
		keep_early(subscriber, command, now_us);
	else if (is_open(subscriber) && !ask(subscriber, command, now_us))
		obey(subscriber, command, NULL, now_us);
}

void
live_start(struct push_subscriber *subscriber, uint64_t now_us)
{
	if (!live_of(subscriber))
		return;
	go_on(subscriber, now_us);
	if (is_open(subscriber))
		intake_resume(subscriber);
}

/* --- beside the stream --- */

enum push_status
push_subscriber_control(struct push_subscriber *subscriber, const char *token)
{
	struct live *live = need_live(subscriber);

	PUSH_ASSERT(subscriber->magic == SUBSCRIBER_MAGIC && subscriber->state == SUBSCRIBER_NEW);
	if (!live)
		return PUSH_OUT_OF_MEMORY;
	PUSH_ASSERT(!live->token);
	live->token = push_token_create(&subscriber->hub->tokens, subscriber, token);
	return live->token ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

/* A line of the first event, which is enqueued next. */
void
live_greet(struct push_subscriber *subscriber, uint64_t now_us)
{
	static const char name[] = "control ";
	char text[sizeof(name) - 1 + PUSH_TOKEN_BYTES];
	const struct live *live = live_of(subscriber);
	struct push_frame *frame;

	if (!live || !live->token || subscriber->encoding != PUSH_ENCODING_SSE)
		return;
	memcpy(text, name, sizeof(name) - 1);
	memcpy(text + sizeof(name) - 1, live->token->text, PUSH_TOKEN_BYTES);
	frame = push_sse_comment(text, sizeof(text));
	if (!frame) {
		push_subscriber_close(subscriber, PUSH_CLOSE_FAULT, now_us);
		return;
	}
	subscriber_enqueue(subscriber, frame, now_us);
	push_frame_unref(frame);
}

static enum push_status
invalid(struct push_error *error, const char *text)
{
	snprintf(error->text, sizeof(error->text), "%s", text);
	return PUSH_INVALID;
}

/* A list of names that may be missing. */
static enum push_status
read_names(const struct push_json_member *member, struct json_object **ret, struct push_error *error)
{
	char text[64];
	enum push_status status;

	*ret = NULL;
	if (!member->text)
		return PUSH_OK;
	status = parse_names(member, ret);
	if (status != PUSH_INVALID)
		return status;
	snprintf(text, sizeof(text), "'%s' must be an array of strings", member->name);
	return invalid(error, text);
}

static void
finish_answer(struct push_buf *answer, struct live_lists *lists)
{
	static const char *const names[] = {"{\"subscribed\":[", "],\"unsubscribed\":[", "],\"errors\":["};
	struct push_buf *parts[] = {&lists->subscribed, &lists->unsubscribed, &lists->errors};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		push_buf_append_text(answer, names[i]);
		push_buf_append(answer, parts[i]->bytes ? parts[i]->bytes : "", parts[i]->size);
		if (parts[i]->status != PUSH_OK && answer->status == PUSH_OK)
			answer->status = parts[i]->status;
		push_buf_fini(parts[i]);
	}
	push_buf_append_text(answer, "]}");
}

/* Returns PUSH_NOT_FOUND where the subscriber has been closed for it. */
static enum push_status
serve_control(const struct live_call *call, const struct json_object *to_leave,
	const struct json_object *to_join, size_t body_size, struct push_buf *answer)
{
	struct push_subscriber *subscriber = call->subscriber;
	size_t max = PUSH_CONTROL_ANSWER_FACTOR * body_size + PUSH_REPLY_BYTES_MAX;

	push_buf_init(&call->lists->subscribed, max);
	push_buf_init(&call->lists->unsubscribed, max);
	push_buf_init(&call->lists->errors, max);
	if (to_leave)
		serve_names(call, to_leave, unsubscribe);
	if (to_join)
		serve_names(call, to_join, subscribe);
	if (is_open(subscriber))
		replay_waiting(subscriber, call->now_us);
	finish_answer(answer, call->lists);
	if (answer->status != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	return is_open(subscriber) ? PUSH_OK : PUSH_NOT_FOUND;
}

static enum push_status
control(struct push_subscriber *subscriber, struct live_request *request, struct push_json_member *members,
	size_t body_size, const struct push_grant *grant, uint64_t now_us, struct push_buf *answer,
	struct push_error *error)
{
	struct live_lists lists;
	unsigned int counted = grant != NULL;
	const struct live_call call = {subscriber, request, now_us, &lists, NULL, grant, &counted};
	struct json_object *to_join = NULL, *to_leave = NULL;
	const char *wrong = read_id(request, &members[2]);
	enum push_status status;

	if (wrong)
		return invalid(error, wrong);
	if (!members[0].text && !members[1].text)
		return invalid(error, "'subscribe' or 'unsubscribe' is missing");
	status = read_names(&members[0], &to_join, error);
	if (status == PUSH_OK)
		status = read_names(&members[1], &to_leave, error);
	if (status == PUSH_OK)
		status = serve_control(&call, to_leave, to_join, body_size, answer);
	json_object_put(to_join);
	json_object_put(to_leave);
	return status;
}

enum push_status
push_hub_control(struct push_hub *hub, const char *token, size_t token_size, const char *body,
	size_t body_size, const struct push_grant *grant, uint64_t now_us, struct push_buf *answer,
	struct push_error *error)
{
	struct push_json_member members[] = {{.name = "subscribe"}, {.name = "unsubscribe"}, {.name = "id"}};
	struct push_subscriber *subscriber = push_tokens_find(&hub->tokens, token, token_size);
	struct live_request *request;
	enum push_status status;

	if (!subscriber || !is_open(subscriber)) {
		snprintf(error->text, sizeof(error->text), "no event stream has this token");
		return PUSH_NOT_FOUND;
	}
	if (intake_is_full(subscriber)) {
		snprintf(error->text, sizeof(error->text), "the event stream reads too slowly, try again");
		return PUSH_UNAVAILABLE;
	}
	status = push_json_scan_request(body, body_size, members, 3, error);
	if (status != PUSH_OK)
		return status;
	if (live_is_full(subscriber)) {
		snprintf(error->text, sizeof(error->text),
			"too many changes of this stream are not confirmed yet");
		return PUSH_UNAVAILABLE;
	}
	snprintf(error->text, sizeof(error->text), "%s", push_status_text(PUSH_OUT_OF_MEMORY));
	request = calloc(1, sizeof(*request));
	if (!request)
		return PUSH_OUT_OF_MEMORY;
	request->refs = 1;
	status = control(subscriber, request, members, body_size, grant, now_us, answer, error);
	if (status == PUSH_NOT_FOUND)
		snprintf(error->text, sizeof(error->text), "the event stream has been closed");
	unref(request);
	return status;
}

bool
push_hub_control_asks(struct push_hub *hub, struct push_str token, struct push_str body, uint64_t now_us,
	struct push_buf *channels, const struct push_subscriber **ret_subscriber)
{
	struct push_json_member names = {.name = "subscribe"};
	const struct push_subscriber *subscriber = push_tokens_find(&hub->tokens, token.bytes, token.size);
	struct push_error error;

	push_buf_init(channels, body.size);
	if (!hub->asker.ask || !subscriber || !is_open(subscriber) ||
		push_json_scan_object(body.bytes, body.size, &names, 1, &error) != PUSH_OK)
		return false;
	*ret_subscriber = subscriber;
	return question_collect(subscriber, (struct push_str){names.text, names.size}, channels) &&
	       may_be_asked_about(subscriber, now_us);
}

struct push_subscriber *
push_hub_find_stream(struct push_hub *hub, const char *token, size_t token_size)
{
	struct push_subscriber *subscriber = push_tokens_find(&hub->tokens, token, token_size);

	return subscriber && is_open(subscriber) ? subscriber : NULL;
}
