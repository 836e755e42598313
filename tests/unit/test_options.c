#include "unit.h"

#include <stdio.h>

#include "core/options.h"

static void
defaults_are_those_of_the_contract(void **state)
{
	struct push_options o;
	struct push_error error;

	(void)state;
	push_options_init(&o);
	assert_int_equal(o.lifetime_min_us, 120000000);
	assert_int_equal(o.lifetime_max_us, 180000000);
	assert_int_equal(o.grace_us, 4000000);
	assert_int_equal(o.heartbeat_us, 30000000);
	assert_string_equal(o.redis_url, "");
	assert_int_equal(o.message_bytes_max, 65536);
	assert_int_equal(o.client_message_bytes_max, 4096);
	assert_int_equal(o.queue_bytes_max, 1048576);
	assert_int_equal(o.channels_max, 128);
	assert_int_equal(o.channel_name_bytes_max, 255);
	assert_string_equal(o.cors_origins, "*");
	assert_int_equal(o.drain_us, 30000000);
	assert_int_equal(push_options_check(&o, &error), PUSH_OK);
}

static void
each_option_is_overridden_by_its_variable(void **state)
{
	char *environment[] = {"HOME=/root", "PUSH_HEARTBEAT_INTERVAL_DURATION=500ms",
		"PUSH_MESSAGE_MAX_SIZE=1mb", "PUSH_CHANNELS_MAX=7",
		"PUSH_CORS_ALLOWED_ORIGINS=https://a.example,https://b.example",
		"PUSH_DRAIN_DURATION=", NULL};
	struct push_options o;
	struct push_error error;

	(void)state;
	push_options_init(&o);
	assert_int_equal(push_options_set_from_environment(&o, environment, &error), PUSH_OK);
	assert_int_equal(o.heartbeat_us, 500000);
	assert_int_equal(o.message_bytes_max, 1048576);
	assert_int_equal(o.channels_max, 7);
	assert_string_equal(o.cors_origins, "https://a.example,https://b.example");
	assert_int_equal(o.drain_us, 30000000); /* an empty variable counts as not set */
}

static void
every_option_has_a_variable_that_is_understood(void **state)
{
	size_t count;
	const struct push_option_info *table = push_options_table(&count);

	(void)state;
	assert_true(count >= 13);
	for (size_t i = 0; i < count; i++) {
		char variable[512], name[64], *environment[] = {variable, NULL};
		struct push_options o;
		struct push_error error;

		push_options_init(&o);
		push_option_env_name(table[i].name, name, sizeof(name));
		snprintf(variable, sizeof(variable), "%s=%s", name, table[i].default_value);
		assert_int_equal(push_options_set_from_environment(&o, environment, &error), PUSH_OK);
		assert_true(strlen(table[i].help) > 0);
	}
}

