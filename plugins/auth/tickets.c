/* tickets.c - see tickets.h. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "auth/base64url.h"
#include "auth/identity_text.h"
#include "auth/tickets.h"
#include "core/limits.h"
#include "core/push_assert.h"

#define NAME_PREFIX "ticket:"
#define HASH_BYTES  32
#define NAME_BYTES  (sizeof(NAME_PREFIX) - 1 + (size_t)2 * HASH_BYTES)

/* `9999 ` */
#define COUNT_BYTES_MAX 5
#define VALUE_BYTES_MAX (COUNT_BYTES_MAX + PUSH_IDENTITY_TEXT_BYTES_MAX)

_Static_assert(PUSH_TICKET_BYTES == PUSH_BASE64URL_ENCODED_BYTES(PUSH_TICKET_RANDOM_BYTES), "its text");
_Static_assert(VALUE_BYTES_MAX <= PUSH_VALUE_BYTES_MAX, "each identity can have one");
_Static_assert(NAME_BYTES <= PUSH_VALUE_NAME_BYTES_MAX, "the engine takes it");

/* Something that is asked of the engine. */
struct ticket_call {
	struct push_tickets tickets;
	char name[NAME_BYTES + 1];
	const struct push_identity *identity; /* a reference, or NULL */
	/* of push_tickets_issue */
	char ticket[PUSH_TICKET_BYTES + 1];
	uint64_t expires_in_s;
	push_ticket_issued_fn issued;
	push_ticket_opened_fn opened; /* of push_tickets_open */
	void *context;
};

/* --- the engine's values --- */

static void
write_name(char name[NAME_BYTES + 1], struct push_str ticket)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;
	int result = EVP_Digest(ticket.bytes, ticket.size, digest, &size, EVP_sha256(), NULL);

	PUSH_ASSERT(result == 1 && size == HASH_BYTES);
	memcpy(name, NAME_PREFIX, sizeof(NAME_PREFIX));
	for (unsigned int i = 0; i < HASH_BYTES; i++)
		snprintf(name + sizeof(NAME_PREFIX) - 1 + (size_t)2 * i, 3, "%02x", digest[i]);
}

static bool
is_shaped(struct push_str ticket)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	if (ticket.size != PUSH_TICKET_BYTES)
		return false;
	for (size_t i = 0; i < ticket.size; i++)
		if (!ticket.bytes[i] || !strchr(digits, ticket.bytes[i]))
			return false;
	return true;
}

/* Whether there may be one for it. */
static bool
has_ticket(const struct push_identity *identity)
{
	return identity && identity != push_identity_everybody() &&
	       !push_identity_facts(identity).is_anonymous;
}

static struct ticket_call *
create_call(const struct push_tickets *tickets, struct push_str ticket, void *context)
{
	struct ticket_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->tickets = *tickets;
	call->context = context;
	write_name(call->name, ticket);
	return call;
}

static void
destroy_call(struct ticket_call *call)
{
	push_identity_unref(call->identity);
	explicit_bzero(call->ticket, sizeof(call->ticket));
	free(call);
}

/* How long the identity is good; 0: it is over. */
static uint64_t
left_us(const struct push_tickets *tickets, const struct push_identity *identity)
{
	uint64_t expires_us = push_identity_facts(identity).expires_us, now_us = tickets->now_us();

	return expires_us > now_us ? expires_us - now_us : 0;
}

static uint64_t
ttl_of(const struct ticket_call *call, uint64_t ttl_us)
{
	uint64_t left = left_us(&call->tickets, call->identity);

	if (ttl_us > PUSH_DURATION_US_MAX)
		ttl_us = PUSH_DURATION_US_MAX;
	return ttl_us < left ? ttl_us : left;
}

