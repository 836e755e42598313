/* process.c - see process.h.  Fields and units: proc(5). */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

/* What is read again sooner would be mostly noise: several who ask get the same. */
#define CPU_USAGE_S 1

/* The size of the folder is their number since Linux 6.2; before, all are read, 5 ms for 20,000. */
static uint64_t
count_open_files(void)
{
	DIR *directory;
	uint64_t count = 0;
	struct stat folder;

	if (!stat("/proc/self/fd", &folder) && folder.st_size > 0)
		return (uint64_t)folder.st_size;
	directory = opendir("/proc/self/fd");
	if (!directory)
		return 0;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count > 3 ? count - 3 : 0; /* without ".", ".." and the directory's own */
}

static uint64_t
read_resident_bytes(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%*s %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Field 22 of stat is the start in clock ticks since boot; the name in field 2 may hold spaces. */
static double
read_start_time_s(void)
{
	struct timespec now, since_boot;
	unsigned long long start_ticks = 0;
	char line[1024], *after_name;
	FILE *file = fopen("/proc/self/stat", "re");

	if (!file)
		return 0;
	after_name = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	if (!after_name ||
		sscanf(after_name + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			&start_ticks) != 1)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	return (double)(now.tv_sec - since_boot.tv_sec) + (double)(now.tv_nsec - since_boot.tv_nsec) / 1e9 +
	       (double)start_ticks / (double)sysconf(_SC_CLK_TCK);
}

static double
seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void
push_process_read(struct push_process *process)
{
	struct rlimit limit = {0};
	struct rusage usage = {0};
	struct timespec now;

	getrlimit(RLIMIT_NOFILE, &limit);
	getrusage(RUSAGE_SELF, &usage);
	clock_gettime(CLOCK_REALTIME, &now);
	*process = (struct push_process){
		.start_time_s = read_start_time_s(),
		.now_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9,
		.resident_bytes = read_resident_bytes(),
		.open_files = count_open_files(),
		.open_files_max = limit.rlim_cur,
		.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime),
	};
	if (process->open_files_max)
		process->open_files_ratio = (double)process->open_files / (double)process->open_files_max;
}

void
push_cpu_usage_read(struct push_cpu_usage *usage, struct push_process *process)
{
	double now_s = process->now_s, since_s = usage->read_s > 0 ? usage->read_s : process->start_time_s;
	double processors = (double)sysconf(_SC_NPROCESSORS_ONLN), share;

	if (usage->read_s <= 0 || now_s - usage->read_s >= CPU_USAGE_S) {
		share = now_s > since_s ? (process->cpu_s - usage->cpu_s) / (now_s - since_s) / processors
					: 0;
		*usage = (struct push_cpu_usage){now_s, process->cpu_s,
			share < 0   ? 0
			: share > 1 ? 1
				    : share};
	}
	process->cpu_usage = usage->share;
}
