/* publishing.c - see publishing.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/jsonscan.h"
#include "core/limits.h"
#include "core/push_assert.h"
#include "debug_log.h"
#include "idempotency.h"
#include "message.h"
#include "permission.h"
#include "publishing.h"

struct publishing;

struct item {
	struct push_message message; /* first: the two are cast into each other */
	struct publishing *publishing;
};

/* What is left of a request that waits for a permission. */
struct kept {
	bool has_key; /* nothing of it is published or claimed yet */
	bool has_asked;
	struct push_asked asked;
	size_t key_size, size;
	char texts[]; /* the key, then the body from the next item on */
};

struct publishing {
	struct push_publisher *publisher;
	push_answer_fn answer;
	void *context;
	struct push_list link; /* in publisher->waiting or ->settled, or alone */
	uint64_t deadline_us;
	struct push_idempotency *kept; /* owned; NULL: nothing is */
	size_t sends_left;
	size_t charged; /* bytes: its own, and about what the engine holds of the body until it is over */
	bool is_array, is_lines, wait_written, has_parent;
	const struct push_identity *identity; /* a reference */
	struct push_trace parent;             /* of all messages that do not bring their own */
	uint32_t left;                        /* items without a result, and one while they are published */
	bool has_address;
	struct push_address address;    /* of the client; for limits */
	const struct push_asked *asked; /* borrowed during a call; of the client */
	struct push_permission
		*permission;       /* for what its identity does not grant; owned; NULL: nobody was asked */
	struct kept *kept_request; /* owned, while it is asked for; NULL: nothing waits for that */
	uint32_t next;             /* the item that is to be published next */
	uint32_t count;
	struct item items[];
};

unsigned int
push_publish_http_status(enum push_status status)
{
	switch (status) {
	case PUSH_OK: return 202;
	case PUSH_INVALID:
	case PUSH_TOO_MANY: return 400;
	case PUSH_TOO_LARGE: return 413;
	default: return 503;
	}
}

/* --- the answer --- */

static void
append_items(const struct publishing *publishing, struct push_buf *to)
{
	if (publishing->is_array)
		push_buf_append_text(to, "[");
	for (uint32_t i = 0; i < publishing->count; i++) {
		if (publishing->is_array && i > 0)
			push_buf_append_text(to, ",");
		push_message_append_answer(
			&publishing->items[i].message, publishing->is_array || publishing->is_lines, to);
		if (publishing->is_lines)
			push_buf_append_text(to, "\n");
	}
	if (publishing->is_array)
		push_buf_append_text(to, "]");
}

static void
destroy(struct publishing *publishing)
{
	PUSH_ASSERT(push_list_is_empty(&publishing->link) && !publishing->kept);
	for (uint32_t i = 0; i < publishing->count; i++)
		push_message_fini(&publishing->items[i].message);
	push_identity_unref(publishing->identity);
	if (publishing->permission)
		push_permission_free(publishing->permission);
	push_account_take(
		&publishing->publisher->memory->accounts[PUSH_MEMORY_REQUESTS], publishing->charged);
	free(publishing);
}

/* What a repeat shall find: nothing, if nothing was published or may have been; the answer, if there is
 * nothing left that could be done. */
static enum push_idempotency_end
how_to_end(const struct publishing *publishing)
{
	bool has_effect = false, is_open = false;

	for (uint32_t i = 0; i < publishing->count; i++) {
		const struct push_message *message = &publishing->items[i].message;

		has_effect |= push_message_has_effect(message);
		is_open |= message->status == 503 || message->status == 429;
	}
	if (!has_effect)
		return PUSH_IDEMPOTENCY_FORGET;
	return is_open ? PUSH_IDEMPOTENCY_REPEAT : PUSH_IDEMPOTENCY_KEEP;
}

/* What nearly all answers are: without a buffer for it. */
static void
give_number(struct publishing *publishing)
{
	char body[64];
	int size = snprintf(body, sizeof(body), "{\"subscribers\":%" PRIu64 "}",
		publishing->items[0].message.subscribers);

	publishing->answer(
		publishing->context, &(struct push_answer){202, "application/json", body, (size_t)size, 0});
	destroy(publishing);
}

