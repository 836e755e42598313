/* certificate_name.c - see certificate_name.h. */
#include <stddef.h>
#include <string.h>

#include "certificate_name.h"

static const char *const words[] = {"",
#define X(name, word) word,
	PUSH_CERTIFICATE_NAME_MAP(X)
#undef X
};

bool
push_certificate_name_parse(const char *word, enum push_certificate_name *ret)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) != 0)
			continue;
		*ret = (enum push_certificate_name)i;
		return true;
	}
	return false;
}
