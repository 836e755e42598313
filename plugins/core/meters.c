/* meters.c - see meters.h.  The text is our own, so that anything that is not as expected is left out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "meters.h"

/* Of a sample's value; Prometheus' longest float has 24. */
#define NUMBER_BYTES_MAX 32

struct text {
	const char *bytes;
	size_t size;
};

struct family {
	struct text name, help, type;
	const char *samples, *end;
};

struct sample {
	struct text suffix; /* behind the family's name: _sum, _count, _bucket */
	struct text labels; /* between the braces */
	double value;
};

struct label {
	struct text key, value;
};

static bool
text_is(struct text text, const char *other)
{
	return text.size == strlen(other) && !memcmp(text.bytes, other, text.size);
}

static bool
text_equals(struct text a, struct text b)
{
	return a.size == b.size && !memcmp(a.bytes, b.bytes, a.size);
}

static struct text
take_line(const char **p, const char *end)
{
	const char *start = *p, *stop = memchr(start, '\n', (size_t)(end - start));

	*p = stop ? stop + 1 : end;
	return (struct text){start, (size_t)((stop ? stop : end) - start)};
}

/* Up to a space, which is taken, too. */
static struct text
take_word(struct text *line)
{
	const char *space = memchr(line->bytes, ' ', line->size);
	struct text word = {line->bytes, space ? (size_t)(space - line->bytes) : line->size};
	size_t taken = word.size + (space ? 1 : 0);

	line->bytes += taken;
	line->size -= taken;
	return word;
}

/* `# HELP name ...`: what follows, with the name taken; or nothing. */
static bool
take_comment(struct text line, const char *kind, struct text *ret_name, struct text *ret_rest)
{
	if (!text_is(take_word(&line), "#") || !text_is(take_word(&line), kind))
		return false;
	*ret_name = take_word(&line);
	*ret_rest = line;
	return true;
}

/* Every metric has a HELP, then a TYPE, then its samples. */
static bool
next_family(const char **p, const char *end, struct family *ret)
{
	struct text name;

	while (*p < end) {
		*ret = (struct family){.end = end};
		if (!take_comment(take_line(p, end), "HELP", &ret->name, &ret->help) || *p == end ||
			!take_comment(take_line(p, end), "TYPE", &name, &ret->type))
			continue;
		ret->samples = *p;
		while (*p < end && **p != '#')
			(void)take_line(p, end);
		ret->end = *p;
		return true;
	}
	return false;
}

static bool
next_sample(const char **p, const struct family *family, struct sample *ret)
{
	while (*p < family->end) {
		struct text line = take_line(p, family->end);
		size_t name = family->name.size;
		const char *brace, *value = line.size ? memrchr(line.bytes, ' ', line.size) : NULL;
		const char *name_end;
		char number[NUMBER_BYTES_MAX + 1];

		if (!value || line.size <= name || memcmp(line.bytes, family->name.bytes, name) != 0)
			continue;
		snprintf(number, sizeof(number), "%.*s", (int)(line.bytes + line.size - (value + 1)),
			value + 1);
		brace = memchr(line.bytes, '{', line.size);
		name_end = brace ? brace : value;
		*ret = (struct sample){.suffix = {line.bytes + name, (size_t)(name_end - line.bytes) - name},
			.value = strtod(number, NULL)};
		if (brace && value > brace + 1)
			ret->labels = (struct text){brace + 1, (size_t)(value - brace) - 2};
		return true;
	}
	return false;
}

/* `key="value",...`; no label of ours has a quote in its value. */
static bool
next_label(struct text *labels, struct label *ret)
{
	const char *end = labels->bytes + labels->size, *equals, *stop;

	equals = labels->size ? memchr(labels->bytes, '=', labels->size) : NULL;
	if (!equals || end - equals < 2)
		return false;
	stop = memchr(equals + 2, '"', (size_t)(end - equals) - 2);
	if (!stop)
		return false;
	*ret = (struct label){
		{labels->bytes, (size_t)(equals - labels->bytes)}, {equals + 2, (size_t)(stop - equals) - 2}};
	stop += stop + 1 < end && stop[1] == ',' ? 2 : 1;
	*labels = (struct text){stop, (size_t)(end - stop)};
	return true;
}

