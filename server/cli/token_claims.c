/* token_claims.c - see token_claims.h. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/buf.h"
#include "token_claims.h"
#include "token_files.h"

#define NAME_WIDTH      11
#define TIME_BYTES      80
#define VALUE_BYTES_MAX 65536

void
token_row_print(const char *name, const char *value, size_t size)
{
	size_t width = strlen(name);

	token_print(name, width);
	printf("%*s", width < NAME_WIDTH ? (int)(NAME_WIDTH - width) : 1, "");
	token_print(value, size);
	putchar('\n');
}

static void
print_text(const char *name, const char *text)
{
	token_row_print(name, text, strlen(text));
}

/* `in 59m`, `2h ago`: to the larger two units. */
static void
describe_distance(int64_t distance_s, char *to, size_t size)
{
	static const struct {
		char letter;
		uint64_t s;
	} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	uint64_t s = distance_s < 0 ? (uint64_t)-distance_s : (uint64_t)distance_s;
	char text[48];
	size_t used = 0;

	for (size_t i = 0, parts = 0; i < sizeof(units) / sizeof(units[0]) && parts < 2; i++) {
		if (!parts && s < units[i].s)
			continue;
		if (s >= units[i].s)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%" PRIu64 "%c",
				used ? " " : "", s / units[i].s, units[i].letter);
		s %= units[i].s;
		parts++;
	}
	if (used)
		snprintf(to, size, distance_s < 0 ? "%s ago" : "in %s", text);
	else
		snprintf(to, size, "now");
}

static void
print_time(const char *name, struct json_object *value)
{
	char text[TIME_BYTES], moment[32], distance[56];
	int64_t s = json_object_get_int64(value);
	time_t time_s = (time_t)s;
	struct tm parts;

	/* the year 9999: beyond, nobody reads it */
	if (!json_object_is_type(value, json_type_int) || s < 0 || s > 253402300799 ||
		!gmtime_r(&time_s, &parts)) {
		print_text(name, json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
		return;
	}
	strftime(moment, sizeof(moment), "%Y-%m-%dT%H:%M:%SZ", &parts);
	describe_distance(s - (int64_t)time(NULL), distance, sizeof(distance));
	snprintf(text, sizeof(text), "%s, %s", moment, distance);
	print_text(name, text);
}

static void
append_value(struct push_buf *to, struct json_object *value)
{
	if (json_object_is_type(value, json_type_string))
		push_buf_append(to, json_object_get_string(value), (size_t)json_object_get_string_len(value));
	else
		push_buf_append_text(to, json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
}

/* A list of texts with commas between them; anything else as it is. */
static void
print_value(const char *name, struct json_object *value)
{
	struct push_buf text;
	bool is_list = json_object_is_type(value, json_type_array);

	push_buf_init(&text, VALUE_BYTES_MAX);
	if (!is_list)
		append_value(&text, value);
	for (size_t i = 0; is_list && i < json_object_array_length(value); i++) {
		push_buf_append_text(&text, i ? "," : "");
		append_value(&text, json_object_array_get_idx(value, i));
	}
	token_row_print(name, text.size ? text.bytes : "", text.size);
	push_buf_fini(&text);
}

static void
print_rights(const char *claim, struct json_object *rights)
{
	if (!json_object_is_type(rights, json_type_object)) {
		print_value(claim, rights);
		return;
	}
	json_object_object_foreach(rights, name, value)
	{
		char label[64];

		snprintf(label, sizeof(label), "%s%s", strcmp(claim, "push") != 0 ? "mercure " : "", name);
		print_value(label, value);
	}
}

static bool
is_time(const char *name)
{
	return !strcmp(name, "exp") || !strcmp(name, "iat") || !strcmp(name, "nbf");
}

static void
print_member(const char *name, struct json_object *value)
{
	static const struct {
		const char *name, *label;
	} known[] = {{"sub", "user"}, {"exp", "expires"}, {"iat", "issued"}, {"nbf", "not before"},
		{"iss", "issuer"}, {"aud", "audience"}, {"jti", "token id"}};
	const char *label = name;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].name, name))
			label = known[i].label;
	if (!strcmp(name, "push") || !strcmp(name, "mercure"))
		print_rights(name, value);
	else if (is_time(name))
		print_time(label, value);
	else
		print_value(label, value);
}

bool
token_claims_print(struct push_str payload)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *claims =
		tokener ? json_tokener_parse_ex(tokener, payload.bytes, (int)payload.size) : NULL;
	bool is_object = json_object_is_type(claims, json_type_object);

	if (is_object) {
		json_object_object_foreach(claims, name, value) print_member(name, value);
	}
	json_object_put(claims);
	json_tokener_free(tokener);
	return is_object;
}
