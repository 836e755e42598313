/* template.c - see template.h. */
#include <stdio.h>
#include <string.h>

#include "template.h"

const char *
template_check(const char *text, const char *letters)
{
	for (; (text = strchr(text, '%')); text += 2)
		if (!text[1] || (text[1] != '%' && !strchr(letters, text[1])))
			return "a % in it stands before a letter that means nothing there (%% is a percent "
			       "sign)";
	return NULL;
}

void
template_channel(const char *text, uint32_t number, char *to)
{
	size_t size = 0;

	/* A number takes ten digits. */
	for (; *text && size + 11 < TEMPLATE_NAME_BYTES_MAX; text++) {
		if (*text != '%')
			to[size++] = *text;
		else if (*++text == 'd')
			size += (size_t)sprintf(to + size, "%u", number);
		else
			to[size++] = '%';
	}
	to[size] = 0;
}

size_t
template_fill(const char *text, const char *channel, const char *message, size_t message_size, char *to)
{
	char *start = to;
	const char *hole;

	for (; (hole = strchr(text, '%')); text = hole + 2) {
		memcpy(to, text, (size_t)(hole - text));
		to += hole - text;
		if (hole[1] == 'c') {
			to = stpcpy(to, channel);
		} else if (hole[1] == 'm') {
			memcpy(to, message, message_size);
			to += message_size;
		} else {
			*to++ = '%';
		}
	}
	return (size_t)(stpcpy(to, text) - start);
}

size_t
template_size(const char *text, size_t message_size)
{
	size_t size = strlen(text) + 1;

	for (; (text = strchr(text, '%')); text += 2)
		size += text[1] == 'm' ? message_size : text[1] == 'c' ? TEMPLATE_NAME_BYTES_MAX : 0;
	return size;
}
