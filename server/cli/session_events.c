/* session_events.c - see session.h: what events mean, which of them are copies, and what is printed. */
#include <stdio.h>
#include <string.h>

#include "say.h"
#include "session_events.h"

/* A gap that waits for the next message of its channel: the old connection may have filled it. */
struct pending_gap {
	char channel[CLI_HOST_BYTES_MAX + 1];
	char missed[32];
};

static uint64_t
hash_name(const struct push_json_member *channel)
{
	uint64_t value = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < channel->size; i++)
		value = (value ^ (unsigned char)channel->text[i]) * 0x100000001b3ull;
	return value;
}

static bool
is_plain(const struct session *session, uint64_t name)
{
	for (size_t i = 0; i < session->plain_count; i++)
		if (session->plain[i] == name)
			return true;
	return false;
}

static void
note_plain(struct session *session, const struct message *message)
{
	uint64_t name = hash_name(&message->channel);

	if (!message->id[0] && session->plain_count < SESSION_PLAIN_MAX && !is_plain(session, name))
		session->plain[session->plain_count++] = name;
}

static bool
read_message(const struct link_event *event, struct message *ret)
{
	struct push_json_member members[] = {{.name = "channel"}, {.name = "message"}};
	struct push_error error;

	if (!event->data_size ||
		push_json_scan_object(event->data, event->data_size, members, 2, &error) != PUSH_OK ||
		!push_json_is_string(&members[0]) || !members[1].text)
		return false;
	*ret = (struct message){.channel = members[0], .value = members[1], .id = event->id};
	return true;
}

/* Returns false for a copy. */
static bool
take_message(struct session *session, const struct link_event *event)
{
	struct copies_key key = {.id = event->id};
	struct message message;

	if (!read_message(event, &message))
		return false;
	key.channel = message.channel.text;
	key.channel_size = message.channel.size;
	key.value = message.value.text;
	key.value_size = message.value.size;
	if (session->copies.count && copies_take(&session->copies, &key))
		return false;
	note_plain(session, &message);
	message_print(&message, session->arguments->json);
	session->printed++;
	if (session->next && !copies_add(&session->next_copies, &key) && session->next->is_alive)
		session_cut(session, false);
	if (session->printed == session->arguments->count)
		session_end(session, CLI_DONE, NULL);
	return true;
}

static void
say_gap(const char *channel, const char *missed)
{
	const char *of = channel[0] ? " of " : "";

	if (missed[0] && strcmp(missed, "unknown") != 0)
		say("gap: %s messages%s%s are missing", missed, of, channel);
	else
		say("gap: messages%s%s may be missing", of, channel);
}

/* What a gap is of, and how large it is: "" where the server does not know. */
static void
read_gap(const struct link_event *event, struct push_json_member *ret_channel, struct pending_gap *ret)
{
	struct push_json_member members[] = {{.name = "channel"}, {.name = "missed"}};
	struct push_error error;

	*ret = (struct pending_gap){.channel = ""};
	*ret_channel = (struct push_json_member){.text = NULL};
	if (!event->data_size ||
		push_json_scan_object(event->data, event->data_size, members, 2, &error) != PUSH_OK)
		return;
	*ret_channel = members[0];
	message_text(&members[0], ret->channel, sizeof(ret->channel));
	if (push_json_is_string(&members[1]))
		message_text(&members[1], ret->missed, sizeof(ret->missed));
	else if (members[1].text)
		snprintf(ret->missed, sizeof(ret->missed), "%.*s", (int)members[1].size, members[1].text);
}

static void
say_resumed(const struct session *session, const struct link_event *event)
{
	struct push_json_member replayed = {.name = "replayed"};
	struct push_error error;

	if (session->arguments->quiet || !event->data_size ||
		push_json_scan_object(event->data, event->data_size, &replayed, 1, &error) != PUSH_OK ||
		!replayed.text)
		return;
	say("resumed: %.*s messages replayed, nothing is missing", (int)replayed.size, replayed.text);
}

