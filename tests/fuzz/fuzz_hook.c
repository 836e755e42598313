/*
 * fuzz_hook.c - what a client sends is JSON in the question to the application, and whatever the application
 * answers is one of four verdicts; without rights in the answer no channel is granted that was not asked for.
 *
 * The first byte chooses the status; a NUL separates what the client sends from what the application answers.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/hook_answer.h"
#include "core/jsonscan.h"
#include "core/push_assert.h"
#include "core/utf8.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_question(const struct push_hook_question *question)
{
	struct push_error error = {""};
	struct push_buf text;

	push_buf_init(&text, 65536);
	push_hook_question_write(&text, question, ~0u);
	PUSH_ASSERT(text.status == PUSH_OK);
	PUSH_ASSERT(push_json_scan_object(text.bytes, text.size, NULL, 0, &error) == PUSH_OK);
	PUSH_ASSERT(push_json_check_unique(text.bytes, text.size, &error) == PUSH_OK);
	push_buf_fini(&text);
}

static void
check_text(const char *text)
{
	PUSH_ASSERT(push_utf8_is_valid(text, strlen(text)));
	for (; *text; text++)
		PUSH_ASSERT((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void
check_answer(const struct push_hook_question *question, const struct push_http_result *result)
{
	const struct push_claims_clock clock = {.wall_us = 1700000000000000ull, .now_us = 1000000};
	static const struct push_str other = {"zz", 2};
	struct push_options options;
	struct push_hook_answer answer;
	unsigned int status;

	push_options_init(&options);
	options.auth_exp_required = false;
	options.auth_leeway_us = 0;
	push_hook_answer_read(&answer, result, question, &options, &clock);
	status = answer.verdict.status;
	PUSH_ASSERT(status == 0 || status == 401 || status == 403 || status == 503);
	PUSH_ASSERT(!status == (answer.verdict.identity != NULL));
	PUSH_ASSERT(answer.is_failure == (status == 503));
	if (status)
		check_text(answer.verdict.text);
	else if (!memmem(result->body.bytes, result->body.size, "push", 4) &&
		 !memmem(result->body.bytes, result->body.size, "\\", 1) && /* of a name with escapes */
		 !memmem(question->asked->channels.bytes, question->asked->channels.size, "zz", 2))
		for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
			PUSH_ASSERT(
				!push_identity_may(answer.verdict.identity, (enum push_right)right, other));
	push_hook_answer_fini(&answer);
}

/* Of its own size, so that a read behind it is seen. */
static struct push_str
copy_of(const uint8_t *bytes, size_t size)
{
	char *copy = malloc(size + !size);

	memcpy(copy, bytes, size);
	return (struct push_str){copy, size};
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int statuses[] = {200, 204, 401, 403, 500};
	struct push_http_result result = {.status = PUSH_OK, .error = ""};
	struct push_str sent;
	const uint8_t *nul;

	if (!size)
		return 0;
	nul = memchr(data + 1, 0, size - 1);
	sent = copy_of(data + 1, nul ? (size_t)(nul - data - 1) : 0);
	result.body = nul ? copy_of(nul + 1, (size_t)(data + size - nul - 1)) : copy_of(data + 1, size - 1);
	result.http_status = statuses[data[0] % (sizeof(statuses) / sizeof(statuses[0]))];
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++) {
		const struct push_asked asked = {
			.right = (enum push_right)right, .path = sent, .cookie = sent, .channels = sent};
		const struct push_hook_question question = {PUSH_HOOK_CONNECT, &asked, {NULL, 0}};

		check_question(&question);
		/* the names of channels have been checked before */
		if (push_utf8_is_valid(sent.bytes, sent.size))
			check_answer(&question, &result);
	}
	free((char *)(uintptr_t)sent.bytes);
	free((char *)(uintptr_t)result.body.bytes);
	return 0;
}
