/* forwarded.c - see forwarded.h. */
#include <string.h>
#include <strings.h>

#include "forwarded.h"

void
push_forwarded_add(struct push_forwarded *forwarded, struct push_str line)
{
	if (forwarded->count == PUSH_FORWARDED_LINES_MAX) {
		memmove(forwarded->lines, forwarded->lines + 1,
			(PUSH_FORWARDED_LINES_MAX - 1) * sizeof(forwarded->lines[0]));
		forwarded->count--;
	}
	forwarded->lines[forwarded->count++] = line;
}

/* Whether the quote at `at` is a pair with a backslash before it (RFC 9110, 5.6.4). */
static bool
is_escaped(const char *bytes, size_t at)
{
	size_t backslashes = 0;

	while (backslashes < at && bytes[at - 1 - backslashes] == '\\')
		backslashes++;
	return backslashes % 2;
}

/*
 * Takes the last entry of a list off it, without the comma before it.
 *
 * Quotes are paired from the right, too: a client that begins one in its own entry must not be able to hide
 * the comma before a proxy's, and a Host that a proxy repeats in quotes may have commas.
 */
static struct push_str
last_entry(struct push_str *list, bool has_quotes)
{
	size_t at = list->size;
	bool is_quoted = false;
	struct push_str entry;

	while (at && (is_quoted || list->bytes[at - 1] != ',')) {
		at--;
		if (has_quotes && list->bytes[at] == '"' && !is_escaped(list->bytes, at))
			is_quoted = !is_quoted;
	}
	entry = (struct push_str){list->bytes + at, list->size - at};
	list->size = at ? at - 1 : 0;
	return push_str_trim(entry);
}

/* Takes `name=value` off the entry, with the semicolon behind it. */
static struct push_str
first_pair(struct push_str *entry)
{
	struct push_str pair = {entry->bytes, 0};
	bool is_quoted = false;

	while (pair.size < entry->size && (is_quoted || pair.bytes[pair.size] != ';')) {
		if (pair.bytes[pair.size] == '"' && !is_escaped(pair.bytes, pair.size))
			is_quoted = !is_quoted;
		pair.size++;
	}
	entry->bytes += pair.size + (pair.size < entry->size);
	entry->size -= pair.size + (pair.size < entry->size);
	return push_str_trim(pair);
}

/* `for=192.0.2.1;proto=https`, `For="[2001:db8::1]:4711"` (RFC 7239, 4). */
static bool
read_for(struct push_address *ret, struct push_str entry)
{
	struct push_str value = {NULL, 0};

	while (entry.size) {
		struct push_str pair = first_pair(&entry);

		if (pair.size < 4 || strncasecmp(pair.bytes, "for=", 4) != 0)
			continue;
		if (value.bytes)
			return false; /* it comes once in an entry */
		value = (struct push_str){pair.bytes + 4, pair.size - 4};
	}
	if (value.size >= 2 && *value.bytes == '"' && value.bytes[value.size - 1] == '"')
		value = (struct push_str){value.bytes + 1, value.size - 2};
	return value.bytes && push_address_parse_host(ret, value);
}

struct push_address
push_forwarded_client(const struct push_networks *trusted, const struct push_address *peer,
	const struct push_forwarded *x_forwarded_for, const struct push_forwarded *forwarded)
{
	bool is_x = x_forwarded_for->count > 0;
	const struct push_forwarded *from = is_x ? x_forwarded_for : forwarded;
	struct push_address client = *peer;
	size_t hops = 0;

	for (size_t i = from->count; i-- > 0;) {
		struct push_str list = from->lines[i];

		do {
			struct push_str entry;

			if (hops++ == PUSH_FORWARDED_HOPS_MAX || !push_networks_have(trusted, &client))
				return client;
			entry = last_entry(&list, !is_x);
			/* an empty one is none (RFC 9110, 5.6.1) */
			if (entry.size &&
				!(is_x ? push_address_parse_host(&client, entry) : read_for(&client, entry)))
				return client;
		} while (list.size);
	}
	return client;
}