static bool
has_label(struct text labels, struct text key, struct text value)
{
	struct label label;

	while (next_label(&labels, &label))
		if (text_equals(label.key, key) && text_equals(label.value, value))
			return true;
	return false;
}

/* The next `key:value` of what is asked for. */
static bool
next_tag(struct text *tags, struct label *ret)
{
	const char *comma = tags->size ? memchr(tags->bytes, ',', tags->size) : NULL;
	size_t size = comma ? (size_t)(comma - tags->bytes) : tags->size;
	const char *colon = size ? memchr(tags->bytes, ':', size) : NULL;

	if (!size)
		return false;
	*ret = (struct label){{tags->bytes, colon ? (size_t)(colon - tags->bytes) : size},
		{colon ? colon + 1 : "", colon ? size - (size_t)(colon + 1 - tags->bytes) : 0}};
	size += comma ? 1 : 0;
	tags->bytes += size;
	tags->size -= size;
	return true;
}

static bool
has_tags(const struct sample *sample, struct text tags)
{
	struct label tag;

	while (next_tag(&tags, &tag))
		if (!has_label(sample->labels, tag.key, tag.value))
			return false;
	return true;
}

static bool
is_asked_by(struct text tags, struct text key)
{
	struct label tag;

	while (next_tag(&tags, &tag))
		if (text_equals(tag.key, key))
			return true;
	return false;
}

static bool
strip(struct text *name, const char *suffix)
{
	size_t size = strlen(suffix);

	if (name->size <= size || memcmp(name->bytes + name->size - size, suffix, size) != 0)
		return false;
	name->size -= size;
	return true;
}

/* Returns the unit; NULL: none. */
static const char *
meter_name(const struct family *family, char to[PUSH_METER_NAME_BYTES_MAX])
{
	struct text name = family->name;
	const char *unit = NULL;

	(void)strip(&name, "_total");
	if (strip(&name, "_seconds"))
		unit = "seconds";
	else if (strip(&name, "_bytes"))
		unit = "bytes";
	if (name.size >= PUSH_METER_NAME_BYTES_MAX)
		name.size = PUSH_METER_NAME_BYTES_MAX - 1;
	for (size_t i = 0; i < name.size; i++)
		to[i] = name.bytes[i] == '_' ? '.' : name.bytes[i];
	to[name.size] = '\0';
	return unit;
}

void
push_meters_list(const char *text, size_t size, struct push_buf *to)
{
	const char *p = text, *end = text + size, *mark = "";
	char name[PUSH_METER_NAME_BYTES_MAX];
	struct family family;

	push_buf_append_text(to, "{\"names\":[");
	while (next_family(&p, end, &family)) {
		(void)meter_name(&family, name);
		push_buf_printf(to, "%s\"%s\"", mark, name);
		mark = ",";
	}
	push_buf_append_text(to, "]}");
}

static void
append_number(struct push_buf *to, double value)
{
	if (isfinite(value))
		push_buf_printf(to, "%.15g", value);
	else
		push_buf_append_text(to, "null");
}

/* Samples with the suffix, added up.  Returns false if there is none; `mark` stands before it. */
static bool
append_value(struct push_buf *to, const struct family *family, struct text tags, const char *suffix,
	const char *mark, const char *statistic)
{
	const char *p = family->samples;
	struct sample sample;
	bool found = false;
	double sum = 0;

	while (next_sample(&p, family, &sample))
		if (text_is(sample.suffix, suffix) && has_tags(&sample, tags)) {
			found = true;
			sum += sample.value;
		}
	if (!found)
		return false;
	push_buf_printf(to, "%s{\"statistic\":\"%s\",\"value\":", mark, statistic);
	append_number(to, sum);
	push_buf_append_text(to, "}");
	return true;
}

