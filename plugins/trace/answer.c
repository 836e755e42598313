/* answer.c - see answer.h. */
#include <string.h>
#include <strings.h>

#include "trace/answer.h"
#include "trace/otlp.h"

static void
keep(char *to, size_t max, size_t *size, const char *bytes, size_t more)
{
	if (*size < max)
		memcpy(to + *size, bytes, more < max - *size ? more : max - *size);
	*size += more;
}

static int
on_name(llhttp_t *parser, const char *bytes, size_t size)
{
	struct push_trace_answer *answer = parser->data;

	keep(answer->name, sizeof(answer->name), &answer->name_size, bytes, size);
	return 0;
}

static int
on_value(llhttp_t *parser, const char *bytes, size_t size)
{
	struct push_trace_answer *answer = parser->data;

	keep(answer->value, sizeof(answer->value), &answer->value_size, bytes, size);
	return 0;
}

static int
on_value_end(llhttp_t *parser)
{
	static const char retry_after[] = "retry-after";
	struct push_trace_answer *answer = parser->data;
	unsigned int seconds = 0;
	bool is_number = answer->value_size > 0 && answer->value_size < sizeof(answer->value);

	if (answer->name_size == sizeof(retry_after) - 1 &&
		!strncasecmp(answer->name, retry_after, sizeof(retry_after) - 1)) {
		for (size_t i = 0; is_number && i < answer->value_size; i++) {
			is_number = answer->value[i] >= '0' && answer->value[i] <= '9';
			seconds = seconds * 10 + (unsigned int)(answer->value[i] - '0');
			if (seconds > PUSH_TRACE_RETRY_AFTER_S_MAX)
				seconds = PUSH_TRACE_RETRY_AFTER_S_MAX;
		}
		answer->retry_after_s = is_number ? seconds : 0;
	}
	answer->name_size = answer->value_size = 0;
	return 0;
}

static int
on_head_end(llhttp_t *parser)
{
	struct push_trace_answer *answer = parser->data;

	answer->status = parser->status_code;
	return 0;
}

static int
on_body(llhttp_t *parser, const char *bytes, size_t size)
{
	struct push_trace_answer *answer = parser->data;

	keep(answer->body, sizeof(answer->body), &answer->body_size, bytes, size);
	return 0;
}

static int
on_end(llhttp_t *parser)
{
	struct push_trace_answer *answer = parser->data;

	/* an interim answer (100, 103): the real one follows */
	answer->is_whole = answer->status >= 200;
	return answer->is_whole ? HPE_PAUSED : 0;
}

static const llhttp_settings_t settings = {
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_end,
	.on_headers_complete = on_head_end,
	.on_body = on_body,
	.on_message_complete = on_end,
};

void
push_trace_answer_init(struct push_trace_answer *answer)
{
	memset(answer, 0, offsetof(struct push_trace_answer, body));
	llhttp_init(&answer->parser, HTTP_RESPONSE, &settings);
	answer->parser.data = answer;
}

enum push_trace_answer_state
push_trace_answer_feed(struct push_trace_answer *answer, const char *bytes, size_t size)
{
	llhttp_errno_t result =
		size ? llhttp_execute(&answer->parser, bytes, size) : llhttp_finish(&answer->parser);

	answer->taken += size;
	if (answer->is_whole)
		return PUSH_TRACE_ANSWER_WHOLE;
	if (result != HPE_OK || !size)
		return PUSH_TRACE_ANSWER_BAD;
	if (answer->taken <= PUSH_TRACE_ANSWER_BYTES_MAX)
		return PUSH_TRACE_ANSWER_PARTIAL;
	answer->is_long = true;
	return answer->status >= 200 ? PUSH_TRACE_ANSWER_WHOLE : PUSH_TRACE_ANSWER_BAD;
}

bool
push_trace_answer_is_passing(const struct push_trace_answer *answer)
{
	return answer->status == 429 || answer->status == 502 || answer->status == 503 ||
	       answer->status == 504;
}

uint64_t
push_trace_answer_rejected(const struct push_trace_answer *answer, uint64_t count)
{
	uint64_t rejected = count;

	if (answer->status >= 200 && answer->status < 300)
		rejected = answer->is_long || answer->body_size > sizeof(answer->body)
				   ? 0
				   : push_otlp_rejected(answer->body, answer->body_size);
	return rejected < count ? rejected : count;
}