static void
a_bad_option_is_named_with_its_value(void **state)
{
	static const struct {
		const char *name, *value, *expected;
		enum push_status status;
	} rows[] = {
		{"push.heartbeat.interval", "30s",
			"push.heartbeat.interval=30s: no such option; did you mean "
			"push.heartbeat.interval.duration?",
			PUSH_NOT_FOUND},
		{"push.drain.duration", "soon", "push.drain.duration=soon: not a duration", PUSH_INVALID},
		{"push.drain.duration", "", "push.drain.duration=: not a duration", PUSH_INVALID},
		{"push.message.max.size", "1tb", "push.message.max.size=1tb: not a size", PUSH_INVALID},
		{"push.channels.max", "many", "push.channels.max=many: not a number", PUSH_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_options o, before;
		struct push_error error;

		push_options_init(&o);
		before = o;
		assert_int_equal(push_options_set(&o, rows[i].name, rows[i].value, &error), rows[i].status);
		assert_memory_equal(error.text, rows[i].expected, strlen(rows[i].expected));
		assert_memory_equal(&o, &before, sizeof(o));
	}
}

static void
an_unknown_variable_is_refused_with_the_name_that_was_meant(void **state)
{
	static const struct {
		const char *variable, *expected;
	} rows[] = {
		{"PUSH_HEARTBEAT=30s", "PUSH_HEARTBEAT=30s: no such option; did you mean "
				       "PUSH_HEARTBEAT_INTERVAL_DURATION?"},
		{"PUSH_REDIS_URI=x", "PUSH_REDIS_URI=x: no such option; did you mean PUSH_REDIS_URL?"},
		{"PUSH_CHANNEL_MAX=7", "PUSH_CHANNEL_MAX=7: no such option; did you mean PUSH_CHANNELS_MAX?"},
		/* the same words in another order */
		{"PUSH_MAX_MESSAGE_SIZE=1mb",
			"PUSH_MAX_MESSAGE_SIZE=1mb: no such option; did you mean PUSH_MESSAGE_MAX_SIZE?"},
		{"PUSH_DRIAN_DURATION=1s",
			"PUSH_DRIAN_DURATION=1s: no such option; did you mean PUSH_DRAIN_DURATION?"},
		/* pushd's own */
		{"PUSH_WORKER=2", "PUSH_WORKER=2: no such option; did you mean PUSH_WORKERS?"},
		{"PUSH_NO_SUCH_THING=1", "PUSH_NO_SUCH_THING=1: no such option"},
		{"PUSH_=1", "PUSH_=1: no such option"},
		{"PUSH__=1", "PUSH__=1: no such option"},
		/* a secret stays one */
		{"PUSH_REDIS_PASSWORD=geheim", "PUSH_REDIS_PASSWORD=***: no such option"},
		{"PUSH_REDIS_URLS=redis://me:geheim@db",
			"PUSH_REDIS_URLS=redis://me:***@db: no such option; did you mean PUSH_REDIS_URL?"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char variable[128], *environment[] = {variable, NULL};
		struct push_options o;
		struct push_error error;

		snprintf(variable, sizeof(variable), "%s", rows[i].variable);
		push_options_init(&o);
		assert_int_equal(push_options_set_from_environment(&o, environment, &error), PUSH_NOT_FOUND);
		assert_string_equal(error.text, rows[i].expected);
	}
}

static void
variables_of_a_service_in_kubernetes_are_no_options(void **state)
{
	char *environment[] = {"PUSH_SERVICE_HOST=10.96.0.7", "PUSH_SERVICE_PORT=8080",
		"PUSH_SERVICE_PORT_HTTP=8080", "PUSH_SERVICE_PORT_MANAGEMENT=8000",
		"PUSH_PORT=tcp://10.96.0.7:8080", "PUSH_PORT_8080_TCP=tcp://10.96.0.7:8080",
		"PUSH_PORT_8080_TCP_PROTO=tcp", "PUSH_PORT_8080_TCP_PORT=8080",
		"PUSH_PORT_8080_TCP_ADDR=10.96.0.7", "PUSH_REDIS_SERVICE_HOST=fd00:10:96::a",
		"PUSH_REDIS_SERVICE_PORT=6379", "PUSH_REDIS_PORT=tcp://[fd00:10:96::a]:6379",
		"PUSH_REDIS_PORT_6379_TCP=tcp://[fd00:10:96::a]:6379",
		"PUSH_REDIS_PORT_6379_TCP_ADDR=fd00:10:96::a", "PUSH_DNS_PORT_53_UDP=udp://10.96.0.10:53",
		"PUSH_DNS_PORT_53_UDP_PROTO=udp", "PUSH_DNS_PORT_53_UDP_PORT=53",
		/* a Service whose name has the words itself */
		"PUSH_PORT_FORWARD_PORT_80_TCP_ADDR=10.96.0.9", "PUSH_SERVICE_PORT_SERVICE_PORT=80",
		"SPRING_REDIS_SERVICE_HOST=10.96.0.8", "SPRING_REDIS_PORT=tcp://10.96.0.8:6379",
		"SPRING_REDIS_PORT_6379_TCP_ADDR=10.96.0.8", NULL};
	struct push_options o, defaults;
	struct push_error error;

	(void)state;
	push_options_init(&o);
	push_options_init(&defaults);
	assert_int_equal(push_options_set_from_environment(&o, environment, &error), PUSH_OK);
	assert_memory_equal(&o, &defaults, sizeof(o));
}

static void
variables_of_the_command_are_no_options(void **state)
{
	char *environment[] = {"PUSH_URL=https://push.example",
		"PUSH_MANAGEMENT_URL=http://push.example:8000", "PUSH_TOKEN=a", "PUSH_KEY=b",
		"PUSH_DRAIN_DURATION=7s", NULL};
	struct push_options o;
	struct push_error error;

	(void)state;
	push_options_init(&o);
	assert_int_equal(push_options_set_from_environment(&o, environment, &error), PUSH_OK);
	assert_int_equal(o.drain_us, 7000000);
}

static void
names_like_those_of_a_service_with_other_values_are_refused(void **state)
{
	static const char *const variables[] = {"PUSH_PORT=8080", "PUSH_REDIS_PORT=6379",
		"PUSH_SERVICE_HOST=localhost", "PUSH_SERVICE_HOST=", "PUSH_SERVICE_PORT=http",
		"PUSH_SERVICE_PORT=70000", "PUSH_SERVICE_PORTS=8080", "PUSH_PORT=http://10.0.0.1:80",
		"PUSH_PORT=tcp://10.0.0.1:0", "PUSH_PORT=tcp://10.0.0.1", "PUSH_PORT=tcp://",
		"PUSH_PORT=tcp://[]:80", "PUSH_PORT=tcp://]:80", "PUSH_PORT=tcp://db:80",
		"PUSH_PORT_8080_TCP=8080", "PUSH_PORT_8080_TCP_PROTO=tls", "PUSH_PORT_8080_TCP_NAME=x",
		"PUSH_PORT_0_TCP_PORT=8080", "PUSH_PORT_TCP_PORT=8080"};

	(void)state;
	for (size_t i = 0; i < COUNT(variables); i++) {
		char variable[128], *environment[] = {variable, NULL};
		struct push_options o;
		struct push_error error;
		bool is_empty = variables[i][strlen(variables[i]) - 1] == '=';

		snprintf(variable, sizeof(variable), "%s", variables[i]);
		push_options_init(&o);
		assert_int_equal(push_options_set_from_environment(&o, environment, &error),
			is_empty ? PUSH_OK : PUSH_NOT_FOUND);
	}
}

static void
an_overlong_text_is_refused(void **state)
{
	char value[PUSH_OPTION_TEXT_BYTES_MAX + 2], url[PUSH_OPTION_URL_BYTES_MAX + 2];
	struct push_options o;
	struct push_error error;

	(void)state;
	push_options_init(&o);
	memset(value, 'x', sizeof(value));
	value[PUSH_OPTION_TEXT_BYTES_MAX] = '\0';
	assert_int_equal(push_options_set(&o, "push.cors.allowed.origins", value, &error), PUSH_OK);
	value[PUSH_OPTION_TEXT_BYTES_MAX] = 'x';
	value[PUSH_OPTION_TEXT_BYTES_MAX + 1] = '\0';
	assert_int_equal(push_options_set(&o, "push.cors.allowed.origins", value, &error), PUSH_INVALID);
	memset(url, 'x', sizeof(url));
	memcpy(url, "redis://me:geheim@", 18);
	url[PUSH_OPTION_URL_BYTES_MAX] = '\0';
	assert_int_equal(push_options_set(&o, "push.redis.url", url, &error), PUSH_OK);
	url[PUSH_OPTION_URL_BYTES_MAX] = 'x';
	url[PUSH_OPTION_URL_BYTES_MAX + 1] = '\0';
	assert_int_equal(push_options_set(&o, "push.redis.url", url, &error), PUSH_INVALID);
	assert_null(strstr(error.text, "geheim"));
}

static void
contradictions_name_both_options(void **state)
{
	static const struct {
		const char *name, *value, *first, *second;
	} rows[] = {
		{"push.reconnect.dither.min.duration", "181s", "push.reconnect.dither.min.duration",
			"push.reconnect.dither.max.duration"},
		{"push.client.close.grace.period.duration", "120s", "push.client.close.grace.period.duration",
			"push.reconnect.dither.min.duration"},
		{"push.heartbeat.interval.duration", "0", "push.heartbeat.interval.duration", "at least"},
		{"push.channels.max", "0", "push.channels.max", "at least"},
		{"push.channel.name.max", "5000", "push.channel.name.max", "at most"},
		{"push.message.max.size", "0", "push.message.max.size", "at least"},
		{"push.redis.url", "redis://", "push.redis.url", "not a host"},
		{"push.redis.sharded", "true", "push.redis.sharded", "push.redis.url"},
		{"push.redis.tls.ca", "ca.pem", "push.redis.tls.ca", "push.redis.url"},
		{"push.redis.tls.cert", "my.pem", "push.redis.tls.cert", "push.redis.url"},
		{"push.redis.tls.key", "my.key", "push.redis.tls.cert", "push.redis.tls.key"},
		{"push.redis.prefix", "staging:", "push.redis.prefix", "push.redis.url"},
		{"push.redis.timeout", "10ms", "push.redis.timeout", "100ms"},
		{"push.redis.publish.wait", "31s", "push.redis.publish.wait", "30s"},
		{"push.ack.timeout", "99ms", "push.ack.timeout", "100ms"},
		{"push.ack.timeout", "120s", "push.ack.timeout", "push.reconnect.dither.min.duration"},
		{"push.ack.retries", "101", "push.ack.retries", "at most 100"},
		{"push.ack.window", "0", "push.ack.window", "from 1"},
		{"push.ack.window", "4097", "push.ack.window", "4096"},
		{"push.client.ttl", "9999ms", "push.client.ttl", "at least 10s"},
		{"push.auth.leeway", "601s", "push.auth.leeway", "at most 10m"},
		{"push.auth.issuer", "https://example.com", "push.auth.issuer", "push.auth.keys"},
		{"push.auth.audience", "push", "push.auth.audience", "push.auth.keys"},
		{"push.auth.exp.required", "off", "push.auth.exp.required", "push.auth.keys"},
		{"push.auth.jwks.url", "ftp://a/", "push.auth.jwks.url=ftp://a/", "must begin with"},
		{"push.auth.hook.url", "https://", "push.auth.hook.url=https://", "no such host"},
		{"push.auth.hook.on", "", "push.auth.hook.on=:", "connect, subscribe or publish"},
		{"push.auth.hook.on", "connect,,publish", "push.auth.hook.on=connect,,publish", "connect"},
		{"push.auth.hook.on", "conect", "push.auth.hook.on=conect", "connect, subscribe or publish"},
		{"push.auth.hook.headers", "cookie,x-user", "push.auth.hook.headers=cookie,x-user",
			"authorization, cookie, host or origin"},
		{"push.auth.hook.timeout", "49ms", "push.auth.hook.timeout", "from 50ms to 30s"},
		{"push.auth.hook.timeout", "31s", "push.auth.hook.timeout", "from 50ms to 30s"},
		{"push.auth.tls.ca", "ca.pem", "push.auth.tls.ca=ca.pem", "with https"},
		{"push.auth.certificate", "on", "push.auth.certificate=on", "cn, subject, dns, email or uri"},
		{"push.auth.certificate.rights", "a", "push.auth.certificate.rights",
			"needs push.auth.certificate"},
		{"push.log.level", "loud", "push.log.level=loud", "error, warn, info or debug"},
		{"push.log.level", "", "push.log.level=", "error, warn, info or debug"},
		{"push.log.format", "JSON", "push.log.format=JSON", "text or json"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_options o;
		struct push_error error;

		push_options_init(&o);
		assert_int_equal(push_options_set(&o, rows[i].name, rows[i].value, &error), PUSH_OK);
		assert_int_equal(push_options_check(&o, &error), PUSH_INVALID);
		assert_non_null(strstr(error.text, rows[i].first));
		assert_non_null(strstr(error.text, rows[i].second));
	}
}

static void
the_origins_names_for_redis_make_a_url(void **state)
{
	char *full[] = {"SPRING_REDIS_HOST=db", "SPRING_REDIS_PORT=7000", "SPRING_REDIS_DATABASE=3", NULL};
	char *host_only[] = {"SPRING_REDIS_HOST=db", NULL};
	char *by_address[] = {"SPRING_REDIS_HOST=::1", NULL};
	char *both[] = {"SPRING_REDIS_HOST=db", "PUSH_REDIS_URL=redis://other:1/0", NULL};
	struct push_options o;
	struct push_error error;

	(void)state;
	push_options_init(&o);
	assert_int_equal(push_options_set_from_environment(&o, full, &error), PUSH_OK);
	assert_string_equal(o.redis_url, "redis://db:7000/3");
	push_options_init(&o);
	assert_int_equal(push_options_set_from_environment(&o, host_only, &error), PUSH_OK);
	assert_string_equal(o.redis_url, "redis://db:6379/0");
	push_options_init(&o);
	assert_int_equal(push_options_set_from_environment(&o, by_address, &error), PUSH_OK);
	assert_string_equal(o.redis_url, "redis://[::1]:6379/0");
	push_options_init(&o);
	assert_int_equal(push_options_set_from_environment(&o, both, &error), PUSH_OK);
	assert_string_equal(o.redis_url, "redis://other:1/0");
}

static void
what_is_open_to_everybody_is_said(void **state)
{
	static const struct {
		const char *name, *value, *begin;
	} rows[] = {
		{"push.log.level", "info", "everybody may publish and subscribe: "},
		{"push.publish.keys", "/keys", "everybody may subscribe: "},
		{"push.auth.keys", "/keys", NULL},
		{"push.auth.jwks.url", "https://id.example.com/jwks.json", NULL},
		{"push.auth.hook.url", "https://app.example.com/push", NULL},
		{"push.auth.anonymous", "public:*", NULL},
		{"push.auth.certificate", "cn", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_options o;
		struct push_error error;
		const char *text;

		push_options_init(&o);
		assert_int_equal(push_options_set(&o, rows[i].name, rows[i].value, &error), PUSH_OK);
		text = push_options_openness(&o);
		if (rows[i].begin)
			assert_memory_equal(text, rows[i].begin, strlen(rows[i].begin));
		else
			assert_null(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_contract),
		cmocka_unit_test(each_option_is_overridden_by_its_variable),
		cmocka_unit_test(every_option_has_a_variable_that_is_understood),
		cmocka_unit_test(a_bad_option_is_named_with_its_value),
		cmocka_unit_test(an_unknown_variable_is_refused_with_the_name_that_was_meant),
		cmocka_unit_test(variables_of_a_service_in_kubernetes_are_no_options),
		cmocka_unit_test(variables_of_the_command_are_no_options),
		cmocka_unit_test(names_like_those_of_a_service_with_other_values_are_refused),
		cmocka_unit_test(an_overlong_text_is_refused),
		cmocka_unit_test(contradictions_name_both_options),
		cmocka_unit_test(what_is_open_to_everybody_is_said),
		cmocka_unit_test(the_origins_names_for_redis_make_a_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