static bool
is_number(const struct publishing *publishing)
{
	return !publishing->is_array && !publishing->is_lines && !publishing->wait_written &&
	       !publishing->kept && !publishing->items[0].message.status;
}

static void
give_answer(struct publishing *publishing)
{
	struct push_answer answer = {.status = 202,
		.content_type = publishing->is_lines ? "application/x-ndjson" : "application/json"};
	struct push_idempotency *kept = publishing->kept;
	enum push_idempotency_end how = how_to_end(publishing);
	struct push_buf body;

	if (is_number(publishing)) {
		give_number(publishing);
		return;
	}
	if (!publishing->is_array && !publishing->is_lines && publishing->items[0].message.status) {
		answer.status = publishing->items[0].message.status;
		answer.retry_after_s = publishing->items[0].message.retry_after_s;
	}
	push_buf_init(&body, PUSH_PUBLISH_ANSWER_BYTES_MAX);
	append_items(publishing, &body);
	if (body.status != PUSH_OK) {
		static const char text[] = "{\"error\":\"out of memory for the answer\"}";

		answer = (struct push_answer){503, "application/json", text, sizeof(text) - 1, 0};
	} else {
		answer.body = body.bytes ? body.bytes : "";
		answer.size = body.size;
	}
	publishing->kept = NULL;
	if (kept)
		push_idempotency_end(kept, &answer, how, publishing->answer, publishing->context);
	else
		publishing->answer(publishing->context, &answer);
	push_buf_fini(&body);
	destroy(publishing);
}

/* --- waiting for what is written --- */

static bool
is_written(const struct publishing *publishing)
{
	for (uint32_t i = 0; i < publishing->count; i++) {
		const struct push_tracker *tracker = publishing->items[i].message.tracker;

		if (tracker && !push_tracker_is_over(tracker))
			return false;
	}
	return true;
}

/* From within a write: it is answered when that is over. */
static void
on_written(struct push_tracker *tracker)
{
	struct item *item = tracker->context;
	struct publishing *publishing = item->publishing;
	struct push_publisher *publisher = publishing->publisher;

	if (push_list_is_empty(&publishing->link) || !is_written(publishing))
		return;
	push_list_remove(&publishing->link);
	push_list_append(&publisher->settled, &publishing->link);
	publisher->wake(publisher->context);
}

static void
finish(struct publishing *publishing)
{
	struct push_publisher *publisher = publishing->publisher;

	if (!publishing->wait_written || is_written(publishing)) {
		give_answer(publishing);
		return;
	}
	publishing->deadline_us = publisher->now_us() + publisher->options->publish_wait_max_us;
	push_list_append(&publisher->waiting, &publishing->link);
}

static void
answer_all(struct push_list *list, uint64_t until_us)
{
	while (!push_list_is_empty(list)) {
		struct publishing *publishing = push_container_of(list->next, struct publishing, link);

		if (publishing->deadline_us > until_us)
			return;
		push_list_remove(&publishing->link);
		give_answer(publishing);
	}
}

void
push_publisher_settle(struct push_publisher *publisher)
{
	answer_all(&publisher->settled, UINT64_MAX);
}

void
push_publisher_tick(struct push_publisher *publisher, uint64_t now_us)
{
	answer_all(&publisher->settled, UINT64_MAX);
	answer_all(&publisher->waiting, now_us);
}

void
push_publisher_count_refused(
	const struct push_publisher *publisher, enum push_auth_refusal why, const char *text)
{
	publisher->stats->auth_refused[why]++;
	if (publisher->log && publisher->log->is_on)
		push_debug_log_refused(publisher->log, text);
}

bool
push_publisher_is_busy(const struct push_publisher *publisher)
{
	return !push_list_is_empty(&publisher->waiting) || !push_list_is_empty(&publisher->settled) ||
	       !push_list_is_empty(&publisher->permissions);
}

void
push_publisher_init(struct push_publisher *publisher)
{
	push_list_init(&publisher->waiting);
	push_list_init(&publisher->settled);
	push_list_init(&publisher->permissions);
	for (size_t i = 0; i < PUSH_CLAIM_BUCKETS; i++)
		push_list_init(&publisher->claims[i]);
}

void
push_publisher_fini(struct push_publisher *publisher)
{
	push_permission_end_all(publisher);
	push_publisher_tick(publisher, UINT64_MAX);
}

