/*
 * push_assert.h - assertions that stay on in release builds.
 *
 * They state what must hold whatever a client, Redis or a configuration does;
 * one that fails is a bug in Push.  Stopping at once beats serving wrong data:
 * the supervisor starts a new worker and clients reconnect.  One condition
 * each, no side effects.
 */
#ifndef PUSH_CORE_ASSERT_H
#define PUSH_CORE_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

#define PUSH_ASSERT(condition)                                                                               \
	do {                                                                                                 \
		if (__builtin_expect(!(condition), 0)) {                                                     \
			fprintf(stderr, "push: assertion failed: %s at %s:%d\n", #condition, __FILE__,       \
				__LINE__);                                                                   \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

#endif
