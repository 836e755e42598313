/* limiter.c - see limiter.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter.h"
#include "push_assert.h"
#include "quota.h"

/* Kinds of keys. */
enum {
	KEY_ADDRESS,
	KEY_USER,
	KEY_PUBLISH_KEY,
	KEY_PUBLISH_USER,
	KEY_PUBLISH_ADDRESS,
	KEY_CLIENT,
	KIND_COUNT
};

#define SECOND_US 1000000ull

/* Each limit by rate has a bucket of its own: this much further on. */
enum { BUCKET_FIRST, BUCKET_SECOND };

/* Of a descriptor that is open. */
struct record {
	struct push_address address;
	uint32_t serial; /* 0: not open */
	bool is_counted;
};

/* A publish key with limits of its own.  Its buckets are others when a limit changes. */
struct key_limits {
	struct push_quota_key name, messages_bucket, bytes_bucket;
	struct push_rate messages, bytes;
};

struct push_limiter {
	const struct push_options *options;
	bool knows_clients;
	struct push_stats *stats;
	struct push_networks trusted;
	struct push_quotas *quotas;
	struct key_limits *keys; /* by name */
	size_t key_count;
	struct record *records; /* by descriptor */
	size_t record_count;
	uint32_t last_serial;
	void (*say)(void *context, const char *line);
	void *context;
};

const char *
push_limit_text(enum push_limit limit)
{
	static const char *const texts[] = {
#define X(name, label, text) text,
		PUSH_LIMIT_MAP(X)
#undef X
	};

	PUSH_ASSERT(limit < PUSH_LIMIT_COUNT);
	return texts[limit];
}

const char *
push_user_limit_text(enum push_status status)
{
	switch (status) {
	case PUSH_LIMITED: return push_limit_text(PUSH_LIMIT_USER_CONNECTIONS);
	case PUSH_TOO_OFTEN: return push_limit_text(PUSH_LIMIT_USER_CONNECTS);
	default: return NULL;
	}
}

static bool
knows_clients(const struct push_options *o)
{
	return o->trusted_proxies[0] || o->auth_hook_url[0] /* is told addresses */ ||
	       o->limit_address_connections || o->limit_address_connects || o->limit_user_connections ||
	       o->limit_user_connects || o->limit_client_messages || o->limit_client_subscribes ||
	       o->limit_publish_messages || o->limit_publish_bytes || o->limit_ndjson_idle_us ||
	       o->limit_reserved_descriptors;
}

struct push_limiter *
push_limiter_create(const struct push_options *options, struct push_stats *stats, uint64_t seed,
	void (*say)(void *context, const char *line), void *context, enum push_status *ret_status)
{
	struct push_limiter *limiter;
	struct push_error error;

	*ret_status = PUSH_OK;
	if (!knows_clients(options) && !options->publish_keys[0])
		return NULL;
	*ret_status = PUSH_OUT_OF_MEMORY;
	limiter = calloc(1, sizeof(*limiter));
	if (!limiter)
		return NULL;
	limiter->quotas = push_quotas_create(PUSH_LIMIT_KEYS_MAX, seed);
	if (!limiter->quotas) {
		free(limiter);
		return NULL;
	}
	limiter->options = options;
	limiter->knows_clients = knows_clients(options);
	limiter->stats = stats;
	limiter->say = say;
	limiter->context = context;
	*ret_status = push_networks_parse(
		&limiter->trusted, "push.trusted.proxies", options->trusted_proxies, &error);
	PUSH_ASSERT(*ret_status == PUSH_OK);
	return limiter;
}

void
push_limiter_destroy(struct push_limiter *limiter)
{
	if (!limiter)
		return;
	push_quotas_destroy(limiter->quotas);
	free(limiter->keys);
	free(limiter->records);
	free(limiter);
}

bool
push_limiter_knows_clients(const struct push_limiter *limiter)
{
	return limiter->knows_clients;
}

bool
push_limiter_trusts(const struct push_limiter *limiter, const struct push_address *peer)
{
	return push_networks_have(&limiter->trusted, peer);
}

const struct push_networks *
push_limiter_trusted(const struct push_limiter *limiter)
{
	return &limiter->trusted;
}

bool
push_limiter_refuse(struct push_limiter *limiter, enum push_limit limit)
{
	bool is_dry = limiter->options->limit_dry_run;
	const char *where = strrchr(push_limit_text(limit), '(');
	char line[PUSH_REPLY_BYTES_MAX];

	PUSH_ASSERT(where != NULL);
	if (is_dry)
		limiter->stats->limits_dry[limit]++;
	else
		limiter->stats->limited[limit]++;
	where++;
	snprintf(line, sizeof(line), "%s: %.*s", is_dry ? "would be refused" : "refused",
		(int)strcspn(where, ")"), where);
	if (limiter->say)
		limiter->say(limiter->context, line);
	return is_dry;
}

