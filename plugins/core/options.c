/* options.c - see options.h. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "buf.h"
#include "certificate_name.h"
#include "cors.h"
#include "environment.h"
#include "history_rules.h"
#include "hook_options.h"
#include "http_url.h"
#include "options.h"
#include "push_assert.h"
#include "redis_url.h"
#include "similar_name.h"
#include "spring_redis.h"
#include "units.h"
#include "utf8.h"

enum option_type { DURATION, SIZE, MEMORY, BUDGET, COUNT, RATIO, SWITCH, TEXT, URL };

static const struct push_option_info infos[] = {
#define X(field, type, name, value, help) {name, value, help},
	PUSH_OPTIONS_MAP(X)
#undef X
};

static const struct {
	enum option_type type;
	size_t offset;
} fields[] = {
#define X(field, type, name, value, help) {type, offsetof(struct push_options, field)},
	PUSH_OPTIONS_MAP(X)
#undef X
};

#define OPTION_COUNT       (sizeof(infos) / sizeof(infos[0]))
#define OPTION_NAME_SIZE   64
#define ENVIRONMENT_PREFIX "PUSH_"

/* A variable of pushd's own, which takes it out of the environment before options are read. */
#define WORKERS_VARIABLE "PUSH_WORKERS"

/* Variables of the command `push` (server/cli): a shell that has them may start pushd, too. */
static const char *const command_variables[] = {"PUSH_URL", "PUSH_MANAGEMENT_URL", "PUSH_TOKEN", "PUSH_KEY"};

static enum push_status
fail(struct push_error *error, enum push_status status, const char *label, const char *value, const char *why)
{
	snprintf(error->text, sizeof(error->text), "%s=%.*s: %s", label, PUSH_ERROR_QUOTE_BYTES_MAX, value,
		why);
	return status;
}

static enum push_status
set_number(void *field, enum option_type type, const char *value)
{
	uint64_t number = 0;
	enum push_status status;

	switch (type) {
	case DURATION: status = push_duration_parse(value, &number); break;
	case SIZE: status = push_size_parse(value, &number); break;
	case BUDGET: status = push_budget_parse(value, &number); break;
	case MEMORY: status = push_memory_parse(value, &number); break;
	case RATIO: status = push_ratio_parse(value, &number); break;
	default: status = push_count_parse(value, &number); break;
	}
	if (status == PUSH_OK)
		memcpy(field, &number, sizeof(number));
	return status;
}

static enum push_status
set_switch(bool *field, const char *value)
{
	bool on = !strcmp(value, "on") || !strcmp(value, "true");

	if (!on && strcmp(value, "off") && strcmp(value, "false"))
		return PUSH_INVALID;
	*field = on;
	return PUSH_OK;
}

/* `label` is the name to put in errors: the option's, or the variable's that overrides it. */
static enum push_status
set_option(struct push_options *options, size_t index, const char *label, const char *value,
	struct push_error *error)
{
	static const char *const forms[] = {
		[DURATION] = "not a duration (500ms, 30s, 2m, 1h, PT30S or milliseconds, at most 24h)",
		[SIZE] = "not a size (64kb, 1mb or bytes, at most 64mb)",
		[MEMORY] = "not a size (64mb, 2gb or bytes, at most 64gb)",
		[BUDGET] = "not a size from 8mb to 64gb (256mb, 2gb), and not a share from 1% to 90%",
		[COUNT] = "not a number",
		[RATIO] = "not a share from 0 to 1, such as 0.01",
		[SWITCH] = "must be on or off (or true or false)",
	};
	enum option_type type = fields[index].type;
	char *field = (char *)options + fields[index].offset;

	enum push_status status;

	if (type != TEXT && type != URL) {
		status = type == SWITCH ? set_switch((bool *)field, value) : set_number(field, type, value);
		return status == PUSH_OK ? PUSH_OK : fail(error, PUSH_INVALID, label, value, forms[type]);
	}
	if (strlen(value) > (type == URL ? PUSH_OPTION_URL_BYTES_MAX : PUSH_OPTION_TEXT_BYTES_MAX)) {
		char masked[PUSH_ERROR_QUOTE_BYTES_MAX + 1];

		push_redis_url_mask(value, masked, sizeof(masked));
		return fail(error, PUSH_INVALID, label, masked,
			type == URL ? "longer than 2048 bytes" : "longer than 240 bytes");
	}
	strcpy(field, value);
	return PUSH_OK;
}

void
push_options_init(struct push_options *options)
{
	struct push_error error = {""};

	memset(options, 0, sizeof(*options));
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		enum push_status status =
			set_option(options, i, infos[i].name, infos[i].default_value, &error);

		PUSH_ASSERT(status == PUSH_OK);
	}
}

