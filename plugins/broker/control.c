/* control.c - see control.h. */
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "core/hub.h"
#include "core/identified.h"
#include "core/jsonscan.h"
#include "core/limits.h"
#include "core/question.h"
#include "core/subscriber.h"
#include "core/tokens.h"

#define VERB_CONTROL "control"
#define VERB_GRANTED "granted"

/* Of a node's answer: ask first. */
#define STATUS_ASK 102

/* A request under way. */
struct control {
	struct push_controls *controls;
	push_answer_fn answer;
	void *context;
	bool may_ask; /* it is no answer to a question already */
	size_t size;
	char token[PUSH_TOKEN_BYTES];
	char body[];
};

static struct control *
create(struct push_controls *controls, const char *token, struct push_str body, push_answer_fn answer,
	void *context)
{
	struct control *control = malloc(sizeof(*control) + body.size);

	if (!control)
		return NULL;
	*control = (struct control){
		.controls = controls, .answer = answer, .context = context, .size = body.size};
	memcpy(control->token, token, PUSH_TOKEN_BYTES);
	if (body.size)
		memcpy(control->body, body.bytes, body.size);
	return control;
}

/* --- here --- */

static unsigned int
status_of(enum push_status status)
{
	switch (status) {
	case PUSH_OK: return 200;
	case PUSH_INVALID: return 400;
	case PUSH_NOT_FOUND: return 404;
	default: return 503;
	}
}

static void
carry_out(struct push_controls *controls, const struct push_control_request *request,
	const struct push_grant *grant, push_answer_fn answer, void *context)
{
	struct push_error error = {""};
	struct push_buf text;
	enum push_status status;

	push_buf_init(&text, SIZE_MAX); /* the hub bounds it by what it is asked */
	status = push_hub_control(controls->hub, request->token, request->token_size, request->body,
		request->size, grant, controls->now_us(), &text, &error);
	if (status != PUSH_OK) {
		push_buf_clear(&text);
		push_json_append_error(&text, error.text);
	}
	answer(context, &(struct push_answer){status_of(status), "application/json",
				text.bytes ? text.bytes : "", text.size, 0});
	push_buf_fini(&text);
}

/* --- questions --- */

static struct push_grant
grant_of(const struct push_verdict *verdict)
{
	return (struct push_grant){verdict->identity, verdict->status, verdict->text};
}

static struct push_asked
asked_of(struct push_str channels, struct push_str address)
{
	return (struct push_asked){.right = PUSH_RIGHT_SUBSCRIBE, .channels = channels, .address = address};
}

static struct push_str
address_of(const struct push_subscriber *subscriber, char text[PUSH_ADDRESS_TEXT_BYTES])
{
	struct push_address address;

	if (!push_subscriber_address(subscriber, &address))
		return (struct push_str){NULL, 0};
	push_address_print(&address, text);
	return (struct push_str){text, strlen(text)};
}

static struct push_str
user_of(const struct push_subscriber *subscriber)
{
	return push_identity_facts(push_subscriber_identity(subscriber)).user;
}

static bool
asks(void *context, const struct push_identity *identity)
{
	const struct push_controls *controls = context;

	return identity && controls->authenticator->asks_for_more(
				   controls->authenticator, identity, PUSH_RIGHT_SUBSCRIBE);
}

static void
on_answered(void *context, const struct push_verdict *verdict)
{
	struct push_question *question = context;
	struct push_controls *controls = question->context;
	const struct push_grant grant = grant_of(verdict);

	if (verdict->status)
		controls->stats->auth_refused[verdict->why]++;
	push_question_answer(question, &grant, controls->now_us());
}

static void
ask(void *context, struct push_question *question, struct push_str channels)
{
	struct push_controls *controls = context;
	char text[PUSH_ADDRESS_TEXT_BYTES];
	const struct push_asked asked = asked_of(channels, address_of(question->subscriber, text));

	controls->authenticator->ask_for_more(
		controls->authenticator, user_of(question->subscriber), &asked, on_answered, question);
}

static void
send_grant(struct control *control, const struct push_verdict *verdict);

