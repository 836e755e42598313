/*
 * fuzz_trace.c - what tracing reads from outside: a traceparent, the collector's answer, its address.
 *
 * What is read of a traceparent is what is written.  The answer's head is fuzz_http_answer.c's.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/http_url.h"
#include "core/push_assert.h"
#include "core/traceparent.h"
#include "trace/otlp.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_parent(const char *text, size_t size)
{
	char written[PUSH_TRACEPARENT_BYTES + 1];
	struct push_trace trace, again;

	if (!push_traceparent_parse(&trace, text, size))
		return;
	push_traceparent_write(&trace, written);
	PUSH_ASSERT(!memcmp(written + 2, text + 2, 51)); /* all but the version and the flags */
	PUSH_ASSERT(push_traceparent_parse(&again, written, PUSH_TRACEPARENT_BYTES));
	PUSH_ASSERT(!memcmp(&again, &trace, sizeof(trace)));
}

static void
check_answer(const char *text, size_t size)
{
	(void)push_otlp_rejected(text, size);
}

static void
check_url(const char *text, size_t size)
{
	struct push_http_url url;
	struct push_error error;
	char *copy = malloc(size + 1);

	memcpy(copy, text, size);
	copy[size] = '\0';
	if (push_http_url_parse(&url, "name", copy, &error) == PUSH_OK) {
		PUSH_ASSERT(url.host[0] && url.port && url.path[0] == '/');
		PUSH_ASSERT(!strpbrk(url.path, "\r\n ") && !strpbrk(url.authority, "\r\n /@"));
	}
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	/* of its own size, so that a read behind it is seen */
	text = malloc(size - 1 + (size == 1));
	memcpy(text, data + 1, size - 1);
	check_parent(text, size - 1);
	check_answer(text, size - 1);
	check_url(text, size - 1);
	free(text);
	return 0;
}
