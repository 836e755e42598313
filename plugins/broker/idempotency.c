/*
 * idempotency.c - see idempotency.h.
 *
 * A value is the digest of the body and how it was sent, and a status of three digits: 000 while the request
 * is under way, else that of the answer, which follows.  With an engine that publishes once, 000 is followed
 * by who has claimed the key: a node and a number of its own.
 *
 * A claim may outlive its request: it was carried out late by a server that had stood still, or the
 * connection was lost before the answer could be kept.  The node in the claim knows whether the request is
 * under way; if it is not, a repeat takes the key over.  That is safe because the engine publishes each
 * message of the request once, whoever asks for it and whenever it is carried out.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/push_assert.h"
#include "core/scope.h"
#include "core/tokens.h"
#include "idempotency.h"

#define DIGEST_BYTES  32 /* SHA-256 */
#define STATUS_DIGITS 3
#define HEAD_BYTES    (DIGEST_BYTES + STATUS_DIGITS)
#define NODE_BYTES    PUSH_TOKEN_NODE_BYTES
#define NUMBER_DIGITS 16
#define CLAIM_BYTES   (HEAD_BYTES + NODE_BYTES + NUMBER_DIGITS)
#define ONCE_BYTES    16 /* of a digest; in hex, with two numbers behind, within PUSH_ONCE_BYTES_MAX */

_Static_assert(PUSH_SCOPE_BYTES_MAX + PUSH_IDEMPOTENCY_KEY_BYTES_MAX <= PUSH_VALUE_NAME_BYTES_MAX, "a name");
_Static_assert(2 * ONCE_BYTES + 2 * 11 <= PUSH_ONCE_BYTES_MAX, "an id of a publish");
_Static_assert(HEAD_BYTES + PUSH_PUBLISH_ANSWER_BYTES_MAX <= PUSH_VALUE_BYTES_MAX, "a value");

struct push_idempotency {
	struct push_publisher *publisher;
	struct push_idempotency **place;
	void (*go_on)(void *context, const char *body, size_t size);
	push_answer_fn stop;
	void *context;
	struct push_list item; /* in a bucket of publisher->claims */
	uint64_t number;
	bool is_lines;
	bool is_taken_over; /* somebody else has tried before, and may have published */
	char digest[DIGEST_BYTES];
	char once[2 * ONCE_BYTES + 1];
	char *body; /* owned, until it is done */
	size_t body_size;
	/* the answer, while it is being kept */
	struct push_answer answer;
	char *answer_body; /* owned */
	struct push_buf name;
};

static void
destroy(struct push_idempotency *idempotency)
{
	push_list_remove(&idempotency->item);
	free(idempotency->body);
	free(idempotency->answer_body);
	push_buf_fini(&idempotency->name);
	free(idempotency);
}

static void
refuse(unsigned int status, const char *text, push_answer_fn stop, void *context)
{
	struct push_buf body;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, text);
	stop(context, &(struct push_answer){
			      status, "application/json", body.bytes ? body.bytes : "", body.size, 0});
	push_buf_fini(&body);
}

/* What it was that is asked for again: the body, and what else changes the answer. */
static bool
make_digest(const struct push_publish_request *request, char digest[DIGEST_BYTES])
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	const char mode[2] = {request->is_lines ? 'l' : 'j', request->wait_written ? 'w' : '-'};
	unsigned int size = 0;
	bool made = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestUpdate(hash, mode, sizeof(mode)) == 1 &&
		    EVP_DigestUpdate(hash, request->body, request->size) == 1 &&
		    EVP_DigestFinal_ex(hash, (unsigned char *)digest, &size) == 1;

	EVP_MD_CTX_free(hash);
	PUSH_ASSERT(!made || size == DIGEST_BYTES);
	return made;
}

/* What the publishes of this request are known by, on whatever node: of the key, whose it is, and the body. */
static bool
make_once(const struct push_publish_request *request, const struct push_buf *name,
	const char digest[DIGEST_BYTES], char once[2 * ONCE_BYTES + 1])
{
	/* what stands between `idem` and `:KEY`; none: as nodes without identities make it */
	const char *owner = name->bytes + strlen("idem");
	size_t owner_size = name->size - request->key_size - strlen("idem:");
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	unsigned char bytes[DIGEST_BYTES];
	bool made = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestUpdate(hash, digest, DIGEST_BYTES) == 1 &&
		    EVP_DigestUpdate(hash, request->key, request->key_size) == 1 &&
		    EVP_DigestUpdate(hash, owner, owner_size) == 1 &&
		    EVP_DigestFinal_ex(hash, bytes, NULL) == 1;

	EVP_MD_CTX_free(hash);
	for (size_t i = 0; made && i < ONCE_BYTES; i++)
		snprintf(once + 2 * i, 3, "%02x", bytes[i]);
	return made;
}

/* --- claims --- */

static struct push_list *
bucket(struct push_publisher *publisher, uint64_t number)
{
	return &publisher->claims[number % PUSH_CLAIM_BUCKETS];
}

