/* The user name in a client's certificate: which texts are one, and which are none. */
#include "unit.h"

#include <openssl/x509v3.h>

#include "tls/client_name.h"

#define NAMES_MAX 3

struct text {
	const char *bytes; /* NULL: none */
	int size;
	int type; /* 0: MBSTRING_UTF8 */
};

#define TEXT(text)                                                                                           \
	{                                                                                                    \
		text, sizeof(text) - 1, 0                                                                    \
	}

static void
add_common_name(X509_NAME *subject, const struct text *text)
{
	/* set by hand, so that no text is too long or too odd for OpenSSL */
	ASN1_OBJECT *kind = OBJ_nid2obj(NID_commonName);
	X509_NAME_ENTRY *entry =
		X509_NAME_ENTRY_create_by_OBJ(NULL, kind, V_ASN1_UTF8STRING, (const unsigned char *)"x", 1);
	ASN1_STRING *data = X509_NAME_ENTRY_get_data(entry);

	assert_non_null(entry);
	assert_true(ASN1_STRING_set(data, text->bytes, text->size));
	if (text->type)
		data->type = text->type;
	assert_true(X509_NAME_add_entry(subject, entry, -1, 0));
	X509_NAME_ENTRY_free(entry);
}

static X509 *
with_subject(const char *organisation, const struct text names[NAMES_MAX])
{
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);

	if (organisation)
		assert_true(X509_NAME_add_entry_by_txt(
			subject, "O", MBSTRING_UTF8, (const unsigned char *)organisation, -1, -1, 0));
	for (int i = 0; i < NAMES_MAX && names[i].bytes; i++)
		add_common_name(subject, &names[i]);
	assert_true(ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20200102030405Z"));
	assert_true(ASN1_TIME_set_string(X509_getm_notAfter(certificate), "99991231235959Z"));
	return certificate;
}

static void
check(const X509 *certificate, enum push_certificate_name name, const char *expected)
{
	struct push_tls_client client;

	if (!expected) {
		assert_false(push_tls_client_read(certificate, name, &client));
		return;
	}
	assert_true(push_tls_client_read(certificate, name, &client));
	assert_int_equal(client.user_size, strlen(expected));
	assert_memory_equal(client.user, expected, strlen(expected));
	assert_true(client.from_s == 1577934245 && client.until_s == 253402300799);
}

static void
the_only_common_name_is_the_user_and_otherwise_the_whole_subject(void **state)
{
	static const struct {
		const char *organisation;
		struct text names[NAMES_MAX];
		const char *cn, *subject;
	} rows[] = {
		{"Acme", {TEXT("ann")}, "ann", "CN=ann,O=Acme"},
		{NULL, {TEXT("ann, of O=Acme")}, "ann, of O=Acme", "CN=ann\\, of O=Acme"},
		{NULL, {TEXT("J\xc3\xbcrgen")}, "J\xc3\xbcrgen", "CN=J\xc3\xbcrgen"},
		{NULL, {{"J\xfcrgen", 6, V_ASN1_T61STRING}}, "J\xc3\xbcrgen", "CN=J\xc3\xbcrgen"},
		{NULL, {{"\0a\0b", 4, V_ASN1_BMPSTRING}}, "ab", "CN=ab"},
		{"Acme", {{NULL, 0, 0}}, "O=Acme", "O=Acme"},
		{"Acme", {TEXT("")}, "CN=,O=Acme", "CN=,O=Acme"},
		{"Acme", {TEXT("ann"), TEXT("bob")}, "CN=bob,CN=ann,O=Acme", "CN=bob,CN=ann,O=Acme"},
		{NULL, {{NULL, 0, 0}}, NULL, NULL},
		/* no name, and not the part in front of the odd byte either */
		{NULL, {TEXT("ann\0.evil")}, NULL, "CN=ann\\00.evil"},
		{NULL, {TEXT("ann\n")}, NULL, "CN=ann\\0A"}, {NULL, {TEXT("ann\x7f")}, NULL, "CN=ann\\7F"},
		{NULL, {TEXT("\xff\xfe")}, NULL, NULL},
		{NULL, {{"\xd8\x00", 2, V_ASN1_BMPSTRING}}, NULL, NULL}, /* half of a pair */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		X509 *certificate = with_subject(rows[i].organisation, rows[i].names);

		check(certificate, PUSH_CERTIFICATE_NAME_CN, rows[i].cn);
		check(certificate, PUSH_CERTIFICATE_NAME_SUBJECT, rows[i].subject);
		check(certificate, PUSH_CERTIFICATE_NAME_NONE, NULL);
		X509_free(certificate);
	}
}

