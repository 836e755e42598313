/* log_line.c - see log_line.h. */
#include <stdbool.h>
#include <string.h>

#include "core/json.h"
#include "core/jsonscan.h"
#include "core/utf8.h"
#include "log_line.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

static void
append_text(struct push_buf *to, const char *text, size_t size)
{
	push_buf_append(to, "\"", 1);
	while (size) {
		size_t valid;

		(void)push_utf8_take(text, size, &valid);
		push_json_append_escaped(to, text, valid);
		text += valid;
		size -= valid;
		if (size) {
			push_buf_append_text(to, REPLACEMENT);
			text++;
			size--;
		}
	}
	push_buf_append(to, "\"", 1);
}

void
log_line_append(struct push_buf *to, const struct log_record *record)
{
	struct tm date;

	gmtime_r(&record->time.tv_sec, &date);
	push_buf_printf(to, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"level\":\"%s\"",
		date.tm_year + 1900, date.tm_mon + 1, date.tm_mday, date.tm_hour, date.tm_min, date.tm_sec,
		(int)(record->time.tv_nsec / 1000000), push_log_level_text(record->level));
	push_buf_printf(to, ",\"component\":\"%s\"", record->component);
	if (record->worker)
		push_buf_printf(to, ",\"worker\":%u", record->worker);
	push_buf_printf(to, ",\"pid\":%d,\"message\":", (int)record->pid);
	append_text(to, record->message, record->message_size);
	if (record->fields_size) {
		push_buf_append(to, ",", 1);
		push_buf_append(to, record->fields, record->fields_size);
	}
	push_buf_append(to, "}\n", 2);
}

/* lws' marks, one letter each, and what they are here: USER is what Push has to say itself. */
static bool
level_of_mark(char mark, enum push_log_level *ret)
{
	static const struct {
		char mark;
		enum push_log_level level;
	} marks[] = {{'E', PUSH_LOG_ERROR}, {'W', PUSH_LOG_WARN}, {'N', PUSH_LOG_INFO}, {'I', PUSH_LOG_DEBUG},
		{'D', PUSH_LOG_DEBUG}, {'U', PUSH_LOG_INFO}};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (marks[i].mark == mark) {
			*ret = marks[i].level;
			return true;
		}
	return false;
}

/* Behind the mark; NULL: the line has none. */
static const char *
text_of_lws(const char *line, enum push_log_level *ret_level)
{
	const char *end = line[0] == '[' ? strstr(line, "] ") : NULL;

	return end && end[2] && level_of_mark(end[2], ret_level) && !strncmp(end + 3, ": ", 2) ? end + 5
											       : NULL;
}

enum push_log_level
log_line_level(const char *line, size_t *ret_start)
{
	static const struct {
		const char *prefix;
		enum push_log_level level;
	} prefixes[] = {{PUSH_LOG_PREFIX_DEBUG, PUSH_LOG_DEBUG}, {PUSH_LOG_PREFIX_WARN, PUSH_LOG_WARN}};
	enum push_log_level level;
	const char *text = text_of_lws(line, &level);

	*ret_start = 0;
	if (!text)
		return PUSH_LOG_ERROR;
	*ret_start = (size_t)(text - line);
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(text, prefixes[i].prefix, strlen(prefixes[i].prefix))) {
			*ret_start += strlen(prefixes[i].prefix);
			return prefixes[i].level;
		}
	if (!strncmp(text, PUSH_LOG_PREFIX, strlen(PUSH_LOG_PREFIX)))
		*ret_start += strlen(PUSH_LOG_PREFIX);
	return level;
}

bool
log_line_is_of_client(const char *line)
{
	static const char *const of_system[] = {"accept: errno", "OOM", "Out of mem", "out of mem"};
	enum push_log_level level;
	const char *text = text_of_lws(line, &level);

	if (!text || !strncmp(text, PUSH_LOG_PREFIX, strlen(PUSH_LOG_PREFIX)))
		return false;
	for (size_t i = 0; i < sizeof(of_system) / sizeof(of_system[0]); i++)
		if (strstr(text, of_system[i]))
			return false;
	return true;
}

size_t
log_line_split(const char *text, size_t size, const char **ret_fields, size_t *ret_fields_size)
{
	const char *start = memmem(text, size, " {\"", 3);
	bool is_compact;

	*ret_fields = NULL;
	*ret_fields_size = 0;
	if (!start || !push_json_scan_value(start + 1, size - (size_t)(start + 1 - text), &is_compact) ||
		!is_compact)
		return size;
	*ret_fields = start + 2;
	*ret_fields_size = (size_t)(text + size - 1 - *ret_fields);
	return (size_t)(start - text);
}