/* A value that may be a secret is not repeated: a variable with a typo in its name still holds one. */
static void
mask_value(const char *label, const char *value, char to[PUSH_ERROR_QUOTE_BYTES_MAX + 1])
{
	static const char *const secrets[] = {"pass", "secret", "token", "key", "auth"};

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (strcasestr(label, secrets[i]))
			value = "***";
	push_redis_url_mask(value, to, PUSH_ERROR_QUOTE_BYTES_MAX + 1);
}

/* The variable's name where `label` is one, the option's otherwise; in `to`. */
static void
spell_as(const char *label, const char *option_name, char to[OPTION_NAME_SIZE])
{
	if (!strncmp(label, ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX)))
		push_option_env_name(option_name, to, OPTION_NAME_SIZE);
	else
		snprintf(to, OPTION_NAME_SIZE, "%s", option_name);
}

static enum push_status
fail_unknown(struct push_error *error, const char *label, const char *value)
{
	char masked[PUSH_ERROR_QUOTE_BYTES_MAX + 1], name[OPTION_NAME_SIZE], nearest[OPTION_NAME_SIZE] = "";
	bool is_variable = !strncmp(label, ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX));
	size_t distance, least = SIZE_MAX;

	for (size_t i = 0; i < OPTION_COUNT + is_variable; i++) {
		if (i < OPTION_COUNT)
			spell_as(label, infos[i].name, name);
		else
			snprintf(name, sizeof(name), WORKERS_VARIABLE);
		if (push_similar_name_distance(label, name, &distance) && distance < least) {
			least = distance;
			strcpy(nearest, name);
		}
	}
	mask_value(label, value, masked);
	snprintf(error->text, sizeof(error->text), "%s=%s: no such option%s%s%s", label, masked,
		nearest[0] ? "; did you mean " : "", nearest, nearest[0] ? "?" : "");
	return PUSH_NOT_FOUND;
}

enum push_status
push_options_set(struct push_options *options, const char *name, const char *value, struct push_error *error)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (!strcmp(infos[i].name, name))
			return set_option(options, i, name, value, error);

	return fail_unknown(error, name, value);
}

void
push_option_env_name(const char *option_name, char *to, size_t size)
{
	size_t i;

	PUSH_ASSERT(size > 0);
	for (i = 0; i + 1 < size && option_name[i]; i++)
		to[i] = option_name[i] == '.' ? '_' : (char)toupper((unsigned char)option_name[i]);
	to[i] = '\0';
}

/* variable: NAME=VALUE with the prefix checked by the caller. */
static enum push_status
set_from_variable(struct push_options *options, const char *variable, struct push_error *error)
{
	const char *equals = strchr(variable, '=');
	char name[OPTION_NAME_SIZE], label[OPTION_NAME_SIZE];

	if (!equals || !equals[1])
		return PUSH_OK;
	snprintf(label, sizeof(label), "%.*s", (int)(equals - variable), variable);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		push_option_env_name(infos[i].name, name, sizeof(name));
		if (!strcmp(name, label))
			return set_option(options, i, label, equals + 1, error);
	}
	for (size_t i = 0; i < sizeof(command_variables) / sizeof(command_variables[0]); i++)
		if (!strcmp(command_variables[i], label))
			return PUSH_OK;
	if (push_environment_is_service_link(label, equals + 1))
		return PUSH_OK;
	return fail_unknown(error, label, equals + 1);
}

/* The origin's names for the place of Redis. */
static enum push_status
set_redis_from_spring(struct push_options *options, char *const *environment, struct push_error *error)
{
	enum push_status status;
	struct push_buf url;

	if (options->redis_url[0])
		return PUSH_OK;
	push_buf_init(&url, sizeof(options->redis_url));
	status = push_spring_redis_url(environment, &url, error);
	if (status == PUSH_OK && url.size)
		memcpy(options->redis_url, url.bytes, url.size);
	if (url.bytes)
		explicit_bzero(url.bytes, url.capacity);
	push_buf_fini(&url);
	return status;
}

enum push_status
push_options_set_from_environment(
	struct push_options *options, char *const *environment, struct push_error *error)
{
	for (char *const *variable = environment; *variable; variable++) {
		enum push_status status;

		if (strncmp(*variable, ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX)))
			continue;
		status = set_from_variable(options, *variable, error);
		if (status != PUSH_OK)
			return status;
	}
	return set_redis_from_spring(options, environment, error);
}