static void
a_user_name_has_255_bytes_at_most(void **state)
{
	char text[PUSH_USER_BYTES_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int size = PUSH_USER_BYTES_MAX - 1; size <= PUSH_USER_BYTES_MAX + 1; size++) {
		const struct text names[NAMES_MAX] = {{text, size, 0}};
		X509 *certificate = with_subject(NULL, names);
		struct push_tls_client client;

		assert_int_equal(push_tls_client_read(certificate, PUSH_CERTIFICATE_NAME_CN, &client),
			size <= PUSH_USER_BYTES_MAX);
		X509_free(certificate);
	}
}

static void
a_subject_alternative_name_is_one_only_if_it_is_the_only_one_of_its_kind(void **state)
{
	static const struct {
		const char *names, *dns, *email, *uri;
	} rows[] = {
		{"DNS:a.example", "a.example", NULL, NULL},
		{"DNS:a.example,email:ann@example.com,URI:spiffe://example.com/ann", "a.example",
			"ann@example.com", "spiffe://example.com/ann"},
		{"DNS:a.example,DNS:b.example,URI:urn:ann", NULL, NULL, "urn:ann"},
		{"IP:127.0.0.1", NULL, NULL, NULL},
		{NULL, NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct text names[NAMES_MAX] = {TEXT("cn")};
		X509 *certificate = with_subject(NULL, names);

		if (rows[i].names) {
			X509_EXTENSION *extension =
				X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, rows[i].names);

			assert_non_null(extension);
			assert_true(X509_add_ext(certificate, extension, -1));
			X509_EXTENSION_free(extension);
		}
		check(certificate, PUSH_CERTIFICATE_NAME_DNS, rows[i].dns);
		check(certificate, PUSH_CERTIFICATE_NAME_EMAIL, rows[i].email);
		check(certificate, PUSH_CERTIFICATE_NAME_URI, rows[i].uri);
		X509_free(certificate);
	}
}

static void
a_subject_alternative_name_with_odd_bytes_is_none(void **state)
{
	static const struct text rows[] = {TEXT("ann\0.evil"), TEXT(""), TEXT("a\r\n"), TEXT("\xff")};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct text names[NAMES_MAX] = {TEXT("cn")};
		X509 *certificate = with_subject(NULL, names);
		GENERAL_NAMES *alternatives = sk_GENERAL_NAME_new_null();
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();

		assert_true(ASN1_STRING_set(text, rows[i].bytes, rows[i].size));
		GENERAL_NAME_set0_value(name, GEN_URI, text);
		assert_true(sk_GENERAL_NAME_push(alternatives, name));
		assert_true(X509_add1_ext_i2d(certificate, NID_subject_alt_name, alternatives, 0, 0));
		check(certificate, PUSH_CERTIFICATE_NAME_URI, NULL);
		GENERAL_NAMES_free(alternatives);
		X509_free(certificate);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_only_common_name_is_the_user_and_otherwise_the_whole_subject),
		cmocka_unit_test(a_user_name_has_255_bytes_at_most),
		cmocka_unit_test(a_subject_alternative_name_is_one_only_if_it_is_the_only_one_of_its_kind),
		cmocka_unit_test(a_subject_alternative_name_with_odd_bytes_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
