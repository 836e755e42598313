#include "unit.h"

#include <stdio.h>

#include "core/options.h"
#include "core/redis_url.h"

#define VARIABLES_MAX 8

/* What `variables` make of push.redis.url; "" where they are refused, with `error` set. */
static void
read_variables(
	const char *const *variables, char url[PUSH_OPTION_URL_BYTES_MAX + 1], struct push_error *error)
{
	char texts[VARIABLES_MAX][512], *environment[VARIABLES_MAX + 1];
	struct push_options o;
	size_t count = 0;

	error->text[0] = '\0';
	for (; variables[count]; count++) {
		snprintf(texts[count], sizeof(texts[count]), "%s", variables[count]);
		environment[count] = texts[count];
	}
	environment[count] = NULL;
	push_options_init(&o);
	if (push_options_set_from_environment(&o, environment, error) == PUSH_OK) {
		assert_string_equal(error->text, "");
		assert_int_equal(push_options_check(&o, error), PUSH_OK);
	} else {
		assert_string_not_equal(error->text, "");
	}
	strcpy(url, o.redis_url);
}

struct row {
	const char *variables[VARIABLES_MAX];
	const char *expected;
};

static void
assert_urls(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char url[PUSH_OPTION_URL_BYTES_MAX + 1];
		struct push_error error;

		read_variables(rows[i].variables, url, &error);
		assert_string_equal(error.text, "");
		assert_string_equal(url, rows[i].expected);
	}
}

static void
one_server_is_understood(void **state)
{
	static const struct row rows[] = {
		{{"SPRING_REDIS_HOST=db"}, "redis://db:6379/0"},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_PORT=7000", "SPRING_REDIS_DATABASE=3"},
			"redis://db:7000/3"},
		{{"SPRING_REDIS_HOST=::1"}, "redis://[::1]:6379/0"},
		{{"SPRING_REDIS_HOST=db", "SPRING_APPLICATION_JSON={\"server\":{\"port\":8080}}"},
			"redis://db:6379/0"},
		{{"SPRING_REDIS_HOST=[::1]"}, "redis://[::1]:6379/0"},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_PASSWORD=geheim"}, "redis://:geheim@db:6379/0"},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_USERNAME=me", "SPRING_REDIS_PASSWORD=geheim"},
			"redis://me:geheim@db:6379/0"},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_SSL=true"}, "rediss://db:6379/0"},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_SSL=FALSE"}, "redis://db:6379/0"},
		{{"SPRING_DATA_REDIS_HOST=db", "SPRING_DATA_REDIS_SSL_ENABLED=yes"}, "rediss://db:6379/0"},
		/* as Spring also lets them be written */
		{{"spring.redis.host=db", "spring.redis.port=7000"}, "redis://db:7000/0"},
		{{"spring_data_redis_host=db"}, "redis://db:6379/0"},
		{{"SPRING_REDIS_HOST=db", "SPRING_DATA_REDIS_HOST=db"}, "redis://db:6379/0"},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_PASSWORD="}, "redis://db:6379/0"},
		/* what is said in Push's own words is what counts */
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_PASSWORD=x", "PUSH_REDIS_URL=redis://other:1/0"},
			"redis://other:1/0"},
		{{"SPRING_DATASOURCE_URL=jdbc:x", "SPRING_REDISSON_CONFIG=x"}, ""},
	};

	(void)state;
	assert_urls(rows, COUNT(rows));
}

static void
a_url_is_understood(void **state)
{
	static const struct row rows[] = {
		{{"SPRING_REDIS_URL=redis://me:geheim@db:7000"}, "redis://me:geheim@db:7000"},
		{{"SPRING_REDIS_URL=redis://me:geheim@db:7000/2"}, "redis://me:geheim@db:7000/2"},
		/* Spring: a name alone is the password */
		{{"SPRING_REDIS_URL=redis://geheim@db"}, "redis://:geheim@db"},
		{{"SPRING_REDIS_URL=rediss://db", "SPRING_REDIS_SSL=false"}, "rediss://db"},
		{{"SPRING_REDIS_URL=redis://db", "SPRING_REDIS_SSL=true"}, "rediss://db"},
		{{"SPRING_REDIS_URL=redis://db/", "SPRING_REDIS_DATABASE=4"}, "redis://db/4"},
		{{"SPRING_REDIS_URL=redis://db", "SPRING_REDIS_PASSWORD=a@b"}, "redis://:a%40b@db"},
		{{"SPRING_DATA_REDIS_URL=redis://db:1", "SPRING_DATA_REDIS_HOST=other",
			 "SPRING_DATA_REDIS_PORT=2"},
			"redis://db:1"},
	};

	(void)state;
	assert_urls(rows, COUNT(rows));
}