bool
push_idempotency_is_claimed(struct push_publisher *publisher, const char *text, size_t size)
{
	char digits[NUMBER_DIGITS + 1];
	const struct push_list *list;
	uint64_t number;

	if (size != NUMBER_DIGITS)
		return false;
	memcpy(digits, text, size);
	digits[size] = '\0';
	number = strtoull(digits, NULL, 16);
	list = bucket(publisher, number);
	for (const struct push_list *item = list->next; item != list; item = item->next)
		if (push_container_of(item, const struct push_idempotency, item)->number == number)
			return true;
	return false;
}

/* "Under way".  Returns its size. */
static size_t
make_claim(struct push_idempotency *idempotency, char value[CLAIM_BYTES + 1])
{
	struct push_publisher *publisher = idempotency->publisher;
	struct push_engine *engine = publisher->engine;

	memcpy(value, idempotency->digest, DIGEST_BYTES);
	memset(value + DIGEST_BYTES, '0', STATUS_DIGITS);
	if (!engine->can_publish_once)
		return HEAD_BYTES;
	idempotency->number = ++publisher->last_claim;
	push_list_append(bucket(publisher, idempotency->number), &idempotency->item);
	memcpy(value + HEAD_BYTES, engine->node, NODE_BYTES);
	snprintf(value + HEAD_BYTES + NODE_BYTES, NUMBER_DIGITS + 1, "%016" PRIx64, idempotency->number);
	return CLAIM_BYTES;
}

static struct push_idempotency *
create(const struct push_publish_request *request)
{
	struct push_idempotency *idempotency = calloc(1, sizeof(*idempotency));

	if (!idempotency)
		return NULL;
	push_list_init(&idempotency->item);
	idempotency->body = malloc(request->size + 1);
	push_buf_init(&idempotency->name, PUSH_VALUE_NAME_BYTES_MAX);
	push_scope_append(&idempotency->name, "idem", request->identity,
		(struct push_str){request->key, request->key_size});
	if (!idempotency->body || idempotency->name.status != PUSH_OK ||
		!make_digest(request, idempotency->digest) ||
		!make_once(request, &idempotency->name, idempotency->digest, idempotency->once)) {
		destroy(idempotency);
		return NULL;
	}
	memcpy(idempotency->body, request->body, request->size);
	idempotency->body_size = request->size;
	idempotency->is_lines = request->is_lines;
	return idempotency;
}

/* A value that somebody else has written may be anything. */
static unsigned int
status_in(const char *value, size_t size)
{
	unsigned int status = 0;

	if (size < HEAD_BYTES)
		return 0;
	for (int i = 0; i < STATUS_DIGITS; i++)
		status = status * 10 + (unsigned int)(value[DIGEST_BYTES + i] - '0') % 10;
	return status;
}

/* The request is done. */
static void
proceed(struct push_idempotency *idempotency)
{
	char *body = idempotency->body;

	idempotency->body = NULL;
	*idempotency->place = idempotency;
	idempotency->go_on(idempotency->context, body, idempotency->body_size);
	free(body);
}

static void
refuse_twin(struct push_idempotency *idempotency)
{
	refuse(409, "the first request with this Idempotency-Key is still under way", idempotency->stop,
		idempotency->context);
	destroy(idempotency);
}

/* The node that has claimed the key has answered, or does not. */
static void
on_asked(void *context, enum push_status status, const char *text, size_t size)
{
	struct push_idempotency *idempotency = context;

	(void)text;
	(void)size;
	if (status == PUSH_OK) {
		refuse_twin(idempotency);
		return;
	}
	idempotency->is_taken_over = true;
	proceed(idempotency);
}

/* The key is claimed, by a request that may be over.  @claim: who it was. */
static void
check_claim(struct push_idempotency *idempotency, const char *claim)
{
	struct push_publisher *publisher = idempotency->publisher;
	struct push_engine *engine = publisher->engine;

	if (memcmp(claim, engine->node, NODE_BYTES) != 0)
		engine->call(engine, claim, NODE_BYTES, PUSH_VERB_CLAIM, claim + NODE_BYTES, NUMBER_DIGITS,
			publisher->now_us(), on_asked, idempotency);
	else
		on_asked(idempotency,
			push_idempotency_is_claimed(publisher, claim + NODE_BYTES, NUMBER_DIGITS)
				? PUSH_OK
				: PUSH_NOT_FOUND,
			NULL, 0);
}

static void
repeat(struct push_idempotency *idempotency, const char *value, size_t size)
{
	unsigned int status = status_in(value, size);
	struct push_answer answer = {.status = status,
		.content_type =
			idempotency->is_lines && status == 202 ? "application/x-ndjson" : "application/json"};

	if (size < HEAD_BYTES || memcmp(value, idempotency->digest, DIGEST_BYTES) != 0) {
		refuse(422, "the Idempotency-Key was used for another request", idempotency->stop,
			idempotency->context);
		destroy(idempotency);
	} else if (status) {
		answer.body = value + HEAD_BYTES;
		answer.size = size - HEAD_BYTES;
		idempotency->stop(idempotency->context, &answer);
		destroy(idempotency);
	} else if (size == CLAIM_BYTES && idempotency->publisher->engine->can_publish_once) {
		check_claim(idempotency, value + HEAD_BYTES);
	} else {
		/* of a node that does not say who it is, and may publish again */
		refuse_twin(idempotency);
	}
}