/* --- publishing --- */

static void
on_over(struct push_message *message)
{
	struct publishing *publishing = ((struct item *)message)->publishing;

	if (--publishing->left == 0)
		finish(publishing);
}

/* Returns false if somebody is to be asked first. */
static bool
publish_item(struct item *item, const char *text, size_t size)
{
	struct publishing *publishing = item->publishing;

	item->message.permission = publishing->permission;
	if (!push_message_publish(&item->message, text, size, publishing->sends_left))
		return false;
	publishing->sends_left -= item->message.sent;
	return true;
}

/* The next line that is not blank. */
static bool
next_line(const char **at, const char *end, const char **ret_text, size_t *ret_size)
{
	while (*at < end) {
		const char *start = *at, *stop = memchr(start, '\n', (size_t)(end - start));

		*at = stop ? stop + 1 : end;
		stop = stop ? stop : end;
		if (push_json_is_blank(start, (size_t)(stop - start)))
			continue;
		*ret_text = start;
		*ret_size = (size_t)(stop - start);
		return true;
	}
	return false;
}

/* The text of the next item, which is there. */
static inline struct push_str
next_text(const struct publishing *publishing, const char **at, const char *end)
{
	struct push_str text = {*at, (size_t)(end - *at)};
	bool found = true;

	if (publishing->is_array)
		found = push_json_next_element(at, end, &text.bytes, &text.size);
	else if (publishing->is_lines)
		found = next_line(at, end, &text.bytes, &text.size);
	else
		*at = end;
	PUSH_ASSERT(found);
	return text;
}

static bool
ask_first(struct publishing *publishing, struct push_str rest);

static void
forget_permission(struct publishing *publishing)
{
	push_permission_free(publishing->permission);
	publishing->permission = NULL;
}

/* From the next item on, up to one that somebody is to be asked about. */
static void
publish_rest(struct publishing *publishing, struct push_str rest)
{
	const char *at = rest.bytes, *end = rest.bytes + rest.size;

	while (publishing->next < publishing->count) {
		const char *before = at;
		struct push_str text = next_text(publishing, &at, end);

		if (publish_item(&publishing->items[publishing->next], text.bytes, text.size)) {
			publishing->next++;
			if (publishing->is_lines)
				forget_permission(publishing);
			continue;
		}
		at = before;
		if (!ask_first(publishing, (struct push_str){before, (size_t)(end - before)}))
			return;
	}
	if (--publishing->left == 0)
		finish(publishing);
}

static void
publish_all(struct publishing *publishing, const char *body, size_t size)
{
	publishing->left = publishing->count + 1;
	publish_rest(publishing, (struct push_str){body, size});
}

/* --- asking first --- */

/* Up to where one question goes: each line has its own, as in a stream of them (lines.h). */
static uint32_t
end_of_question(const struct publishing *publishing)
{
	return publishing->is_lines ? publishing->next + 1 : publishing->count;
}

static void
fail_rest(struct publishing *publishing, enum push_status status)
{
	for (uint32_t i = publishing->next; i < end_of_question(publishing); i++)
		push_permission_fail(&publishing->items[i].message, status);
}

static bool
keep(struct publishing *publishing, struct push_str rest, const struct push_publish_request *keyed)
{
	size_t key_size = keyed ? keyed->key_size : 0;
	struct kept *kept = malloc(sizeof(*kept) + key_size + rest.size);

	if (!kept)
		return false;
	*kept = (struct kept){
		.has_key = keyed, .has_asked = publishing->asked, .key_size = key_size, .size = rest.size};
	if (publishing->asked)
		kept->asked = *publishing->asked;
	if (keyed)
		memcpy(kept->texts, keyed->key, key_size);
	memcpy(kept->texts + key_size, rest.bytes, rest.size);
	publishing->kept_request = kept;
	return true;
}

static void
on_permission(struct push_permission *permission);