static void
say_error(const struct link_event *event)
{
	struct push_json_member text = {.name = "error"};
	struct push_error error;
	char line[512];

	if (event->data_size &&
		push_json_scan_object(event->data, event->data_size, &text, 1, &error) == PUSH_OK)
		say("error: %s", message_text(&text, line, sizeof(line)));
}

/* The server ends a subscription that another token does not grant. */
static void
say_left(const struct link_event *event)
{
	struct push_json_member members[] = {{.name = "channel"}, {.name = "reason"}};
	struct push_error error;
	char channel[512], reason[512];

	if (event->data_size &&
		push_json_scan_object(event->data, event->data_size, members, 2, &error) == PUSH_OK &&
		members[1].text)
		say("left %s: %s", message_text(&members[0], channel, sizeof(channel)),
			message_text(&members[1], reason, sizeof(reason)));
}

static void
look_for_new_name(const struct session *session, const struct link_event *event)
{
	struct push_json_member is_new = {.name = "new"};
	struct push_error error;

	if (session->arguments->name && !session->printed && !session->arguments->quiet && event->data_size &&
		push_json_scan_object(event->data, event->data_size, &is_new, 1, &error) == PUSH_OK &&
		is_new.text)
		say("the server has no position for client '%s': starting with the next message",
			session->arguments->name);
}

void
session_take(struct session *session, struct link *link, const struct link_event *event)
{
	bool is_message = !strcmp(event->name, "message");
	struct push_json_member channel;
	struct pending_gap gap;

	if (session->is_ending)
		return;
	/* first: a message may end a move, and what the new connection has held is newer */
	if (event->id[0])
		strcpy(session->id, event->id);
	if (is_message) {
		take_message(session, event);
	} else if (!strcmp(event->name, "gap")) {
		read_gap(event, &channel, &gap);
		say_gap(gap.channel, gap.missed);
	} else if (!strcmp(event->name, "resumed") && !link->is_moved) {
		say_resumed(session, event);
	} else if (!strcmp(event->name, "error")) {
		say_error(event);
	} else if (!strcmp(event->name, "unsubscribed")) {
		say_left(event);
	} else if (!strcmp(event->name, "expiring")) {
		session_renew(session);
	} else if (!strcmp(event->name, "authenticated")) {
		if (!session->arguments->quiet)
			say("the token was renewed");
	} else if (!strcmp(event->name, "ping")) {
		look_for_new_name(session, event);
	}
	if (event->id[0] && is_message && session->arguments->name)
		link_ack(link, event->id);
	if (!strcmp(event->name, "reconnect"))
		session_move(session);
}

/* A gap of the new connection: not one of a channel without ids, since the old connection was open meanwhile.
 */
static void
hold_gap(const struct session *session, const struct link_event *event, struct pending_gap *pending)
{
	struct push_json_member channel;

	if (pending->channel[0])
		say_gap(pending->channel, pending->missed);
	read_gap(event, &channel, pending);
	if (!pending->channel[0])
		say_gap("", pending->missed);
	else if (is_plain(session, hash_name(&channel)))
		pending->channel[0] = '\0';
}

static void
take_held_event(struct session *session, const struct link_event *event, struct pending_gap *pending)
{
	uint64_t before = session->printed;

	session_take(session, session->link, event);
	if (strcmp(event->name, "message") != 0 || !pending->channel[0])
		return;
	if (session->printed != before)
		say_gap(pending->channel, pending->missed);
	pending->channel[0] = '\0';
}

void
session_take_held(struct session *session)
{
	struct pending_gap pending = {.channel = ""};
	struct link_event event;
	struct held_event *memory;
	bool moves = false;

	while (!session->is_ending && held_take(&session->held, &event, &memory)) {
		if (!strcmp(event.name, "gap"))
			hold_gap(session, &event, &pending);
		else if (!strcmp(event.name, "reconnect"))
			moves = true;
		else
			take_held_event(session, &event, &pending);
		held_free(memory);
	}
	if (pending.channel[0])
		say_gap(pending.channel, pending.missed);
	/* the next move begins when this one has ended */
	if (moves)
		session_move(session);
}
