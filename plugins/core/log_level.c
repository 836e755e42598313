/* log_level.c - see log_level.h. */
#include <stddef.h>
#include <strings.h>

#include "log_level.h"
#include "push_assert.h"

static const char *const texts[] = {
#define X(name, text) text,
	PUSH_LOG_LEVEL_MAP(X)
#undef X
};

bool
push_log_level_parse(const char *text, enum push_log_level *ret)
{
	for (size_t i = 0; i < PUSH_LOG_LEVEL_COUNT; i++)
		if (!strcasecmp(text, texts[i])) {
			*ret = (enum push_log_level)i;
			return true;
		}
	return false;
}

const char *
push_log_level_text(enum push_log_level level)
{
	PUSH_ASSERT(level < PUSH_LOG_LEVEL_COUNT);
	return texts[level];
}
