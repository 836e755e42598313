/* process.c - see process.h. */
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "process.h"

#define PROC_FILE_BYTES_MAX 8192

/* Reads /proc/PID/NAME into `text`; returns 0 if it cannot. */
static size_t
read_file(pid_t id, const char *name, char *text)
{
	char path[64];
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), "/proc/%ld/%s", (long)id, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	size = fread(text, 1, PROC_FILE_BYTES_MAX - 1, file);
	fclose(file);
	text[size] = 0;
	return size;
}

struct stat_fields {
	pid_t parent;
	unsigned long user_ticks, system_ticks;
};

/* proc(5): the second field is a name in brackets, which may hold anything; then come state and ppid. */
static int
read_stat(pid_t id, struct stat_fields *ret)
{
	char text[PROC_FILE_BYTES_MAX], *at;

	if (!read_file(id, "stat", text) || !(at = strrchr(text, ')')) || !at[1] || !at[2])
		return -1;
	at += 3; /* behind the state, the third field */
	for (int field = 4; field <= 15; field++) {
		unsigned long value = strtoul(at, &at, 10);

		if (field == 4)
			ret->parent = (pid_t)value;
		else if (field == 14)
			ret->user_ticks = value;
		else if (field == 15)
			ret->system_ticks = value;
	}
	return 0;
}

int
process_list_parse(const char *text, struct process_list *ret_list)
{
	struct stat_fields fields;

	ret_list->count = 0;
	for (;;) {
		char *end;
		long id = strtol(text, &end, 10);

		if (end == text || id <= 0 || ret_list->count == PROCESS_IDS_MAX ||
			read_stat((pid_t)id, &fields))
			return -1;
		ret_list->ids[ret_list->count++] = (pid_t)id;
		if (!*end)
			return 0;
		if (*end != ',')
			return -1;
		text = end + 1;
	}
}

static bool
is_listed(const struct process_list *list, pid_t id)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->ids[i] == id)
			return true;
	return false;
}

/* Adds children until a look through /proc finds no more: ids may run in any order. */
static void
add_descendants(struct process_list *list)
{
	size_t before;

	do {
		struct dirent *entry;
		DIR *proc = opendir("/proc");

		before = list->count;
		if (!proc)
			return;
		while ((entry = readdir(proc))) {
			struct stat_fields fields;
			pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);

			if (!isdigit((unsigned char)entry->d_name[0]) || list->count == PROCESS_IDS_MAX)
				continue;
			if (!is_listed(list, id) && !read_stat(id, &fields) && is_listed(list, fields.parent))
				list->ids[list->count++] = id;
		}
		closedir(proc);
	} while (list->count != before);
}

/* The value in kB behind `name`, in bytes. */
static uint64_t
kilobytes_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}

static void
add_memory(pid_t id, struct process_sample *sample)
{
	char text[PROC_FILE_BYTES_MAX];

	if (read_file(id, "smaps_rollup", text)) {
		sample->resident_bytes += kilobytes_of(text, "\nRss:");
		sample->anonymous_bytes += kilobytes_of(text, "\nAnonymous:");
	} else if (read_file(id, "status", text)) {
		sample->resident_bytes += kilobytes_of(text, "\nVmRSS:");
		sample->anonymous_bytes += kilobytes_of(text, "\nRssAnon:");
	}
	if (read_file(id, "status", text))
		sample->peak_bytes += kilobytes_of(text, "\nVmHWM:");
}

static void
add_limit(pid_t id, struct process_sample *sample)
{
	char text[PROC_FILE_BYTES_MAX];
	const char *at;
	uint64_t limit;

	if (!read_file(id, "limits", text) || !(at = strstr(text, "Max open files")))
		return;
	limit = strtoull(at + strlen("Max open files"), NULL, 10);
	if (limit && (!sample->open_files_max || limit < sample->open_files_max))
		sample->open_files_max = limit;
}

void
process_sample(const struct process_list *list, struct process_sample *ret_sample)
{
	double ticks_per_s = (double)sysconf(_SC_CLK_TCK);
	struct process_list all = *list;

	*ret_sample = (struct process_sample){0};
	if (!list->count)
		return;
	add_descendants(&all);
	for (size_t i = 0; i < all.count; i++) {
		struct stat_fields fields;

		if (read_stat(all.ids[i], &fields))
			continue;
		ret_sample->process_count++;
		ret_sample->user_s += (double)fields.user_ticks / ticks_per_s;
		ret_sample->system_s += (double)fields.system_ticks / ticks_per_s;
		add_memory(all.ids[i], ret_sample);
		add_limit(all.ids[i], ret_sample);
	}
}

double
process_machine_cpu_s(void)
{
	/* proc(5): "cpu", then user, nice, system, idle, iowait, irq, softirq, steal in ticks */
	enum { IDLE = 3, IOWAIT = 4, FIELDS = 8 };
	char text[256], *at = text + strlen("cpu");
	FILE *file = fopen("/proc/stat", "re");
	unsigned long long ticks = 0;
	bool is_read = file && fgets(text, sizeof(text), file) && !strncmp(text, "cpu ", 4);

	if (file)
		fclose(file);
	for (int i = 0; is_read && i < FIELDS; i++) {
		unsigned long long value = strtoull(at, &at, 10);

		ticks += i == IDLE || i == IOWAIT ? 0 : value;
	}
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

double
process_own_cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