static void
put_off(const struct control *control, const struct push_verdict *verdict)
{
	struct push_buf body;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, verdict->text);
	control->answer(
		control->context, &(struct push_answer){503, "application/json", body.bytes ? body.bytes : "",
					  body.size, verdict->retry_after_s});
	push_buf_fini(&body);
}

static void
on_verdict(void *context, const struct push_verdict *verdict)
{
	struct control *control = context;
	struct push_controls *controls = control->controls;
	const struct push_grant grant = grant_of(verdict);
	const struct push_control_request request = {
		control->token, PUSH_TOKEN_BYTES, control->body, control->size};

	if (verdict->status)
		controls->stats->auth_refused[verdict->why]++;
	if (verdict->status && verdict->status != 401 && verdict->status != 403) {
		put_off(control, verdict);
	} else if (push_controls_is_here(controls, control->token)) {
		carry_out(controls, &request, &grant, control->answer, control->context);
	} else {
		send_grant(control, verdict);
		return;
	}
	free(control);
}

/* Carries it out, if nobody has to be asked first. */
static void
decide(struct push_controls *controls, const struct push_control_request *request, push_answer_fn answer,
	void *context)
{
	const struct push_str token = {request->token, request->token_size},
			      body = {request->body, request->size};
	const struct push_subscriber *subscriber;
	char text[PUSH_ADDRESS_TEXT_BYTES];
	struct push_buf channels;
	struct push_asked asked;
	struct control *control;

	if (!push_hub_control_asks(controls->hub, token, body, controls->now_us(), &channels, &subscriber)) {
		push_buf_fini(&channels);
		carry_out(controls, request, NULL, answer, context);
		return;
	}
	control = channels.status == PUSH_OK ? create(controls, request->token, body, answer, context) : NULL;
	if (control) {
		asked = asked_of(
			(struct push_str){channels.bytes, channels.size}, address_of(subscriber, text));
		controls->authenticator->ask_for_more(
			controls->authenticator, user_of(subscriber), &asked, on_verdict, control);
	} else {
		push_answer_error(503, push_status_text(PUSH_OUT_OF_MEMORY), answer, context);
	}
	push_buf_fini(&channels);
}

/* --- there --- */

static void
refuse(enum push_status status, push_answer_fn answer, void *context)
{
	if (status == PUSH_NOT_FOUND)
		push_answer_error(404, "no event stream has this token", answer, context);
	else
		push_answer_error(503, "the node that serves this stream does not answer", answer, context);
}

/* It comes from whoever can reach Redis. */
static bool
read_answer(const char *text, size_t size, struct push_answer *ret)
{
	bool is_compact;

	for (size_t i = 0; i < 3; i++) {
		if (i >= size || text[i] < '0' || text[i] > '9')
			return false;
		ret->status = ret->status * 10 + (unsigned int)(text[i] - '0');
	}
	if (size < 4 || text[3] != ' ' ||
		(ret->status != STATUS_ASK && ret->status != 200 && ret->status != 503 &&
			ret->status / 100 != 4))
		return false;
	ret->body = text + 4;
	ret->size = size - 4;
	return push_json_scan_value(ret->body, ret->size, &is_compact);
}

/* Without bytes: it is not there, or is no string. */
static struct push_str
decode(struct push_buf *to, const struct push_json_member *member)
{
	size_t before = to->size;

	if (!push_json_is_string(member))
		return (struct push_str){NULL, 0};
	push_json_decode_string(to, member->text, member->size);
	push_buf_append(to, "", 1);
	if (to->status != PUSH_OK)
		return (struct push_str){NULL, 0};
	return (struct push_str){to->bytes + before, to->size - before - 1};
}