static bool
refuse(struct push_limiter *limiter, enum push_limit limit, enum push_limit *ret_limit)
{
	*ret_limit = limit;
	return push_limiter_refuse(limiter, limit);
}

static struct push_quota_key
key_of(const struct push_limiter *limiter, unsigned int kind, unsigned int bucket, const void *bytes,
	size_t size)
{
	return push_quota_key_make(limiter->quotas, kind + bucket * KIND_COUNT, bytes, size);
}

static struct push_quota_key
address_key(const struct push_limiter *limiter, unsigned int kind, unsigned int bucket,
	const struct push_address *address)
{
	struct push_address client = push_address_of_client(address);

	return key_of(limiter, kind, bucket, client.bytes, sizeof(client.bytes));
}

/* Takes from a bucket; without a limit it has all. */
static bool
take(struct push_limiter *limiter, const struct push_quota_key *key, uint64_t amount, uint64_t per_second,
	uint64_t now_us)
{
	return !per_second || !push_quotas_take(limiter->quotas, key, amount,
				      (struct push_rate){per_second, SECOND_US}, now_us);
}

/* One more, whatever there are, if it is not to be refused. */
static bool
enter(struct push_limiter *limiter, const struct push_quota_key *key, uint64_t max, enum push_limit limit,
	enum push_limit *ret_limit)
{
	if (!max || push_quotas_enter(limiter->quotas, key, max))
		return true;
	if (!refuse(limiter, limit, ret_limit))
		return false;
	(void)push_quotas_enter(limiter->quotas, key, UINT64_MAX);
	return true;
}

bool
push_limiter_enter(struct push_limiter *limiter, const struct push_address *client, uint64_t now_us,
	enum push_limit *ret_limit)
{
	const struct push_options *o = limiter->options;
	struct push_quota_key key = address_key(limiter, KEY_ADDRESS, BUCKET_FIRST, client);

	if (push_limiter_trusts(limiter, client))
		return true;
	if (!take(limiter, &key, 1, o->limit_address_connects, now_us) &&
		!refuse(limiter, PUSH_LIMIT_ADDRESS_CONNECTS, ret_limit))
		return false;
	return enter(limiter, &key, o->limit_address_connections, PUSH_LIMIT_ADDRESS_CONNECTIONS, ret_limit);
}

void
push_limiter_leave(struct push_limiter *limiter, const struct push_address *client)
{
	struct push_quota_key key = address_key(limiter, KEY_ADDRESS, BUCKET_FIRST, client);

	if (limiter->options->limit_address_connections)
		push_quotas_leave(limiter->quotas, &key);
}

/* --- connections by descriptor --- */

static struct record *
find(const struct push_limiter *limiter, int fd)
{
	struct record *record;

	if (fd < 0 || (size_t)fd >= limiter->record_count)
		return NULL;
	record = &limiter->records[fd];
	return record->serial ? record : NULL;
}

/* NULL: memory is out, and the connection is not counted. */
static struct record *
place_of(struct push_limiter *limiter, int fd)
{
	size_t count = limiter->record_count ? limiter->record_count : 64;
	struct record *records;

	PUSH_ASSERT(fd >= 0);
	if ((size_t)fd < limiter->record_count)
		return &limiter->records[fd];
	while (count <= (size_t)fd)
		count *= 2;
	records = realloc(limiter->records, count * sizeof(*records));
	if (!records)
		return NULL;
	memset(records + limiter->record_count, 0, (count - limiter->record_count) * sizeof(*records));
	limiter->records = records;
	limiter->record_count = count;
	return &records[fd];
}

void
push_limiter_close(struct push_limiter *limiter, int fd)
{
	struct record *record = find(limiter, fd);

	if (!record)
		return;
	if (record->is_counted)
		push_limiter_leave(limiter, &record->address);
	record->serial = 0;
}

bool
push_limiter_open(struct push_limiter *limiter, int fd, const struct push_address *peer, uint64_t now_us,
	enum push_limit *ret_limit)
{
	struct record *record;

