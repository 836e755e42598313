/* debug_log.c - see debug_log.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/utf8.h"
#include "debug_log.h"

enum push_log_level
push_debug_log_level(const struct push_debug_log *self)
{
	uint32_t level = __atomic_load_n(self->level, __ATOMIC_RELAXED);

	/* others write it, too */
	return level < PUSH_LOG_LEVEL_COUNT ? (enum push_log_level)level : PUSH_LOG_INFO;
}

void
push_debug_log_set_level(struct push_debug_log *self, enum push_log_level level)
{
	__atomic_store_n(self->level, (uint32_t)level, __ATOMIC_RELAXED);
}

void
push_debug_log_say(struct push_debug_log *self, enum push_log_level level, const char *line)
{
	if (level <= push_debug_log_level(self))
		self->log(self->context, level, line);
}

/* One of so many in this second; the rest is only counted. */
static void
say_debug(struct push_debug_log *self, const struct push_buf *line)
{
	if (line->status == PUSH_OK && ++self->line_count <= PUSH_LOG_DEBUG_LINES_A_SECOND)
		push_debug_log_say(self, PUSH_LOG_DEBUG, line->bytes);
}

static void
begin(struct push_buf *line, const char *what)
{
	push_buf_init(line, PUSH_LOG_LINE_BYTES_MAX);
	push_buf_append_text(line, what);
	push_buf_append_text(line, " {");
}

static void
end(struct push_debug_log *self, struct push_buf *line)
{
	push_buf_append(line, "}", sizeof("}"));
	say_debug(self, line);
	push_buf_fini(line);
}

static bool
has_room(struct push_debug_log *self)
{
	if (self->line_count < PUSH_LOG_DEBUG_LINES_A_SECOND)
		return true;
	self->line_count++;
	return false;
}

static void
on_opened(void *context, const struct push_subscriber *subscriber)
{
	struct push_debug_log *self = context;
	struct push_buf line;

	if (!has_room(self))
		return;
	begin(&line, "opened");
	push_describe_client(subscriber, &line);
	push_buf_append_text(&line, ",");
	push_describe_channels(subscriber, &line);
	end(self, &line);
}

static void
on_closed(void *context, const struct push_subscriber *subscriber)
{
	struct push_debug_log *self = context;
	struct push_buf line;

	if (!has_room(self))
		return;
	begin(&line, "closed");
	push_describe_client(subscriber, &line);
	push_buf_append_text(&line, ",");
	push_describe_reason(subscriber, &line);
	end(self, &line);
}

void
push_debug_log_refused(struct push_debug_log *self, const char *text)
{
	struct push_buf line;

	if (!has_room(self))
		return;
	push_buf_init(&line, PUSH_LOG_LINE_BYTES_MAX);
	push_buf_append_text(&line, "a client is refused: ");
	push_buf_append(&line, text, strlen(text) + 1);
	say_debug(self, &line);
	push_buf_fini(&line);
}

static void
on_refused(void *context, const char *text)
{
	push_debug_log_refused(context, text);
}

void
push_debug_log_published(struct push_debug_log *self, const char *channel, size_t channel_size, size_t bytes,
	enum push_status status, uint64_t subscribers)
{
	struct push_buf line;

	if (!has_room(self))
		return;
	begin(&line, status == PUSH_OK ? "published" : "not published");
	push_buf_append_text(&line, "\"channel\":");
	push_json_append_string(
		&line, channel, push_utf8_cut(channel, channel_size, PUSH_LOG_NAMES_BYTES_MAX / 2));
	push_buf_printf(&line, ",\"bytes\":%zu", bytes);
	if (status == PUSH_OK)
		push_buf_printf(&line, ",\"subscribers\":%" PRIu64, subscribers);
	else
		push_buf_printf(&line, ",\"error\":\"%s\"", push_status_text(status));
	end(self, &line);
}

void
push_debug_log_init(struct push_debug_log *self, enum push_log_level level, uint32_t *shared,
	void (*log)(void *context, enum push_log_level level, const char *line), void *context)
{
	*self = (struct push_debug_log){.log = log,
		.context = context,
		.own_level = (uint32_t)level,
		.level = shared,
		.configured = level,
		.observer = {on_opened, on_closed, on_refused, self}};
	if (!shared)
		self->level = &self->own_level;
}

void
push_debug_log_watch(struct push_debug_log *self, struct push_hub *hub)
{
	self->hub = hub;
	self->is_on = push_debug_log_level(self) >= PUSH_LOG_DEBUG;
	push_hub_observe(hub, self->is_on ? &self->observer : NULL);
}

static void
next_second(struct push_debug_log *self)
{
	char line[64];

	if (self->line_count > PUSH_LOG_DEBUG_LINES_A_SECOND) {
		snprintf(line, sizeof(line), "%" PRIu32 " more lines in that second were dropped",
			self->line_count - PUSH_LOG_DEBUG_LINES_A_SECOND);
		push_debug_log_say(self, PUSH_LOG_DEBUG, line);
	}
	self->line_count = 0;
}

void
push_debug_log_tick(struct push_debug_log *self, uint64_t now_us)
{
	if (now_us / 1000000 != self->second) {
		self->second = now_us / 1000000;
		next_second(self);
	}
	if (self->is_on != (push_debug_log_level(self) >= PUSH_LOG_DEBUG))
		push_debug_log_watch(self, self->hub);
}
