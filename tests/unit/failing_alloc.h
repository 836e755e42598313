/*
 * failing_alloc.h - malloc, calloc and realloc that can be made to fail, each in its turn.
 *
 * For a program that is linked with --wrap=malloc,--wrap=calloc,--wrap=realloc, in one file of it.
 */
#ifndef PUSH_TESTS_FAILING_ALLOC_H
#define PUSH_TESTS_FAILING_ALLOC_H

#include <stdbool.h>
#include <stdlib.h>

void *
__real_malloc(size_t size);
void *
__real_calloc(size_t count, size_t size);
void *
__real_realloc(void *old, size_t size);
void *
__wrap_malloc(size_t size);
void *
__wrap_calloc(size_t count, size_t size);
void *
__wrap_realloc(void *old, size_t size);

static long allocations_left = -1; /* -1: no limit */

static bool
may_allocate(void)
{
	if (allocations_left < 0)
		return true;
	return allocations_left-- > 0 || (allocations_left = 0, false);
}

void *
__wrap_malloc(size_t size)
{
	return may_allocate() ? __real_malloc(size) : NULL;
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *
__wrap_realloc(void *old, size_t size)
{
	return may_allocate() ? __real_realloc(old, size) : NULL;
}

#endif