static void
a_cluster_is_understood(void **state)
{
	static const struct row rows[] = {
		{{"SPRING_REDIS_CLUSTER_NODES=a:7000,b:7001"}, "redis+cluster://a:7000,b:7001"},
		{{"SPRING_REDIS_CLUSTER_NODES= a:7000 ,\n b:7001 ,", "SPRING_REDIS_HOST=c"},
			"redis+cluster://a:7000,b:7001"},
		{{"SPRING_REDIS_CLUSTER_NODES=fd00::1:7000,[fd00::2]:7001"},
			"redis+cluster://[fd00::1]:7000,[fd00::2]:7001"},
		{{"SPRING_REDIS_CLUSTER_NODES_1=b:7001", "SPRING_REDIS_CLUSTER_NODES_0=a:7000"},
			"redis+cluster://a:7000,b:7001"},
		{{"spring.data.redis.cluster.nodes[0]=a:7000"}, "redis+cluster://a:7000"},
		{{"SPRING_DATA_REDIS_CLUSTER_NODES=a", "SPRING_DATA_REDIS_PASSWORD=geheim",
			 "SPRING_DATA_REDIS_USERNAME=me", "SPRING_DATA_REDIS_SSL_ENABLED=true",
			 "SPRING_DATA_REDIS_CLUSTER_MAX_REDIRECTS=3"},
			"rediss+cluster://me:geheim@a"},
		{{"SPRING_REDIS_CLUSTER_NODES=a", "SPRING_REDIS_DATABASE=0"}, "redis+cluster://a/0"},
	};

	(void)state;
	assert_urls(rows, COUNT(rows));
}

static void
sentinels_are_understood(void **state)
{
	static const struct row rows[] = {
		{{"SPRING_REDIS_SENTINEL_NODES=a:26379,b", "SPRING_REDIS_SENTINEL_MASTER=mymaster"},
			"redis+sentinel://a:26379,b/mymaster"},
		{{"SPRING_REDIS_SENTINEL_NODES=a", "SPRING_REDIS_SENTINEL_MASTER=m",
			 "SPRING_REDIS_DATABASE=2", "SPRING_REDIS_PASSWORD=x", "SPRING_REDIS_SSL=on",
			 "SPRING_REDIS_SENTINEL_PASSWORD=x", "SPRING_REDIS_CLUSTER_NODES=c"},
			"rediss+sentinel://:x@a/m/2"},
	};

	(void)state;
	assert_urls(rows, COUNT(rows));
}

static void
what_tunes_a_java_client_is_ignored(void **state)
{
	static const struct row rows[] = {
		{{"SPRING_REDIS_TIMEOUT=2s", "SPRING_REDIS_CONNECTTIMEOUT=1s", "SPRING_REDIS_CLIENT_NAME=x",
			 "SPRING_REDIS_CLIENTTYPE=lettuce", "SPRING_REDIS_JEDIS_POOL_MAX_ACTIVE=8",
			 "SPRING_REDIS_LETTUCE_POOL_ENABLED=true",
			 "SPRING_DATA_REDIS_REPOSITORIES_ENABLED=false"},
			""},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_LETTUCE_CLUSTER_REFRESH_PERIOD=1s"},
			"redis://db:6379/0"},
	};

	(void)state;
	assert_urls(rows, COUNT(rows));
}

static void
a_secret_survives_its_way_through_the_url(void **state)
{
	static const char secret[] = "p@ss:w/rd?#%20 \xc3\xa4+&=\"\\";
	char variable[128], url_text[PUSH_OPTION_URL_BYTES_MAX + 1];
	const char *variables[] = {"SPRING_REDIS_HOST=db", variable, "SPRING_REDIS_USERNAME=me@home:1", NULL};
	struct push_redis_url url;
	struct push_error error;

	(void)state;
	snprintf(variable, sizeof(variable), "SPRING_REDIS_PASSWORD=%s", secret);
	read_variables(variables, url_text, &error);
	assert_string_equal(error.text, "");
	assert_int_equal(push_redis_url_parse(&url, url_text, &error), PUSH_OK);
	assert_string_equal(url.password, secret);
	assert_string_equal(url.user, "me@home:1");
	assert_string_equal(url.hosts[0].name, "db");
}

static void
nodes_with_the_long_names_of_a_cluster_have_room(void **state)
{
	char nodes[512] = "SPRING_REDIS_CLUSTER_NODES=", url[PUSH_OPTION_URL_BYTES_MAX + 1];
	const char *variables[] = {nodes, NULL};
	struct push_error error;

	(void)state;
	for (int i = 0; i < 8; i++)
		snprintf(nodes + strlen(nodes), sizeof(nodes) - strlen(nodes),
			"push-redis-%d.push-redis.push.svc.cluster.local:6379,", i);
	read_variables(variables, url, &error);
	assert_string_equal(error.text, "");
	assert_non_null(strstr(url, "push-redis-7."));
}