static void
on_looked(void *context, enum push_status status, const char *value, size_t size)
{
	struct push_idempotency *idempotency = context;

	if (status == PUSH_OK && value) {
		/* its own claim is none, or it would wait for itself */
		push_list_remove(&idempotency->item);
		repeat(idempotency, value, size);
	} else if (status == PUSH_OK) {
		proceed(idempotency);
	} else {
		refuse(503,
			status == PUSH_REFUSED
				? "the broker cannot keep the Idempotency-Key, nothing was published"
				: push_status_text(status),
			idempotency->stop, idempotency->context);
		destroy(idempotency);
	}
}

/* Visible, so that it can be logged and quoted. */
static bool
is_key(const char *key, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (key[i] < 0x20 || key[i] > 0x7E)
			return false;
	return size && size <= PUSH_IDEMPOTENCY_KEY_BYTES_MAX;
}

void
push_idempotency_begin(struct push_publisher *publisher, const struct push_publish_request *request,
	struct push_idempotency **place, void (*go_on)(void *context, const char *body, size_t size),
	push_answer_fn stop, void *context)
{
	struct push_engine *engine = publisher->engine;
	struct push_idempotency *idempotency;
	char value[CLAIM_BYTES + 1];
	size_t size;

	if (!is_key(request->key, request->key_size)) {
		refuse(400, "Idempotency-Key must be 1 to 255 characters of ASCII", stop, context);
		return;
	}
	idempotency = create(request);
	if (!idempotency) {
		refuse(503, push_status_text(PUSH_OUT_OF_MEMORY), stop, context);
		return;
	}
	idempotency->publisher = publisher;
	idempotency->place = place;
	idempotency->go_on = go_on;
	idempotency->stop = stop;
	idempotency->context = context;
	size = make_claim(idempotency, value);
	engine->value_put(engine, idempotency->name.bytes, idempotency->name.size, value, size,
		PUSH_IDEMPOTENCY_US, true, publisher->now_us(), on_looked, idempotency);
}

/* Kept or not, it is the answer. */
static void
on_kept(void *context, enum push_status status, const char *value, size_t size)
{
	struct push_idempotency *idempotency = context;

	(void)status;
	(void)value;
	(void)size;
	idempotency->stop(idempotency->context, &idempotency->answer);
	destroy(idempotency);
}

/* The value, of which the answer's body is the end.  Without memory nothing is kept. */
static size_t
make_value(struct push_idempotency *idempotency, const struct push_answer *answer)
{
	char digits[STATUS_DIGITS + 1];
	char *value = malloc(HEAD_BYTES + answer->size);

	if (!value)
		return 0;
	snprintf(digits, sizeof(digits), "%03u", answer->status % 1000);
	memcpy(value, idempotency->digest, DIGEST_BYTES);
	memcpy(value + DIGEST_BYTES, digits, STATUS_DIGITS);
	memcpy(value + HEAD_BYTES, answer->body, answer->size);
	idempotency->answer_body = value;
	idempotency->answer.body = value + HEAD_BYTES;
	return HEAD_BYTES + answer->size;
}

const char *
push_idempotency_once(const struct push_idempotency *idempotency)
{
	return idempotency->publisher->engine->can_publish_once ? idempotency->once : NULL;
}

/* What an engine that publishes once leaves open is done by the next repeat. */
static bool
is_left_open(const struct push_idempotency *idempotency, enum push_idempotency_end how)
{
	return idempotency->publisher->engine->can_publish_once &&
	       (how == PUSH_IDEMPOTENCY_REPEAT ||
		       (how == PUSH_IDEMPOTENCY_FORGET && idempotency->is_taken_over));
}

void
push_idempotency_end(struct push_idempotency *idempotency, const struct push_answer *to_keep,
	enum push_idempotency_end how, push_answer_fn answer, void *context)
{
	struct push_publisher *publisher = idempotency->publisher;
	struct push_engine *engine = publisher->engine;
	bool keep = how != PUSH_IDEMPOTENCY_FORGET;
	size_t size;

	idempotency->stop = answer;
	idempotency->context = context;
	idempotency->answer = *to_keep;
	size = is_left_open(idempotency, how) ? 0 : make_value(idempotency, to_keep);
	if (!size) {
		answer(context, to_keep);
		destroy(idempotency);
		return;
	}
	engine->value_put(engine, idempotency->name.bytes, idempotency->name.size, idempotency->answer_body,
		keep ? size : 0, keep ? PUSH_IDEMPOTENCY_US : 0, false, publisher->now_us(), on_kept,
		idempotency);
}
