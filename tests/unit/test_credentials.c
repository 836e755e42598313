/* What a request shows of who sent it, each way, and what is refused. */
#include "unit.h"

#include <stdlib.h>

#include "request/credentials.h"

#define STR(text)                                                                                            \
	{                                                                                                    \
		text, sizeof(text) - 1                                                                       \
	}

static void
check(const struct push_request *request, const struct push_options *options, enum push_credential_kind kind,
	const char *text)
{
	struct push_buf buf;
	const struct push_credential found = push_credentials_read(request, options, &buf);

	assert_int_equal(found.kind, kind);
	if (kind == PUSH_CREDENTIAL_BROKEN) {
		assert_string_equal(found.why, text);
	} else if (kind != PUSH_CREDENTIAL_NONE) {
		assert_int_equal(found.text.size, strlen(text));
		assert_memory_equal(found.text.bytes, text, strlen(text));
	}
	push_credentials_forget(&buf);
}

static void
each_way_is_read_and_two_at_once_are_refused(void **state)
{
	static const char two[] = "credentials were sent in two ways, send one";
	static const char malformed[] = "the credential in the query is malformed";
	static const struct {
		struct push_request request;
		enum push_credential_kind kind;
		const char *text;
	} rows[] = {
		{{.host = STR("x")}, PUSH_CREDENTIAL_NONE, ""},
		{{.authorization = STR("Bearer a.b.c")}, PUSH_CREDENTIAL_BEARER, "a.b.c"},
		{{.authorization = STR("bEARER   a.b.c ")}, PUSH_CREDENTIAL_BEARER, "a.b.c"},
		{{.authorization = STR("Bearer")}, PUSH_CREDENTIAL_BROKEN,
			"'Authorization: Bearer' has no token"},
		{{.authorization = STR("Bearer  ")}, PUSH_CREDENTIAL_BROKEN,
			"'Authorization: Bearer' has no token"},
		{{.authorization = STR("Bearerx")}, PUSH_CREDENTIAL_NONE, ""},
		{{.authorization = STR("Basic dTpw")}, PUSH_CREDENTIAL_NONE, ""}, /* a proxy's */
		{{.push_key = STR("push_k")}, PUSH_CREDENTIAL_KEY, "push_k"},
		{{.push_key = STR("")}, PUSH_CREDENTIAL_BROKEN, "an empty credential"},
		{{.ws_token = STR("a.b.c")}, PUSH_CREDENTIAL_TOKEN, "a.b.c"},
		{{.query = STR("channels=a&ticket=%74icket")}, PUSH_CREDENTIAL_TICKET, "ticket"},
		{{.query = STR("ticket=")}, PUSH_CREDENTIAL_BROKEN, "an empty credential"},
		{{.query = STR("ticket=%zz")}, PUSH_CREDENTIAL_BROKEN, malformed},
		{{.query = STR("ticket=a&ticket=b")}, PUSH_CREDENTIAL_TICKET, "a,b"}, /* and is none */
		{{.query = STR("token=a.b.c")}, PUSH_CREDENTIAL_NONE, ""},
		{{.authorization = STR("Bearer a"), .push_key = STR("b")}, PUSH_CREDENTIAL_BROKEN, two},
		{{.authorization = STR("Bearer a"), .ws_token = STR("b")}, PUSH_CREDENTIAL_BROKEN, two},
		{{.authorization = STR("Bearer a"), .query = STR("ticket=b")}, PUSH_CREDENTIAL_BROKEN, two},
		{{.ws_token = STR("a"), .query = STR("ticket=a")}, PUSH_CREDENTIAL_BROKEN, two},
	};
	struct push_options options;

	(void)state;
	push_options_init(&options);
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&rows[i].request, &options, rows[i].kind, rows[i].text);
}

static void
a_token_in_the_query_counts_where_that_is_allowed(void **state)
{
	struct push_options options;

	(void)state;
	push_options_init(&options);
	options.auth_query = true;
	check(&(struct push_request){.query = STR("token=a.b.c")}, &options, PUSH_CREDENTIAL_TOKEN, "a.b.c");
	check(&(struct push_request){.query = STR("ticket=t")}, &options, PUSH_CREDENTIAL_TICKET, "t");
	check(&(struct push_request){.query = STR("ticket=t&token=a")}, &options, PUSH_CREDENTIAL_BROKEN,
		"credentials were sent in two ways, send one");
	check(&(struct push_request){.query = STR("token=%")}, &options, PUSH_CREDENTIAL_BROKEN,
		"the credential in the query is malformed");
}

