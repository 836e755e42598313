/*
 * notice_node - the engine of a Push node and nothing else, for tests of what nodes tell each other.
 *
 *   notice_node NAME=VALUE...     options, push.redis.url among them
 *
 *   put TTL_S TEXT  on stdin ─▶  done STATUS
 *                                ready | unready | got TEXT | log LINE
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/hub.h"
#include "core/redis_stats.h"
#include "core/stats.h"
#include "redis/engine_redis.h"

#define TURN_MS 10

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The loop turns soon enough. */
static void
on_wake(void *context)
{
	(void)context;
}

static void
on_log(void *context, enum push_log_level level, const char *line)
{
	(void)context;
	(void)level;
	printf("log %s\n", line);
}

static void
on_notice(void *context, const char *text, size_t size)
{
	(void)context;
	printf("got %.*s\n", (int)size, text);
}

static void
on_done(void *context, enum push_status status)
{
	(void)context;
	printf("done %s\n", push_status_text(status));
}

static void
run_line(struct push_engine *engine, char *line)
{
	char *text = NULL;
	unsigned long ttl_s;

	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "put ", 4) != 0)
		return;
	ttl_s = strtoul(line + 4, &text, 10);
	if (*text == ' ')
		engine->notify(
			engine, text + 1, strlen(text + 1), ttl_s * 1000000ull, now_us(), on_done, NULL);
}

/* Until stdin ends. */
static void
run(struct push_engine *engine)
{
	char line[4096];
	bool is_ready = false;

	for (;;) {
		struct pollfd fds[] = {{engine->fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};

		(void)poll(fds, 2, TURN_MS);
		if (fds[1].revents && !fgets(line, sizeof(line), stdin))
			return;
		if (fds[1].revents)
			run_line(engine, line);
		engine->ready(engine, now_us());
		engine->tick(engine, now_us());
		if (engine->is_ready(engine) != is_ready)
			puts((is_ready = !is_ready) ? "ready" : "unready");
	}
}

int
main(int count, char **arguments)
{
	static struct push_options options;
	static struct push_stats stats;
	static struct push_redis_stats redis_stats;
	struct push_engine_host host = {on_wake, on_log, NULL};
	struct push_error error;
	struct push_hub *hub;
	struct push_engine *engine;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0); /* or lines would wait in it that poll() does not see */
	push_options_init(&options);
	for (int i = 1; i < count; i++) {
		char *value = strchr(arguments[i], '=');

		if (!value)
			return 2;
		*value++ = '\0';
		if (push_options_set(&options, arguments[i], value, &error) != PUSH_OK) {
			puts(error.text);
			return 2;
		}
	}
	hub = push_hub_create(&options, &stats, now_us(), now_us(), on_wake, NULL);
	engine = hub ? push_engine_redis_create(&options, hub, &redis_stats, &host,
			       now_us() * 31 + (uint64_t)getpid(), now_us(), &error)
		     : NULL;
	if (!engine)
		return 1;
	engine->on_notice(engine, on_notice, NULL);
	run(engine);
	engine->destroy(engine);
	push_hub_destroy(hub);
	return 0;
}