static bool
append_values(struct push_buf *to, const struct family *family, struct text tags, const char *unit)
{
	bool found;

	if (text_is(family->type, "histogram") || text_is(family->type, "summary")) {
		found = append_value(to, family, tags, "_count", "", "COUNT");
		return append_value(
			       to, family, tags, "_sum", found ? "," : "", unit ? "TOTAL_TIME" : "TOTAL") ||
		       found;
	}
	return append_value(to, family, tags, "", "", text_is(family->type, "counter") ? "COUNT" : "VALUE");
}

/* The next sample with the tags. */
static bool
next_match(const char **p, const struct family *family, struct text tags, struct sample *ret)
{
	while (next_sample(p, family, ret))
		if (has_tags(ret, tags))
			return true;
	return false;
}

/* Whether a sample that ends at `limit` or earlier has the label, or one of this name. */
static bool
is_before(const struct family *family, struct text tags, const char *limit, const struct label *label,
	bool with_value)
{
	const char *p = family->samples;
	struct sample sample;
	struct label other;

	while (next_match(&p, family, tags, &sample) && p <= limit)
		while (next_label(&sample.labels, &other))
			if (text_equals(other.key, label->key) &&
				(!with_value || text_equals(other.value, label->value)))
				return true;
	return false;
}

static void
append_tag_values(struct push_buf *to, const struct family *family, struct text tags, struct text key)
{
	const char *p = family->samples, *before = p, *mark = "";
	struct sample sample;
	struct label label;

	push_buf_append_text(to, "{\"tag\":");
	push_json_append_string(to, key.bytes, key.size);
	push_buf_append_text(to, ",\"values\":[");
	for (; next_match(&p, family, tags, &sample); before = p)
		while (next_label(&sample.labels, &label)) {
			if (!text_equals(label.key, key) || is_before(family, tags, before, &label, true))
				continue;
			push_buf_append_text(to, mark);
			push_json_append_string(to, label.value.bytes, label.value.size);
			mark = ",";
		}
	push_buf_append_text(to, "]}");
}

static void
append_tags(struct push_buf *to, const struct family *family, struct text tags)
{
	const char *p = family->samples, *before = p, *mark = "";
	struct sample sample;
	struct label label;

	for (; next_match(&p, family, tags, &sample); before = p)
		while (next_label(&sample.labels, &label)) {
			if (text_is(label.key, "le") || is_asked_by(tags, label.key) ||
				is_before(family, tags, before, &label, false))
				continue;
			push_buf_append_text(to, mark);
			append_tag_values(to, family, tags, label.key);
			mark = ",";
		}
}

static bool
find(const char *text, size_t size, const char *name, struct family *ret, const char **ret_unit,
	char found[PUSH_METER_NAME_BYTES_MAX])
{
	const char *p = text, *end = text + size;

	while (next_family(&p, end, ret)) {
		*ret_unit = meter_name(ret, found);
		if (!strcmp(found, name) || text_is(ret->name, name))
			return true;
	}
	return false;
}

bool
push_meters_get(
	const char *text, size_t size, const char *name, const struct push_buf *tags, struct push_buf *to)
{
	const struct text wanted = {tags->bytes ? tags->bytes : "", tags->size};
	char found[PUSH_METER_NAME_BYTES_MAX];
	struct family family;
	const size_t before = to->size;
	const char *unit;
	bool has_values;

	if (!find(text, size, name, &family, &unit, found))
		return false;
	push_buf_printf(to, "{\"name\":\"%s\",\"description\":", found);
	push_json_append_string(to, family.help.bytes, family.help.size);
	if (unit)
		push_buf_printf(to, ",\"baseUnit\":\"%s\"", unit);
	push_buf_append_text(to, ",\"measurements\":[");
	has_values = append_values(to, &family, wanted, unit);
	push_buf_append_text(to, "],\"availableTags\":[");
	append_tags(to, &family, wanted);
	push_buf_append_text(to, "]}");
	if (!has_values && to->status == PUSH_OK)
		to->size = before;
	return has_values;
}