/* What the stream's node wants to know.  Returns false where it cannot be asked. */
static bool
ask_for_node(struct control *control, const struct push_answer *answer)
{
	struct push_authenticator *authenticator = control->controls->authenticator;
	struct push_json_member members[] = {{.name = "user"}, {.name = "address"}, {.name = "channels"}};
	struct push_str texts[3];
	struct push_asked asked;
	struct push_error error;
	struct push_buf bytes;
	bool is_asked;

	if (!authenticator || !control->may_ask ||
		push_json_scan_object(answer->body, answer->size, members, 3, &error) != PUSH_OK)
		return false;
	push_buf_init(&bytes, answer->size + 3);
	/* once for its size: it must not move any more */
	for (int i = 0; i < 3; i++)
		(void)decode(&bytes, &members[i]);
	push_buf_clear(&bytes);
	for (int i = 0; i < 3; i++)
		texts[i] = decode(&bytes, &members[i]);
	is_asked = bytes.status == PUSH_OK && texts[2].bytes;
	if (is_asked) {
		control->may_ask = false;
		asked = asked_of(texts[2], texts[1]);
		authenticator->ask_for_more(authenticator, texts[0], &asked, on_verdict, control);
	}
	push_buf_fini(&bytes);
	return is_asked;
}

static void
on_called(void *context, enum push_status status, const char *text, size_t size)
{
	struct control *control = context;
	struct push_answer answer = {.content_type = "application/json"};

	if (status == PUSH_OK && !read_answer(text, size, &answer))
		status = PUSH_UNAVAILABLE;
	if (status == PUSH_OK && answer.status == STATUS_ASK) {
		if (ask_for_node(control, &answer))
			return;
		status = PUSH_UNAVAILABLE;
	}
	if (status == PUSH_OK)
		control->answer(control->context, &answer);
	else
		refuse(status, control->answer, control->context);
	free(control);
}

static void
call(struct control *control, const char *verb, const struct push_buf *text)
{
	struct push_controls *controls = control->controls;

	if (text->status == PUSH_OK) {
		controls->engine->call(controls->engine, control->token, PUSH_TOKEN_NODE_BYTES, verb,
			text->bytes, text->size, controls->now_us(), on_called, control);
	} else {
		refuse(PUSH_OUT_OF_MEMORY, control->answer, control->context);
		free(control);
	}
}

static void
send_grant(struct control *control, const struct push_verdict *verdict)
{
	struct push_authenticator *authenticator = control->controls->authenticator;
	struct push_buf text;

	push_buf_init(&text, SIZE_MAX); /* what it is made of is bounded */
	push_buf_append(&text, control->token, PUSH_TOKEN_BYTES);
	push_buf_printf(&text, " %u ", verdict->status ? verdict->status : 200);
	if (verdict->status)
		push_buf_append_text(&text, verdict->text);
	else
		authenticator->write_identity(authenticator, verdict->identity, &text);
	push_buf_append_text(&text, "\n");
	push_buf_append(&text, control->body, control->size);
	call(control, VERB_GRANTED, &text);
	push_buf_fini(&text);
}

void
push_controls_call(void *context, const char *token, const char *verb, const struct push_buf *text,
	push_answer_fn answer, void *answer_context)
{
	struct control *control = create(context, token, (struct push_str){NULL, 0}, answer, answer_context);

	if (control)
		call(control, verb, text);
	else
		refuse(PUSH_OUT_OF_MEMORY, answer, answer_context);
}

static void
control_there(struct push_controls *controls, const struct push_control_request *request,
	push_answer_fn answer, void *context)
{
	struct control *control = create(
		controls, request->token, (struct push_str){request->body, request->size}, answer, context);
	struct push_buf text;

	if (!control) {
		refuse(PUSH_OUT_OF_MEMORY, answer, context);
		return;
	}
	control->may_ask = true;
	push_buf_init(&text, PUSH_TOKEN_BYTES + 1 + request->size);
	push_buf_append(&text, request->token, PUSH_TOKEN_BYTES);
	push_buf_append(&text, " ", 1);
	push_buf_append(&text, request->body, request->size);
	call(control, VERB_CONTROL, &text);
	push_buf_fini(&text);
}

/* --- what others ask --- */

void
push_controls_answer(void *to, const struct push_answer *answer)
{
	push_buf_printf(to, "%u ", answer->status);
	push_buf_append(to, answer->body, answer->size);
}

static void
append_text(struct push_buf *to, const char *name, struct push_str text)
{
	if (!text.bytes)
		return;
	push_buf_printf(to, "\"%s\":", name);
	push_json_append_string(to, text.bytes, text.size);
	push_buf_append_text(to, ",");
}