static void
a_cookie_counts_if_nothing_else_was_shown(void **state)
{
	static const struct {
		const char *cookie, *token; /* NULL: none */
	} rows[] = {
		{"session=a.b.c", "a.b.c"},
		{"x=1; session=a.b.c; y=2", "a.b.c"},
		{"x=1;session=a.b.c;", "a.b.c"},
		{"session=first; a=b; session=second", "first; a=b; session=second"}, /* and is none */
		{"session=", NULL}, /* of one who has logged out */
		{"session", NULL},
		{"Session=a", NULL},
		{"xsession=a", NULL},
		{"session2=a", NULL},
		{"", NULL},
		{";;; ;", NULL},
	};
	struct push_options options;

	(void)state;
	push_options_init(&options);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_request request = {.cookie = {rows[i].cookie, strlen(rows[i].cookie)}};

		options.auth_cookie[0] = '\0';
		check(&request, &options, PUSH_CREDENTIAL_NONE, "");
		strcpy(options.auth_cookie, "session");
		check(&request, &options, rows[i].token ? PUSH_CREDENTIAL_TOKEN : PUSH_CREDENTIAL_NONE,
			rows[i].token);
	}
	check(&(struct push_request){.cookie = STR("session=a"), .authorization = STR("Bearer b")}, &options,
		PUSH_CREDENTIAL_BEARER, "b");
}

static void
a_certificate_counts_if_nothing_else_was_shown(void **state)
{
	static const char foreign[] =
		"a web page's client certificate needs push.cors.allowed.origins to list its origin";
	static const struct {
		struct push_request request;
		const char *origins;
		enum push_credential_kind kind;
		const char *text;
	} rows[] = {
		{{.certificate = STR("ann")}, "*", PUSH_CREDENTIAL_CERTIFICATE, "ann"},
		{{.certificate = STR("ann"), .authorization = STR("Basic dTpw")}, "*",
			PUSH_CREDENTIAL_CERTIFICATE, "ann"},
		{{.certificate = STR("ann"), .authorization = STR("Bearer b")}, "*", PUSH_CREDENTIAL_BEARER,
			"b"},
		{{.certificate = STR("ann"), .push_key = STR("k")}, "*", PUSH_CREDENTIAL_KEY, "k"},
		{{.certificate = STR("ann"), .query = STR("ticket=t")}, "*", PUSH_CREDENTIAL_TICKET, "t"},
		{{.certificate = STR("ann"), .cookie = STR("session=c")}, "*", PUSH_CREDENTIAL_TOKEN, "c"},
		{{.certificate = STR("ann"), .push_key = STR("")}, "*", PUSH_CREDENTIAL_BROKEN,
			"an empty credential"},
		/* of web pages, for which browsers add it by themselves */
		{{.certificate = STR("ann"),
			 .origin = STR("https://evil.example"),
			 .host = STR("push.example")},
			"*", PUSH_CREDENTIAL_BROKEN, foreign},
		{{.certificate = STR("ann"), .origin = STR("null"), .host = STR("push.example")}, "*",
			PUSH_CREDENTIAL_BROKEN, foreign},
		{{.certificate = STR("ann"),
			 .origin = STR("https://push.example"),
			 .host = STR("push.example")},
			"*", PUSH_CREDENTIAL_CERTIFICATE, "ann"},
		{{.certificate = STR("ann"),
			 .origin = STR("https://good.example"),
			 .host = STR("push.example")},
			"https://good.example", PUSH_CREDENTIAL_CERTIFICATE, "ann"},
		{{.certificate = STR("ann"),
			 .origin = STR("https://good.example"),
			 .host = STR("push.example")},
			"*,https://good.example", PUSH_CREDENTIAL_CERTIFICATE, "ann"},
	};
	struct push_options options;

	(void)state;
	push_options_init(&options);
	strcpy(options.auth_cookie, "session");
	for (size_t i = 0; i < COUNT(rows); i++) {
		strcpy(options.cors_origins, rows[i].origins);
		check(&rows[i].request, &options, rows[i].kind, rows[i].text);
	}
}

/* Each in memory of its own size, so that a byte too many that is read is seen. */
static void
a_credential_is_4_kb_at_most(void **state)
{
	struct push_options options;

	(void)state;
	push_options_init(&options);
	for (size_t size = PUSH_SECRET_BYTES_MAX - 1; size <= PUSH_SECRET_BYTES_MAX + 1; size++) {
		char *text = malloc(size), *query = malloc(size + 7);
		struct push_buf buf;
		bool fits = size <= PUSH_SECRET_BYTES_MAX;

		memset(text, 'a', size);
		memcpy(query, "ticket=", 7);
		memset(query + 7, 'a', size);
		assert_int_equal(push_credentials_read(
					 &(struct push_request){.push_key = {text, size}}, &options, &buf)
					 .kind,
			fits ? PUSH_CREDENTIAL_KEY : PUSH_CREDENTIAL_BROKEN);
		push_credentials_forget(&buf);
		assert_int_equal(push_credentials_read(
					 &(struct push_request){.query = {query, size + 7}}, &options, &buf)
					 .kind,
			fits ? PUSH_CREDENTIAL_TICKET : PUSH_CREDENTIAL_BROKEN);
		push_credentials_forget(&buf);
		free(text);
		free(query);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_way_is_read_and_two_at_once_are_refused),
		cmocka_unit_test(a_token_in_the_query_counts_where_that_is_allowed),
		cmocka_unit_test(a_cookie_counts_if_nothing_else_was_shown),
		cmocka_unit_test(a_certificate_counts_if_nothing_else_was_shown),
		cmocka_unit_test(a_credential_is_4_kb_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
