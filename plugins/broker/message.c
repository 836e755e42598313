/* message.c - see message.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "authenticator.h"
#include "debug_log.h"
#include "message.h"
#include "permission.h"
#include "trace/tracer.h"

void
push_message_init(struct push_message *message, struct push_publisher *publisher,
	void (*over)(struct push_message *message))
{
	*message = (struct push_message){.publisher = publisher, .over = over};
}

/* Whoever came later and read it from the history was not among the subscribers. */
static uint64_t
written_of(const struct push_message *message)
{
	uint64_t written = message->tracker ? message->tracker->written : 0;

	return written < message->subscribers ? written : message->subscribers;
}

/* Its span, with what is known of it now. */
static void
end_span(struct push_message *message)
{
	struct push_span *span = message->span;

	message->span = NULL;
	span->http_status = message->status ? message->status : push_publish_http_status(PUSH_OK);
	span->subscribers = message->subscribers;
	span->is_followed = message->tracker != NULL;
	span->written = written_of(message);
	push_tracer_end(message->publisher->tracer, span);
}

void
push_message_fini(struct push_message *message)
{
	if (message->span)
		end_span(message);
	free(message->error);
	if (message->tracker)
		push_tracker_fini(message->tracker);
	free(message->tracker);
}

enum push_status
push_message_track(struct push_message *message, void (*over)(struct push_tracker *tracker))
{
	message->tracker = malloc(sizeof(*message->tracker));
	if (!message->tracker)
		return PUSH_OUT_OF_MEMORY;
	push_tracker_init(message->tracker, over, message);
	return PUSH_OK;
}

void
push_message_fail(struct push_message *message, unsigned int status, const char *text)
{
	free(message->error);
	message->status = (uint16_t)status;
	message->error = strdup(text);
}

/* Of several channels it may have gone to some. */
static void
say_how_far(struct push_message *message)
{
	char text[PUSH_ERROR_TEXT_BYTES_MAX];

	snprintf(text, sizeof(text), "%s: published to %" PRIu32 " of %" PRIu32 " channels",
		message->error ? message->error : push_status_text(PUSH_OUT_OF_MEMORY), message->published,
		message->sent);
	push_message_fail(message, message->status, text);
}

static void
part_done(struct push_message *message)
{
	if (--message->left)
		return;
	if (message->status && message->sent > 1)
		say_how_far(message);
	if (message->tracker)
		push_tracker_delivered(message->tracker);
	/* who waits for more than that has an answer later, and a longer span */
	if (message->span && !message->tracker)
		end_span(message);
	message->over(message);
}

static void
on_published(void *context, enum push_status status, uint64_t subscribers)
{
	struct push_message *message = context;

	if (status == PUSH_OK) {
		message->subscribers += subscribers;
		message->published++;
		message->publisher->stats->published++;
	} else {
		message->is_uncertain |= status == PUSH_UNCERTAIN;
		if (!message->status)
			push_message_fail(
				message, push_publish_http_status(status), push_status_text(status));
	}
	part_done(message);
}

/* What is to be logged of a publish, and who wants to know of it besides. */
struct logged {
	struct push_message *message;
	struct push_debug_log *log;
	size_t channel_size, bytes;
	char channel[];
};

static void
on_logged(void *context, enum push_status status, uint64_t subscribers)
{
	struct logged *logged = context;

	push_debug_log_published(
		logged->log, logged->channel, logged->channel_size, logged->bytes, status, subscribers);
	on_published(logged->message, status, subscribers);
	free(logged);
}

/* Where memory is out, it is published without a word. */
static struct logged *
log_later(struct push_message *message, const struct push_publication *publication)
{
	struct logged *logged = malloc(sizeof(*logged) + publication->channel_size);

	if (!logged)
		return NULL;
	*logged = (struct logged){
		message, message->publisher->log, publication->channel_size, publication->value_size};
	memcpy(logged->channel, publication->channel, publication->channel_size);
	return logged;
}

static void
send(struct push_message *message, const struct push_publication *publication)
{
	struct push_publisher *publisher = message->publisher;
	struct push_engine *engine = publisher->engine;
	struct logged *logged = NULL;

	if (publisher->log && publisher->log->is_on)
		logged = log_later(message, publication);
	if (logged)
		engine->publish(engine, publication, publisher->now_us(), on_logged, logged);
	else
		engine->publish(engine, publication, publisher->now_us(), on_published, message);
}

static size_t
count_channels(const struct push_publication *publication)
{
	return publication->channels.count ? publication->channels.count : 1;
}

static struct push_str
channel_at(const struct push_publication *publication, size_t i)
{
	const struct push_channels *channels = &publication->channels;

	return channels->count ? (struct push_str){channels->names[i].text, channels->names[i].size}
			       : (struct push_str){publication->channel, publication->channel_size};
}

