/* log.c - see log.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "log_line.h"

/* pushd's longest: an error of a worker's, and a worker's last words. */
#define MESSAGE_BYTES_MAX 2304
#define TEXT_PREFIX       "pushd: "

static const char *
from_environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

void
log_init(struct log *log, struct push_line_writer *output)
{
	*log = (struct log){.output = output, .own_level = PUSH_LOG_INFO, .level_seen = PUSH_LOG_INFO};
	log->level = &log->own_level;
	log_expect(log, NULL, NULL);
}

void
log_expect(struct log *log, const char *format, const char *level)
{
	enum push_log_level parsed;

	format = from_environment("PUSH_LOG_FORMAT", format);
	level = from_environment("PUSH_LOG_LEVEL", level);
	log->is_json = format && !strcmp(format, "json");
	if (level && push_log_level_parse(level, &parsed))
		*log->level = parsed;
}

void
log_configure(struct log *log, const struct push_options *options)
{
	log->is_json = !strcmp(options->log_format, "json");
	__atomic_store_n(log->level, (uint32_t)push_options_log_level(options), __ATOMIC_RELAXED);
}

void
log_take_level(struct log *log, uint32_t level)
{
	if (level < PUSH_LOG_LEVEL_COUNT)
		*log->level = log->level_seen = level;
}

void
log_share(struct log *log, uint32_t *level)
{
	__atomic_store_n(level, *log->level, __ATOMIC_RELAXED);
	log->level_seen = *log->level;
	log->level = level;
}

void
log_look(struct log *log)
{
	uint32_t level = __atomic_load_n(log->level, __ATOMIC_RELAXED), loudest = PUSH_LOG_DEBUG;
	struct log always = {.output = log->output, .is_json = log->is_json, .level = &loudest};
	uint64_t dropped = push_line_writer_begin_report(log->output);

	if (dropped) {
		log_say(&always, PUSH_LOG_WARN, "%llu lines of the log were dropped: its reader was too slow",
			(unsigned long long)dropped);
		push_line_writer_end_report(log->output, dropped);
	}
	if (level == log->level_seen || level >= PUSH_LOG_LEVEL_COUNT)
		return;
	log->level_seen = level;
	log_say(&always, PUSH_LOG_INFO, "the log level is now %s",
		push_log_level_text((enum push_log_level)level));
}

void
log_unshare(struct log *log)
{
	log->own_level = *log->level;
	log->level = &log->own_level;
}

bool
log_passes(const struct log *log, enum push_log_level level)
{
	return (uint32_t)level <= __atomic_load_n(log->level, __ATOMIC_RELAXED);
}

void
log_write(const struct log *log, const char *bytes, size_t size)
{
	(void)push_line_writer_write(log->output, bytes, size);
}

/* In one write, so that nobody else's bytes get between its own. */
static void
write_object(const struct log *log, struct log_record *record)
{
	struct push_buf line;

	clock_gettime(CLOCK_REALTIME, &record->time);
	push_buf_init(&line, LOG_OBJECT_BYTES_MAX);
	log_line_append(&line, record);
	if (line.status == PUSH_OK)
		log_write(log, line.bytes, line.size);
	push_buf_fini(&line);
}

void
log_say_fields(const struct log *log, enum push_log_level level, const char *message, const char *fields)
{
	struct log_record record = {.level = level,
		.component = "pushd",
		.pid = getpid(),
		.message = message,
		.message_size = strlen(message),
		.fields = fields,
		.fields_size = fields ? strlen(fields) : 0};

	if (log_passes(log, level))
		write_object(log, &record);
}

void
log_say(const struct log *log, enum push_log_level level, const char *format, ...)
{
	char message[MESSAGE_BYTES_MAX], line[MESSAGE_BYTES_MAX + sizeof(TEXT_PREFIX) + 1];
	va_list arguments;

	if (!log_passes(log, level))
		return;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (log->is_json)
		log_say_fields(log, level, message, NULL);
	else
		log_write(log, line, (size_t)snprintf(line, sizeof(line), TEXT_PREFIX "%s\n", message));
}

void
log_pass_on(const struct log *log, const struct log_worker *worker, enum push_log_level level,
	const char *line, size_t start)
{
	struct log_record record = {.level = level,
		.component = "worker",
		.worker = worker->number,
		.pid = worker->pid,
		.message = line + start};
	struct push_buf text;

	if (log->is_json) {
		record.message_size = log_line_split(
			record.message, strlen(record.message), &record.fields, &record.fields_size);
		write_object(log, &record);
		return;
	}
	push_buf_init(&text, LOG_OBJECT_BYTES_MAX);
	if (worker->of > 1)
		push_buf_printf(&text, "worker %u: ", worker->number);
	push_buf_append_text(&text, line);
	push_buf_append_text(&text, "\n");
	if (text.status == PUSH_OK)
		log_write(log, text.bytes, text.size);
	push_buf_fini(&text);
}
