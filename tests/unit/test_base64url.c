/* Each run of bytes has one text, and no other text is taken. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/base64url.h"

static void
bytes_and_their_text_are_the_same_either_way(void **state)
{
	/* RFC 4648, 10, without padding, and RFC 7515, A.1 and C */
	static const struct {
		const char *bytes, *text;
		size_t size;
	} rows[] = {
		{"", "", 0},
		{"f", "Zg", 1},
		{"fo", "Zm8", 2},
		{"foo", "Zm9v", 3},
		{"foob", "Zm9vYg", 4},
		{"fooba", "Zm9vYmE", 5},
		{"foobar", "Zm9vYmFy", 6},
		{"\x03\xec\xff\xe0\xc1", "A-z_4ME", 5},
		{"\0\0\0", "AAAA", 3},
		{"\xff\xff\xff", "____", 3},
		{"\xfb\xef\xbe", "----", 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned char bytes[16];
		char text[16] = "";
		size_t size = 99, length = strlen(rows[i].text);

		assert_int_equal(PUSH_BASE64URL_DECODED_BYTES(length), rows[i].size);
		assert_int_equal(PUSH_BASE64URL_ENCODED_BYTES(rows[i].size), length);
		assert_true(push_base64url_decode(
			(struct push_str){rows[i].text, length}, bytes, rows[i].size, &size));
		assert_int_equal(size, rows[i].size);
		assert_memory_equal(bytes, rows[i].bytes, size);
		push_base64url_encode((const unsigned char *)rows[i].bytes, rows[i].size, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void
anything_else_is_refused(void **state)
{
	static const char *const rows[] = {"A", "AAAAA", "Zg==", "Zg=", "Zm8=", "Zm9v=", " Zg", "Zg ", "Zg\n",
		"Z\rg", "Zm+v", "Zm/v", "Z.g", "Zm9\xc3", "Zh", "Zm9", "Zm9vYh", "Zm9vYmF"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned char bytes[16];
		size_t size;

		if (push_base64url_decode(
			    (struct push_str){rows[i], strlen(rows[i])}, bytes, sizeof(bytes), &size))
			fail_msg("'%s' was taken", rows[i]);
	}
	assert_false(
		push_base64url_decode((struct push_str){"AA\0A", 4}, (unsigned char[4]){0}, 4, &(size_t){0}));
}

static void
no_more_is_written_than_there_is_room_for(void **state)
{
	unsigned char bytes[3] = "..";
	size_t size = 0;

	(void)state;
	assert_true(push_base64url_decode((struct push_str){"Zm8", 3}, bytes, 2, &size));
	assert_false(push_base64url_decode((struct push_str){"Zm9v", 4}, bytes, 2, &size));
	assert_int_equal(bytes[2], 0);
}

static void
every_length_comes_back(void **state)
{
	unsigned char bytes[64], back[64];
	char text[96];
	size_t size;

	(void)state;
	srand(1);
	for (size_t length = 0; length <= sizeof(bytes); length++)
		for (int i = 0; i < 50; i++) {
			for (size_t j = 0; j < length; j++)
				bytes[j] = (unsigned char)rand();
			push_base64url_encode(bytes, length, text);
			assert_true(push_base64url_decode(
				(struct push_str){text, PUSH_BASE64URL_ENCODED_BYTES(length)}, back,
				sizeof(back), &size));
			assert_int_equal(size, length);
			assert_memory_equal(back, bytes, length);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_and_their_text_are_the_same_either_way),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(no_more_is_written_than_there_is_room_for),
		cmocka_unit_test(every_length_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