static void
send_all(struct push_message *message, struct push_publication *publication, size_t sends_max)
{
	size_t count = count_channels(publication);

	if (count > sends_max) {
		push_message_fail(
			message, 413, "too many deliveries in one request (messages times channels)");
		return;
	}
	publication->tracker = message->tracker;
	publication->trace = message->span ? &message->span->trace : NULL;
	message->left += (uint32_t)count;
	message->sent = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		char once[PUSH_ONCE_BYTES_MAX];
		struct push_str channel;

		if (message->once) {
			publication->once = once;
			publication->once_size = (size_t)snprintf(once, sizeof(once), "%s-%" PRIu32 "-%zu",
				message->once, message->once_index, i);
		}
		channel = channel_at(publication, i);
		publication->channel = channel.bytes;
		publication->channel_size = channel.size;
		send(message, publication);
	}
}

/* @publication: NULL: the text is none. */
static void
begin_span(struct push_message *message, const struct push_publication *publication, size_t size)
{
	const struct push_trace *parent = message->parent;
	struct push_trace own;

	/* what a message says of itself counts for more than what its request does */
	if (publication && publication->traceparent &&
		push_traceparent_parse(&own, publication->traceparent, publication->traceparent_size))
		parent = &own;
	message->span = push_tracer_begin(message->publisher->tracer, parent);
	if (!message->span)
		return;
	message->span->value_bytes = publication ? publication->value_size : size;
	if (!publication)
		return;
	push_span_set_channel(message->span, publication->channel, publication->channel_size);
	message->span->channel_count = (uint32_t)publication->channels.count;
}