	push_limiter_close(limiter, fd); /* of a connection that ended without a word */
	record = place_of(limiter, fd);
	if (!record)
		return true;
	if (!++limiter->last_serial)
		limiter->last_serial = 1;
	*record = (struct record){.address = *peer, .serial = limiter->last_serial};
	if (push_limiter_trusts(limiter, peer))
		return true;
	record->is_counted = push_limiter_enter(limiter, peer, now_us, ret_limit);
	return record->is_counted;
}

bool
push_limiter_claim(struct push_limiter *limiter, int fd, const struct push_address *client, uint64_t now_us,
	enum push_limit *ret_limit)
{
	struct record *record = find(limiter, fd);

	if (!record || record->is_counted)
		return true;
	if (!push_limiter_enter(limiter, client, now_us, ret_limit))
		return false;
	record->address = *client;
	record->is_counted = true;
	return true;
}

bool
push_limiter_identify(struct push_limiter *limiter, int fd, const struct push_address *client,
	uint64_t now_us, enum push_limit *ret_limit)
{
	struct record *record = find(limiter, fd);

	if (record && !record->is_counted)
		record->address = *client;
	return push_limiter_claim(limiter, fd, client, now_us, ret_limit);
}

bool
push_limiter_address(const struct push_limiter *limiter, int fd, struct push_address *ret)
{
	const struct record *record = find(limiter, fd);

	if (record)
		*ret = record->address;
	return record != NULL;
}

uint32_t
push_limiter_serial(const struct push_limiter *limiter, int fd)
{
	const struct record *record = find(limiter, fd);

	return record ? record->serial : 0;
}

/* --- users, and rates --- */

bool
push_limiter_enter_user(
	struct push_limiter *limiter, struct push_str user, uint64_t now_us, enum push_limit *ret_limit)
{
	const struct push_options *o = limiter->options;
	struct push_quota_key key;

	if (!user.size)
		return true;
	key = key_of(limiter, KEY_USER, BUCKET_FIRST, user.bytes, user.size);
	if (!take(limiter, &key, 1, o->limit_user_connects, now_us) &&
		!refuse(limiter, PUSH_LIMIT_USER_CONNECTS, ret_limit))
		return false;
	return enter(limiter, &key, o->limit_user_connections, PUSH_LIMIT_USER_CONNECTIONS, ret_limit);
}

void
push_limiter_leave_user(struct push_limiter *limiter, struct push_str user)
{
	struct push_quota_key key;

	if (!user.size || !limiter->options->limit_user_connections)
		return;
	key = key_of(limiter, KEY_USER, BUCKET_FIRST, user.bytes, user.size);
	push_quotas_leave(limiter->quotas, &key);
}

/* --- publishes --- */

static int
compare_keys(const struct push_quota_key *a, const struct push_quota_key *b)
{
	if (a->high != b->high)
		return a->high < b->high ? -1 : 1;
	return (a->low > b->low) - (a->low < b->low);
}

static int
compare_key_limits(const void *a, const void *b)
{
	return compare_keys(&((const struct key_limits *)a)->name, &((const struct key_limits *)b)->name);
}

static struct push_quota_key
bucket_of(const struct push_limiter *limiter, unsigned int bucket, const struct push_quota_key *name,
	struct push_rate rate)
{
	const uint64_t words[] = {name->high, name->low, rate.amount, rate.period_us};

	return key_of(limiter, KEY_PUBLISH_KEY, bucket, words, sizeof(words));
}

enum push_status
push_limiter_set_keys(struct push_limiter *limiter, const struct push_key_limits *limits, size_t count)
{
	struct key_limits *keys = count ? calloc(count, sizeof(*keys)) : NULL;

	if (count && !keys)
		return PUSH_OUT_OF_MEMORY;
	for (size_t i = 0; i < count; i++) {
		struct push_quota_key name = key_of(
			limiter, KEY_PUBLISH_KEY, BUCKET_FIRST, limits[i].name.bytes, limits[i].name.size);

		keys[i] = (struct key_limits){.name = name,
			.messages_bucket = bucket_of(limiter, BUCKET_FIRST, &name, limits[i].messages),
			.bytes_bucket = bucket_of(limiter, BUCKET_SECOND, &name, limits[i].bytes),
			.messages = limits[i].messages,
			.bytes = limits[i].bytes};
	}
	if (count)
		qsort(keys, count, sizeof(*keys), compare_key_limits);
	free(limiter->keys);
	limiter->keys = keys;
	limiter->key_count = count;
	return PUSH_OK;
}

