/* say.c - see say.h.  Servers and proxies write part of the texts: control characters do not reach a
 * terminal. */
#include <stdarg.h>
#include <stdio.h>

#include "say.h"

#define LINE_BYTES_MAX 2048

void
say(const char *format, ...)
{
	char line[LINE_BYTES_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	for (char *at = line; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7F)
			*at = ' ';
	fprintf(stderr, "push: %s\n", line);
}
