/* health_answer.c - reading what comes from the management port, or from whatever else is there; see
 * health.h.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "health.h"

#define STATUS_LINE_BYTES_MIN 12 /* HTTP/1.1 200 */

static const struct {
	const char *question, *path;
} questions[] = {
	{"ready", "/actuator/health/readiness"},
	{"live", "/actuator/health/liveness"},
};

const char *
health_path(const char *question)
{
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		if (!strcmp(question, questions[i].question))
			return questions[i].path;
	return NULL;
}

/* For a terminal, and for those who keep what health checks print. */
static void
blank_controls(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7F)
			*text = ' ';
}

bool
health_says_up(const char *body)
{
	struct json_object *tree = json_tokener_parse(body), *status;
	const char *text = tree && json_object_is_type(tree, json_type_object) &&
					   json_object_object_get_ex(tree, "status", &status)
				   ? json_object_get_string(status)
				   : NULL;
	bool up = text && !strcmp(text, "UP");

	json_object_put(tree);
	return up;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

enum push_status
health_read_answer(char *answer, size_t size, const char **ret_body, struct push_error *error)
{
	char *body, *status;

	*ret_body = answer + size;
	if (!size) {
		snprintf(error->text, sizeof(error->text), "closed without an answer");
		return PUSH_INVALID;
	}
	status = strchr(answer, ' ');
	if (size < STATUS_LINE_BYTES_MIN || strncmp(answer, "HTTP/1.", 7) != 0 || !status ||
		!is_digit(status[1]) || !is_digit(status[2]) || !is_digit(status[3])) {
		snprintf(error->text, sizeof(error->text), "the answer is not HTTP: is that Push?");
		return PUSH_INVALID;
	}
	body = strstr(answer, "\r\n\r\n");
	if (body) {
		*ret_body = body + 4;
		blank_controls(body + 4);
	}
	if (!strncmp(status, " 200", 4) && health_says_up(*ret_body))
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "answered %.3s%s", status + 1,
		strncmp(status, " 200", 4) != 0 ? "" : " without {\"status\":\"UP\"}: is that Push?");
	return PUSH_INVALID;
}