/* The call's identity, with so many connections. */
static void
put(struct ticket_call *call, unsigned int connections, uint64_t ttl_us, push_value_done_fn done)
{
	struct push_tickets *tickets = &call->tickets;
	struct push_engine *engine = tickets->engine;
	uint64_t now_us = tickets->now_us();
	struct push_buf value;

	push_buf_init(&value, VALUE_BYTES_MAX);
	push_buf_printf(&value, "%u ", connections);
	push_identity_text_print(&value, call->identity, now_us, tickets->wall_us());
	if (value.status == PUSH_OK)
		engine->value_put(engine, call->name, NAME_BYTES, value.bytes, value.size, ttl_us, false,
			now_us, done, call);
	else
		done(call, PUSH_OUT_OF_MEMORY, NULL, 0);
	push_buf_fini(&value);
}

static void
get(struct ticket_call *call, push_value_done_fn done)
{
	struct push_engine *engine = call->tickets.engine;

	engine->value_get(engine, call->name, NAME_BYTES, call->tickets.now_us(), done, call);
}

/* `2 {...}`; anybody who can write to the broker's server may have put something else there. */
static enum push_status
read_value(struct ticket_call *call, const char *value, size_t size, unsigned int *ret_connections)
{
	const char *end = memchr(value, ' ', size < COUNT_BYTES_MAX ? size : COUNT_BYTES_MAX);
	const struct push_identity *identity = NULL;
	unsigned int connections = 0;
	enum push_status status;

	if (!end || end == value)
		return PUSH_NOT_FOUND;
	for (const char *p = value; p < end; p++) {
		if (*p < '0' || *p > '9')
			return PUSH_NOT_FOUND;
		connections = connections * 10 + (unsigned int)(*p - '0');
	}
	end++;
	status = push_identity_text_parse(&identity, end, size - (size_t)(end - value),
		(struct push_str){call->ticket, strlen(call->ticket)}, call->tickets.now_us(),
		call->tickets.wall_us());
	if (status != PUSH_OK)
		return status == PUSH_INVALID ? PUSH_NOT_FOUND : status;
	if (!left_us(&call->tickets, identity)) {
		push_identity_unref(identity);
		return PUSH_NOT_FOUND;
	}
	push_identity_unref(call->identity);
	call->identity = identity;
	*ret_connections = connections;
	return PUSH_OK;
}

/* --- issuing --- */

