/* permission.c - see permission.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "message.h"
#include "permission.h"

/* What the authenticator answers to: it may answer later than the permission is wanted. */
struct push_permission_call {
	struct push_permission *permission; /* NULL: nobody wants to know any more */
};

/* --- what is asked about --- */

void
push_permission_channels_init(struct push_permission_channels *channels)
{
	push_buf_init(&channels->names, PUSH_PERMISSION_CHANNELS_BYTES_MAX);
	channels->count = 0;
}

void
push_permission_channels_fini(struct push_permission_channels *channels)
{
	push_buf_fini(&channels->names);
}

static bool
has(const struct push_permission_channels *channels, struct push_str name)
{
	for (uint32_t i = 0; i < channels->count; i++)
		if (channels->places[i].size == name.size &&
			!memcmp(channels->names.bytes + channels->places[i].at, name.bytes, name.size))
			return true;
	return false;
}

void
push_permission_channels_add(struct push_permission_channels *channels, struct push_str name)
{
	struct push_buf *names = &channels->names;

	if (names->status != PUSH_OK || has(channels, name))
		return;
	if (channels->count == PUSH_PERMISSION_CHANNELS_MAX) {
		names->status = PUSH_TOO_LARGE;
		return;
	}
	if (names->size)
		push_buf_append_text(names, ",");
	channels->places[channels->count].at = (uint32_t)names->size;
	channels->places[channels->count].size = (uint32_t)name.size;
	push_buf_append(names, name.bytes, name.size);
	channels->count += names->status == PUSH_OK;
}

/* --- the answer --- */

static void
close_question(struct push_permission *permission)
{
	push_list_remove(&permission->item);
	if (permission->call)
		permission->call->permission = NULL;
	permission->call = NULL;
	permission->is_answered = true;
}

static void
on_verdict(void *context, const struct push_verdict *verdict)
{
	struct push_permission_call *call = context;
	struct push_permission *permission = call->permission;

	free(call);
	if (!permission)
		return;
	permission->call = NULL;
	close_question(permission);
	permission->status = verdict->status;
	if (verdict->status) {
		permission->retry_after_s = verdict->retry_after_s;
		snprintf(permission->reason.text, sizeof(permission->reason.text), "%s", verdict->text);
		push_publisher_count_refused(permission->publisher, verdict->why, permission->reason.text);
	} else {
		permission->identity = push_identity_ref(verdict->identity);
	}
	if (!permission->is_in_call)
		permission->answered(permission);
}

void
push_permission_give_up(struct push_permission *permission, const char *reason)
{
	close_question(permission);
	permission->status = 503;
	snprintf(permission->reason.text, sizeof(permission->reason.text), "%s", reason);
}

void
push_permission_fail(struct push_message *message, enum push_status status)
{
	if (status == PUSH_TOO_LARGE)
		push_message_fail(message, 413, "too many channels to ask the application about at once");
	else
		push_message_fail(message, 503, push_status_text(PUSH_OUT_OF_MEMORY));
}

/* --- the question --- */

static void
ask(struct push_permission *permission, const struct push_permission_query *query)
{
	struct push_authenticator *authenticator = permission->publisher->authenticator;
	struct push_asked asked = query->asked ? *query->asked : (struct push_asked){0};
	char address[PUSH_ADDRESS_TEXT_BYTES];

	asked.right = PUSH_RIGHT_PUBLISH;
	asked.channels = query->channels;
	if (query->address) {
		push_address_print(query->address, address);
		asked.address = (struct push_str){address, strlen(address)};
	}
	permission->is_in_call = true;
	authenticator->ask_for_more(authenticator, push_identity_facts(query->identity).user, &asked,
		on_verdict, permission->call);
	permission->is_in_call = false;
}

struct push_permission *
push_permission_ask(struct push_publisher *publisher, const struct push_permission_query *query,
	void (*answered)(struct push_permission *permission), void *context)
{
	struct push_permission *permission = calloc(1, sizeof(*permission));
	struct push_permission_call *call = malloc(sizeof(*call));

	if (!permission || !call) {
		free(permission);
		free(call);
		return NULL;
	}
	call->permission = permission;
	permission->publisher = publisher;
	permission->answered = answered;
	permission->context = context;
	permission->call = call;
	push_list_append(&publisher->permissions, &permission->item);
	if (publisher->is_ending) {
		free(call);
		permission->call = NULL;
		push_permission_give_up(permission, "the server is ending");
	} else {
		ask(permission, query);
	}
	return permission;
}

struct push_permission *
push_permission_ask_about(struct push_message *message, struct push_str text,
	struct push_permission_query *query, void (*answered)(struct push_permission *permission),
	void *context)
{
	struct push_permission_channels channels;
	struct push_permission *permission = NULL;

	push_permission_channels_init(&channels);
	push_message_ask_about(message, text.bytes, text.size, &channels);
	query->channels = (struct push_str){channels.names.bytes, channels.names.size};
	if (channels.names.status == PUSH_OK && channels.count)
		permission = push_permission_ask(message->publisher, query, answered, context);
	if (!permission)
		push_permission_fail(message, channels.names.status);
	push_permission_channels_fini(&channels);
	return permission;
}

void
push_permission_publish(
	struct push_permission *permission, struct push_message *message, struct push_str text)
{
	bool is_published;

	message->permission = permission;
	is_published = push_message_publish(message, text.bytes, text.size, PUSH_PUBLISH_SENDS_MAX);
	PUSH_ASSERT(is_published);
	push_permission_free(permission);
}

void
push_permission_free(struct push_permission *permission)
{
	if (!permission)
		return;
	close_question(permission);
	push_identity_unref(permission->identity);
	free(permission);
}

void
push_permission_end_all(struct push_publisher *publisher)
{
	publisher->is_ending = true;
	while (!push_list_is_empty(&publisher->permissions)) {
		struct push_permission *permission =
			push_container_of(publisher->permissions.next, struct push_permission, item);

		push_permission_give_up(permission, "the server is ending");
		permission->answered(permission);
	}
}
