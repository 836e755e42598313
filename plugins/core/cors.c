/* cors.c - see cors.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cors.h"
#include "limits.h"
#include "units.h"

struct part {
	const char *bytes;
	size_t size;
};

static bool
is_same(struct part a, struct part b)
{
	return a.size == b.size && !strncasecmp(a.bytes, b.bytes, a.size);
}

static struct part
part_of(const char *text)
{
	return (struct part){text, strlen(text)};
}

/* The next entry of a list, moving *list behind it; none is of no size. */
static struct part
next_entry(const char **list)
{
	struct part entry;

	*list += strspn(*list, ", ");
	entry = (struct part){*list, strcspn(*list, ", ")};
	*list += entry.size;
	return entry;
}

/* Returns false where it is no `scheme://...`, and then writes nothing. */
static bool
split(struct part origin, struct part *ret_scheme, struct part *ret_authority)
{
	static const char mark[] = "://";
	const char *found = memmem(origin.bytes, origin.size, mark, sizeof(mark) - 1);

	if (!found || found == origin.bytes)
		return false;
	*ret_scheme = (struct part){origin.bytes, (size_t)(found - origin.bytes)};
	found += sizeof(mark) - 1;
	*ret_authority = (struct part){found, origin.size - (size_t)(found - origin.bytes)};
	return true;
}

/* Without the port that the scheme has anyway. */
static struct part
without_port(struct part scheme, struct part authority)
{
	const char *port = is_same(scheme, part_of("https")) ? ":443" : ":80";
	size_t size = strlen(port);

	if ((is_same(scheme, part_of("https")) || is_same(scheme, part_of("http"))) &&
		authority.size > size && !memcmp(authority.bytes + authority.size - size, port, size))
		authority.size -= size;
	return authority;
}

static bool
is_same_origin(struct part a, struct part b)
{
	struct part scheme_a, scheme_b, authority_a, authority_b;

	return split(a, &scheme_a, &authority_a) && split(b, &scheme_b, &authority_b) &&
	       is_same(scheme_a, scheme_b) &&
	       is_same(without_port(scheme_a, authority_a), without_port(scheme_b, authority_b));
}

static bool
allows_all(const char *allowed)
{
	struct part entry;

	while ((entry = next_entry(&allowed)).size)
		if (is_same(entry, part_of("*")))
			return true;
	return false;
}

static bool
is_listed(const char *allowed, struct part origin)
{
	struct part entry;

	while ((entry = next_entry(&allowed)).size)
		if (is_same_origin(entry, origin))
			return true;
	return false;
}

static bool
is_of_host(struct part origin, struct part host)
{
	struct part scheme, authority;

	return host.size && split(origin, &scheme, &authority) &&
	       is_same(without_port(scheme, authority), without_port(scheme, host));
}

bool
push_cors_trusts(
	const char *allowed, const char *origin, size_t origin_size, const char *host, size_t host_size)
{
	struct part given = {origin, origin ? origin_size : 0}, own = {host, host ? host_size : 0};

	return !given.size || is_listed(allowed, given) || is_of_host(given, own);
}

bool
push_cors_admits(
	const char *allowed, const char *origin, size_t origin_size, const char *host, size_t host_size)
{
	return allows_all(allowed) || push_cors_trusts(allowed, origin, origin_size, host, host_size);
}

struct push_cors
push_cors_answer(const char *allowed, const char *origin)
{
	bool is_named;

	if (allows_all(allowed))
		return (struct push_cors){.allow_origin = "*"};
	is_named = origin && is_listed(allowed, part_of(origin));
	return (struct push_cors){
		.allow_origin = is_named ? origin : NULL, .allows_credentials = is_named, .varies = true};
}

/* RFC 3986, 3.1. */
static bool
is_scheme(struct part text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!isalnum((unsigned char)text.bytes[i]) && (!i || !strchr("+-.", text.bytes[i])))
			return false;
	return text.size && isalpha((unsigned char)text.bytes[0]);
}

/* Colons in brackets are of an IPv6 address. */
static bool
has_bad_port(struct part authority)
{
	const char *colon = memrchr(authority.bytes, ':', authority.size);
	const char *bracket = memrchr(authority.bytes, ']', authority.size);

	if (!colon || (bracket && bracket > colon))
		return false;
	return !push_port_is_valid(colon + 1, authority.size - (size_t)(colon + 1 - authority.bytes));
}

static const char *
find_fault(struct part entry)
{
	struct part scheme, authority;

	if (is_same(entry, part_of("*")))
		return NULL;
	if (!split(entry, &scheme, &authority) || !is_scheme(scheme))
		return "has no scheme: write https://example.com";
	if (!authority.size)
		return "has no host";
	if (memchr(authority.bytes, '*', authority.size))
		return "has a wildcard: list each origin, or * for all";
	for (size_t i = 0; i < authority.size; i++)
		if (!isgraph((unsigned char)authority.bytes[i]) || strchr("/?#@\\\"", authority.bytes[i]))
			return "must have only a scheme, a host and a port";
	if (has_bad_port(authority))
		return "must have a port from 1 to 65535, or none";
	return NULL;
}

enum push_status
push_cors_check(const char *allowed, struct push_error *error)
{
	struct part entry;

	while ((entry = next_entry(&allowed)).size) {
		const char *fault = find_fault(entry);
		int size = entry.size < PUSH_ERROR_QUOTE_BYTES_MAX ? (int)entry.size
								   : PUSH_ERROR_QUOTE_BYTES_MAX;

		if (!fault)
			continue;
		snprintf(error->text, sizeof(error->text), "push.cors.allowed.origins: '%.*s' %s", size,
			entry.bytes, fault);
		return PUSH_INVALID;
	}
	return PUSH_OK;
}