/* Returns whether there is an answer, or nobody to wait for. */
static bool
ask(struct publishing *publishing, const struct push_permission_channels *channels, struct push_str rest,
	const struct push_publish_request *keyed)
{
	const struct push_permission_query query = {publishing->identity,
		publishing->has_address ? &publishing->address : NULL, publishing->asked,
		{channels->names.bytes, channels->names.size}};

	publishing->permission =
		push_permission_ask(publishing->publisher, &query, on_permission, publishing);
	if (!publishing->permission) {
		fail_rest(publishing, PUSH_OUT_OF_MEMORY);
	} else if (!publishing->permission->is_answered) {
		if (keep(publishing, rest, keyed))
			return false;
		push_permission_give_up(publishing->permission, push_status_text(PUSH_OUT_OF_MEMORY));
	}
	return true;
}

/* About all channels of the rest at once.  Returns whether there is an answer, or nothing to wait for. */
static bool
ask_about(struct publishing *publishing, struct push_str rest, const struct push_publish_request *keyed)
{
	const char *at = rest.bytes, *end = rest.bytes + rest.size;
	struct push_permission_channels channels;
	bool is_known = true;

	push_permission_channels_init(&channels);
	for (uint32_t i = publishing->next; i < end_of_question(publishing); i++) {
		struct push_str text = next_text(publishing, &at, end);

		push_message_ask_about(&publishing->items[i].message, text.bytes, text.size, &channels);
	}
	if (channels.names.status != PUSH_OK)
		fail_rest(publishing, channels.names.status);
	else if (channels.count)
		is_known = ask(publishing, &channels, rest, keyed);
	push_permission_channels_fini(&channels);
	return is_known;
}

static bool
ask_first(struct publishing *publishing, struct push_str rest)
{
	return ask_about(publishing, rest, NULL);
}

/* --- the request --- */

void
push_answer_error(unsigned int status, const char *text, push_answer_fn answer, void *context)
{
	struct push_buf body;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, text);
	answer(context, &(struct push_answer){
				status, "application/json", body.bytes ? body.bytes : "", body.size, 0});
	push_buf_fini(&body);
}

static size_t
count_lines(const char *body, size_t size)
{
	const char *at = body, *text;
	size_t count = 0, text_size;

	while (count <= PUSH_PUBLISH_MESSAGES_MAX && next_line(&at, body + size, &text, &text_size))
		count++;
	return count;
}

/* How many messages there are.  Returns a status of HTTP, 0 where all is well. */
static unsigned int
count_messages(const struct push_publish_request *request, bool is_array, size_t *ret_count,
	struct push_error *error)
{
	*ret_count = 1;
	if (is_array && push_json_scan_array(request->body, request->size, ret_count, error) != PUSH_OK)
		return 400;
	if (is_array && !*ret_count) {
		snprintf(error->text, sizeof(error->text),
			"the array is empty: it must have at least one JSON object");
		return 400;
	}
	if (request->is_lines)
		*ret_count = count_lines(request->body, request->size);
	if (*ret_count <= PUSH_PUBLISH_MESSAGES_MAX)
		return 0;
	snprintf(error->text, sizeof(error->text), "more than %d messages in one request",
		PUSH_PUBLISH_MESSAGES_MAX);
	return 413;
}

static void
init_item(struct item *item, struct publishing *publishing)
{
	item->publishing = publishing;
	push_message_init(&item->message, publishing->publisher, on_over);
	item->message.identity = publishing->identity;
	item->message.parent = publishing->has_parent ? &publishing->parent : NULL;
	item->message.address = publishing->has_address ? &publishing->address : NULL;
}

/* Returns false when memory is out. */
static bool
track_all(struct publishing *publishing)
{
	for (uint32_t i = 0; publishing->wait_written && i < publishing->count; i++)
		if (push_message_track(&publishing->items[i].message, on_written) != PUSH_OK)
			return false;
	return true;
}

static struct publishing *
create(struct push_publisher *publisher, const struct push_publish_request *request, size_t count,
	push_answer_fn answer, void *context)
{
	struct publishing *publishing = malloc(sizeof(*publishing) + count * sizeof(struct item));

	if (!publishing)
		return NULL;
	*publishing = (struct publishing){.publisher = publisher,
		.answer = answer,
		.context = context,
		.is_lines = request->is_lines,
		.wait_written = request->wait_written,
		.identity = push_identity_ref(request->identity),
		.asked = request->asked,
		.sends_left = PUSH_PUBLISH_SENDS_MAX,
		.charged = sizeof(*publishing) + count * sizeof(struct item) + request->size,
		.count = (uint32_t)count};
	push_account_add(&publisher->memory->accounts[PUSH_MEMORY_REQUESTS], publishing->charged);
	if (request->parent) {
		publishing->has_parent = true;
		publishing->parent = *request->parent;
	}
	if (request->address) {
		publishing->has_address = true;
		publishing->address = *request->address;
	}
	for (size_t i = 0; i < count; i++)
		init_item(&publishing->items[i], publishing);
	push_list_init(&publishing->link);
	if (track_all(publishing))
		return publishing;
	destroy(publishing);
	return NULL;
}