/* NULL: it has no limits of its own. */
static const struct key_limits *
find_key(const struct push_limiter *limiter, struct push_str name)
{
	struct key_limits wanted = {.bytes = {0, 0}};

	if (!limiter->key_count || !name.size)
		return NULL;
	wanted.name = key_of(limiter, KEY_PUBLISH_KEY, BUCKET_FIRST, name.bytes, name.size);
	return bsearch(
		&wanted, limiter->keys, limiter->key_count, sizeof(*limiter->keys), compare_key_limits);
}

/* Returns false if it is nobody's. */
static bool
sender_key(const struct push_limiter *limiter, const struct push_sender *sender, unsigned int bucket,
	struct push_quota_key *ret)
{
	if (sender->key.size)
		*ret = key_of(limiter, KEY_PUBLISH_KEY, bucket, sender->key.bytes, sender->key.size);
	else if (sender->user.size)
		*ret = key_of(limiter, KEY_PUBLISH_USER, bucket, sender->user.bytes, sender->user.size);
	else if (sender->has_address && !push_limiter_trusts(limiter, &sender->address))
		*ret = address_key(limiter, KEY_PUBLISH_ADDRESS, bucket, &sender->address);
	else
		return false;
	return true;
}

/* Returns false if it is refused, and says by what. */
static bool
take_or_refuse(struct push_limiter *limiter, const struct push_quota_key *key, uint64_t amount,
	struct push_rate rate, enum push_limit limit, uint64_t now_us, struct push_limit_refusal *ret_refusal)
{
	uint64_t wait_us = push_quotas_take(limiter->quotas, key, amount, rate, now_us);

	if (!wait_us || push_limiter_refuse(limiter, limit))
		return true;
	*ret_refusal = (struct push_limit_refusal){limit, wait_us};
	return false;
}

/* By an option, for everybody who has nothing of his own. */
static bool
take_of_sender(struct push_limiter *limiter, const struct push_sender *sender, unsigned int bucket,
	uint64_t amount, uint64_t per_second, enum push_limit limit, uint64_t now_us,
	struct push_limit_refusal *ret_refusal)
{
	struct push_quota_key key;

	return !per_second || !sender_key(limiter, sender, bucket, &key) ||
	       take_or_refuse(limiter, &key, amount, (struct push_rate){per_second, SECOND_US}, limit, now_us,
		       ret_refusal);
}

bool
push_limiter_limits_publishes(const struct push_limiter *limiter)
{
	return limiter->key_count || limiter->options->limit_publish_messages ||
	       limiter->options->limit_publish_bytes;
}

bool
push_limiter_publish(struct push_limiter *limiter, const struct push_sender *sender, size_t bytes,
	uint64_t now_us, struct push_limit_refusal *ret_refusal)
{
	const struct push_options *o = limiter->options;
	const struct key_limits *own = find_key(limiter, sender->key);
	bool is_in;

	if (own && own->messages.amount)
		is_in = take_or_refuse(limiter, &own->messages_bucket, 1, own->messages,
			PUSH_LIMIT_KEY_MESSAGES, now_us, ret_refusal);
	else
		is_in = take_of_sender(limiter, sender, BUCKET_FIRST, 1, o->limit_publish_messages,
			PUSH_LIMIT_PUBLISH_MESSAGES, now_us, ret_refusal);
	if (!is_in)
		return false;
	if (own && own->bytes.amount)
		return take_or_refuse(limiter, &own->bytes_bucket, bytes, own->bytes, PUSH_LIMIT_KEY_BYTES,
			now_us, ret_refusal);
	return take_of_sender(limiter, sender, BUCKET_SECOND, bytes, o->limit_publish_bytes,
		PUSH_LIMIT_PUBLISH_BYTES, now_us, ret_refusal);
}

/* --- clients --- */

bool
push_limiter_message(
	struct push_limiter *limiter, const void *client, uint64_t now_us, enum push_limit *ret_limit)
{
	struct push_quota_key key = key_of(limiter, KEY_CLIENT, BUCKET_FIRST, &client, sizeof(client));

	return take(limiter, &key, 1, limiter->options->limit_client_messages, now_us) ||
	       refuse(limiter, PUSH_LIMIT_CLIENT_MESSAGES, ret_limit);
}

bool
push_limiter_subscribe(
	struct push_limiter *limiter, const void *client, uint64_t now_us, enum push_limit *ret_limit)
{
	struct push_quota_key key = key_of(limiter, KEY_CLIENT, BUCKET_SECOND, &client, sizeof(client));

	return take(limiter, &key, 1, limiter->options->limit_client_subscribes, now_us) ||
	       refuse(limiter, PUSH_LIMIT_CLIENT_SUBSCRIBES, ret_limit);
}