static void
what_is_not_understood_is_refused_by_its_name(void **state)
{
	static const struct row rows[] = {
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_NODES=a,b"}, "SPRING_REDIS_NODES: not supported"},
		{{"SPRING_DATA_REDIS_MASTERREPLICA_NODES=a"},
			"SPRING_DATA_REDIS_MASTERREPLICA_NODES: not supported"},
		{{"SPRING_APPLICATION_JSON={\"spring\":{\"redis\":{\"host\":\"db\"}}}"},
			"SPRING_APPLICATION_JSON: configures Redis"},
		{{"SPRING_APPLICATION_JSON={\"spring.data.Redis.host\":\"db\"}"},
			"SPRING_APPLICATION_JSON: configures Redis"},
		{{"SPRING_DATA_REDIS_SSL_BUNDLE=b"}, "SPRING_DATA_REDIS_SSL_BUNDLE: not supported"},
		{{"SPRING_REDIS_CLUSTER_NODES_16=a"}, "SPRING_REDIS_CLUSTER_NODES_16: not supported"},
		{{"SPRING_REDIS_PASSWORD=geheim"}, "SPRING_REDIS_PASSWORD: needs SPRING_REDIS_HOST"},
		{{"SPRING_REDIS_PORT=6379"}, "SPRING_REDIS_PORT: needs SPRING_REDIS_HOST"},
		{{"SPRING_REDIS_DATABASE=1"}, "SPRING_REDIS_DATABASE: needs SPRING_REDIS_HOST"},
		{{"SPRING_DATA_REDIS_SSL_ENABLED=true"},
			"SPRING_DATA_REDIS_SSL_ENABLED: needs SPRING_REDIS_HOST"},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_USERNAME=me"},
			"SPRING_REDIS_USERNAME: needs SPRING_REDIS_PASSWORD"},
		{{"SPRING_REDIS_SENTINEL_NODES=a"}, "SPRING_REDIS_SENTINEL_NODES: "},
		{{"SPRING_REDIS_SENTINEL_MASTER=m"}, "SPRING_REDIS_SENTINEL_MASTER: "},
		{{"SPRING_REDIS_SENTINEL_NODES=a", "SPRING_REDIS_SENTINEL_MASTER=m",
			 "SPRING_REDIS_PASSWORD=geheim", "SPRING_REDIS_SENTINEL_PASSWORD=geheimer"},
			"SPRING_REDIS_SENTINEL_PASSWORD: must be SPRING_REDIS_PASSWORD"},
		{{"SPRING_REDIS_URL=redis://db", "SPRING_REDIS_CLUSTER_NODES=a"}, "SPRING_REDIS_URL: "},
		{{"SPRING_REDIS_URL=redis-cluster://geheim@db"}, "SPRING_REDIS_URL: must begin with"},
		{{"SPRING_REDIS_HOST=db", "SPRING_DATA_REDIS_HOST=other"},
			"SPRING_REDIS_HOST and SPRING_DATA_REDIS_HOST have different values"},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_SSL=maybe"},
			"SPRING_REDIS_SSL: must be true or false"},
		{{"SPRING_REDIS_HOST=db", "SPRING_REDIS_PORT=x", "SPRING_REDIS_PASSWORD=geheim"},
			"SPRING_REDIS_HOST: push.redis.url=redis://:***@db:x/0: not a host:port 'db:x'"},
		{{"SPRING_REDIS_HOST=db:6379"}, "SPRING_REDIS_HOST: push.redis.url=redis://db:6379:6379/0"},
		{{"SPRING_REDIS_CLUSTER_NODES=a", "SPRING_REDIS_DATABASE=1"},
			"SPRING_REDIS_CLUSTER_NODES: push.redis.url=redis+cluster://a/1: a cluster has only"},
		{{"SPRING_REDIS_CLUSTER_NODES=,"}, "SPRING_REDIS_CLUSTER_NODES: "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char url[PUSH_OPTION_URL_BYTES_MAX + 1];
		struct push_error error;

		read_variables(rows[i].variables, url, &error);
		assert_int_equal(strncmp(error.text, rows[i].expected, strlen(rows[i].expected)), 0);
		assert_null(strstr(error.text, "geheim"));
		assert_string_equal(url, "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_server_is_understood),
		cmocka_unit_test(a_url_is_understood),
		cmocka_unit_test(a_cluster_is_understood),
		cmocka_unit_test(sentinels_are_understood),
		cmocka_unit_test(what_tunes_a_java_client_is_ignored),
		cmocka_unit_test(a_secret_survives_its_way_through_the_url),
		cmocka_unit_test(nodes_with_the_long_names_of_a_cluster_have_room),
		cmocka_unit_test(what_is_not_understood_is_refused_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