/* The key is new, or taken over. */
static void
go_on(void *context, const char *body, size_t size)
{
	struct publishing *publishing = context;
	const char *once = push_idempotency_once(publishing->kept);

	publishing->asked = NULL; /* it may be gone */
	for (uint32_t i = 0; i < publishing->count; i++) {
		publishing->items[i].message.once = once;
		publishing->items[i].message.once_index = i;
	}
	publish_all(publishing, body, size);
}

/* The answer is there already, or is none. */
static void
stop(void *context, const struct push_answer *answer)
{
	struct publishing *publishing = context;

	publishing->kept = NULL;
	publishing->answer(publishing->context, answer);
	destroy(publishing);
}

/* Whose key it is: the user's that an answer has named, if it was not known before. */
static const struct push_identity *
owner_of_key(const struct publishing *publishing)
{
	const struct push_permission *permission = publishing->permission;

	if (permission && permission->identity && !push_identity_facts(publishing->identity).user.size &&
		push_identity_facts(permission->identity).user.size)
		return permission->identity;
	return publishing->identity;
}

/* With its key, if there may be something to publish. */
static void
publish_keyed(struct publishing *publishing, struct push_str key, struct push_str body)
{
	const struct push_publish_request request = {.body = body.bytes,
		.size = body.size,
		.is_lines = publishing->is_lines,
		.wait_written = publishing->wait_written,
		.key = key.bytes,
		.key_size = key.size,
		.identity = owner_of_key(publishing)};
	const struct push_permission *permission = publishing->permission;

	if (publishing->count == 1 &&
		(publishing->items[0].message.status || (permission && permission->status)))
		publish_all(publishing, body.bytes, body.size);
	else
		push_idempotency_begin(
			publishing->publisher, &request, &publishing->kept, go_on, stop, publishing);
}

/* What waited for it goes on. */
static void
on_permission(struct push_permission *permission)
{
	struct publishing *publishing = permission->context;
	struct kept *kept = publishing->kept_request;
	struct push_str key = {kept->texts, kept->key_size},
			rest = {kept->texts + kept->key_size, kept->size};

	publishing->kept_request = NULL;
	publishing->asked = kept->has_asked ? &kept->asked : NULL;
	if (kept->has_key)
		publish_keyed(publishing, key, rest);
	else
		publish_rest(publishing, rest);
	free(kept);
}

/* A key is claimed when it is known what may be published. */
static void
begin(struct publishing *publishing, const struct push_publish_request *request)
{
	const struct push_str body = {request->body, request->size};

	if (!request->key)
		publish_all(publishing, body.bytes, body.size);
	else if (!push_permission_is_asked(publishing->publisher, publishing->identity) ||
		 ask_about(publishing, body, request))
		publish_keyed(publishing, (struct push_str){request->key, request->key_size}, body);
}

void
push_publisher_publish(struct push_publisher *publisher, const struct push_publish_request *request,
	push_answer_fn answer, void *context)
{
	bool is_array = !request->is_lines && push_json_is_array_text(request->body, request->size);
	struct publishing *publishing;
	struct push_error error;
	size_t count;
	unsigned int status = count_messages(request, is_array, &count, &error);

	if (!status && request->wait_written && !publisher->engine->can_track) {
		snprintf(error.text, sizeof(error.text), "wait=written is not supported with this broker");
		status = 501;
	}
	if (status) {
		push_answer_error(status, error.text, answer, context);
		return;
	}
	publishing = create(publisher, request, count, answer, context);
	if (!publishing) {
		push_answer_error(503, push_status_text(PUSH_OUT_OF_MEMORY), answer, context);
		return;
	}
	publishing->is_array = is_array;
	begin(publishing, request);
}