static enum push_status
serve_control(struct push_controls *controls, const struct push_control_request *request, struct push_buf *to)
{
	const struct push_str token = {request->token, request->token_size},
			      body = {request->body, request->size};
	const struct push_subscriber *subscriber;
	char text[PUSH_ADDRESS_TEXT_BYTES];
	struct push_buf channels;

	if (push_hub_control_asks(controls->hub, token, body, controls->now_us(), &channels, &subscriber)) {
		push_buf_printf(to, "%u {", STATUS_ASK);
		append_text(to, "user", user_of(subscriber));
		append_text(to, "address", address_of(subscriber, text));
		push_buf_append_text(to, "\"channels\":");
		push_json_append_string(to, channels.bytes ? channels.bytes : "", channels.size);
		push_buf_append_text(to, "}");
		if (channels.status != PUSH_OK)
			to->status = channels.status;
	} else {
		carry_out(controls, request, NULL, push_controls_answer, to);
	}
	push_buf_fini(&channels);
	return PUSH_OK;
}

/* `200 IDENTITY` or `403 REASON`, which is copied to `reason`.  The caller drops the identity. */
static bool
read_grant(struct push_controls *controls, struct push_str text, struct push_grant *ret,
	struct push_error *reason)
{
	*ret = (struct push_grant){.text = reason->text};
	if (text.size < 5 || text.bytes[3] != ' ' || !controls->authenticator)
		return false;
	if (!memcmp(text.bytes, "200", 3)) {
		ret->identity = controls->authenticator->read_identity(
			controls->authenticator, (struct push_str){text.bytes + 4, text.size - 4});
		return ret->identity;
	}
	ret->status = !memcmp(text.bytes, "401", 3) ? 401 : 403;
	if (text.size - 4 >= sizeof(reason->text))
		return false;
	memcpy(reason->text, text.bytes + 4, text.size - 4);
	reason->text[text.size - 4] = '\0';
	return true;
}

static enum push_status
serve_granted(struct push_controls *controls, struct push_control_request *request, struct push_buf *to)
{
	const char *line_end = memchr(request->body, '\n', request->size);
	struct push_error reason = {""};
	struct push_grant grant;

	if (!line_end ||
		!read_grant(controls, (struct push_str){request->body, (size_t)(line_end - request->body)},
			&grant, &reason))
		return PUSH_NOT_FOUND;
	request->size -= (size_t)(line_end + 1 - request->body);
	request->body = line_end + 1;
	if (request->size <= controls->options->client_message_bytes_max)
		carry_out(controls, request, &grant, push_controls_answer, to);
	push_identity_unref(grant.identity);
	return request->size <= controls->options->client_message_bytes_max ? PUSH_OK : PUSH_NOT_FOUND;
}

enum push_status
push_controls_serve(
	struct push_controls *controls, const char *verb, const char *text, size_t size, struct push_buf *to)
{
	struct push_control_request request = {.token = text, .token_size = PUSH_TOKEN_BYTES};

	if (size <= PUSH_TOKEN_BYTES || text[PUSH_TOKEN_BYTES] != ' ')
		return PUSH_NOT_FOUND;
	request.body = text + PUSH_TOKEN_BYTES + 1;
	request.size = size - PUSH_TOKEN_BYTES - 1;
	if (!strcmp(verb, VERB_GRANTED))
		return serve_granted(controls, &request, to);
	if (strcmp(verb, VERB_CONTROL) != 0 || request.size > controls->options->client_message_bytes_max)
		return PUSH_NOT_FOUND;
	return serve_control(controls, &request, to);
}

/* --- its life --- */

void
push_controls_init(struct push_controls *controls)
{
	const struct push_hub_asker asker = {asks, ask, controls};

	if (controls->authenticator)
		push_hub_ask(controls->hub, &asker);
}

bool
push_controls_is_here(void *context, const char *token)
{
	const struct push_controls *controls = context;

	return !controls->engine->call || !memcmp(token, controls->node, PUSH_TOKEN_NODE_BYTES);
}

void
push_controls_request(struct push_controls *controls, const struct push_control_request *request,
	push_answer_fn answer, void *context)
{
	if (request->token_size != PUSH_TOKEN_BYTES || push_controls_is_here(controls, request->token))
		decide(controls, request, answer, context);
	else
		control_there(controls, request, answer, context);
}