static bool
write_ticket(char ticket[PUSH_TICKET_BYTES + 1])
{
	unsigned char random[PUSH_TICKET_RANDOM_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	push_base64url_encode(random, sizeof(random), ticket);
	ticket[PUSH_TICKET_BYTES] = '\0';
	explicit_bzero(random, sizeof(random));
	return true;
}

static void
on_issued(void *context, enum push_status status, const char *value, size_t size)
{
	struct ticket_call *call = context;
	bool is_ok = status == PUSH_OK;

	(void)value;
	(void)size;
	call->issued(call->context, status, is_ok ? call->ticket : NULL, is_ok ? call->expires_in_s : 0);
	destroy_call(call);
}

void
push_tickets_issue(const struct push_tickets *tickets, const struct push_identity *identity,
	push_ticket_issued_fn done, void *context)
{
	char ticket[PUSH_TICKET_BYTES + 1];
	struct ticket_call *call;
	uint64_t ttl_us;

	/* one of whoever has shown nothing is nobody's, and one that is over in less than a second would be so before it comes */
	if (!has_ticket(identity) || left_us(tickets, identity) < 1000000) {
		done(context, PUSH_INVALID, NULL, 0);
		return;
	}
	if (!write_ticket(ticket)) {
		done(context, PUSH_UNAVAILABLE, NULL, 0);
		return;
	}
	call = create_call(tickets, (struct push_str){ticket, PUSH_TICKET_BYTES}, context);
	if (!call) {
		explicit_bzero(ticket, sizeof(ticket));
		done(context, PUSH_OUT_OF_MEMORY, NULL, 0);
		return;
	}
	memcpy(call->ticket, ticket, sizeof(ticket));
	explicit_bzero(ticket, sizeof(ticket));
	call->issued = done;
	call->identity = push_identity_ref(identity);
	ttl_us = ttl_of(call, PUSH_TICKET_OPEN_US);
	call->expires_in_s = ttl_us / 1000000;
	put(call, 0, ttl_us, on_issued);
}

/* --- opening --- */

static void
finish_open(struct ticket_call *call, enum push_status status)
{
	call->opened(call->context, status, status == PUSH_OK ? call->identity : NULL);
	destroy_call(call);
}

static void
on_prolonged(void *context, enum push_status status, const char *value, size_t size)
{
	(void)value;
	(void)size;
	finish_open(context, status);
}

/* How long a ticket is good while a connection of it is open, whoever may forget to report its end. */
static uint64_t
open_us(const struct ticket_call *call)
{
	return ttl_of(call, call->tickets.connection_max_us + PUSH_TICKET_RECONNECT_US);
}

static void
on_found(void *context, enum push_status status, const char *value, size_t size)
{
	struct ticket_call *call = context;
	unsigned int connections = 0;

	if (status == PUSH_OK)
		status = read_value(call, value, size, &connections);
	if (status != PUSH_OK) {
		finish_open(call, status);
		return;
	}
	if (connections < PUSH_TICKET_CONNECTIONS_MAX)
		connections++;
	put(call, connections, open_us(call), on_prolonged);
}

void
push_tickets_open(
	const struct push_tickets *tickets, struct push_str ticket, push_ticket_opened_fn done, void *context)
{
	struct ticket_call *call;

	if (!is_shaped(ticket)) {
		done(context, PUSH_NOT_FOUND, NULL);
		return;
	}
	call = create_call(tickets, ticket, context);
	if (!call) {
		done(context, PUSH_OUT_OF_MEMORY, NULL);
		return;
	}
	memcpy(call->ticket, ticket.bytes, PUSH_TICKET_BYTES); /* its identity has it */
	call->opened = done;
	get(call, on_found);
}

/* --- another identity --- */

static void
on_done(void *context, enum push_status status, const char *value, size_t size)
{
	(void)status;
	(void)value;
	(void)size;
	destroy_call(context);
}

/* Where the engine has lost it, or the identity before is over by now, its connection is open still. */
static void
on_found_at_renewal(void *context, enum push_status status, const char *value, size_t size)
{
	struct ticket_call *call = context;
	const struct push_identity *renewed = push_identity_ref(call->identity);
	unsigned int connections = 1;
	uint64_t ttl_us;

	if (status == PUSH_OK && read_value(call, value, size, &connections) == PUSH_OK) {
		push_identity_unref(call->identity);
		call->identity = push_identity_ref(renewed);
	}
	push_identity_unref(renewed);
	ttl_us = open_us(call);
	if (ttl_us && (status == PUSH_OK || status == PUSH_NOT_FOUND))
		put(call, connections, ttl_us, on_done);
	else
		destroy_call(call);
}

void
push_tickets_renew(
	const struct push_tickets *tickets, struct push_str ticket, const struct push_identity *identity)
{
	struct ticket_call *call =
		is_shaped(ticket) && has_ticket(identity) ? create_call(tickets, ticket, NULL) : NULL;

	if (!call)
		return;
	call->identity = push_identity_ref(identity);
	get(call, on_found_at_renewal);
}

/* --- its end --- */

static void
on_found_at_end(void *context, enum push_status status, const char *value, size_t size)
{
	struct ticket_call *call = context;
	unsigned int connections = 0;
	bool is_there = status == PUSH_OK && read_value(call, value, size, &connections) == PUSH_OK;
	uint64_t ttl_us;

	if ((status != PUSH_OK && status != PUSH_NOT_FOUND) || !call->identity) {
		destroy_call(call);
		return;
	}
	connections -= is_there && connections;
	ttl_us = connections ? open_us(call) : ttl_of(call, PUSH_TICKET_RECONNECT_US);
	if (ttl_us)
		put(call, connections, ttl_us, on_done);
	else
		destroy_call(call);
}

void
push_tickets_end(
	const struct push_tickets *tickets, struct push_str ticket, const struct push_identity *identity)
{
	struct ticket_call *call = is_shaped(ticket) ? create_call(tickets, ticket, NULL) : NULL;

	if (!call)
		return;
	if (has_ticket(identity))
		call->identity = push_identity_ref(identity);
	get(call, on_found_at_end);
}