static enum push_status
check_at_least(const char *name, uint64_t value, uint64_t least, const char *unit, struct push_error *error)
{
	if (value >= least)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "%s: %" PRIu64 " %s, must be at least %" PRIu64, name,
		value, unit, least);
	return PUSH_INVALID;
}

/* Values that would make a server that cannot work, each by itself. */
static enum push_status
check_bounds(const struct push_options *o, struct push_error *error)
{
	const struct {
		const char *name;
		uint64_t value, least;
		const char *unit;
	} rows[] = {
		{"push.reconnect.dither.min.duration", o->lifetime_min_us / 1000, 1, "ms"},
		{"push.client.close.grace.period.duration", o->grace_us / 1000, 1, "ms"},
		/* below the wheel's resolution there would be a heartbeat in every tick */
		{"push.heartbeat.interval.duration", o->heartbeat_us / 1000, 10, "ms"},
		{"push.message.max.size", o->message_bytes_max, 1, "bytes"},
		{"push.client.message.max.size", o->client_message_bytes_max, 16, "bytes"},
		{"push.client.queue.max.size", o->queue_bytes_max, 1, "bytes"},
		{"push.channels.max", o->channels_max, 1, "channels"},
		{"push.channels.total.max", o->channels_total_max, 1, "channels"},
		{"push.history.channels.max", o->history_channels_max, 1, "channels"},
		{"push.channel.name.max", o->channel_name_bytes_max, 1, "bytes"},
		{"push.socket.send.buffer.size", o->send_buffer_bytes, 4096, "bytes"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (check_at_least(rows[i].name, rows[i].value, rows[i].least, rows[i].unit, error))
			return PUSH_INVALID;

	if (o->channel_name_bytes_max > PUSH_QUERY_BYTES_MAX || o->channels_max > PUSH_QUERY_BYTES_MAX) {
		snprintf(error->text, sizeof(error->text),
			"push.channels.max=%" PRIu64 ", push.channel.name.max=%" PRIu64
			": at most %d, the longest request head",
			o->channels_max, o->channel_name_bytes_max, PUSH_QUERY_BYTES_MAX);
		return PUSH_INVALID;
	}
	return PUSH_OK;
}

/* No braces, which would be a hash tag, and nothing that has a meaning in a pattern of an ACL. */
static const char *
check_redis_prefix(const struct push_options *o)
{
	static const char others[] = "._-:/";

	if (!o->redis_prefix[0])
		return NULL;
	if (!o->redis_url[0])
		return "push.redis.prefix: needs push.redis.url";
	if (strlen(o->redis_prefix) > PUSH_REDIS_PREFIX_BYTES_MAX)
		return "push.redis.prefix: longer than 64 bytes";
	for (const char *at = o->redis_prefix; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr(others, *at))
			return "push.redis.prefix: must have only letters, digits and . _ - : /";
	return NULL;
}

/* Options that say nothing without another one are refused: who sets them expects something of them. */
static enum push_status
check_redis(const struct push_options *o, struct push_error *error)
{
	struct push_redis_url url = {.kind = PUSH_REDIS_STANDALONE};
	enum push_status status = PUSH_OK;
	const char *wrong = NULL;

	if (o->redis_url[0])
		status = push_redis_url_parse(&url, o->redis_url, error);
	explicit_bzero(url.password, sizeof(url.password));
	if (status != PUSH_OK)
		return status;
	if (o->redis_sharded && url.kind != PUSH_REDIS_CLUSTER)
		wrong = "push.redis.sharded=on: needs a cluster, push.redis.url=redis+cluster://...";
	else if (!url.tls && o->redis_tls_ca[0])
		wrong = "push.redis.tls.ca: needs TLS, push.redis.url=rediss://...";
	else if (!url.tls && o->redis_tls_cert[0])
		wrong = "push.redis.tls.cert: needs TLS, push.redis.url=rediss://...";
	else if (!o->redis_tls_cert[0] != !o->redis_tls_key[0])
		wrong = "push.redis.tls.cert and push.redis.tls.key: each needs the other";
	else if (o->redis_timeout_us < 100000 || o->redis_timeout_us > 60000000)
		wrong = "push.redis.timeout: must be from 100ms to 60s";
	else if (o->redis_publish_wait_us > 30000000)
		wrong = "push.redis.publish.wait: must be at most 30s";
	else
		wrong = check_redis_prefix(o);
	if (!wrong)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "%s", wrong);
	return PUSH_INVALID;
}

static enum push_status
check_history(const struct push_options *o, struct push_error *error)
{
	struct push_history_rules rules;
	const char *wrong = NULL;

	if (o->history_size > PUSH_HISTORY_SIZE_MAX)
		wrong = "push.history.size: must be at most 65536 messages";
	else if (o->history_ttl_us < PUSH_HISTORY_TTL_US_MIN)
		wrong = "push.history.ttl: must be at least 1s";
	else if (o->history_bytes_max < 64 * 1024)
		wrong = "push.history.memory.max: must be at least 64kb";
	else if (o->history_file[0] && o->history_file[0] != '/')
		wrong = "push.history.file: must be an absolute path";
	else if (push_history_rules_parse(&rules, o, error) != PUSH_OK)
		return PUSH_INVALID;
	if (!wrong)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "%s", wrong);
	return PUSH_INVALID;
}

