/* generation.c - see generation.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "direct/vhosts.h"
#include "generation.h"

/* Beside what clients may take: the drain itself, their grace after the reconnect event and after the close.
 */
#define STOP_MARGIN_US 5000000ull

static void
set_up(struct generation *generation, const struct generation_host *host)
{
	for (size_t i = 0; i < generation->worker_count; i++) {
		struct worker_setup *setup = &generation->workers[i].setup;

		*setup = host->setup;
		setup->folder = generation->folder;
		setup->vhosts = generation->vhosts.status == PUSH_OK ? generation->vhosts.bytes : NULL;
		setup->number = (unsigned int)i + 1;
		setup->of = (unsigned int)generation->worker_count;
		setup->stats_slot = host->stats_first + i;
		setup->sockets = &host->sockets[i];
	}
}

bool
generation_start(struct generation *generation, const struct generation_host *host, const char *name,
	struct config *config, uint64_t now_us, struct push_error *error)
{
	memset(generation, 0, sizeof(*generation));
	generation->config = config;
	generation->worker_count = host->worker_count;
	generation->serial = host->serial;
	snprintf(generation->folder, sizeof(generation->folder), "%s/%s", host->run_dir, name);
	if (mkdir(generation->folder, 0700)) {
		snprintf(error->text, sizeof(error->text), "%s: %s", generation->folder, strerror(errno));
		generation_end(generation);
		return false;
	}
	push_buf_init(&generation->vhosts, PUSH_VHOSTS_BYTES_MAX);
	if (config_render(config, generation->folder, &generation->vhosts, error) != PUSH_OK) {
		generation_end(generation);
		return false;
	}
	push_buf_append(&generation->vhosts, "", 1);
	set_up(generation, host);
	for (size_t i = 0; i < generation->worker_count; i++)
		if (!worker_start(&generation->workers[i], now_us)) {
			snprintf(error->text, sizeof(error->text), "cannot start a process: %s",
				strerror(errno));
			generation_end(generation);
			return false;
		}
	return true;
}

void
generation_resume(struct generation *generation, const struct generation_host *host, struct config *config)
{
	generation->config = config;
	set_up(generation, host);
	for (size_t i = 0; i < generation->worker_count; i++)
		if (generation->workers[i].state != WORKER_NONE)
			worker_resume(&generation->workers[i]);
}

bool
generation_is_ready(const struct generation *generation)
{
	for (size_t i = 0; i < generation->worker_count; i++)
		if (generation->workers[i].state != WORKER_READY)
			return false;
	return true;
}

void
generation_drain(struct generation *generation, bool replaced, uint64_t now_us)
{
	const struct push_options *options;

	if (!generation->config)
		return;
	options = &generation->config->options;
	generation->stop_by_us = now_us + options->drain_us + 2 * options->grace_us + STOP_MARGIN_US;
	for (size_t i = 0; i < generation->worker_count; i++)
		worker_drain(&generation->workers[i], replaced, now_us);
}

bool
generation_is_gone(const struct generation *generation)
{
	for (size_t i = 0; i < generation->worker_count; i++)
		if (generation->workers[i].state != WORKER_NONE || generation->workers[i].restart_at_us)
			return false;
	return true;
}

void
generation_end(struct generation *generation)
{
	if (!generation->config)
		return;
	for (size_t i = 0; i < generation->worker_count; i++)
		worker_kill(&generation->workers[i]);
	run_dir_remove(generation->folder);
	push_buf_fini(&generation->vhosts);
	config_close(generation->config);
	memset(generation, 0, sizeof(*generation));
}