static uint32_t
seconds_of(uint64_t us)
{
	uint64_t seconds = (us + 999999) / 1000000;

	return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

/* Whether the limits let these senders pass. */
static bool
is_within_limits(
	struct push_message *message, const struct push_sender *sender, size_t size, struct push_error *error)
{
	const struct push_publisher *publisher = message->publisher;
	struct push_limit_refusal refusal;

	if (push_limiter_publish(publisher->limiter, sender, size, publisher->now_us(), &refusal))
		return true;
	message->retry_after_s = seconds_of(refusal.wait_us);
	snprintf(error->text, sizeof(error->text), "%s", push_limit_text(refusal.limit));
	return false;
}

static bool
is_limited(const struct push_message *message)
{
	const struct push_limiter *limiter = message->publisher->limiter;

	return limiter && push_limiter_limits_publishes(limiter);
}

/* By what is known of it before anybody is asked. */
static bool
admit_sender(struct push_message *message, size_t size, struct push_error *error)
{
	struct push_sender sender = {.has_address = message->address};

	if (!is_limited(message))
		return true;
	if (message->identity) {
		const struct push_identity_facts facts = push_identity_facts(message->identity);

		sender.key = facts.key_name;
		sender.user = facts.user;
	}
	if (message->address)
		sender.address = *message->address;
	return is_within_limits(message, &sender, size, error);
}

/* The user that an answer has named: what was not known of it before. */
static bool
admit_named(struct push_message *message, size_t size, struct push_error *error)
{
	struct push_sender sender = {.has_address = false};

	if (!message->permission->identity || !is_limited(message) ||
		push_identity_facts(message->identity).user.size)
		return true;
	sender.user = push_identity_facts(message->permission->identity).user;
	return is_within_limits(message, &sender, size, error);
}

/* The last to give way when memory is short (relief.h).  Returns a status of HTTP, 0 where it may go on. */
static inline unsigned int
admit(struct push_message *message, size_t size, struct push_error *error)
{
	const struct push_publisher *publisher = message->publisher;

	if (message->status) { /* it was refused when it was to be asked about */
		snprintf(error->text, sizeof(error->text), "%s",
			message->error ? message->error : push_status_text(PUSH_OUT_OF_MEMORY));
		return message->status;
	}
	if (!push_memory_has_room(publisher->memory, size)) {
		publisher->stats->relieved[PUSH_RELIEF_PUBLISHES]++;
		snprintf(error->text, sizeof(error->text), "%s", PUSH_MEMORY_SHORT_TEXT);
		return 503;
	}
	if (message->is_admitted)
		return message->permission && !admit_named(message, size, error) ? 429 : 0;
	return admit_sender(message, size, error) ? 0 : 429;
}

/* Whether its right lasts: of a stream or a WebSocket it may be long ago that it was looked at. */
static bool
is_good(const struct push_publisher *publisher, const struct push_identity *identity,
	struct push_error *error)
{
	struct push_authenticator *authenticator = publisher->authenticator;
	uint64_t expires_us;

	if (!authenticator || !identity)
		return true;
	expires_us = push_identity_facts(identity).expires_us;
	if (expires_us != UINT64_MAX && expires_us <= publisher->now_us()) {
		snprintf(error->text, sizeof(error->text), "the token has expired");
		push_publisher_count_refused(publisher, PUSH_AUTH_EXPIRED, error->text);
		return false;
	}
	if (authenticator->is_revoked(authenticator, identity)) {
		snprintf(error->text, sizeof(error->text), "%s",
			push_identity_facts(identity).key_name.size ? "the key was removed or revoked"
								    : "the token was revoked");
		push_publisher_count_refused(publisher, PUSH_AUTH_REVOKED, error->text);
		return false;
	}
	return true;
}

static bool
is_to_be_asked_about(const struct push_message *message)
{
	return !message->permission && push_permission_is_asked(message->publisher, message->identity);
}

/* Instead of a status of HTTP. */
#define ASK_FIRST 1u

/* Its identity grants nothing for this channel.  Returns a status of HTTP, or ASK_FIRST; 0: an answer does. */
static unsigned int
check_answer(const struct push_message *message, struct push_str channel, struct push_error *error)
{
	const struct push_permission *permission = message->permission;
	const struct push_identity *identity = message->identity;

	if (is_to_be_asked_about(message))
		return ASK_FIRST;
	if (permission && permission->status) { /* counted when it was answered */
		snprintf(error->text, sizeof(error->text), "%s", permission->reason.text);
		return permission->status;
	}
	if (permission && push_identity_may(permission->identity, PUSH_RIGHT_PUBLISH, channel))
		return 0;
	if (permission && permission->identity)
		identity =
			permission
				->identity; /* one that is known has no right, and need not show another token */
	push_identity_refusal(identity, PUSH_RIGHT_PUBLISH, channel, error);
	push_publisher_count_refused(message->publisher, push_identity_refused_as(identity), error->text);
	return push_identity_status(identity);
}

/* Returns a status of HTTP, or ASK_FIRST; 0 if it may be published to all of its channels. */
static unsigned int
check_rights(const struct push_message *message, const struct push_publication *publication,
	struct push_error *error)
{
	const struct push_identity *identity = message->identity;
	size_t count = count_channels(publication);

	if (!is_good(message->publisher, identity, error))
		return 401;
	for (size_t i = 0; i < count; i++) {
		const struct push_str channel = channel_at(publication, i);
		unsigned int refusal = push_identity_may(identity, PUSH_RIGHT_PUBLISH, channel)
					       ? 0
					       : check_answer(message, channel, error);

		if (refusal)
			return refusal;
	}
	return 0;
}

bool
push_message_publish(struct push_message *message, const char *text, size_t size, size_t sends_max)
{
	struct push_publication publication;
	struct push_error error = {"out of memory"};
	unsigned int refusal = admit(message, size, &error);
	enum push_status status = PUSH_UNAVAILABLE;

	if (!refusal) {
		message->is_admitted = true;
		status =
			push_publication_parse(&publication, text, size, message->publisher->options, &error);
		refusal = status == PUSH_OK ? check_rights(message, &publication, &error)
					    : push_publish_http_status(status);
	}
	if (status == PUSH_OK && refusal == ASK_FIRST) {
		if (count_channels(&publication) <= sends_max) {
			push_publication_fini(&publication);
			return false;
		}
		refusal = 0; /* it has too many channels, whoever is asked */
	}
	message->left = 1;
	if (message->permission && message->permission->status == refusal)
		message->retry_after_s = message->permission->retry_after_s;
	if (message->publisher->tracer)
		begin_span(message, status == PUSH_OK ? &publication : NULL, size);
	if (refusal)
		push_message_fail(message, refusal, error.text);
	else
		send_all(message, &publication, sends_max);
	if (status == PUSH_OK)
		push_publication_fini(&publication);
	part_done(message);
	return true;
}

/* Whether its identity does not grant all of its channels; those are added.  NULL: to nothing. */
static bool
collect(const struct push_message *message, const struct push_publication *publication,
	struct push_permission_channels *to)
{
	bool are_any = false;

	for (size_t i = 0; i < count_channels(publication); i++) {
		const struct push_str channel = channel_at(publication, i);

		if (push_identity_may(message->identity, PUSH_RIGHT_PUBLISH, channel))
			continue;
		are_any = true;
		if (to)
			push_permission_channels_add(to, channel);
	}
	return are_any;
}

void
push_message_ask_about(struct push_message *message, const char *text, size_t size,
	struct push_permission_channels *channels)
{
	struct push_publication publication;
	struct push_error error;
	unsigned int refusal = 0;

	/* what is wrong with it is said when it is its turn */
	if (message->status || !is_to_be_asked_about(message) ||
		push_publication_parse(&publication, text, size, message->publisher->options, &error) !=
			PUSH_OK)
		return;
	if (collect(message, &publication, NULL) && !message->is_admitted) {
		refusal = admit(message, size, &error);
		message->is_admitted = true;
	}
	if (refusal)
		push_message_fail(message, refusal, error.text);
	else
		(void)collect(message, &publication, channels);
	push_publication_fini(&publication);
}

void
push_message_append_answer(const struct push_message *message, bool with_status, struct push_buf *to)
{
	const char *error = message->error ? message->error : push_status_text(PUSH_OUT_OF_MEMORY);

	if (message->status) {
		push_buf_append_text(to, "{\"error\":");
		push_json_append_string(to, error, strlen(error));
		if (with_status)
			push_buf_printf(to, ",\"status\":%u", message->status);
	} else {
		push_buf_printf(to, "{\"subscribers\":%" PRIu64, message->subscribers);
		if (message->tracker)
			push_buf_printf(to, ",\"written\":%" PRIu64, written_of(message));
	}
	push_buf_append_text(to, "}");
}