static bool
is_default(uint64_t us, const char *text)
{
	uint64_t standard = 0;

	return push_duration_parse(text, &standard) == PUSH_OK && us == standard;
}

static enum push_status
check_acks(const struct push_options *o, struct push_error *error)
{
	const char *wrong = NULL;

	if (o->ack_timeout_us < PUSH_ACK_TIMEOUT_US_MIN)
		wrong = "push.ack.timeout: must be at least 100ms";
	else if (o->ack_retries > PUSH_ACK_RETRIES_MAX)
		wrong = "push.ack.retries: must be at most 100";
	else if (!o->ack_window || o->ack_window > PUSH_ACK_WINDOW_MAX)
		wrong = "push.ack.window: must be from 1 to 4096 messages";
	else if (o->client_ttl_us < PUSH_CLIENT_TTL_US_MIN)
		wrong = "push.client.ttl: must be at least 10s";
	/* who did not set it expects nothing of it */
	else if (o->ack_timeout_us >= o->lifetime_min_us &&
		 !is_default(o->ack_timeout_us, PUSH_ACK_TIMEOUT_DEFAULT))
		wrong = "push.ack.timeout: must be under push.reconnect.dither.min.duration, or nothing is "
			"ever sent again";
	if (!wrong)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "%s", wrong);
	return PUSH_INVALID;
}

/* Whether tokens are verified at all. */
static bool
has_token_keys(const struct push_options *o)
{
	return o->auth_keys[0] || o->auth_jwks_url[0];
}

const char *
push_options_openness(const struct push_options *o)
{
	if (has_token_keys(o) || o->auth_hook_url[0] || o->auth_anonymous[0] || o->auth_certificate[0])
		return NULL;
	if (o->publish_keys[0])
		return "everybody may subscribe: none of push.auth.keys, push.auth.jwks.url, "
		       "push.auth.hook.url, push.auth.certificate "
		       "and push.auth.anonymous is set";
	return "everybody may publish and subscribe: none of push.auth.keys, push.auth.jwks.url, "
	       "push.auth.hook.url, push.auth.certificate, push.auth.anonymous and push.publish.keys is set";
}

static enum push_status
check_certificate(const struct push_options *o, struct push_error *error)
{
	enum push_certificate_name ignored;

	if (push_certificate_name_parse(o->auth_certificate, &ignored))
		return PUSH_OK;
	return fail(error, PUSH_INVALID, "push.auth.certificate", o->auth_certificate,
		"must be cn, subject, dns, email or uri");
}

static enum push_status
check_auth(const struct push_options *o, struct push_error *error)
{
	const char *wrong = NULL;

	if (o->auth_leeway_us > PUSH_AUTH_LEEWAY_US_MAX)
		wrong = "push.auth.leeway: must be at most 10m";
	else if (o->auth_issuer[0] && !has_token_keys(o))
		wrong = "push.auth.issuer: needs push.auth.keys or push.auth.jwks.url";
	else if (o->auth_audience[0] && !has_token_keys(o))
		wrong = "push.auth.audience: needs push.auth.keys or push.auth.jwks.url";
	else if (!o->auth_exp_required && !has_token_keys(o))
		wrong = "push.auth.exp.required=off: needs push.auth.keys or push.auth.jwks.url";
	else if (o->auth_cookie[0] && !strcmp(o->cors_origins, "*"))
		wrong = "push.auth.cookie: needs push.cors.allowed.origins to list origins, or any page "
			"could use the "
			"cookie";
	else if ((o->auth_cookie[0] || o->auth_query) && !has_token_keys(o))
		wrong = "push.auth.cookie and push.auth.query: need push.auth.keys or push.auth.jwks.url";
	else if (o->auth_certificate_rights[0] && !o->auth_certificate[0])
		wrong = "push.auth.certificate.rights: needs push.auth.certificate";
	else if (o->auth_certificate[0] && !o->direct)
		wrong = "push.auth.certificate: needs push.direct=on, since libwebsockets passes no "
			"certificates on";
	if (!wrong)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "%s", wrong);
	return PUSH_INVALID;
}

