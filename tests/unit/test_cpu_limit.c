/* test_cpu_limit.c - limits of CPU time as control groups tell them, in files that were made up. */
#include "unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/cgroup.h"
#include "cpu_limit.h"

static void
a_quota_is_rounded_up_to_whole_cpus(void **state)
{
	static const struct {
		const char *text;
		size_t cpus; /* 0: no limit */
	} rows[] = {
		{"100000 100000\n", 1},
		{"100001 100000\n", 2},
		{"150000 100000", 2},
		{"200000 100000\n", 2},
		{"50000 100000\n", 1},
		{"1 1000000\n", 1},
		{"999999999999999999 1\n", 999999999999999999},
		{"1999999999999999999 1\n", 0}, /* a digit too many */
		{"max 100000\n", 0},
		{"-1 100000\n", 0},
		{"0 100000\n", 0},
		{"100000 0\n", 0},
		{"100000\n", 0},
		{"100000 \n", 0},
		{"100000 max\n", 0},
		{"100000 1e5\n", 0},
		{"100000  100000\n", 0},
		{" 100000 100000\n", 0},
		{"", 0},
		{"\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t cpus = 0;

		assert_int_equal(cpu_limit_parse(rows[i].text, &cpus), rows[i].cpus > 0);
		assert_int_equal(cpus, rows[i].cpus);
	}
}

static void
the_group_of_each_version_is_found(void **state)
{
	static const struct {
		const char *text, *controller, *group; /* NULL: none */
	} rows[] = {
		{"0::/\n", "", "/"},
		{"0::/a/b", "", "/a/b"},
		{"0::/a:b\n", "", "/a:b"},
		{"0::/\n", "cpu", NULL},
		{"5:cpuset:/c\n4:cpu,cpuacct:/a/b\n0::/u\n", "cpu", "/a/b"},
		{"5:cpuset:/c\n4:cpuacct,cpu:/a/b\n0::/u\n", "cpu", "/a/b"},
		{"5:cpuset:/c\n4:cpu,cpuacct:/a/b\n0::/u\n", "", "/u"},
		{"5:cpuset:/c\n4:xcpu:/a\n3:cpux:/a\n2:name=cpu:/a\n", "cpu", NULL},
		{"4:cpu,cpuacct:relative\n", "cpu", NULL},
		{"4:cpu,cpuacct:\n", "cpu", NULL},
		{"4:cpu\n0:/x\n:::\n\n", "cpu", NULL},
		{"4:cpu:/12345678\n", "cpu", NULL}, /* one too long for the buffer */
		{"4:cpu:/1234567\n", "cpu", "/1234567"},
		{"", "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char group[9] = "";

		assert_int_equal(cgroup_path(rows[i].text, rows[i].controller, group, sizeof(group)),
			rows[i].group != NULL);
		if (rows[i].group)
			assert_string_equal(group, rows[i].group);
	}
}

/* --- a machine of files --- */

struct machine {
	char root[64];
};

static void
put(const struct machine *machine, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", machine->root, name);
	for (char *p = path + strlen(machine->root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		mkdir(path, 0700);
	}
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int
make_machine(void **state)
{
	static struct machine machine;

	strcpy(machine.root, "/tmp/push-cpu-XXXXXX");
	*state = &machine;
	return mkdtemp(machine.root) ? 0 : -1;
}

static int
remove_machine(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", ((struct machine *)*state)->root);
	return system(command);
}

static void
nothing_to_read_is_no_limit(void **state)
{
	const struct machine *machine = *state;

	assert_int_equal(cpu_limit_read(machine->root), 0);
	put(machine, "/proc/self/cgroup", "0::/\n");
	assert_int_equal(cpu_limit_read(machine->root), 0);
}

static void
a_container_finds_its_limit_at_the_root(void **state)
{
	const struct machine *machine = *state;

	put(machine, "/proc/self/cgroup", "0::/\n");
	put(machine, "/sys/fs/cgroup/cpu.max", "150000 100000\n");
	assert_int_equal(cpu_limit_read(machine->root), 2);
	put(machine, "/proc/self/cgroup", "0::/../../elsewhere\n");
	assert_int_equal(cpu_limit_read(machine->root), 2);
}

static void
the_lowest_limit_above_a_group_counts(void **state)
{
	const struct machine *machine = *state;

	put(machine, "/proc/self/cgroup", "0::/system.slice/push.service\n");
	put(machine, "/sys/fs/cgroup/system.slice/push.service/cpu.max", "max 100000\n");
	put(machine, "/sys/fs/cgroup/system.slice/cpu.max", "300000 100000\n");
	assert_int_equal(cpu_limit_read(machine->root), 3);
	put(machine, "/sys/fs/cgroup/system.slice/push.service/cpu.max", "400000 100000\n");
	assert_int_equal(cpu_limit_read(machine->root), 3);
	put(machine, "/sys/fs/cgroup/system.slice/push.service/cpu.max", "50000 100000\n");
	assert_int_equal(cpu_limit_read(machine->root), 1);
}

static void
version_1_has_two_files(void **state)
{
	const struct machine *machine = *state;

	put(machine, "/proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n0::/docker/0123\n");
	put(machine, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n");
	assert_int_equal(cpu_limit_read(machine->root), 0);
	put(machine, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpu_limit_read(machine->root), 3); /* the host's path is not there */
	put(machine, "/sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_quota_us", "-1\n");
	put(machine, "/sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpu_limit_read(machine->root), 3);
}

static void
hostile_files_are_no_limit(void **state)
{
	const struct machine *machine = *state;
	char *text = malloc(PATH_MAX + 20000);

	assert_non_null(text);
	put(machine, "/sys/fs/cgroup/cpu.max", "100000 100000\n");
	memset(text, 'a', PATH_MAX + 19999);
	text[PATH_MAX + 19999] = '\0';
	memcpy(text, "0::/", 4);
	put(machine, "/proc/self/cgroup", text); /* longer than is read */
	assert_int_equal(cpu_limit_read(machine->root), 0);
	text[PATH_MAX + 3] = '\0';
	put(machine, "/proc/self/cgroup", text); /* no path is so long */
	assert_int_equal(cpu_limit_read(machine->root), 0);
	text[PATH_MAX + 2] = '\0';
	put(machine, "/proc/self/cgroup", text); /* one that is not there */
	assert_int_equal(cpu_limit_read(machine->root), 1);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quota_is_rounded_up_to_whole_cpus),
		cmocka_unit_test(the_group_of_each_version_is_found),
		cmocka_unit_test_setup_teardown(nothing_to_read_is_no_limit, make_machine, remove_machine),
		cmocka_unit_test_setup_teardown(
			a_container_finds_its_limit_at_the_root, make_machine, remove_machine),
		cmocka_unit_test_setup_teardown(
			the_lowest_limit_above_a_group_counts, make_machine, remove_machine),
		cmocka_unit_test_setup_teardown(version_1_has_two_files, make_machine, remove_machine),
		cmocka_unit_test_setup_teardown(hostile_files_are_no_limit, make_machine, remove_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
