/* files.c - see files.h. */
#include <stdint.h>
#include <sys/resource.h>

#include "direct/files.h"
#include "direct/limits.h"

int
push_files_max(void)
{
	struct rlimit limit;
	int reserved;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > INT32_MAX)
		return INT32_MAX;
	reserved = (int)limit.rlim_cur / PUSH_RESERVED_FILES_SHARE;
	return (int)limit.rlim_cur -
	       (reserved < PUSH_RESERVED_FILES_MAX ? reserved : PUSH_RESERVED_FILES_MAX);
}