static enum push_status
check_trace(const struct push_options *o, struct push_error *error)
{
	struct push_http_url url;

	if (o->trace_url[0] && push_http_url_parse(&url, "push.trace.url", o->trace_url, error) != PUSH_OK)
		return PUSH_INVALID;
	if (push_utf8_is_valid(o->trace_service, strlen(o->trace_service)) && o->trace_service[0])
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "push.trace.service: must be a name, in UTF-8");
	return PUSH_INVALID;
}

/* The applications that Push calls. */
static enum push_status
check_calls(const struct push_options *o, struct push_error *error)
{
	struct push_http_url jwks = {.is_tls = false}, hook = {.is_tls = false};
	struct push_hook_options rules;

	if (o->auth_jwks_url[0] &&
		push_http_url_parse(&jwks, "push.auth.jwks.url", o->auth_jwks_url, error) != PUSH_OK)
		return PUSH_INVALID;
	if (o->auth_hook_url[0] &&
		push_http_url_parse(&hook, "push.auth.hook.url", o->auth_hook_url, error) != PUSH_OK)
		return PUSH_INVALID;
	if (push_hook_options_parse(&rules, o, error) != PUSH_OK)
		return PUSH_INVALID;
	if (o->auth_tls_ca[0] && !jwks.is_tls && !hook.is_tls)
		return fail(error, PUSH_INVALID, "push.auth.tls.ca", o->auth_tls_ca,
			"needs push.auth.jwks.url or push.auth.hook.url with https");
	if (o->auth_hook_timeout_us < PUSH_HOOK_TIMEOUT_US_MIN ||
		o->auth_hook_timeout_us > PUSH_HOOK_TIMEOUT_US_MAX) {
		snprintf(
			error->text, sizeof(error->text), "push.auth.hook.timeout: must be from 50ms to 30s");
		return PUSH_INVALID;
	}
	return PUSH_OK;
}

enum push_log_level
push_options_log_level(const struct push_options *options)
{
	enum push_log_level level = PUSH_LOG_INFO;

	(void)push_log_level_parse(options->log_level, &level);
	return level;
}

static enum push_status
check_log(const struct push_options *o, struct push_error *error)
{
	enum push_log_level level;
	const char *name = "push.log.level", *value = o->log_level,
		   *why = "must be error, warn, info or debug";

	if (push_log_level_parse(value, &level)) {
		name = "push.log.format";
		value = o->log_format;
		why = "must be text or json";
		if (!strcmp(value, "text") || !strcmp(value, "json"))
			return PUSH_OK;
	}
	return fail(error, PUSH_INVALID, name, value, why);
}

static enum push_status
check_limits(const struct push_options *o, struct push_error *error)
{
	struct push_networks trusted;

	return push_networks_parse(&trusted, "push.trusted.proxies", o->trusted_proxies, error);
}

enum push_status
push_options_check(const struct push_options *o, struct push_error *error)
{
	if (check_bounds(o, error) || check_redis(o, error) || check_history(o, error) ||
		check_acks(o, error) || check_auth(o, error) || check_certificate(o, error) ||
		check_limits(o, error) || check_calls(o, error) || check_trace(o, error) ||
		check_log(o, error) || push_cors_check(o->cors_origins, error))
		return PUSH_INVALID;

	if (o->flush_delay_us > PUSH_FLUSH_DELAY_US_MAX) {
		snprintf(error->text, sizeof(error->text),
			"push.flush.delay: %" PRIu64 " ms, must be at most %llu", o->flush_delay_us / 1000,
			PUSH_FLUSH_DELAY_US_MAX / 1000);
		return PUSH_INVALID;
	}
	if (o->lifetime_min_us > o->lifetime_max_us) {
		snprintf(error->text, sizeof(error->text),
			"push.reconnect.dither.min.duration (%" PRIu64
			" ms) is over push.reconnect.dither.max.duration (%" PRIu64 " ms)",
			o->lifetime_min_us / 1000, o->lifetime_max_us / 1000);
		return PUSH_INVALID;
	}
	if (o->grace_us >= o->lifetime_min_us) {
		snprintf(error->text, sizeof(error->text),
			"push.client.close.grace.period.duration (%" PRIu64
			" ms) must be under push.reconnect.dither.min.duration (%" PRIu64 " ms)",
			o->grace_us / 1000, o->lifetime_min_us / 1000);
		return PUSH_INVALID;
	}
	return PUSH_OK;
}

const struct push_option_info *
push_options_table(size_t *count)
{
	*count = OPTION_COUNT;
	return infos;
}
